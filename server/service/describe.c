/* SPDX-License-Identifier: MIT */
#include "service/describe.h"

#include <errno.h>

#include "service/core.h"
#include "store/lease.h"
#include "store/spill.h"

/* One that was to be mapped, but got no segment, comes with its bytes. */
static bool has_data(const struct tensor *tensor, enum describe_mode mode)
{
        if (mode == DESCRIBE_MAP)
                return tensor->heap && !tensor->segment;
        return mode == DESCRIBE_DATA && tensor->state == TENSOR_SEALED &&
               (tensor->heap || tensor_n_bytes(tensor) == 0);
}

static bool has_place(const struct tensor *tensor, enum describe_mode mode)
{
        return mode != DESCRIBE_BRIEF && tensor->segment;
}

/*
 * Give a small tensor of the call's user a segment if it has none. It is on its owner's account, so
 * who reads another's gets the segment that is there, or the bytes.
 * 0, a store outcome or a negative errno.
 */
static int promote(struct call *call, struct tensor *tensor)
{
        _cleanup_(segment_unrefp) struct segment *segment = NULL;
        bool is_ready;
        int r;

        if (tensor->segment || tensor_n_bytes(tensor) == 0 || tensor->user != call->user)
                return 0;
        r = store_reserve(call->service->store, tensor->user, NULL, tensor_n_bytes(tensor),
                          &segment, &is_ready);
        if (!r && !is_ready)
                r = segment_allocate(segment);
        if (r)
                return r;
        return tensor_promote(tensor, steal_ptr(&segment));
}

static void drop_fds(struct reply *reply)
{
        for (unsigned i = 0; i < reply->n_fds; i++)
                segment_unref(reply->fds[i].segment);
        reply->n_fds = 0;
}

int describe_grant(struct call *call, struct reply *reply, const struct tensor *tensor,
                   bool writable, struct charge *prepaid)
{
        struct reply_fd *fd;
        bool is_new;
        int r;

        if (!tensor->segment)
                return 0;
        if (reply->n_fds == TD_FDS_MAX)
                return -ENOBUFS;
        r = store_grant_prepaid(call->service->store, &call->client->holder, tensor->segment,
                                writable, prepaid, &is_new);
        if (r || !is_new)
                return r;
        fd = &reply->fds[reply->n_fds++];
        fd->segment = segment_ref(tensor->segment);
        fd->writable = writable;
        reply->drop_fds = drop_fds;
        return 0;
}

static void describe_extents(struct reply *reply, const char *key, const int64_t *extents,
                             unsigned n)
{
        reply_key(reply, key);
        reply_array(reply, n);
        for (unsigned i = 0; i < n; i++)
                reply_int(reply, extents[i]);
}

void describe(struct reply *reply, const struct user *viewer, const struct tensor *tensor,
              enum describe_mode mode, bool writable, bool with_fds)
{
        static const char *const states[] = { [TENSOR_UNSEALED] = "unsealed",
                                              [TENSOR_SEALED] = "sealed",
                                              [TENSOR_MUTABLE] = "mutable" };
        const struct td_type *type = &tensor->desc.type;
        const bool is_shared = tensor_is_shared(tensor), is_own = tensor->user == viewer;
        /* What it is called now is nobody else's business if it is not shared any more. */
        const char *name = is_own || is_shared ? tensor_name(tensor) : NULL;
        uint32_t n_keys = 6;

        n_keys += is_shared;
        n_keys += name && tensor->is_evictable;
        n_keys += tensor_is_spilled(tensor);
        n_keys += !is_own;
        n_keys += name != NULL;
        n_keys += has_data(tensor, mode);
        n_keys += has_place(tensor, mode) ? 4 : 0;
        n_keys += with_fds;
        n_keys += tensor->mutable ? 2 : 0;

        reply_map(reply, n_keys);
        reply_key(reply, "dtype");
        reply_str(reply, td_dtype_info(type->dtype)->name);
        describe_extents(reply, "shape", type->shape, type->ndim);
        describe_extents(reply, "strides", tensor->desc.strides, type->ndim);
        reply_key_uint(reply, "nbytes", tensor_n_bytes(tensor));
        reply_key(reply, "id");
        reply_bin(reply, tensor->id, sizeof(tensor->id));
        reply_key(reply, "state");
        reply_str(reply, states[tensor->state]);
        if (tensor->mutable) {
                reply_key_uint(reply, "version", tensor->mutable->version);
                reply_key(reply, "torn");
                reply_bool(reply, tensor_is_torn(tensor));
        }
        if (name) {
                reply_key(reply, "name");
                reply_str(reply, name);
        }
        if (name && tensor->is_evictable) {
                reply_key(reply, "evictable");
                reply_bool(reply, true);
        }
        if (is_shared) {
                reply_key(reply, "shared");
                reply_bool(reply, true);
        }
        if (tensor_is_spilled(tensor)) {
                reply_key(reply, "spilled");
                reply_bool(reply, true);
        }
        if (!is_own) {
                reply_key_uint(reply, "owner", tensor->user->uid);
        }
        if (has_data(tensor, mode)) {
                reply_key(reply, "data");
                reply_bin(reply, tensor->heap, tensor_n_bytes(tensor));
        }
        if (has_place(tensor, mode)) {
                reply_key_uint(reply, "segment", segment_id(tensor->segment));
                reply_key_uint(reply, "offset", TD_HEADER_BYTES);
                reply_key_uint(reply, "n_bytes", segment_map_bytes(tensor->segment));
                reply_key(reply, "writable");
                reply_bool(reply, writable);
        }
        if (with_fds) {
                reply_key(reply, "fds");
                describe_fds(reply);
        }
}

void describe_lost(struct reply *reply, const char *name, const struct loss *loss)
{
        static const char *const reasons[] = { [LOSS_MEMORY_MISSING] = "memory_missing",
                                               [LOSS_MEMORY_CHANGED] = "memory_changed",
                                               [LOSS_FILE_MISSING] = "file_missing",
                                               [LOSS_FILE_DAMAGED] = "file_damaged" };
        const struct td_type *type = &loss->type;

        reply_map(reply, 5);
        reply_key(reply, "name");
        reply_str(reply, name);
        reply_key(reply, "lost");
        reply_str(reply, reasons[loss->reason]);
        reply_key(reply, "dtype");
        reply_str(reply, td_dtype_info(type->dtype)->name);
        describe_extents(reply, "shape", type->shape, type->ndim);
        reply_key_uint(reply, "nbytes", (uint64_t)td_type_n_bytes(type));
}

void describe_fds(struct reply *reply)
{
        reply_array(reply, reply->n_fds);
        for (unsigned i = 0; i < reply->n_fds; i++) {
                reply_array(reply, 3);
                reply_uint(reply, segment_id(reply->fds[i].segment));
                reply_uint(reply, segment_map_bytes(reply->fds[i].segment));
                reply_bool(reply, reply->fds[i].writable);
        }
}

int describe_begin(struct call *call, struct tensor *tensor, enum describe_mode mode, bool writable,
                   struct reply **replyp)
{
        _cleanup_(reply_freep) struct reply *reply = NULL;
        int r = 0;

        if (mode == DESCRIBE_MAP)
                r = promote(call, tensor);
        if (r) {
                call_fail_store(call, r, "tensor", tensor_n_bytes(tensor));
                return r;
        }
        reply = call_begin_reply(call);
        if (reply) {
                if (mode == DESCRIBE_MAP)
                        r = describe_grant(call, reply, tensor, writable, NULL);
                if (r) {
                        call_fail_store(call, r, "tensor", 0);
                        return r;
                }
                describe(reply, call->user, tensor, mode, writable, mode == DESCRIBE_MAP);
        }
        *replyp = steal_ptr(&reply);
        return 0;
}

int describe_and_finish(struct call *call, struct tensor *tensor, enum describe_mode mode,
                        bool writable)
{
        struct reply *reply;
        int r = describe_begin(call, tensor, mode, writable, &reply);

        if (r)
                return r;
        call_set_result(call, 0, tensor);
        call_done(call, reply);
        return 0;
}
