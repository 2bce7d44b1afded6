/* SPDX-License-Identifier: MIT */
/*
 * Attributes
 *
 * attrs.def as C: the name of each field of struct td_attrs, its form, and where it lies. Codecs
 * walk this table, so a new attribute is a row and a field. Pure, static inline.
 */
#pragma once

#include <stddef.h>
#include <string.h>

#include "tensord/program.h"

/* true if name is the n_bytes at s, which need no terminator */
static inline bool td_is_name(const char *name, const char *s, size_t n_bytes)
{
        return strlen(name) == n_bytes && memcmp(name, s, n_bytes) == 0;
}

enum td_attr_form {
        TD_FORM_DTYPE,   /* uint8_t */
        TD_FORM_EXTENTS, /* int64_t[TD_NDIM_MAX], their number beside them */
        TD_FORM_AXES,    /* int16_t[TD_NDIM_MAX], their number beside them */
        TD_FORM_BOOL,    /* bool */
        TD_FORM_INT,     /* int64_t */
        TD_FORM_FLOAT,   /* double */
        TD_FORM_NUMBER,  /* struct td_number */
        TD_FORM_RANGE,   /* struct td_number[3] */
};

struct td_attr_info {
        const char *name;
        enum td_attr_form form;
        uint16_t offset;       /* of the field in struct td_attrs */
        uint16_t count_offset; /* of its uint8_t number of entries, where the form has one */
        bool is_optional;
        const char *doc;
};

/* where the number of entries stands, for the forms that have one */
#define TD_COUNT_DTYPE(field) 0
#define TD_COUNT_EXTENTS(field) offsetof(struct td_attrs, n_##field)
#define TD_COUNT_AXES(field) offsetof(struct td_attrs, n_##field)
#define TD_COUNT_BOOL(field) 0
#define TD_COUNT_INT(field) 0
#define TD_COUNT_FLOAT(field) 0
#define TD_COUNT_NUMBER(field) 0
#define TD_COUNT_RANGE(field) 0

/* Of the attribute with that bit. */
static inline const struct td_attr_info *td_attr_info(unsigned bit)
{
        static const struct td_attr_info rows[] = {
#define TD_ATTRIBUTE(sym, name, form, field, optional, doc)                                        \
        { name, TD_FORM_##form, offsetof(struct td_attrs, field), TD_COUNT_##form(field),          \
          optional, doc },
#include "tensord/attrs.def"
#undef TD_ATTRIBUTE
        };

        return &rows[bit];
}

/* The bit of the attribute of that name, or -1. */
static inline int td_attr_find(const char *s, size_t n_bytes)
{
        for (unsigned i = 0; i < TD_N_ATTRS; i++)
                if (td_is_name(td_attr_info(i)->name, s, n_bytes))
                        return (int)i;
        return -1;
}

/* The field of that attribute, of the type that its form says. */
static inline void *td_attr_field(const struct td_attrs *attrs, unsigned bit)
{
        return (char *)(uintptr_t)attrs + td_attr_info(bit)->offset;
}

/* How many entries it has: of EXTENTS and AXES. */
static inline uint8_t *td_attr_count(const struct td_attrs *attrs, unsigned bit)
{
        return (uint8_t *)(uintptr_t)attrs + td_attr_info(bit)->count_offset;
}

static inline const char *td_attr_name(uint32_t attr)
{
        unsigned bit = (unsigned)__builtin_ctz(attr);

        return bit < TD_N_ATTRS ? td_attr_info(bit)->name : "body";
}

