/* SPDX-License-Identifier: MIT */
/*
 * A simulation in C that keeps its state in a mutable tensor, for plot.py to look at: a wave on a
 * string of 200 nodes, (3, 200) float64: what was, what is, and in [2, 0] the number of the step.
 *
 *     cc producer.c $(pkg-config --cflags --libs tensord) -lm -o producer && ./producer 2000
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tensord/tensord.h>

enum { NODES = 200, EACH = 10 };

static void check(int code, const td_error *error)
{
        if (code == TD_OK)
                return;
        fprintf(stderr, "%s: %s\n", td_error_name(code), error->message);
        exit(EXIT_FAILURE);
}

/* Courant number 1/2; both ends are held. */
static void step(double *was, double *is)
{
        for (int i = 1; i < NODES - 1; i++)
                was[i] = 2 * is[i] - was[i] + 0.25 * (is[i - 1] - 2 * is[i] + is[i + 1]);
        for (int i = 0; i < NODES; i++) {
                const double next = was[i];

                was[i] = is[i];
                is[i] = next;
        }
}

int main(int argc, char **argv)
{
        const struct td_type type = { .dtype = TD_FLOAT64, .ndim = 2, .shape = { 3, NODES } };
        const int n_steps = argc > 1 ? atoi(argv[1]) : 2000;
        td_client *client;
        td_tensor *tensor;
        td_mapping *mapping;
        td_lease *lease;
        td_error error;
        double *state;

        check(td_connect(&client, NULL, &error), &error);
        check(td_create_mutable(client, &type, 'C', "string", TD_REPLACE, &tensor, &error), &error);
        check(td_map(tensor, TD_MAP_WRITE, true, &mapping, &error), &error);
        state = td_mapping_data(mapping);
        memset(state, 0, td_mapping_n_bytes(mapping));
        for (int i = 1; i < NODES - 1; i++)
                state[i] = state[NODES + i] = exp(-0.01 * pow(i - 50, 2));
        check(td_seal(tensor, &error), &error); /* from now on others see it */

        for (int done = 0; done < n_steps; done += EACH) {
                check(td_lease_begin(tensor, NULL, NULL, 0, true, false, 5000, &lease, &error),
                      &error);
                for (int i = 0; i < EACH; i++)
                        step(state, state + NODES);
                state[2 * NODES] = done + EACH;
                check(td_lease_end(lease, &error), &error);
        }
        td_mapping_free(mapping);
        td_tensor_free(tensor);
        td_close(client);
        return EXIT_SUCCESS;
}
