/* SPDX-License-Identifier: MIT */
/*
 * Names
 *
 * What each name of each uid means: a table, in which one is found as soon among many as among few,
 * and a skip list, so that adding and paging in order take logarithmic time whatever names a client
 * picks. An entry exists while it means a tensor, is lost, or is reserved by a write under way.
 *
 * Loop thread only.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/quota.h"
#include "base/table.h"

/* A million names at a quarter each. */
#define NAMES_HEIGHT 12
/* Bytes of a tensor that whoever finds it reads soon. */
#define NAMES_FETCHED 512

struct loss;
struct outcome;
struct reservation;
struct tensor;

/* What a name is found by; it stands behind the links. */
struct name_key {
        uid_t uid;
        char text[]; /* NUL behind it is not of the key */
};

struct name {
        struct user *user;     /* owned reference */
        struct tensor *tensor; /* owned reference */
        struct reservation *reservation;
        struct outcome *outcome; /* of the operation that made it mean this; NULL: none was given */
        const void *replayed;    /* while recovering: what the catalog says */
        struct name *shown;      /* its entry among those that everybody sees, whose tensor is
                                    borrowed; NULL: it is its owner's alone */
        struct charge record; /* its bytes in the catalog */
        struct loss *loss;    /* owned: what it meant is lost; NULL: it is not */
        UT_hash_handle hh; /* by name_key */
        uint8_t height;
        struct name *next[];
};

struct names {
        struct name *by_key;
        struct name *first[NAMES_HEIGHT];
        uint64_t random;
        uint64_t n_names;
};

static inline const char *name_text(const struct name *name)
{
        return ((const struct name_key *)name->hh.key)->text;
}

/* How much of a name, which is UTF-8, is printed in n_most bytes: whole characters. For "%.*s". */
static inline int name_cut(const char *text, size_t n_text, size_t n_most)
{
        if (n_text <= n_most)
                return (int)n_text;
        while (n_most > 0 && ((uint8_t)text[n_most] & 0xc0) == 0x80)
                n_most--;
        return (int)n_most;
}

void names_init(struct names *names, uint64_t seed);
void names_deinit(struct names *names);

struct name *names_find(const struct names *names, uid_t uid, const char *text, size_t n_text);
/* The first name of the uid at or behind text, NULL if there is none. */
struct name *names_from(const struct names *names, uid_t uid, const char *text);
/* The name behind it, of the same uid. */
struct name *names_next(const struct name *name);
/* An entry that means nothing yet, the one that is there, or -ENOMEM. */
int names_get(struct names *names, struct user *user, const char *text, size_t n_text,
              struct name **namep);
/* Drop the entry if it means nothing, is not lost and not reserved. */
void names_settle(struct names *names, struct name *name);
