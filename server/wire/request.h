/* SPDX-License-Identifier: MIT */
/*
 * Requests
 *
 * Where MessagePack ends: a message that passed the scan becomes a plain struct, checked for form
 * (known method and keys, types, ranges that limits.h states) and for nothing that needs the
 * daemon's state. All memory that it points to belongs to the request.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "tensord/infer.h"
#include "wire/nodes.h"

/*
 * Values in one message, containers included: what is decoded at once takes a few ms of the loop
 * thread's time. 32 for each value of the largest program.
 */
#define REQUEST_VALUES_MAX (32 * TD_VALUES_MAX)
/* Handles, segments, leases or definitions that one message gives back. */
#define REQUEST_IDS_MAX 4096

enum td_method {
#define TD_METHOD(sym, ...) METHOD_##sym,
#include "tensord/methods.def"
#undef TD_METHOD
        N_METHODS
};

struct ref {
        enum { REF_NONE, REF_HANDLE, REF_NAME, REF_ID } kind;
        uint64_t handle;
        const char *name; /* NUL-terminated */
        bool has_owner;   /* the name is that user's, else one's own */
        uint32_t owner;
        uint8_t id[16];
};

struct request_input {
        struct ref ref;      /* REF_NONE: an immediate */
        struct td_type type; /* of an immediate, or the view's shape (its dtype is the tensor's) */
        bool has_view;
        bool donate; /* of a handle: it ends with the request, and its memory may be taken */
        bool is_written; /* an output goes into it */
        int64_t strides[TD_NDIM_MAX];
        int64_t offset;
        bool has_order; /* of an immediate; else C order */
        uint8_t order[TD_NDIM_MAX];
        const uint8_t *data; /* of an immediate: as many bytes as type says */
};

struct request_output {
        uint64_t handle;  /* 0: none */
        const char *name; /* NULL: none */
        bool replace;
        bool evictable; /* it may be deleted for its memory; only where there is a name */
        bool map;
        bool has_into; /* neither handle nor name: it is written into */
        uint32_t into; /* the tensor of that input */
};

struct request {
        bool is_notification;
        uint32_t msgid;
        enum td_method method;

        struct ref ref;   /* the tensor spoken of: "handle", "name" or "id" where they refer */
        uint64_t handle;  /* "handle" where it names a result; 0: none. Of open, create, put */
        const char *name; /* "name" given or taken: create, put, name, replace, delete; or NULL */
        struct td_type type; /* create, put */
        bool has_order; /* of axes, the slowest first; else C order */
        uint8_t order[TD_NDIM_MAX];
        const uint8_t *data; /* put: exactly the type's bytes */
        size_t n_data;
        bool replace;
        bool evictable; /* as of an output */
        bool map;
        bool writable;
        bool mutable;   /* create */
        bool shared;    /* share; true if absent */
        bool has_owner; /* list, delete: of another user's names */
        uint32_t owner;
        uint64_t lease;   /* lease: the number chosen for it */
        bool torn;        /* lease: also where it is torn */
        bool has_nonce;   /* lease: by which it is known again, */
        bool again;       /* and that it was granted before */
        uint8_t nonce[16];
        uint64_t wait_ms; /* at most, for conflicting leases and for memory */
        bool has_op_id;
        bool is_retry; /* "retry_ms" was given */
        uint8_t op_id[16];
        uint64_t retry_ms;
        int64_t version;    /* hello */
        const char *client; /* hello; may be NULL */
        const char *prefix; /* list; "" if absent */
        const char *after;  /* list; "" if absent */
        bool lost;          /* list: also names whose tensor is lost */
        uint64_t after_number; /* holders: a connection; 0 if absent */
        uint32_t limit;        /* list, holders; TD_LIST_MAX if absent */
        uint32_t
                n_ids; /* release, lend: handles; unmap: segments; undefine: definitions; unlease */
        uint64_t *ids;
        bool has_of_msgid; /* cancel: of the request that is to end, */
        uint64_t of_msgid;
        uint64_t of_handle;  /* or the handle of a result of it, 0: none; */
        uint64_t of_request; /* or the number of one whose connection ended, 0: none */
        uint32_t n_threads; /* run, call: that may compute it, 0: all */
        bool has_deadline;  /* of wait: unless it is not to wait at all */
        uint64_t deadline_ms;
        uint64_t progress_ms; /* run, call: how often to tell, at most; 0: never */

        uint32_t n_inputs;              /* run, define, call: program.block.n_inputs; lease: 1 */
        struct request_input *inputs;   /* define: types alone */
        struct request_output *outputs; /* program.n_outputs of them */
        struct nodes *nodes;            /* run, define: owned reference; what the block points to */
        struct td_program program; /* call: without nodes and values, which its definition has */
        uint64_t definition;       /* define, call */

        size_t n_bytes; /* of the memory below, for what varies; much larger than the message */
        void *memory;   /* owner of all of the above */
};

enum {
        REQUEST_E_MALFORMED = 1, /* not a request or notification at all: tell, and close */
        /* a well-formed wrong one: *requestp holds msgid and is_notification, the refusal why */
        REQUEST_E_REFUSED,
};

/*
 * bytes: one whole message that scan_run() accepted. cache: of node lists seen before; may be NULL.
 * 0, REQUEST_E_*, or -ENOMEM. On
 * REQUEST_E_REFUSED *requestp is set too (only msgid, is_notification and method, if known, are
 * meaningful), so that the answer finds its way.
 */
int request_read(struct request **requestp, const uint8_t *bytes, size_t n_bytes,
                 struct nodes_cache *cache, struct td_refusal *refusal);
struct request *request_free(struct request *request);
DEFINE_CLEANUP(struct request, request_free)

const char *method_name(enum td_method method);

/* Does it compute a program? That of a snapshot has no nodes: its result is its input. */
static inline bool request_is_run(const struct request *request)
{
        return request->method == METHOD_RUN || request->method == METHOD_CALL ||
               request->method == METHOD_SNAPSHOT;
}
