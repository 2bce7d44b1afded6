/* SPDX-License-Identifier: MIT */
/*
 * What the service is made of; for the files of this room only.
 */
#pragma once

#include "service/call.h"
#include "service/loans.h"
#include "service/plans.h"
#include "service/repeat.h"
#include "service/service.h"
#include "service/waiters.h"

/*
 * What a verb does at once on the loop thread; larger segments are reserved and unlinked on
 * workers.
 */
#define SMALL_BYTES (1024 * 1024)

/* A run estimated below this is computed at once on the loop thread. */
#define TINY_NS 20000

/* How long a request waits for idle memory that clients were asked to give back, */
#define STARVED_MS 1000
/* where tensors may be spilled instead (those who do not answer are asked twice, a second each), */
#define STARVED_SPILLS_MS 2500
/* for what is being written to the disk, */
#define SPILLING_MS 120000
/* and one whose wait_ms is over, for what is on its way then. */
#define STARVED_LAST_MS 250
/* How long one that waits for memory stays the first of those of its user. */
#define FRONT_MS 10000

/*
 * Requests of one connection under way, and what they take of the daemon's own memory: enough for
 * any pipelining, and not read further beyond it. A program of TD_VALUES_MAX nodes takes 3 MB.
 */
#define CLIENT_CALLS_MAX (2 * TD_WAITING_MAX)
#define CLIENT_BYTES_MAX (32 * 1024 * 1024)

/* Requests of one uid that may finish after their connection ended. */
#define ORPHANS_MAX 1024

/* How long they may take when the daemon is told to stop; below TimeoutStopSec of its unit. */
#define DRAIN_MS 5000

/* Definitions of one connection: what they take of the daemon's own memory. */
#define DEFINITIONS_BYTES (32 * 1024 * 1024)

/* How often there is upkeep while there is something to keep up. */
#define TICK_MS 100

/*
 * Heap that was given back is given to the system when so much of it came together since the last
 * time: half a millisecond for each of these steps. Not more often than each second, unless it is
 * much.
 */
#define TRIM_BYTES (16 * 1024 * 1024)
#define TRIM_MUCH (64 * 1024 * 1024)
#define TRIM_MS 1000

/* Segments that one notification asks back. */
#define TRIM_MAX 4096

struct service {
        struct service_config config;
        struct store *store;
        struct workers *workers;
        struct workers *disk; /* threads that wait for it, apart from those that compute; NULL:
                                 nothing is spilled */
        const struct call *keeper; /* waits for memory, or did, and keeps what it refers to there;
                                      NULL: none, compared only */
        struct repeats repeats;
        struct list clients;
        struct list orphans;       /* calls whose client is gone and that still finish */
        uint64_t n_orphans_ever;
        struct list ready;         /* calls to be started */
        struct list lines;         /* of calls that wait for memory, see starved.h */
        unsigned n_trimming;       /* of these: who wait for what is asked back */
        struct heap timed;         /* calls with a deadline, by when it may be over */
        struct list watched;       /* calls whose progress is to be told */
        uint64_t next_progress_ms; /* not later than the first of these is due, UINT64_MAX: none */
        struct loans loans;
        struct waiters waiters;
        struct nodes_cache nodes;
        struct plans plans;
        struct list trimmed; /* clients that are to be asked for segments */
        struct list returning; /* claims of an earlier daemon, the first to expire first */
        bool is_stopping;
        uint32_t n_clients;
        uint64_t n_clients_ever;
        uint32_t n_entered; /* the loop's entries that are on the stack */
        bool has_freed;     /* memory came free since those who wait for it were tried */
        bool has_starved;   /* the call just started waits for memory */
        bool is_pumping;
        bool is_compacting;
        struct work compaction;
        int compaction_result;
        uint8_t epoch[16]; /* this run of the daemon */
        uint64_t started_ms;
        uint64_t n_requests;
        uint64_t n_jobs;    /* under way */
        struct call *kept;  /* the one of them that waits for the turn's end; NULL: none */
        uint64_t n_scratch; /* bytes reserved as scratch by jobs */
        uint64_t n_heap_most;    /* of workspace and tensors, since the heap was trimmed */
        uint64_t heap_trimmed_ms;
};

/*
 * Complete the reply and hand it to the client's session; takes it over. NULL: there was no memory
 * for it.
 */
void client_send(struct client *client, struct reply *reply);

/*
 * Start what became ready, until nothing is. Not recursive: a call that ends inside only queues
 * others.
 */
void service_pump(struct service *service);

/*
 * Around each of the loop's entries. Segments are asked back when the last is left: one may be
 * asked for in each turn of a long list; and in few messages, where many turns find some.
 */
void service_enter(struct service *service);
void service_leave(struct service *service);

/* ---- jobs.c ---- */

/*
 * Have a call's work done; done() comes back on the loop thread, also where the work was withdrawn
 * before anybody had begun it: call->stop is set then, and call->result -ECANCELED. cost_ns:
 * estimated, on one thread.
 */
void service_submit(struct service *service, struct call *call, uint64_t cost_ns,
                    void (*run)(struct work *), void (*done)(struct call *));
/* Take it back if nobody has begun it: true, and done() is left to the caller. */
bool service_withdraw(struct service *service, struct call *call);
/* The job that was kept for the turn's end becomes the workers'. */
void service_give_kept(struct service *service);
