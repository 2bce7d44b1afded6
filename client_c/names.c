/* SPDX-License-Identifier: MIT */
/*
 * Names of dtypes, operations and errors, from the tables.
 */
#include "tensord/tensord.h"

#include <string.h>

static const char *const dtype_names[] = {
#define TD_DTYPE(sym, name, ...) [TD_##sym] = name,
#include "tensord/dtypes.def"
#undef TD_DTYPE
};

static const char *const op_names[] = {
#define TD_OP(sym, name, ...) [TD_OP_##sym] = name,
#include "tensord/ops.def"
#undef TD_OP
};

const char *td_error_name(int code)
{
        switch (code) {
        case TD_OK:
                return "ok";
#define TD_ERROR(sym, number, name, ...)                                                           \
        case number:                                                                               \
                return name;
#include "tensord/errors.def"
#undef TD_ERROR
        default:
                return NULL;
        }
}

const char *td_dtype_name(int dtype)
{
        return dtype >= 0 && dtype < TD_N_DTYPES ? dtype_names[dtype] : NULL;
}

const char *td_op_name(int op)
{
        return op >= 0 && op < TD_N_OPS ? op_names[op] : NULL;
}

static int find(const char *const *names, int n, const char *name)
{
        for (int i = 0; i < n; i++)
                if (strcmp(names[i], name) == 0)
                        return i;
        return -1;
}

int td_dtype_from_name(const char *name)
{
        return find(dtype_names, TD_N_DTYPES, name);
}

int td_op_from_name(const char *name)
{
        return find(op_names, TD_N_OPS, name);
}

const char *td_version(void)
{
        return TENSORD_VERSION;
}
