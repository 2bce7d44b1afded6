/* SPDX-License-Identifier: MIT */
/*
 * Put a matrix, multiply it by itself in the daemon, look at the result where it lies.
 *
 *     cc hello.c $(pkg-config --cflags --libs tensord) -o hello && ./hello
 */
#include <stdio.h>
#include <stdlib.h>

#include <tensord/tensord.h>

static void check(int code, const td_error *error)
{
        if (code == TD_OK)
                return;
        fprintf(stderr, "%s: %s\n", td_error_name(code), error->message);
        exit(EXIT_FAILURE);
}

int main(void)
{
        const double matrix[2][2] = { { 1, 1 }, { 1, 0 } };
        const struct td_type type = { .dtype = TD_FLOAT64, .ndim = 2, .shape = { 2, 2 } };
        td_client *client;
        td_tensor *tensor, *product;
        td_mapping *mapping;
        td_builder *builder;
        td_error error;
        const double *data;
        int x, y;

        /* NULL: the usual places; where no daemon answers, one is started */
        check(td_connect(&client, NULL, &error), &error);
        check(td_put(client, matrix, &type, NULL, 'C', NULL, false, &tensor, &error), &error);

        /* x @ x @ x: one request, nothing but the result is kept */
        builder = td_builder_new();
        if (!builder)
                return EXIT_FAILURE;
        x = td_builder_input(builder, tensor);
        y = td_builder_op(builder, TD_OP_MATMUL, NULL, (int[]){ x, x }, 2, NULL);
        y = td_builder_op(builder, TD_OP_MATMUL, NULL, (int[]){ y, x }, 2, NULL);
        check(td_run(client, builder, &(td_output){ .value = y, .map = true }, 1, &product, &error),
              &error);
        td_builder_free(builder);

        check(td_map(product, TD_MAP_READ, true, &mapping, &error), &error);
        data = td_mapping_data(mapping);
        printf("[[%g, %g],\n [%g, %g]]\n", data[0], data[1], data[2], data[3]);

        td_mapping_free(mapping);
        td_tensor_free(product);
        td_tensor_free(tensor);
        td_close(client);
        return EXIT_SUCCESS;
}
