/* SPDX-License-Identifier: MIT */
/*
 * Heap
 *
 * What is due first, of any number of things, each with its node embedded: a pairing heap, so
 * nothing is allocated and nothing can fail. Adding takes constant time, taking out logarithmic
 * time over many.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct heap_node {
        uint64_t key;
        struct heap_node *child; /* the first */
        struct heap_node *next;  /* of its parent's children */
        struct heap_node *prev;  /* before it among these; of the first: the parent */
        bool is_in;
};

struct heap {
        struct heap_node *first; /* of the least key; NULL: it is empty */
};

/* A node of zeros is in no heap. */
void heap_add(struct heap *heap, struct heap_node *node, uint64_t key);
/* One that is in no heap is left alone. */
void heap_remove(struct heap *heap, struct heap_node *node);
