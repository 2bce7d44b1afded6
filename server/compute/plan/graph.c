/* SPDX-License-Identifier: MIT */
/*
 * What a block computes
 *
 * Value numbering: nodes are visited in order, with their arguments already numbered, and looked up
 * in an open hash table. Loops are not compared.
 */
#include "compute/plan/graph.h"

#include <assert.h>
#include <errno.h>
#include <stddef.h>
#include <string.h>

#define EMPTY UINT32_MAX

static uint64_t mix(uint64_t hash, uint64_t word)
{
        hash = (hash ^ word) * UINT64_C(0x9e3779b97f4a7c15);
        return hash ^ hash >> 29;
}

static uint64_t mix_all(uint64_t hash, const void *bytes, size_t n_bytes)
{
        for (size_t i = 0; i + 8 <= n_bytes; i += 8) {
                uint64_t word;

                memcpy(&word, (const char *)bytes + i, 8);
                hash = mix(hash, word);
        }
        return hash;
}

/* All that is_same() compares, but for entries beyond those given. */
static uint64_t mix_attrs(uint64_t hash, const struct td_attrs *attrs)
{
        hash = mix_all(hash, attrs, offsetof(struct td_attrs, axes));
        if (attrs->set & TD_ATTR_AXES)
                for (unsigned i = 0; i < attrs->n_axes; i++)
                        hash = mix(hash, (uint64_t)attrs->axes[i]);
        if (attrs->set & TD_ATTR_SHAPE)
                hash = mix_all(hash, attrs->shape, attrs->n_shape * sizeof(attrs->shape[0]));
        if (attrs->set & TD_ATTR_START)
                hash = mix_all(hash, attrs->start, attrs->n_start * sizeof(attrs->start[0]));
        if (attrs->set & TD_ATTR_STEP)
                hash = mix_all(hash, attrs->step, attrs->n_step * sizeof(attrs->step[0]));
        return mix_all(hash, &attrs->value, sizeof(*attrs) - offsetof(struct td_attrs, value));
}

static_assert(offsetof(struct td_attrs, axes) % 8 == 0 && sizeof(struct td_attrs) % 8 == 0,
              "attributes are hashed by words");

static uint64_t hash_node(const struct graph *graph, const struct td_node *node)
{
        uint64_t hash = mix(node->op, node->attrs.set);

        for (uint32_t i = 0; i < node->n_args; i++)
                hash = mix(hash, graph_arg(graph, node, i));
        return node->attrs.set ? mix_attrs(hash, &node->attrs) : hash;
}

/* Attributes are compared as bytes: that may miss some that are the same, but finds none that
 * differ. */
static bool is_same(const struct graph *graph, const struct td_node *a, const struct td_node *b)
{
        if (a->op != b->op || a->user != b->user || a->n_args != b->n_args ||
            a->attrs.set != b->attrs.set)
                return false;
        for (uint32_t i = 0; i < a->n_args; i++)
                if (graph_arg(graph, a, i) != graph_arg(graph, b, i))
                        return false;
        return a->attrs.set == 0 || memcmp(&a->attrs, &b->attrs, sizeof(a->attrs)) == 0;
}

/* The node in the table that says the same, or this one, which is then put there. */
static uint32_t look_up(const struct graph *graph, uint32_t *table, uint32_t mask, uint32_t n)
{
        const struct td_node *nodes = graph->block->nodes;
        uint32_t at = (uint32_t)hash_node(graph, &nodes[n]) & mask;

        for (; table[at] != EMPTY; at = (at + 1) & mask)
                if (is_same(graph, &nodes[table[at]], &nodes[n]))
                        return table[at];
        table[at] = n;
        return n;
}

static int number_values(struct graph *graph)
{
        const struct td_block *block = graph->block;
        _cleanup_(freep) uint32_t *table = NULL;
        uint32_t mask = 1;

        if (graph->is_plain || block->n_nodes < 2)
                return 0;
        while (mask < 2 * block->n_nodes)
                mask = 2 * mask + 1;
        table = malloc(((size_t)mask + 1) * sizeof(*table));
        if (!table)
                return -ENOMEM;
        memset(table, 0xff, ((size_t)mask + 1) * sizeof(*table));
        for (uint32_t i = 0; i < block->n_nodes; i++) {
                uint32_t found, n = (uint32_t)td_node_n_results(&block->nodes[i]);

                if (block->nodes[i].loop)
                        continue;
                found = look_up(graph, table, mask, i);
                for (uint32_t k = 0; found != i && k < n; k++)
                        graph->same[graph->first[i] + k] = graph->first[found] + k;
        }
        return 0;
}

static bool any_lives(const struct graph *graph, uint32_t node)
{
        uint32_t n = (uint32_t)td_node_n_results(&graph->block->nodes[node]);

        for (uint32_t i = 0; i < n; i++)
                if (graph->live[graph->first[node] + i])
                        return true;
        return false;
}

/* From the last node to the first: if one of its results lives, so do its arguments. */
static void mark_live(const struct graph *graph, bool *live)
{
        for (uint32_t v = graph->n_values; v-- > 0;)
                if (live[v])
                        live[graph->same[v]] = true;
        for (uint32_t i = graph->block->n_nodes; i-- > 0;) {
                const struct td_node *node = &graph->block->nodes[i];

                if (graph_is_idle(graph, i))
                        continue;
                for (uint32_t k = 0; k < node->n_args; k++)
                        live[graph_arg(graph, node, k)] = true;
        }
}

bool graph_is_idle(const struct graph *graph, uint32_t node)
{
        uint32_t first = graph->first[node];

        if (td_node_n_results(&graph->block->nodes[node]) > 0 && graph->same[first] != first)
                return true;
        return !any_lives(graph, node);
}

int graph_init(struct graph *graph, const struct typed_block *typed, bool is_plain, bool *live)
{
        const struct td_block *block = typed->block;
        uint32_t value = block->n_inputs, n_values = (uint32_t)td_block_n_values(block);
        size_t n_words = 2 * (size_t)n_values + block->n_nodes + 1;
        uint32_t *words = reallocarray(NULL, n_words, sizeof(*words));
        int r;

        if (!words)
                return -ENOMEM;
        *graph = (struct graph){ .block = block,
                                 .types = typed->types,
                                 .is_plain = is_plain,
                                 .n_values = n_values,
                                 .same = words,
                                 .maker = words + n_values,
                                 .first = words + 2 * (size_t)n_values,
                                 .live = live };
        for (uint32_t i = 0; i < n_values; i++) {
                graph->same[i] = i;
                graph->maker[i] = GRAPH_INPUT;
        }
        for (uint32_t i = 0; i < block->n_nodes; i++) {
                graph->first[i] = value;
                for (uint64_t n = td_node_n_results(&block->nodes[i]); n > 0; n--)
                        graph->maker[value++] = i;
        }
        r = number_values(graph);
        if (r < 0) {
                graph_deinit(graph);
                return r;
        }
        mark_live(graph, live);
        return 0;
}

void graph_deinit(struct graph *graph)
{
        free(graph->same);
        free(graph->descs);
        *graph = (struct graph){ .same = NULL };
}
