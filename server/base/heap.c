/* SPDX-License-Identifier: MIT */
#include "base/heap.h"

#include <assert.h>
#include <stddef.h>

/* Two roots, either may be NULL: the lesser becomes the parent of the other. */
static struct heap_node *heap_merge(struct heap_node *a, struct heap_node *b)
{
        if (!a || !b)
                return a ? a : b;
        if (b->key < a->key) {
                struct heap_node *lesser = b;

                b = a;
                a = lesser;
        }
        b->prev = a;
        b->next = a->child;
        if (b->next)
                b->next->prev = b;
        a->child = b;
        return a;
}

/* Siblings without their parent: merged in pairs, then from the last pair to the first. */
static struct heap_node *heap_gather(struct heap_node *child)
{
        struct heap_node *pairs = NULL, *root = NULL;

        while (child) {
                struct heap_node *a = child, *b = a->next, *pair;

                child = b ? b->next : NULL;
                a->next = a->prev = NULL;
                if (b)
                        b->next = b->prev = NULL;
                pair = heap_merge(a, b);
                pair->next = pairs;
                pairs = pair;
        }
        while (pairs) {
                struct heap_node *pair = pairs;

                pairs = pair->next;
                pair->next = NULL;
                root = heap_merge(root, pair);
        }
        return root;
}

void heap_add(struct heap *heap, struct heap_node *node, uint64_t key)
{
        assert(!node->is_in);
        *node = (struct heap_node){ .key = key, .is_in = true };
        heap->first = heap_merge(heap->first, node);
}

void heap_remove(struct heap *heap, struct heap_node *node)
{
        struct heap_node *below;

        if (!node->is_in)
                return;
        below = heap_gather(node->child);
        if (node == heap->first) {
                heap->first = below;
        } else {
                if (node->prev->child == node)
                        node->prev->child = node->next;
                else
                        node->prev->next = node->next;
                if (node->next)
                        node->next->prev = node->prev;
                heap->first = heap_merge(heap->first, below);
        }
        *node = (struct heap_node){ .is_in = false };
}
