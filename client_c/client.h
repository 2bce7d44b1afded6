/* SPDX-License-Identifier: MIT */
/*
 * The client's inside
 *
 * td_client, td_tensor and td_mapping, and how requests travel. A client is counted by its user,
 * its tensors and what is under way; a tensor by its user, its mappings and what is under way. So
 * memory stays valid whatever is freed first.
 *
 * One lock guards a client and its tensors. Threads that wait share the socket: one of them reads
 * for all (has_reader) and hands each reply to the call it belongs to; one sends for all
 * (has_sender). Neither holds the lock while it blocks.
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "connection.h"
#include "mapping.h"

#define CALL_BUCKETS 64U
#define RELEASES_MAX 64U
#define RELEASES_BYTES (1024U * 1024U)

enum call_state { CALL_NEW, CALL_SENT, CALL_DONE, CALL_LOST };

/* A request under way and its reply. */
struct call {
        struct call *next; /* in its bucket */
        uint32_t msgid;
        uint32_t epoch; /* the connection that it was sent on */
        enum call_state state;
        bool may_cancel; /* whoever waits for it may be interrupted */
        bool gives_away; /* tensors: what becomes of them is in its answer */
        int64_t end_ms;  /* it was cancelled, and is waited for until then; 0: it was not */
        bool has_news;   /* of its progress, to be told */
        uint64_t n_done;
        uint64_t n_steps;
        bool (*tell)(void *ctx, uint64_t n_done, uint64_t n_steps); /* NULL: nobody */
        void *tell_ctx;
        int cause;       /* CALL_LOST: the code that the daemon gave for closing, or TD_OK */
        uint8_t *reply;  /* error and result; first, or on the heap */
        size_t n_reply;
        uint8_t first[2048];
};

/* The thread of a client at rest (attend.c). */
struct attendant {
        bool is_there;
        atomic_bool ends;
        int wake_fd;
        pthread_t thread;
};

struct td_client {
        atomic_uint n_refs;
        struct td_client *next; /* of all clients of the process, for fork handlers */
        struct td_client *prev;

        /* set by td_connect() */
        char *address;
        char *daemon_path;
        char *client_name;
        bool is_private; /* the address of a daemon that we may start */
        bool no_start;
        int busy_poll_us; /* -1: as the daemon says */
        int64_t memory_wait_ms;
        int timeout_ms;

        pthread_mutex_t lock;
        pthread_cond_t changed;
        struct connection connection;
        bool is_connected;
        bool is_connecting;
        bool is_closed;
        bool has_reader;
        bool has_sender;
        unsigned n_active;  /* threads inside of a call */
        unsigned n_waiting; /* of these, on changed */
        uint32_t epoch;     /* counts connections */
        int64_t spin_ns;
        td_error complaint; /* the last "error" notification of this connection */

        bool (*interrupt)(void *ctx); /* NULL: none */
        void *interrupt_ctx;

        uint32_t next_msgid;
        struct call *calls[CALL_BUCKETS];
        struct mappings mappings;

        uint64_t released[RELEASES_MAX]; /* handles that the daemon does not know to be released */
        unsigned n_released;
        uint64_t n_released_bytes;
        uint64_t undefined[RELEASES_MAX]; /* definitions, likewise; bytes are counted above */
        unsigned n_undefined;
        uint64_t *unmapped; /* segments, likewise */
        size_t n_unmapped;
        size_t n_unmapped_allocated;

        atomic_uint_fast64_t next_handle;
        atomic_uint_fast64_t next_definition;
        atomic_uint_fast64_t next_lease;
        td_lease *leases; /* to write, held */

        struct attendant attendant;
};

struct td_mapping {
        td_tensor *tensor;
        struct mapped *mapped; /* a use of it; NULL: the bytes are the tensor's own, or copied */
        void *data;
        void *copy;    /* to be freed */
        void *private; /* to be unmapped */
        size_t n_private;
};

struct td_tensor {
        atomic_uint n_refs;
        td_client *client;
        /* as it is first described, and for good (describe.c) */
        struct td_type type;
        int64_t strides[TD_NDIM_MAX];
        uint64_t n_bytes;
        bool has_owner; /* it is another user's */
        uint32_t owner;

        /* under the client's lock; what is written once may be read by who has seen it there */
        bool is_described;
        char *name;      /* written once */
        uint64_t handle; /* 0: its bytes are here alone */
        uint32_t epoch;  /* the connection that knows the handle */
        bool has_id;
        uint8_t id[16];
        bool is_donated; /* to a run that succeeded: gone */
        uint32_t n_lent; /* runs under way that it is donated to */
        bool is_unsealed;
        bool is_mutable;    /* or will be, once it is sealed */
        uint32_t n_writing; /* leases to write it, held */
        bool is_pending; /* its request is not answered */
        bool is_shared;  /* when it was last told of, and */
        bool is_evictable;
        uint8_t order[TD_NDIM_MAX]; /* of an unsealed one: how it was asked for */
        unsigned how;    /* likewise: how it gets its name */
        bool has_op_id;
        uint8_t op_id[16];  /* of its create */
        int64_t created_ms; /* when that was sent first */
        uint8_t *data;      /* written once: of a small one, where its bytes came along */
        bool has_segment;
        uint64_t segment;
        uint64_t offset;
        struct mapped *mapped; /* a use of it, once something was mapped */
};

/* How long what makes tensors waits for memory. */
uint64_t memory_wait_ms(const td_client *client);

/* ---- client.c ---- */

__attribute__((format(printf, 3, 4))) int error_set(td_error *error, int code, const char *format,
                                                    ...);
int64_t now_ns(void);
int64_t now_ms(void);
int fail_no_memory(td_error *error);
td_client *client_ref(td_client *client);
td_client *client_unref(td_client *client);
uint64_t client_new_handle(td_client *client);
/* 16 random bytes */
void random_id(uint8_t id[16]);
/* TD_OK or TD_E_BAD_NAME. What the daemon would refuse, and what cannot be sent. */
int check_name(const char *name, td_error *error);

/* ---- exchange.c ---- */

enum {
        EXCHANGE_LOST = -1,  /* the connection ended before the reply came */
        EXCHANGE_STALE = -2, /* a handle of an earlier connection; nothing was sent */
};

/*
 * Write the request, under the lock, for the connection that is there. TD_OK, an error code, or
 * EXCHANGE_STALE.
 */
typedef int (*encode_fn)(td_client *client, struct frame *frame, uint32_t msgid, void *ctx,
                         td_error *error);

void call_init(struct call *call);
void call_deinit(struct call *call);
/* Under the lock: number a call, whose request is written next, and take it back if that failed. */
void exchange_expect(td_client *client, struct call *call);
void exchange_forget(td_client *client, struct call *call);

int exchange_connect(td_client *client, td_error *error);
/*
 * Connect if need be, write the request behind what waits to be told, send. TD_OK:
 * exchange_finish() must follow.
 */
int exchange_begin(td_client *client, struct call *call, encode_fn encode, void *ctx,
                   td_error *error);
/* Wait for the reply: TD_OK and the result's reader, the daemon's error, or EXCHANGE_LOST. */
int exchange_finish(td_client *client, struct call *call, struct reader *result, td_error *error);
/* Take in what arrived; true if the call is answered or lost. NULL: for whoever made none. */
bool exchange_poll(td_client *client, struct call *call);
/* Ask the daemon to end a request; its answer will say whether it did. */
void exchange_cancel(td_client *client, struct call *call);
/* Under the lock: tell releases and unmaps now. */
void exchange_flush(td_client *client);
/* Under the lock. */
void exchange_unmapped(td_client *client, uint64_t segment);
void exchange_released(td_client *client, uint64_t handle, uint64_t n_bytes);
void exchange_undefined(td_client *client, uint64_t definition, uint64_t n_bytes);
/* Under the lock: end the connection; calls under way are lost. */
void exchange_break(td_client *client);
/* Under the lock: wait until nobody is inside, close. */
void exchange_close(td_client *client);

/* ---- ask.c ---- */

/*
 * Ask until there is an answer: a connection that breaks is renewed and the request repeated, with
 * retry_ms where it has an op_id. tensor: whose handle goes in (may be NULL). first_ms: when the
 * same was asked first, 0 for now. TD_OK: *result is to be read before call_deinit().
 */
int client_ask(td_client *client, struct ask *ask, td_tensor *tensor, int64_t first_ms,
               struct call *call, struct reader *result, td_error *error);
/*
 * The same, once: EXCHANGE_LOST or EXCHANGE_STALE where the connection, or that of the handle,
 * ended.
 */
int client_ask_once(td_client *client, struct ask *ask, td_tensor *tensor, struct call *call,
                    struct reader *result, td_error *error);
/* Any other request, asked again only if it may be. No tensor's handle may go in. */
int client_repeat(td_client *client, encode_fn encode, void *ctx, bool may_repeat,
                  struct call *call, struct reader *result, td_error *error);
/* After EXCHANGE_LOST for the n-th time: TD_OK to try again, or the error to report. */
int client_lost(const struct call *call, td_client *client, unsigned n_lost, bool is_write,
                td_error *error);
/* The connection could not be renewed (error r) after a request was sent: what to report. */
int client_unreachable(td_client *client, int r, bool is_write, td_error *error);

/* ---- attend.c ---- */

/* Under the lock: there is a new connection to listen to. */
void attend_wake(td_client *client);
/* Under the lock: there is no such thread any more, as after a fork. */
void attend_forget(td_client *client);
/*
 * Under the lock, which is let go meanwhile: end the thread, if there is one. The client is closed:
 * there will be no other, and nothing that this one waits for.
 */
void attend_end(td_client *client);

/* ---- launch.c ---- */

/* The address to use (malloc'ed), and whether it is the one where private daemons are. */
int launch_find(const td_options *options, char **addressp, bool *is_privatep, td_error *error);
/* Connect and say hello. is_renewal: wait for a daemon that is being restarted. */
int launch_connect(td_client *client, struct connection *connection, bool is_renewal,
                   struct greeting *greeting, td_error *error);

/* ---- lease.c ---- */

/* Under the lock: the first requests of a new connection ask for what the last one held. */
void leases_ask_back(td_client *client);

/* ---- tensor.c ---- */

/* Under the lock: TD_E_GONE if it was donated. */
int tensor_check_donated(const td_tensor *tensor, td_error *error);
/* Under the lock: does no array of this process, or of a forked one, use its memory? */
bool tensor_is_unused(const td_tensor *tensor);
/* Under the lock: TD_E_GONE if it was donated, TD_E_BAD_ARGUMENTS if a run may be taking it. */
int tensor_check_lent(const td_tensor *tensor, td_error *error);
/* A run that it is donated to begins; ends, and succeeded or not. Meanwhile it is not mapped. */
void tensor_lend(td_tensor *tensor);
void tensor_end_loan(td_tensor *tensor, bool is_success);
/* Under the lock: a mapping of it is gone, perhaps the last of one that was donated. */
void tensor_let_go(td_tensor *tensor);
td_tensor *tensor_new(td_client *client, const struct td_type *type, const char *name);
td_tensor *tensor_ref(td_tensor *tensor);
/* Under the lock: give up a use of a mapping; the one of tensor->mapped. */
void tensor_unuse(td_tensor *tensor, struct mapped *mapped);
void tensor_detach(td_tensor *tensor);
/*
 * Ask for something whose result is the tensor's description. handle_of: whose handle goes in, or
 * NULL; first_ms: when the same was asked first, 0 for now.
 */
int tensor_ask(td_tensor *tensor, struct ask *ask, td_tensor *handle_of, int64_t first_ms,
               td_error *error);
/* Make its handle known to the present connection. TD_OK, TD_E_GONE, or another error. */
int tensor_renew(td_tensor *tensor, td_error *error);
/* It has a handle and an id: where its bytes are here alone they are stored. Or TD_E_GONE, ... */
int tensor_make_known(td_tensor *tensor, td_error *error);

/* ---- describe.c ---- */

/* A reply's result is one description: TD_OK or TD_E_MALFORMED. */
int expect_description(struct reader *result, struct description *description, td_error *error);
/*
 * Take what a reply says of it. epoch: of the connection that was asked for its handle, 0 if it was
 * asked for its name. TD_OK or TD_E_CLIENT_MEMORY.
 */
int tensor_describe(td_tensor *tensor, const struct description *description, uint32_t epoch,
                    td_error *error);
bool tensor_is_unsealed(const td_tensor *tensor);

/* ---- map.c ---- */

/* This process can write its memory no more: what is mapped stays where it is, read-only. */
void tensor_renounce(td_tensor *tensor);

/* ---- copy.c ---- */

/* Axes, the slowest first, of 'C', 'F' or 'K', the order in which strides have them. */
void axes_in_order(uint8_t *axes, const struct td_type *type, char order, const int64_t *strides);
/* Gather a strided array into dense memory of that order of axes; strides NULL: of C order. */
void copy_ordered(void *to, const struct td_type *type, const uint8_t *order, const void *from,
                  const int64_t *strides);
/* The same in C or F order. The item size is the type's. */
void copy_array(void *to, const struct td_type *type, char order, const void *from,
                const int64_t *strides);
void dense_strides(const struct td_type *type, char order, int64_t strides[TD_NDIM_MAX]);
