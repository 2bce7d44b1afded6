/* SPDX-License-Identifier: MIT */
/*
 * Signatures of user kernels
 *
 * "(n),(n,m)->(m)": dimensions of each argument and result by name, as numpy's generalized ufuncs
 * write them. Names are numbered in the order in which they first appear.
 */
#include <errno.h>
#include <string.h>

#include "compute/user/user_kernel.h"

#define NAMES_MAX 32

struct parser {
        const char *at;
        const char *names[NAMES_MAX];
        size_t n_bytes[NAMES_MAX];
        struct user_signature *signature;
};

static void skip_blanks(struct parser *parser)
{
        while (*parser->at == ' ')
                parser->at++;
}

static bool take(struct parser *parser, const char *token)
{
        size_t n = strlen(token);

        skip_blanks(parser);
        if (strncmp(parser->at, token, n) != 0)
                return false;
        parser->at += n;
        return true;
}

/* The number of the name that stands here, or -1. */
static int take_name(struct parser *parser)
{
        const char *begin;
        size_t n;
        int i;

        skip_blanks(parser);
        begin = parser->at;
        n = strspn(begin, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_");
        if (n > 0)
                n += strspn(begin + n, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_"
                                       "0123456789");
        if (n == 0)
                return -1;
        for (i = 0; i < parser->signature->n_names; i++)
                if (parser->n_bytes[i] == n && memcmp(parser->names[i], begin, n) == 0)
                        break;
        if (i == NAMES_MAX)
                return -1;
        if (i == parser->signature->n_names) {
                parser->names[i] = begin;
                parser->n_bytes[i] = n;
                parser->signature->n_names++;
        }
        parser->at += n;
        return i;
}

/* "(n,m)": the dimensions of one array */
static bool take_array(struct parser *parser, uint32_t array)
{
        struct user_signature *signature = parser->signature;

        if (array == TD_KERNEL_ARRAYS_MAX || !take(parser, "("))
                return false;
        if (take(parser, ")"))
                return true;
        do {
                int name = take_name(parser);

                if (name < 0 || signature->ndim[array] == TD_NDIM_MAX)
                        return false;
                signature->dims[array][signature->ndim[array]++] = (uint8_t)name;
        } while (take(parser, ","));
        return take(parser, ")");
}

int user_signature_parse(struct user_signature *signature, const char *text)
{
        struct parser parser = { .at = text, .signature = signature };

        *signature = (struct user_signature){ 0 };
        if (!take(&parser, "->")) {
                do {
                        if (!take_array(&parser, signature->n_args))
                                return -EINVAL;
                        signature->n_args++;
                } while (take(&parser, ","));
                if (!take(&parser, "->"))
                        return -EINVAL;
        }
        do {
                if (!take_array(&parser, signature->n_args + signature->n_results))
                        return -EINVAL;
                signature->n_results++;
        } while (take(&parser, ","));
        skip_blanks(&parser);
        return *parser.at ? -EINVAL : 0;
}
