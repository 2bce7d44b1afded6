/* SPDX-License-Identifier: MIT */
#include "service/definition.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"

struct definition *definition_unref(struct definition *definition)
{
        if (!definition || --definition->n_refs > 0)
                return NULL;
        nodes_unref(definition->nodes);
        charge_drop(&definition->charge);
        free(definition);
        return NULL;
}

struct definition *definition_find(struct definitions *definitions, uint64_t number)
{
        struct definition *definition;

        HASH_FIND(hh, definitions->by_number, &number, sizeof(number), definition);
        return definition;
}

int definition_new(struct definitions *definitions, struct user *user, struct request *request)
{
        const struct td_program *program = &request->program;
        size_t n_bytes = sizeof(struct definition) + request->n_inputs * sizeof(struct td_type) +
                         program->n_outputs * sizeof(uint32_t);
        struct charge charge = { 0 };
        struct definition *definition;
        int r;

        r = charge_take(&charge, user, RESOURCE_WORKSPACE, n_bytes + request->nodes->n_bytes);
        if (r)
                return r;
        definition = calloc(1, n_bytes);
        if (!definition) {
                charge_drop(&charge);
                return error_origin(-ENOMEM);
        }
        charge_move(&definition->charge, &charge);
        definition->n_refs = 1;
        definition->number = request->definition;
        definition->nodes = nodes_ref(request->nodes);
        definition->program = *program;
        definition->types = (struct td_type *)(definition + 1);
        definition->program.outputs = (uint32_t *)(definition->types + request->n_inputs);
        definition->n_bytes = n_bytes + request->nodes->n_bytes;
        for (uint32_t i = 0; i < request->n_inputs; i++)
                definition->types[i] = request->inputs[i].type;
        if (program->n_outputs)
                memcpy(definition->program.outputs, program->outputs,
                       program->n_outputs * sizeof(uint32_t));
        HASH_ADD(hh, definitions->by_number, number, sizeof(definition->number), definition);
        if (!table_has(definition)) {
                definition_unref(definition);
                return error_origin(-ENOMEM);
        }
        definitions->n_bytes += definition->n_bytes;
        return 0;
}

void definition_drop(struct definitions *definitions, struct definition *definition)
{
        HASH_DEL(definitions->by_number, definition);
        definitions->n_bytes -= definition->n_bytes;
        definition_unref(definition);
}

void definitions_clear(struct definitions *definitions)
{
        struct definition *definition, *next;

        HASH_ITER (hh, definitions->by_number, definition, next)
                definition_drop(definitions, definition);
        assert(definitions->n_bytes == 0);
}
