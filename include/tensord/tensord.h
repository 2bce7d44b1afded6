/* SPDX-License-Identifier: MIT */
/*
 * libtensord: the C client of tensord
 *
 * A td_client is one connection to a daemon. It and its tensors may be used by several threads;
 * calls block until their answer is there (after a short spin, see td_options.busy_poll_us). A
 * connection that breaks is renewed by the next call, with back-off; memory that was mapped stays
 * valid meanwhile. After fork() the child's clients answer TD_E_CLOSED, their mapped memory stays
 * valid.
 *
 * A td_tensor is a reference to a tensor in the daemon, td_tensor_free() gives it back. A
 * td_mapping is its memory in this process, counted apart: it stays valid until td_mapping_free(),
 * whatever becomes of tensor, client, name or daemon.
 *
 * Functions return TD_OK or an error code of enum td_error_code (program.h, errors.def), and fill
 * *error, if it is not NULL, with the code and a sentence. Out-arguments are written on success
 * only. Free functions accept NULL.
 *
 * Sizes are in bytes, strides in bytes, times in the unit that their name ends with.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tensord/limits.h"
#include "tensord/program.h"

#ifdef __cplusplus
extern "C" {
#endif

#define TD_API __attribute__((visibility("default")))

typedef struct td_client td_client;
typedef struct td_tensor td_tensor;
typedef struct td_mapping td_mapping;
typedef struct td_lease td_lease;
typedef struct td_builder td_builder;
typedef struct td_function td_function;
typedef struct td_list td_list;
typedef struct td_pending td_pending;

typedef struct td_error {
        int code;     /* enum td_error_code */
        int32_t node; /* of a program's outermost block, the message says where in a loop's body it
                         was; -1 if no node is to blame */
        char message[512];
} td_error;

/*
 * The name of an error code ("not_found"), of a dtype ("float64"), of an operation ("matmul"); NULL
 * if there is none.
 */
TD_API const char *td_error_name(int code);
TD_API const char *td_dtype_name(int dtype);
TD_API const char *td_op_name(int op);
/* The number, or -1. */
TD_API int td_dtype_from_name(const char *name);
TD_API int td_op_from_name(const char *name);
TD_API const char *td_version(void);

/* ---- connection ---- */

typedef struct td_options {
        const char *address;     /* path of the socket; NULL: the look-up order below */
        const char *daemon_path; /* binary to start where none answers; NULL: beside the library,
                                    then PATH */
        bool no_start;           /* never start a daemon */
        int busy_poll_us; /* how long a call spins before it sleeps; -1: what the daemon says */
        int timeout_ms;   /* to connect and say hello; 0: 5000 */
        const char *client_name; /* told to the daemon; may be NULL */
        int64_t memory_wait_ms; /* td_put, td_create, td_snapshot and td_run wait so long for memory
                                   to come free; a run for leases, too, and no longer. 0:
                                   TD_E_MEMORY_LIMIT, TD_E_QUOTA at once */
} td_options;

/*
 * Connect. Look-up order: options->address, $TENSORD_SOCKET, $XDG_RUNTIME_DIR/tensord/socket,
 * /run/tensord/socket, and last a private daemon, started now, at the third or (where that variable
 * is unset) at /tmp/tensord-UID/socket, a directory of mode 0700 whose owner is checked. An
 * explicit address (option or $TENSORD_SOCKET) starts none. options may be NULL.
 */
TD_API int td_connect(td_client **client, const td_options *options, td_error *error);
TD_API void td_close(td_client *client);
/*
 * Asked every 100 ms, and when a signal arrives, on a thread that waits for the answer of a run:
 * where it says true, the wait ends with TD_E_CANCELLED, and the daemon is told to end the run too.
 * A run that tensors are donated to has its answer waited for, some seconds at most, since it may
 * have succeeded: then the wait ends well. NULL: never asked.
 */
TD_API void td_set_interrupt(td_client *client, bool (*is_interrupted)(void *ctx), void *ctx);
/*
 * Answer the daemon while nothing is asked of this client, on a thread of the library's own that
 * td_close() ends. Memory that the client only keeps mapped for later is then given back when
 * others want it; without, with its next request. After a fork the child has no such thread, as its
 * client is closed.
 *
 * TD_E_CLIENT_MEMORY: there is no thread or descriptor to be had.
 */
TD_API int td_attend(td_client *client, td_error *error);
/* The address that td_connect() chose. */
TD_API const char *td_address(const td_client *client);
TD_API int td_ping(td_client *client, td_error *error);

/* ---- tensors ---- */

/* How a name is given: any of these, 0 none. */
enum td_how {
        TD_REPLACE = 1,   /* it may be in use: what it meant goes */
        TD_EVICTABLE = 2, /* a cache: before anyone is refused memory, the daemon deletes what was
                             named so and is used by nobody, used longest ago first. Not for
                             mutable tensors */
};

/*
 * Copy a strided array into a new sealed tensor. data points to the first element, strides (bytes,
 * any sign; NULL: C order) say how the elements lie. order is that of the copy: 'C', 'F', or 'K',
 * axes as they lie. name NULL: unnamed. how: of enum td_how. tensor may be NULL if a
 * name is given.
 */
TD_API int td_put(td_client *client, const void *data, const struct td_type *type,
                  const int64_t *strides, char order, const char *name, unsigned how,
                  td_tensor **tensor, td_error *error);
/*
 * Reserve a tensor to be written in place: map it with TD_MAP_WRITE, fill it, td_seal() it; its
 * name, if any, appears then. order: 'C' or 'F'.
 */
TD_API int td_create(td_client *client, const struct td_type *type, char order, const char *name,
                     unsigned how, td_tensor **tensor, td_error *error);
/*
 * The same, but once sealed it is mutable: many processes of this user may write it in place, each
 * under a lease of the part that it writes, and programs write results into it (td_output).
 */
TD_API int td_create_mutable(td_client *client, const struct td_type *type, char order,
                             const char *name, unsigned how, td_tensor **tensor, td_error *error);
/* All td_mapping of it become read-only, but for those of a mutable one. */
TD_API int td_seal(td_tensor *tensor, td_error *error);
TD_API int td_open(td_client *client, const char *name, td_tensor **tensor, td_error *error);
/* The same, and its memory is handed out along with it: the next td_map() asks for nothing more. */
TD_API int td_open_mapped(td_client *client, const char *name, td_tensor **tensor, td_error *error);
/*
 * Another user's, as far as it is shared; owner is a uid, -1: one's own. map: as above. Its memory
 * is read-only, and stays as it is whatever its owner does.
 *
 * TD_E_NOT_FOUND: there is none, or it is not shared.
 */
TD_API int td_open_of(td_client *client, int64_t owner, const char *name, bool map,
                      td_tensor **tensor, td_error *error);
/*
 * The same as soon as the name means something that may be opened. wait_ms: TD_E_DEADLINE if that
 * takes longer; -1: for ever. td_set_interrupt() ends it.
 */
TD_API int td_await(td_client *client, int64_t owner, const char *name, int64_t wait_ms, bool map,
                    td_tensor **tensor, td_error *error);
TD_API int td_open_id(td_client *client, const uint8_t id[16], td_tensor **tensor, td_error *error);
TD_API void td_tensor_free(td_tensor *tensor);

TD_API const struct td_type *td_tensor_type(const td_tensor *tensor);
TD_API const int64_t *td_tensor_strides(const td_tensor *tensor);
TD_API uint64_t td_tensor_n_bytes(const td_tensor *tensor);
/*
 * 16 bytes. A small result of td_run() lives in this process alone: the first call stores it in the
 * daemon (a round trip). NULL if that fails, and before td_wait().
 */
TD_API const uint8_t *td_tensor_id(const td_tensor *tensor);
TD_API const char *
td_tensor_name(const td_tensor *tensor); /* as it was when this reference was made; NULL: unnamed */
TD_API bool td_tensor_is_sealed(const td_tensor *tensor);
TD_API bool td_tensor_is_mutable(const td_tensor *tensor);
/* Was it named so that it may be deleted for its memory, as far as was heard? */
TD_API bool td_tensor_is_evictable(const td_tensor *tensor);
/* Is it shared with other users, as far as was heard? */
TD_API bool td_tensor_is_shared(const td_tensor *tensor);
/* The uid of the other user whose it is, -1: one's own. */
TD_API int64_t td_tensor_owner(const td_tensor *tensor);
/* The client that it belongs to; valid as long as the tensor. */
TD_API td_client *td_tensor_client(const td_tensor *tensor);

enum td_map_mode {
        TD_MAP_READ,  /* shared, read-only */
        TD_MAP_COW,   /* private copy on write */
        TD_MAP_WRITE, /* shared, writable: unsealed tensors of this connection, and mutable ones
                         while it holds a lease to write */
};
/*
 * The tensor's memory. Two mappings of one tensor in one process are the same pages (TD_MAP_READ:
 * the same address). A small sealed tensor may be served from a private copy if share is
 * false, or if it is another user's.
 */
TD_API int td_map(td_tensor *tensor, enum td_map_mode mode, bool share, td_mapping **mapping,
                  td_error *error);
TD_API void *td_mapping_data(
        const td_mapping *mapping); /* the first element; for no bytes: not NULL, not to be read */
TD_API size_t td_mapping_n_bytes(const td_mapping *mapping);
TD_API void td_mapping_free(td_mapping *mapping);

/* ---- leases ---- */

/*
 * Claim a view of a mutable tensor, for as long as the lease is held: of parts that overlap, many
 * are read or one is written. view NULL: all of it; else shape, and strides and offset in bytes.
 * write: td_map() with TD_MAP_WRITE works meanwhile (the mapping stays writable behind the lease's
 * end; not writing then is up to you). torn: to read also what somebody who vanished was writing
 * (else TD_E_TORN). wait_ms: how long to wait for others, leases and requests; 0: for leases not at
 * all, for requests that came before until they end. The tensor stays as long as the lease does.
 *
 * TD_E_LEASE_CONFLICT: the message says who holds what. TD_E_NOT_MUTABLE. TD_E_TOO_MANY: a
 * connection has at most TD_LEASES_MAX.
 */
TD_API int td_lease_begin(td_tensor *tensor, const struct td_type *view, const int64_t *strides,
                          int64_t offset, bool write, bool torn, int64_t wait_ms, td_lease **lease,
                          td_error *error);
/*
 * Give it back, and free it in any case; NULL is accepted. What was written is seen by whoever asks
 * afterwards. TD_E_LEASE_LOST: the connection ended meanwhile, and the lease with it: what was
 * written may be half done, what was read may have been written by others. (A lease to write is
 * asked for again where the connection is renewed: where the daemon was started anew and this was
 * within TD_LEASE_RETURN_MS, nobody else had it, and nothing is lost.) TD_E_POISONED: the
 * memory was resized.
 */
TD_API int td_lease_end(td_lease *lease, td_error *error);

/* ---- for others ---- */

/*
 * Let every user who may connect read a tensor, which has a name, or not any more: who has it keeps
 * it. Only its owner writes it, names it, shares it, deletes it. It lasts as long as the name has
 * this value. This process gives up writing the tensor's memory where it is mapped; where another
 * process still could, the daemon copies it first.
 *
 * TD_E_MUTABLE: a mutable one is not shared, but a snapshot of it. TD_E_NOT_OWNER.
 */
TD_API int td_share(td_tensor *tensor, bool shared, td_error *error);
/*
 * A sealed copy of what it holds now, under a name (NULL: unnamed) given as how says (enum td_how).
 * wait_ms: how long to wait for leases to write it, as of td_lease_begin(). snapshot may be NULL if
 * a name is given.
 */
TD_API int td_snapshot(td_tensor *tensor, const char *name, unsigned how, int64_t wait_ms,
                       td_tensor **snapshot, td_error *error);
/*
 * Have it live for TD_LEND_MS more, even if nobody refers to it, so that its id (td_tensor_id())
 * can be sent to other processes of this user, which td_open_id() it. Begins anew with each call.
 */
TD_API int td_lend(td_tensor *tensor, td_error *error);

/* ---- names ---- */

TD_API int td_name(td_tensor *tensor, const char *name, unsigned how, td_error *error);
TD_API int td_delete(td_client *client, const char *name, td_error *error);

typedef struct td_list_row {
        const char *name;
        struct td_type type;
        uint64_t n_bytes;
        const uint8_t *id;
        bool is_evictable;
        bool is_spilled; /* its bytes lie in a file of the daemon's until it is used */
        /*
         * Why the tensor is lost that the name meant: "memory_missing", "memory_changed",
         * "file_missing", "file_damaged", or what a later daemon says. There is no id then, but
         * type and size are known, and td_delete() forgets the name. NULL: it is not lost.
         */
        const char *lost;
} td_list_row;
/*
 * All names of this uid with that prefix (NULL: all) that mean a tensor, in order, whatever their
 * number.
 */
TD_API int td_list_names(td_client *client, const char *prefix, td_list **list, td_error *error);
/* The same of another user's, as far as they are shared; owner -1: one's own. */
TD_API int td_list_names_of(td_client *client, int64_t owner, const char *prefix, td_list **list,
                            td_error *error);
/* The same, with names whose tensor is lost: of one's own, or, for administrators, of anybody's. */
TD_API int td_list_with_lost(td_client *client, int64_t owner, const char *prefix, td_list **list,
                             td_error *error);
TD_API size_t td_list_size(const td_list *list);
TD_API const td_list_row *td_list_at(const td_list *list, size_t i);
TD_API void td_list_free(td_list *list);

/* ---- programs ---- */

/*
 * A program is built value by value. Each function yields a value number, or -1 - then the builder
 * remembers the first refusal, later calls yield -1 too, and td_builder_check() or td_run() reports
 * it. Shapes and dtypes are inferred as values are added (infer.h).
 */
TD_API td_builder *td_builder_new(void); /* NULL: no memory */
TD_API void td_builder_free(td_builder *builder);
/*
 * The tensor must stay alive until td_run(). view NULL: the whole tensor; else shape, and strides
 * and offset in bytes.
 */
TD_API int td_builder_input(td_builder *builder, const td_tensor *tensor);
TD_API int td_builder_input_view(td_builder *builder, const td_tensor *tensor,
                                 const struct td_type *view, const int64_t *strides,
                                 int64_t offset);
/*
 * The tensor of that input is not needed after the run: where the run succeeds it is gone (using it
 * yields TD_E_GONE), and its memory may have become that of a result. Where the run fails nothing
 * happened to it, unless all was computed and what came behind failed: TD_E_POISONED of another
 * input, TD_E_INTERNAL; using it yields TD_E_NOT_FOUND then. Memory that is mapped here, or that
 * anybody else refers to, stays as it is; until td_run() or td_wait() returned the tensor is not
 * mapped anew (TD_E_BAD_ARGUMENTS). A view of a tensor cannot be donated (TD_E_BAD_PROGRAM).
 */
TD_API void td_builder_donate(td_builder *builder, int input);
/* At most TD_INLINE_MAX bytes, C order; copied. */
TD_API int td_builder_immediate(td_builder *builder, const struct td_type *type, const void *data);
/* The same of any strides (bytes), with the axes in the order in which they lie. */
TD_API int td_builder_array(td_builder *builder, const struct td_type *type, const void *data,
                            const int64_t *strides);
/*
 * An input of which dtype and shape are known, and no more: for td_define(). td_run() and
 * td_submit() refuse a builder that has one.
 */
TD_API int td_builder_parameter(td_builder *builder, const struct td_type *type);
/*
 * results may be NULL for an operation of one result, which is returned. attrs may be NULL. Inputs
 * must be added before operations.
 */
TD_API int td_builder_op(td_builder *builder, enum td_op op, const struct td_attrs *attrs,
                         const int *args, size_t n_args, int *results);
/*
 * An operation of a user kernel, by its name without "user.". types: those of its results, as the
 * method infer tells them; the daemon checks them again. results as above.
 */
TD_API int td_builder_user(td_builder *builder, const char *name, const int *args, size_t n_args,
                           const struct td_type *types, size_t n_results, int *results);
/*
 * A loop. begin: the captured values, then the carried ones; returns the number of body values
 * written to body_values: one per captured value, the step's number, one per carried value.
 * Operations added until end belong to the body and see only body values. end: the body's results,
 * one per carried value; watched body values, each every k-th step (every > 0) or at the steps
 * listed. results has room for n_carried + n_watch values of the enclosing block.
 */
TD_API int td_builder_loop_begin(td_builder *builder, int64_t n_steps, const int *captures,
                                 size_t n_captures, const int *carried, size_t n_carried,
                                 int *body_values);
TD_API int td_builder_loop_end(td_builder *builder, const int *body_results, size_t n_results,
                               const int *watch, size_t n_watch, int64_t every, const int64_t *at,
                               size_t n_at, int *results);
/*
 * The same as long as the first carried value, a bool of shape (), is true, which is looked at
 * before each turn, and max_steps times at most. results has room for n_carried + 1 values: the
 * last is the number of turns made (int64).
 */
TD_API int td_builder_while_begin(td_builder *builder, int64_t max_steps, const int *captures,
                                  size_t n_captures, const int *carried, size_t n_carried,
                                  int *body_values);
TD_API int td_builder_while_end(td_builder *builder, const int *body_results, size_t n_results,
                                int *results);
/* NULL if there is no such value. */
TD_API const struct td_type *td_builder_type(const td_builder *builder, int value);
TD_API int td_builder_check(const td_builder *builder, td_error *error);

/*
 * Bounds of the runs of this program: deadline_ms after it was sent a run ends with TD_E_DEADLINE
 * (-1: never); n_threads of the daemon compute it at most (0: all).
 */
TD_API void td_builder_set_deadline(td_builder *builder, int64_t deadline_ms);
TD_API void td_builder_set_threads(td_builder *builder, unsigned n_threads);
/*
 * While a run of this program computes, tell(ctx, steps that ended, steps of the program) is called
 * about every so many ms (at least 10), on a thread that waits for it in td_run(), td_wait() or
 * td_poll(); it may use the client. false: the run is ended, with TD_E_CANCELLED (td_poll() leaves
 * that to td_wait()). What a step is says PROTOCOL.md. tell NULL: never.
 */
TD_API void td_builder_set_progress(td_builder *builder, unsigned every_ms,
                                    bool (*tell)(void *ctx, uint64_t n_done, uint64_t n_steps),
                                    void *ctx);

typedef struct td_output {
        int value;
        const char *name; /* NULL: unnamed */
        bool replace;
        bool evictable; /* as TD_EVICTABLE */
        bool map; /* its memory will be mapped: saves a round trip */
        bool has_into; /* it has neither name nor tensor (tensors[i] is NULL): it is written into */
        int into;      /* the mutable tensor of that input, or the view of it that the input is */
} td_output;
/*
 * Run it; outputs[i] becomes tensors[i], all or none. Small results bring their bytes. What goes
 * into mutable tensors is written when all is computed, in the order of outputs; a run that fails
 * writes nothing. Where it reads what it writes, it reads what was there before.
 *
 * TD_E_LEASE_CONFLICT: what it reads or writes of mutable tensors is leased. TD_E_NOT_MUTABLE,
 * TD_E_DTYPE_MISMATCH, TD_E_SHAPE_MISMATCH: the result does not go where it should.
 */
TD_API int td_run(td_client *client, const td_builder *builder, const td_output *outputs,
                  size_t n_outputs, td_tensor **tensors, td_error *error);
/*
 * The same in two halves: send now, wait later; many may be under way. The tensors may be used as
 * inputs of further requests before td_wait(), not mapped.
 */
TD_API int td_submit(td_client *client, const td_builder *builder, const td_output *outputs,
                     size_t n_outputs, td_tensor **tensors, td_pending **pending, td_error *error);
/*
 * Have the daemon end it; td_wait() yields TD_E_CANCELLED, or the result if that was there first.
 */
TD_API void td_cancel(td_pending *pending);
/* Is the answer there? Reads what has arrived, does not block. */
TD_API bool td_poll(td_pending *pending);
/*
 * Block for the answer. On failure the tensors that td_submit() wrote are freed for the caller.
 * Frees pending.
 */
TD_API int td_wait(td_pending *pending, td_error *error);

/* ---- functions ---- */

/*
 * A program that the daemon checks once and keeps, to be called with other inputs. The builder's
 * inputs, whatever they are, become parameters, of which dtypes and shapes count alone; nothing of
 * the builder is needed afterwards, its deadline and threads do not count. values (n_values, at
 * most TD_OUTPUTS_MAX) are those that a call yields. A definition belongs to a connection; after
 * another one was made the next call defines it again.
 *
 * TD_E_TOO_MANY: the connection has TD_DEFINITIONS_MAX of them, or too many bytes.
 */
TD_API int td_define(td_client *client, const td_builder *builder, const int *values,
                     size_t n_values, td_function **function, td_error *error);
/*
 * Call it. arguments is a builder of inputs alone, one per parameter, in their order: tensors,
 * views (lying in any way) or immediates of just the parameter's dtype and shape, donated or not;
 * and deadline and threads, if any. outputs[i] says what becomes of values[i] (its own `value` is
 * not looked at), n_outputs is n_values; outputs[i] becomes tensors[i], as of td_run().
 *
 * TD_E_BAD_ARGUMENTS, TD_E_DTYPE_MISMATCH, TD_E_SHAPE_MISMATCH: number, dtype or shape of an
 * argument is another; the message names its index, what was given and what was wanted.
 */
TD_API int td_function_call(td_function *function, const td_builder *arguments,
                            const td_output *outputs, size_t n_outputs, td_tensor **tensors,
                            td_error *error);
/*
 * The same in two halves, as td_submit(): one program over many inputs, several of them under way:
 *
 *      for (i = 0; i < n; i++)
 *              td_function_submit(f, inputs[i], outputs, 1, &results[i], &pending[i], &error);
 *      for (i = 0; i < n; i++)
 *              td_wait(pending[i], &error);
 */
TD_API int td_function_submit(td_function *function, const td_builder *arguments,
                              const td_output *outputs, size_t n_outputs, td_tensor **tensors,
                              td_pending **pending, td_error *error);
/* The daemon forgets it. Calls must have ended, td_wait() of those in two halves included. */
TD_API void td_function_free(td_function *function);

/* ---- anything else ---- */

/*
 * Send a method with parameters already encoded as MessagePack (one map, or NULL for none) and get
 * the result as MessagePack bytes, to be freed by td_free(). For stat, ops, hello. Descriptors that
 * come along are closed.
 */
TD_API int td_call(td_client *client, const char *method, const void *params, size_t n_params,
                   void **result, size_t *n_result, td_error *error);
TD_API void td_free(void *memory);

#ifdef __cplusplus
}
#endif
