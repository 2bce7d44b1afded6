/* SPDX-License-Identifier: MIT */
/*
 * Tensors for others: other users, other processes, other times.
 */
#include "client.h"

#include <string.h>

/*
 * What can still be written here the daemon would have to copy, for a hostile process could change
 * it under its readers.
 */
int td_share(td_tensor *tensor, bool shared, td_error *error)
{
        struct ask ask = { .method = METHOD_SHARE,
                           .name = td_tensor_name(tensor),
                           .hides = !shared };

        if (tensor->has_owner)
                return error_set(error, TD_E_NOT_OWNER, "the tensor is uid %u's",
                                 (unsigned)tensor->owner);
        if (!ask.name)
                return error_set(error, TD_E_BAD_ARGUMENTS,
                                 "a tensor is shared under its name, and this has none");
        if (shared)
                tensor_renounce(tensor);
        return tensor_ask(tensor, &ask, NULL, 0, error);
}

/* A sealed one, by a handle. */
static int tensor_check_known(td_tensor *tensor, td_error *error)
{
        int r = tensor_make_known(tensor, error);

        if (r == TD_OK && tensor_is_unsealed(tensor))
                return error_set(error, TD_E_NOT_SEALED, "the tensor is still being written");
        return r;
}

int td_snapshot(td_tensor *tensor, const char *name, unsigned how, int64_t wait_ms,
                td_tensor **snapshotp, td_error *error)
{
        uint8_t op_id[16];
        struct ask ask = { .method = METHOD_SNAPSHOT,
                           .as = name,
                           .replace = how & TD_REPLACE,
                           .evictable = how & TD_EVICTABLE,
                           .wait_ms = wait_ms > 0 ? (uint64_t)wait_ms : 0 };
        td_tensor *snapshot;
        int r = name ? check_name(name, error) : TD_OK;

        if (r == TD_OK && !name && !snapshotp)
                r = error_set(error, TD_E_BAD_ARGUMENTS,
                              "a snapshot needs a name or somewhere to be referred to");
        if (r == TD_OK)
                r = tensor_check_known(tensor, error);
        if (r)
                return r;
        snapshot = tensor_new(tensor->client, &tensor->type, name);
        if (!snapshot)
                return fail_no_memory(error);
        if (name) {
                random_id(op_id);
                ask.op_id = op_id;
        }
        if (snapshotp)
                ask.result = snapshot->handle = client_new_handle(tensor->client);
        r = tensor_ask(snapshot, &ask, tensor, 0, error);
        if (r || !snapshotp)
                td_tensor_free(snapshot);
        else
                *snapshotp = snapshot;
        return r;
}

int td_lend(td_tensor *tensor, td_error *error)
{
        struct ask ask = { .method = METHOD_LEND };
        struct reader result;
        struct call call;
        int r = tensor_check_known(tensor, error);

        if (r)
                return r;
        call_init(&call);
        r = client_ask(tensor->client, &ask, tensor, 0, &call, &result, error);
        call_deinit(&call);
        return r;
}
