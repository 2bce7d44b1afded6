/* SPDX-License-Identifier: MIT */
/*
 * User kernels
 *
 * An operation of one's own: a shared object with one exported symbol, tensord_kernel, in the
 * directory that the daemon was started with (--kernel-dir). Programs name it "user.NAME"; the
 * daemon lists it in `ops`. Nothing can be loaded over the socket.
 *
 * The contract:
 *   - infer() says from dtypes and shapes alone what comes out, or refuses. It touches no data,
 *     keeps no state, and may be called at any time, from any thread.
 *   - run() reads the arguments and writes every element of every result, nothing else. Arguments
 *     and results are dense, in C order, and do not overlap. It may be called from several threads
 *     at once, each with memory of its own; it keeps no pointer and starts no thread that outlives
 *     it. Where it can take more than a few milliseconds it asks should_stop() now and then, and
 *     returns anything if that is true: a job that was cancelled or is past its deadline ends
 *     when run() returns, not before.
 *   - The same arguments give the same bits, however often parallel_for() is split.
 *   - Neither calls back into the daemon, except through struct td_kernel_call.
 *
 * A kernel runs inside the daemon, which it can crash, unless TD_KERNEL_ISOLATE is among its flags:
 * then run() is called in a process of its own that maps the same memory. That process is started
 * for each call (about a millisecond), is killed when the job is cancelled or past its deadline,
 * and ends with the daemon; if it crashes, the client gets an error and the daemon lives.
 *
 * Versions: abi is TD_KERNEL_ABI of the header that the kernel was compiled with; a daemon refuses
 * any other. Structs grow at their end, which struct_size tells.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tensord/program.h"

#define TD_KERNEL_ABI 1

/* Arguments and results of a kernel, together. */
#define TD_KERNEL_ARRAYS_MAX 16

enum td_kernel_flag {
        TD_KERNEL_ISOLATE = 1 << 0, /* run() in a process of its own */
};

/* What infer() is told and what it answers. */
struct td_kernel_types {
        uint32_t struct_size;
        uint32_t n_args;
        uint32_t n_results;
        const struct td_type *args;
        /*
         * Shapes as the signature gives them, and the dtype of the first argument (float64 if there
         * is none): to be changed where that is not right. The shapes must still match the
         * signature.
         */
        struct td_type *results;
        uint64_t n_scratch; /* bytes that run() wants for itself; 0 at first */
        char *message;      /* why it is refused: UTF-8, NUL at its end */
        size_t n_message;   /* bytes that message has room for */
};

/* One argument or result: dense, in C order, 64-byte aligned if it is a result. */
struct td_kernel_array {
        struct td_type type;
        void *data; /* of an argument: not to be written */
};

/* What run() is told, and what the daemon offers it. */
struct td_kernel_call {
        uint32_t struct_size;
        uint32_t n_args;
        uint32_t n_results;
        const struct td_kernel_array *args;
        const struct td_kernel_array *results;
        void *scratch; /* 64-byte aligned */
        uint64_t n_scratch;
        char *message; /* why it failed */
        size_t n_message;
        /*
         * Call fn(ctx, i) for every i in [0, n), on this thread and idle ones of the daemon (an
         * isolated kernel: on this thread alone); returns when all are done.
         */
        void (*parallel_for)(const struct td_kernel_call *call, uint64_t n,
                             void (*fn)(void *ctx, uint64_t i), void *ctx);
        /* Should run() return as soon as it can? Any thread. */
        bool (*should_stop)(const struct td_kernel_call *call);
};

struct td_kernel {
        uint32_t struct_size; /* sizeof(struct td_kernel) */
        uint32_t abi;         /* TD_KERNEL_ABI */
        const char *name;     /* a lower-case letter, then those, digits and _; at most 48 bytes */
        const char *version;  /* of the kernel, for people */
        const char *doc;      /* one sentence */
        /*
         * As numpy's generalized ufuncs write it, without loops over leading dimensions: the
         * dimensions of each argument and result by name. "(n),()->(n)" takes a vector and a 0-d
         * array and yields a vector as long. Equal names mean equal extents. A name that only
         * results have is an extent that infer() gives.
         */
        const char *signature;
        uint32_t flags;
        /* 0, or anything else: refused. NULL: the results are as struct td_kernel_types says. */
        int (*infer)(struct td_kernel_types *types);
        /* 0, or anything else: failed. */
        int (*run)(const struct td_kernel_call *call);
};

/* What a shared object exports. */
#ifdef __cplusplus
extern "C"
#else
extern
#endif
        __attribute__((visibility("default"))) const struct td_kernel tensord_kernel;
