/* SPDX-License-Identifier: MIT */
/*
 * Calls
 *
 * One request under way, from its arrival to its answer. Admission resolves what it names (handles
 * to promises, names and ids to tensors), claims the handles and names of its results, and
 * registers its operation id. It then waits until every promise it names is settled, is started
 * once, and ends once: call_done() or call_fail().
 *
 * A call outlives its client if it commits a name: client is NULL then, and nobody is answered.
 *
 * Loop thread, but for the work between service_submit() and its done().
 */
#pragma once

#include <stdatomic.h>

#include "base/heap.h"
#include "base/workers.h"
#include "service/repeat.h"
#include "service/promise.h"
#include "wire/request.h"

struct pin {
        struct wait wait;      /* by handle: wait.promise is set */
        struct tensor *tensor; /* by name or id: owned reference; of a promise: borrowed, once it is
                                  ready */
        struct claim *claim; /* owned: of a mutable tensor; NULL: none, or not yet */
        bool is_covered;     /* by the claim of another pin, of all of the tensor */
        bool is_taken; /* donated, and its memory may become an output's: its promise is pending */
};

/* Why a call is to end before it is done. */
enum call_stop {
        CALL_GOES_ON,
        CALL_STOPS_GONE,      /* its connection ended */
        CALL_STOPS_CANCELLED, /* it was asked to */
        CALL_STOPS_LATE,      /* its deadline passed */
        CALL_STOPS_SHUT,      /* the daemon ends, and waited for it long enough */
        CALL_STOPS_BLOCKED,   /* others' leases did not end in time */
};

struct call {
        struct list link;  /* its client's list, or the service's orphans */
        struct list queue; /* the service's ready list, a line of those who wait for memory, or an
                              outcome's joined list */
        struct service *service;
        struct client *client; /* NULL: gone */
        struct user *user;     /* owned reference */
        struct request *request;

        uint32_t n_pins;    /* the arrays lie behind the struct */
        struct pin *pins;   /* one for each input of run, else one for request->ref */
        uint32_t n_pending; /* pins whose promise is pending, or whose lease is not granted */

        uint32_t n_results;                /* outputs of run, else 0 or 1 */
        struct promise **results;          /* owned references; NULL: a result without handle */
        struct reservation **reservations; /* by result; NULL: a result without name */
        struct repeat *repeat;
        bool is_repeat;   /* of a named write: not done again, it gets the outcome of the first */
        bool is_waiting;  /* counted in client->n_waiting */
        bool is_orphan;   /* counted in user->n_orphans; then */
        uint64_t number;  /* it can be spoken of, and */
        uint64_t left_ms; /* its connection ended at that time */
        uint64_t n_bytes; /* counted in client->n_bytes, */
        struct charge workspace; /* and on the user; */
        struct charge counted;   /* among the requests of its user */

        struct definition *definition; /* of a call by number: owned reference */
        struct heap_node timed;        /* the service's, by when it is looked at */
        uint64_t deadline_ms;          /* when that is; UINT64_MAX: never */
        uint64_t blocked_until_ms;     /* by leases; UINT64_MAX: no bound was given */
        struct list watched;           /* the service's, if its progress is to be told */
        uint64_t progress_ms;          /* when next */
        uint64_t starved_ms;           /* since when it waits for memory; 0: it never did */
        uint64_t starved_until_ms;     /* and how long, */
        uint64_t starved_bytes;        /* for how many, 0: not known */
        uint64_t starved_place;        /* where in its line, */
        struct line *line;             /* in which, NULL: it does not now */
        bool is_trimming;              /* counted in service->n_trimming */
        uint64_t last_until_ms;        /* for what was on its way when its time was over; or 0 */
        bool is_kept_back;             /* from what another one waits for */
        bool is_resting;               /* what it refers to may be spilled meanwhile */

        struct work work;
        bool is_submitted; /* the work is under way */
        bool is_kept;      /* it is the loop thread's, until its turn ends; else the workers' */
        void (*done)(struct call *call);
        _Atomic(enum call_stop) stop; /* a job looks at it now and then */
        int result; /* of the work: 0, a positive outcome of what it called, or a negative errno;
                       -ECANCELED: it was never begun */
        struct segment *segment; /* of create: owned reference */
        struct run_state *run;   /* of run */
        struct awaited *awaited; /* of wait, while its queue is the name's; NULL: it is another */
        struct sharing *sharing; /* of share, while it makes sure that nobody writes any more */
        struct failure failure;
};

/* Takes ownership of the request. The call may have ended when this returns. */
void call_admit(struct client *client, struct request *request);
/* Started by service_pump(). */
void call_start(struct call *call);

/*
 * The i-th result is this tensor: its promise is ready, who waited for it goes on. The reference is
 * not taken over.
 */
void call_set_result(struct call *call, uint32_t i, struct tensor *tensor);

/*
 * It waits for other requests of its connection, or others' leases, if any are counted in
 * n_pending. 0, or -1 and the call's failure is set: too many do.
 */
int call_wait(struct call *call);
/* The same, whatever it waits for; and it does not any more. */
int call_count_waiting(struct call *call);
void call_stop_waiting(struct call *call);
/* One of those things that it waits for is there. */
void call_unblock(struct call *call);
/* The promise is no longer pending: whoever waited for nothing else is ready. */
void call_settle(struct promise *promise);

/* An answer, begun for this call; NULL if nobody is there to read it, or if there is no memory. */
struct reply *call_begin_reply(struct call *call);
/* End well. The reply (may be NULL) is taken over and sent. */
void call_done(struct call *call, struct reply *reply);
void call_done_nil(struct call *call);
/* End badly, for the reason in call->failure: answered, and inherited by who named its results. */
void call_fail(struct call *call);
void call_refuse(struct call *call, enum td_error_code code, const char *format, ...)
        __attribute__((format(printf, 3, 4)));
/*
 * r: what a store function answered; asked: bytes. Ends the call, or, where idle memory was asked
 * back (STORE_E_TRIMMING), has it started again when some came free.
 */
void call_fail_store(struct call *call, int r, const char *what, uint64_t asked);

/* Memory that its client's requests take, until it ends. */
void call_count_bytes(struct call *call, uint64_t n_bytes);
/* Its client is gone: it goes on alone. */
void call_orphan(struct call *call);
/* It ends for that reason: now, or soon if a worker is at it. */
void call_stop(struct call *call, enum call_stop why);
/* Is it one that may be ended on request: does it compute, or wait? */
bool call_may_cancel(const struct call *call);
/* Its work came back, done or not, but it was to end meanwhile: true, and it has ended. */
bool call_has_stopped(struct call *call);
/* The failure of a call that was stopped. */
void call_set_stopped(struct call *call, enum call_stop why);

/* When it is to be stopped, as things are; UINT64_MAX: never. */
uint64_t call_due_ms(const struct call *call);
/* It is looked at then, or before. */
void call_set_timer(struct call *call, uint64_t at_ms);

/* Does it commit a name? */
bool call_names_something(const struct call *call);
/* Does another call wait for a result of this one? */
bool call_is_awaited(const struct call *call);

/* What the reference's name means to its user: 0 or a store outcome. */
int call_find_name(const struct call *call, const struct ref *ref, struct tensor **tensorp);
/* Does its user administer, whoever's the names are? */
bool call_is_administrators(const struct call *call);
/* As whom it is told of a tensor of which it was found that it may know. */
const struct user *call_viewer(const struct call *call, const struct tensor *tensor);

/* The tensor of the only pin; the call is refused and NULL returned if it is still unsealed. */
struct tensor *call_visible_tensor(struct call *call);
/* The operation id of the request, as the store wants it. */
struct op_id call_op_id(const struct call *call);
