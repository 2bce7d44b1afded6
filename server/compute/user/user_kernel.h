/* SPDX-License-Identifier: MIT */
/*
 * User kernels
 *
 * The shared objects of one directory, loaded when the daemon starts and kept until it ends. Who
 * may write to the directory may do in the daemon whatever he likes, so it and its files must
 * belong to root or to the daemon's user, and nobody else may write to them. A file that cannot be
 * used is left out, with a line in the log that says why.
 *
 * Const after user_kernels_load(): any thread.
 */
#pragma once

#include "base/cleanup.h"
#include "tensord/kernel.h"
#include "tensord/types.h"

#define USER_KERNEL_NAME_MAX 48

/* A signature, taken apart. */
struct user_signature {
        uint32_t n_args, n_results;
        uint8_t n_names;
        uint8_t ndim[TD_KERNEL_ARRAYS_MAX];              /* of arguments, then results */
        uint8_t dims[TD_KERNEL_ARRAYS_MAX][TD_NDIM_MAX]; /* numbers of names */
};

struct user_kernel {
        struct td_user_op op; /* what programs refer to */
        const struct td_kernel *kernel;
        struct user_signature signature;
        void *library;
        char *path; /* absolute */
};

struct user_kernels {
        uint32_t n;
        struct user_kernel **kernels; /* by name */
};

enum {
        USER_KERNEL_E_DIRECTORY = 1, /* missing, or others may write to it; message says so */
};

/* 0, USER_KERNEL_E_DIRECTORY or -ENOMEM. */
int user_kernels_load(struct user_kernels **kernelsp, const char *directory, char *message,
                      size_t n_message);
struct user_kernels *user_kernels_free(struct user_kernels *kernels);
DEFINE_CLEANUP(struct user_kernels, user_kernels_free)

/* NULL: there is none of that name. kernels may be NULL. */
const struct user_kernel *user_kernels_find(const struct user_kernels *kernels, const char *name);

/*
 * Let nodes that name user kernels refer to them. TD_OK or TD_E_UNKNOWN_OP, which names the node.
 */
int user_kernels_resolve(const struct user_kernels *kernels, struct td_block *block,
                         struct td_refusal *refusal);

/*
 * What comes out, and how much scratch run() wants. TD_OK, or the refusal says why. The arguments'
 * types passed td_check_type().
 */
int user_kernel_infer(const struct user_kernel *kernel, const struct td_type *args,
                      struct td_type *results, uint64_t *n_scratchp, struct td_refusal *refusal);

/* 0 or -EINVAL: not of the form that kernel.h describes. */
int user_signature_parse(struct user_signature *signature, const char *text);
