/* SPDX-License-Identifier: MIT */
/*
 * The service
 *
 * The heart: what each method does. It knows store, engine and requests, and neither sockets nor
 * MessagePack nor the event loop, so it runs in a unit test. A connection is a struct client that
 * the session embeds; what the service has to say goes to the client's reply_sink.
 *
 * Loop thread only, but for wake(), which workers call.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/list.h"
#include "base/workers.h"
#include "service/definition.h"
#include "store/store.h"
#include "wire/reply.h"
#include "wire/request.h"

struct service;
struct user_kernels;

struct service_config {
        const char *prefix;    /* of shm objects */
        const char *directory; /* "/dev/shm" */
        const char *spill_directory; /* for tensors that nobody uses; NULL: they stay in memory */
        uint64_t spill_free;   /* bytes of its file system that are left to others */
        uint64_t memory_limit; /* bytes */
        struct quotas quotas;  /* of everything else; and whether several uids may connect */
        unsigned n_threads;
        unsigned busy_poll_us; /* repeated to clients */
        uid_t uid;             /* the daemon's */
        const char *blas_core; /* what computes, as stat tells it: OpenBLAS's core, */
        const char *kernels;   /* the instruction set of our own kernels, */
        const char *cpu;       /* and the processor's model name */
        const struct user_kernels *user_kernels; /* NULL: none; outlives the service */
        /*
         * Work is done somewhere: call service_reap() on the loop thread soon. Called on any
         * thread.
         */
        void (*wake)(void *ctx);
        void *ctx;
};

/*
 * The other side of a connection. send() takes ownership. None is called again after
 * client_leave().
 */
struct reply_sink {
        void (*send)(struct reply_sink *sink, struct reply *reply);
        /*
         * There was no memory to say something that the peer waits for: the connection is of no use
         * any more. To be ended soon, not from within.
         */
        void (*lost)(struct reply_sink *sink);
        /* Has the peer read all that it was sent? */
        bool (*is_read)(struct reply_sink *sink);
};

/* What a connection has of one tensor. */
struct share {
        uint32_t references;
        uint32_t maps;
        uint32_t leases;
};

struct client {
        struct list link; /* the service's list */
        struct service *service;
        struct holder holder;
        struct user *user; /* owned reference */
        struct charge connection;
        struct reply_sink *sink;
        uint64_t number;          /* of this connection, among all that there were, */
        char name[64];            /* and what it said that it is; */
        uint32_t pid;             /* of who connected, 0: not known: to be shown */
        uint64_t n_referred;      /* bytes that its handles mean; of these, */
        uint64_t n_returning;     /* of unnamed tensors that its requests made */
        struct promise *promises; /* by handle */
        struct stake *stakes;     /* by tensor: what those have that are READY */
        struct share share;       /* of one tensor, while holders is answered */
        struct claim *claims;     /* leases by number */
        struct definitions definitions;
        struct list failed;  /* promises that came to nothing, the oldest first */
        struct list calls;   /* requests under way, in order of arrival */
        uint32_t n_calls;    /* of these: all, */
        uint32_t n_waiting;  /* those that wait for an earlier one, */
        uint64_t n_bytes;    /* and what they take of the daemon's own memory */
        uint32_t n_watched;  /* of its calls, for their progress */
        uint64_t told_ms;    /* when it was told of that last */
        struct list trimmed; /* the service's list of those that have trims */
        uint64_t *trims;     /* segments to be asked back, owned */
        uint32_t n_trims;
        uint32_t n_trims_max;
        bool has_left; /* nobody hears it any more, and it is not listed */
};

/*
 * Recovery happens here. 0, a store outcome (STORE_E_CATALOG, STORE_E_BUSY; message says why), or a
 * negative errno.
 */
int service_new(struct service **servicep, const struct service_config *config, char message[256]);
/* The clients that end from now on are ended by us: the next daemon may have them back. */
void service_stop(struct service *service);
/* Waits for jobs. Clients must be gone. */
struct service *service_free(struct service *service);
DEFINE_CLEANUP(struct service, service_free)

/*
 * 0, -ENOMEM, or CHARGE_E_*: the uid has as many connections as it may (refusal); then there is no
 * client.
 */
int client_init(struct client *client, struct service *service, uid_t uid, struct reply_sink *sink,
                struct td_refusal *refusal);
/*
 * The connection ended: its leases do, and jobs whose outputs are all unnamed are cancelled.
 * Whoever keeps the socket for longer takes client->connection before.
 */
void client_leave(struct client *client);
/*
 * Of one that left, at most so many references, unsealed tensors and grants go: each takes a
 * microsecond, and there may be TD_HANDLES_MAX. Is nothing left?
 */
bool client_take_out(struct client *client, unsigned n);
/* Whatever of these was not done is. */
void client_deinit(struct client *client);

/*
 * One request that request_read() accepted; takes ownership. Answers through the sink, at once or
 * later.
 */
void service_request(struct client *client, struct request *request);
/*
 * So many of its requests are under way that no more should be read before some have ended. A reply
 * is sent when one does.
 */
bool client_is_full(const struct client *client);
/* The answer to one that request_read() refused. */
void service_refuse(struct client *client, const struct request *request,
                    const struct td_refusal *refusal);

/* Finished jobs: publish results, answer, start what waited for them. Returns how many. */
unsigned service_reap(struct service *service);
/*
 * Before the loop sleeps, once in a turn, when what was read is handled and replies are sent: does
 * a short job, if one was kept for that, and some of what connections left behind. Did it a job?
 */
bool service_end_turn(struct service *service);
/* There is more to be done at the end of a turn: the loop must not sleep. */
bool service_is_behind(const struct service *service);
/*
 * Now and then: held segments, requests that wait for memory, old repeats, compaction, deadlines,
 * heap that came free.
 * service_tick_in_ms() says when it wants to be called next, UINT64_MAX: not before something
 * happens.
 */
void service_tick(struct service *service);
uint64_t service_tick_in_ms(struct service *service);
/* What decoded programs are remembered in, for request_read(). */
struct nodes_cache *service_nodes_cache(struct service *service);
/* Jobs run or wait: the loop must not spin. */
bool service_is_busy(const struct service *service);
uint32_t service_n_clients(const struct service *service);

/*
 * Just before a reply's first byte goes out: fresh descriptors, n_fds of them, which the caller
 * closes. 0 or negative errno (then none is open).
 */
int service_open_fds(const struct reply *reply, int fds[TD_FDS_MAX]);
