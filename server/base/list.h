/* SPDX-License-Identifier: MIT */
/*
 * List
 *
 * A doubly linked ring whose links are embedded in what it holds. An unlinked link points at
 * itself, so list_unlink() is always safe on an initialised link.
 */
#pragma once

#include <stdbool.h>

#include "base/cleanup.h"

struct list {
        struct list *next;
        struct list *prev;
};

#define LIST_INIT(l)                                                                               \
        {                                                                                          \
                &(l), &(l)                                                                         \
        }

static inline void list_init(struct list *l)
{
        l->next = l->prev = l;
}

static inline bool list_is_empty(const struct list *l)
{
        return l->next == l;
}

static inline void list_push_back(struct list *l, struct list *link)
{
        link->prev = l->prev;
        link->next = l;
        l->prev->next = link;
        l->prev = link;
}

static inline void list_push_front(struct list *l, struct list *link)
{
        list_push_back(l->next, link);
}

static inline void list_unlink(struct list *link)
{
        link->prev->next = link->next;
        link->next->prev = link->prev;
        list_init(link);
}

#define list_entry(link, type, member) container_of(link, type, member)
#define list_first(l, type, member) (list_is_empty(l) ? NULL : list_entry((l)->next, type, member))

/* entry is the name of a variable. The body may unlink the current entry. */
#define list_for_each(entry, l, member)                                                            \
        for (struct list *_link_##entry = (l)->next, *_next_##entry;                               \
             _next_##entry = _link_##entry->next,                                                  \
                         (entry) = list_entry(_link_##entry, __typeof__(*(entry)), member),        \
                         _link_##entry != (l);                                                     \
             _link_##entry = _next_##entry)
