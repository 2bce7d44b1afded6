/* SPDX-License-Identifier: MIT */
#include "service/plans.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

void plans_init(struct plans *plans)
{
        *plans = (struct plans){ .by_key = NULL };
        list_init(&plans->used);
}

struct planned *planned_unref(struct planned *planned)
{
        if (!planned || --planned->n_refs > 0)
                return NULL;
        assert(!planned->plans);
        plan_free(planned->plan);
        nodes_unref(planned->nodes);
        free(planned->key);
        free(planned);
        return NULL;
}

static void plans_drop(struct plans *plans, struct planned *planned)
{
        HASH_DEL(plans->by_key, planned);
        list_unlink(&planned->link);
        plans->n_bytes -= planned->n_bytes;
        planned->plans = NULL;
        planned_unref(planned);
}

void plans_deinit(struct plans *plans)
{
        struct planned *planned;

        while ((planned = list_first(&plans->used, struct planned, link)))
                plans_drop(plans, planned);
        assert(plans->n_bytes == 0);
}

static bool key_add(struct plan_key *key, const void *bytes, size_t n_bytes)
{
        if (n_bytes > sizeof(key->bytes) - key->n)
                return false;
        if (n_bytes)
                memcpy(key->bytes + key->n, bytes, n_bytes);
        key->n += n_bytes;
        return true;
}

/* How many inputs and outputs there are stands in front, so that no two lists look alike. */
void plan_key_init(struct plan_key *key, const struct nodes *nodes,
                   const struct td_program *program, const struct desc *inputs, const bool *takes)
{
        const uint32_t counts[2] = { program->block.n_inputs, program->n_outputs };
        bool fits;

        key->n = 0;
        if (!nodes->cache)
                return;
        fits = key_add(key, &nodes, sizeof(nodes)) && key_add(key, counts, sizeof(counts)) &&
               key_add(key, program->outputs, program->n_outputs * sizeof(program->outputs[0]));
        for (uint32_t i = 0; fits && i < program->block.n_inputs; i++) {
                const struct desc *desc = &inputs[i];
                const uint8_t form[3] = { desc->type.dtype, desc->type.ndim, takes[i] };
                size_t n_bytes = desc->type.ndim * sizeof(int64_t);

                fits = key_add(key, form, sizeof(form)) &&
                       key_add(key, &desc->offset, sizeof(desc->offset)) &&
                       key_add(key, desc->type.shape, n_bytes) &&
                       key_add(key, desc->strides, n_bytes);
        }
        if (!fits)
                key->n = 0;
}

struct planned *plans_find(struct plans *plans, const struct plan_key *key)
{
        struct planned *planned = NULL;

        if (key->n)
                HASH_FIND(hh, plans->by_key, key->bytes, (unsigned)key->n, planned);
        if (!planned) {
                plans->n_misses++;
                return NULL;
        }
        plans->n_hits++;
        planned->n_refs++;
        list_unlink(&planned->link);
        list_push_back(&plans->used, &planned->link);
        return planned;
}

/* An equal one may have been planned meanwhile; then that one is remembered. */
static bool is_cached(struct plans *plans, const struct plan_key *key)
{
        struct planned *planned;

        HASH_FIND(hh, plans->by_key, key->bytes, (unsigned)key->n, planned);
        return planned != NULL;
}

struct planned *plans_add(struct plans *plans, const struct plan_key *key, struct nodes *nodes,
                          struct plan *plan)
{
        struct planned *planned = calloc(1, sizeof(*planned));

        if (!planned) {
                plan_free(plan);
                return NULL;
        }
        planned->n_refs = 1;
        planned->plan = plan;
        list_init(&planned->link);
        planned->n_bytes = sizeof(*planned) + key->n + nodes->n_bytes;
        if (!key->n || !nodes->cache || planned->n_bytes > PLANS_BYTES / 4 || is_cached(plans, key))
                return planned;
        planned->key = malloc(key->n);
        if (!planned->key)
                return planned;
        memcpy(planned->key, key->bytes, key->n);
        HASH_ADD_KEYPTR(hh, plans->by_key, planned->key, (unsigned)key->n, planned);
        if (!table_has(planned)) {
                free(steal_ptr(&planned->key));
                return planned;
        }
        planned->nodes = nodes_ref(nodes);
        planned->plans = plans;
        planned->n_refs++;
        plans->n_bytes += planned->n_bytes;
        while (plans->n_bytes > PLANS_BYTES && !list_is_empty(&plans->used))
                plans_drop(plans, list_first(&plans->used, struct planned, link));
        list_push_back(&plans->used, &planned->link);
        return planned;
}
