/* SPDX-License-Identifier: MIT */
/*
 * Dispatch
 *
 * One row per method: what its admission needs, and what starts it.
 */
#pragma once

#include "service/call.h"

struct handler {
        void (*start)(struct call *call);
        bool is_named_write; /* commits the names that the request gives */
        bool has_outcome;    /* a repeat can join it */
        bool refers;         /* request->ref is a tensor that must exist, */
        bool is_owners;      /* and be the asker's own */
        bool administers;    /* for administrators it may be anybody's */
        bool leaves_spilled; /* needs no bytes of it */
};

extern const struct handler handlers[N_METHODS];

void handle_hello(struct call *call);
void handle_ping(struct call *call);
void handle_ops(struct call *call);
void handle_infer(struct call *call);
void handle_stat(struct call *call);
void handle_create(struct call *call);
void handle_seal(struct call *call);
void handle_put(struct call *call);
void handle_open(struct call *call);
void handle_map(struct call *call);
void handle_unmap(struct call *call);
void handle_release(struct call *call);
void handle_name(struct call *call);
void handle_delete(struct call *call);
void handle_lease(struct call *call);
void handle_unlease(struct call *call);
void handle_share(struct call *call);
void handle_lend(struct call *call);
void handle_wait(struct call *call);
void handle_holders(struct call *call);
void handle_list(struct call *call);
void handle_run(struct call *call);
void handle_define(struct call *call);
void handle_undefine(struct call *call);
void handle_cancel(struct call *call);

/* A repeat of a named write that succeeded. */
void handle_replay(struct call *call);
/* Free what handle_run() and handle_share() keep in a call. */
struct run_state *run_state_free(struct run_state *run);
struct sharing *sharing_free(struct sharing *sharing);
