/* SPDX-License-Identifier: MIT */
/*
 * What something says, as bytes
 *
 * Two things that say the same yield the same bytes, wherever their memory lies.
 */
#pragma once

#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "tensord/program.h"

struct dump {
        uint8_t *bytes;
        size_t n_bytes;
        size_t n_allocated;
};

static inline void dump_free(struct dump *dump)
{
        free(dump->bytes);
        *dump = (struct dump){ .bytes = NULL };
}

static inline bool dump_same(const struct dump *a, const struct dump *b)
{
        return a->n_bytes == b->n_bytes &&
               (a->n_bytes == 0 || memcmp(a->bytes, b->bytes, a->n_bytes) == 0);
}

static inline void dump_raw(struct dump *dump, const void *bytes, size_t n_bytes)
{
        if (dump->n_allocated - dump->n_bytes < n_bytes) {
                dump->n_allocated = 2 * (dump->n_bytes + n_bytes) + 256;
                dump->bytes = realloc(dump->bytes, dump->n_allocated);
                must(dump->bytes != NULL, "no memory");
        }
        if (n_bytes)
                memcpy(dump->bytes + dump->n_bytes, bytes, n_bytes);
        dump->n_bytes += n_bytes;
}

static inline void dump_number(struct dump *dump, uint64_t value)
{
        dump_raw(dump, &value, sizeof(value));
}

static inline void dump_text(struct dump *dump, const char *text)
{
        dump_number(dump, text ? strlen(text) + 1 : 0);
        if (text)
                dump_raw(dump, text, strlen(text));
}

static inline void dump_int64s(struct dump *dump, size_t n, const int64_t *values)
{
        dump_number(dump, n);
        dump_raw(dump, values, n * sizeof(*values));
}

static inline void dump_uint32s(struct dump *dump, size_t n, const uint32_t *values)
{
        dump_number(dump, n);
        dump_raw(dump, values, n * sizeof(*values));
}

static inline void dump_type(struct dump *dump, const struct td_type *type)
{
        dump_number(dump, type->dtype);
        dump_int64s(dump, type->ndim, type->shape);
}
