/* SPDX-License-Identifier: MIT */
/*
 * Tensors
 *
 * References to the daemon's tensors. A handle is released when the last of user, mappings and
 * requests under way let go of it, since a release promises that no array uses the tensor any more.
 * That of a donated one is released behind the last mapping.
 *
 * A handle belongs to one connection. On a later one the tensor is opened again by its id: a named
 * one is found, an unnamed one ended with the daemon.
 */
#include "client.h"

#include <stdlib.h>
#include <string.h>

#include "tensord/infer_client.h"

/* ---- life ---- */

td_tensor *tensor_new(td_client *client, const struct td_type *type, const char *name)
{
        td_tensor *tensor = calloc(1, sizeof(*tensor));

        if (!tensor)
                return NULL;
        if (name && !(tensor->name = strdup(name))) {
                free(tensor);
                return NULL;
        }
        atomic_init(&tensor->n_refs, 1);
        tensor->client = client_ref(client);
        if (type) {
                tensor->type = *type;
                tensor->n_bytes = td_type_is_known(type) ? (uint64_t)td_type_n_bytes(type) : 0;
                dense_strides(type, 'C', tensor->strides);
        }
        return tensor;
}

td_tensor *tensor_ref(td_tensor *tensor)
{
        atomic_fetch_add_explicit(&tensor->n_refs, 1, memory_order_relaxed);
        return tensor;
}

void tensor_unuse(td_tensor *tensor, struct mapped *mapped)
{
        uint64_t segment = mapped->segment;

        if (mapped_unuse(&tensor->client->mappings, mapped))
                exchange_unmapped(tensor->client, segment);
}

void tensor_detach(td_tensor *tensor)
{
        struct mapped *mapped = tensor->mapped;

        tensor->mapped = NULL;
        if (mapped)
                tensor_unuse(tensor, mapped);
}

int tensor_check_donated(const td_tensor *tensor, td_error *error)
{
        if (!tensor->is_donated)
                return TD_OK;
        return error_set(error, TD_E_GONE, "the tensor was donated to a program");
}

bool tensor_is_unused(const td_tensor *tensor)
{
        const struct mapped *mapped = tensor->mapped;

        if (!mapped && tensor->has_segment)
                mapped = mappings_find(&tensor->client->mappings, tensor->segment);
        return !mapped || (mapped->n_users == (tensor->mapped ? 1 : 0) && mapped->is_in_table &&
                           mapped->n_forks == mapping_n_forks());
}

int tensor_check_lent(const td_tensor *tensor, td_error *error)
{
        if (tensor->n_lent > 0 && !tensor->is_donated)
                return error_set(error, TD_E_BAD_ARGUMENTS,
                                 "a tensor is not mapped while a run that it is donated to is "
                                 "under way");
        return tensor_check_donated(tensor, error);
}

/* Under the lock. No mapping uses it. */
static void tensor_release(td_tensor *tensor)
{
        tensor_detach(tensor);
        if (tensor->handle && tensor->epoch == tensor->client->epoch)
                exchange_released(tensor->client, tensor->handle, tensor->n_bytes);
        tensor->handle = 0;
}

void tensor_let_go(td_tensor *tensor)
{
        if (tensor->is_donated && tensor_is_unused(tensor))
                tensor_release(tensor);
}

void tensor_lend(td_tensor *tensor)
{
        pthread_mutex_lock(&tensor->client->lock);
        tensor->n_lent++;
        pthread_mutex_unlock(&tensor->client->lock);
}

/*
 * Where the run failed only the daemon knows what became of it, if the connection broke or nobody
 * waited for the answer: the next mapping asks.
 */
void tensor_end_loan(td_tensor *tensor, bool is_success)
{
        pthread_mutex_lock(&tensor->client->lock);
        tensor->n_lent--;
        if (is_success) {
                tensor->is_donated = true;
                tensor_let_go(tensor);
        } else if (!tensor->is_unsealed && (!tensor->mapped || tensor->mapped->n_users == 1)) {
                tensor_detach(tensor);
                tensor->has_segment = false;
        }
        pthread_mutex_unlock(&tensor->client->lock);
}

void td_tensor_free(td_tensor *tensor)
{
        td_client *client;

        if (!tensor || atomic_fetch_sub_explicit(&tensor->n_refs, 1, memory_order_acq_rel) > 1)
                return;
        client = tensor->client;
        pthread_mutex_lock(&client->lock);
        tensor_release(tensor);
        pthread_mutex_unlock(&client->lock);
        free(tensor->data);
        free(tensor->name);
        free(tensor);
        client_unref(client);
}

int tensor_ask(td_tensor *tensor, struct ask *ask, td_tensor *handle_of, int64_t first_ms,
               td_error *error)
{
        struct description description;
        struct reader result;
        struct call call;
        int r;

        call_init(&call);
        r = client_ask(tensor->client, ask, handle_of, first_ms, &call, &result, error);
        if (r == TD_OK)
                r = expect_description(&result, &description, error);
        if (r == TD_OK)
                r = tensor_describe(tensor, &description,
                                    ask->handle || ask->result ? call.epoch : 0, error);
        /* Whatever was asked for may have been done: its handle is released. */
        if (r == TD_E_CANCELLED) {
                pthread_mutex_lock(&tensor->client->lock);
                tensor->epoch = call.epoch;
                pthread_mutex_unlock(&tensor->client->lock);
        }
        call_deinit(&call);
        return r;
}

/* ---- an earlier connection's tensors ---- */

static int fail_gone(const td_tensor *tensor, td_error *error)
{
        const char *name = td_tensor_name(tensor);

        if (name)
                return error_set(error, TD_E_GONE,
                                 "the tensor named '%s' ended with the daemon, or the name means "
                                 "another one now",
                                 name);
        return error_set(error, TD_E_GONE,
                         "an unnamed tensor ended with the daemon; name what must survive");
}

int tensor_renew(td_tensor *tensor, td_error *error)
{
        td_client *client = tensor->client;
        struct ask ask = { .method = METHOD_OPEN, .id = tensor->id };
        struct description description;
        struct reader result;
        struct call call;
        bool can_renew;
        int r;

        pthread_mutex_lock(&client->lock);
        can_renew = tensor->has_id && !tensor->is_unsealed && !tensor->is_pending;
        pthread_mutex_unlock(&client->lock);
        if (!can_renew)
                return fail_gone(tensor, error);
        ask.handle = client_new_handle(client);
        call_init(&call);
        r = client_ask(client, &ask, NULL, 0, &call, &result, error);
        if (r == TD_OK)
                r = expect_description(&result, &description, error);
        if (r == TD_E_NOT_FOUND)
                r = fail_gone(tensor, error);
        if (r == TD_OK) {
                pthread_mutex_lock(&client->lock);
                if (tensor->epoch == client->epoch && call.epoch == client->epoch) {
                        exchange_released(client, ask.handle, 0); /* another thread was faster */
                } else {
                        tensor->handle = ask.handle;
                        tensor->epoch = call.epoch;
                        tensor->has_segment = false;
                }
                pthread_mutex_unlock(&client->lock);
        }
        call_deinit(&call);
        return r;
}

/* ---- making ---- */

static int check_array(const struct td_type *type, char order, const char *name, td_error *error)
{
        struct td_refusal refusal;

        if (td_check_type(type, &refusal))
                return error_set(error, refusal.code, "%s", refusal.message);
        if (order != 'C' && order != 'F' && order != 'K')
                return error_set(error, TD_E_BAD_ARGUMENTS,
                                 "the order is 'C', 'F' or 'K', not '%c'", order);
        return name ? check_name(name, error) : TD_OK;
}

static int put_small(td_client *client, const void *data, const struct td_type *type,
                     const int64_t *strides, char order, const char *name, unsigned how,
                     td_tensor **tensorp, td_error *error)
{
        uint8_t bytes[TD_INLINE_MAX], op_id[16], axes[TD_NDIM_MAX];
        struct ask ask = { .method = METHOD_PUT,
                           .type = type,
                           .order = axes,
                           .data = bytes,
                           .name = name,
                           .replace = how & TD_REPLACE,
                           .evictable = how & TD_EVICTABLE };
        td_tensor *tensor = tensor_new(client, type, name);
        int r;

        if (!tensor)
                return fail_no_memory(error);
        ask.n_data = tensor->n_bytes;
        axes_in_order(axes, type, order, strides);
        copy_ordered(bytes, type, axes, data, strides);
        if (name) {
                random_id(op_id);
                ask.op_id = op_id;
        }
        if (tensorp)
                ask.handle = tensor->handle = client_new_handle(client);
        r = tensor_ask(tensor, &ask, NULL, 0, error);
        if (r || !tensorp)
                td_tensor_free(tensor);
        else
                *tensorp = tensor;
        return r;
}

/* An unsealed tensor; or the sealed one, if an earlier attempt took effect. */
static int tensor_create(td_tensor *tensor, td_error *error)
{
        struct ask ask = { .method = METHOD_CREATE,
                           .type = &tensor->type,
                           .order = tensor->order,
                           .name = td_tensor_name(tensor),
                           .replace = tensor->how & TD_REPLACE,
                           .evictable = tensor->how & TD_EVICTABLE,
                           .op_id = tensor->has_op_id ? tensor->op_id : NULL };
        int64_t first_ms;

        pthread_mutex_lock(&tensor->client->lock);
        ask.mutable = tensor->is_mutable;
        ask.handle = tensor->handle;
        first_ms = tensor->created_ms;
        if (!first_ms)
                tensor->created_ms = now_ms();
        pthread_mutex_unlock(&tensor->client->lock);
        return tensor_ask(tensor, &ask, NULL, first_ms, error);
}

static td_tensor *tensor_new_unsealed(td_client *client, const struct td_type *type, char order,
                                      const int64_t *strides, const char *name, unsigned how)
{
        td_tensor *tensor = tensor_new(client, type, name);

        if (!tensor)
                return NULL;
        axes_in_order(tensor->order, type, order, strides);
        tensor->how = how;
        tensor->handle = client_new_handle(client);
        if (name) {
                random_id(tensor->op_id);
                tensor->has_op_id = true;
        }
        return tensor;
}

static int create(td_client *client, const struct td_type *type, char order, const char *name,
                  unsigned how, bool is_mutable, td_tensor **tensorp, td_error *error)
{
        td_tensor *tensor;
        int r = check_array(type, order, name, error);

        if (r)
                return r;
        tensor = tensor_new_unsealed(client, type, order, NULL, name, how);
        if (!tensor)
                return fail_no_memory(error);
        tensor->is_mutable = is_mutable;
        r = tensor_create(tensor, error);
        if (r)
                td_tensor_free(tensor);
        else
                *tensorp = tensor;
        return r;
}

int td_create(td_client *client, const struct td_type *type, char order, const char *name,
              unsigned how, td_tensor **tensorp, td_error *error)
{
        return create(client, type, order, name, how, false, tensorp, error);
}

int td_create_mutable(td_client *client, const struct td_type *type, char order, const char *name,
                      unsigned how, td_tensor **tensorp, td_error *error)
{
        return create(client, type, order, name, how, true, tensorp, error);
}

/* Seal, once. EXCHANGE_LOST or EXCHANGE_STALE: the tensor is gone, unless the seal took effect. */
static int tensor_seal(td_tensor *tensor, td_error *error)
{
        struct ask ask = { .method = METHOD_SEAL, .retry_ms = -1 };
        struct description description;
        struct reader result;
        struct call call;
        int r;

        /*
         * What somebody holds becomes read-only now; what nobody holds when it is mapped, since
         * changing the protection of many pages takes as long as half of writing them.
         */
        pthread_mutex_lock(&tensor->client->lock);
        if (tensor->mapped && tensor->mapped->n_users > 1 && !tensor->is_mutable)
                mapped_protect(tensor->mapped, false);
        pthread_mutex_unlock(&tensor->client->lock);
        call_init(&call);
        r = client_ask_once(tensor->client, &ask, tensor, &call, &result, error);
        if (r == TD_OK)
                r = expect_description(&result, &description, error);
        if (r == TD_OK)
                r = tensor_describe(tensor, &description, call.epoch, error);
        if (r == EXCHANGE_LOST && call.cause)
                r = call.cause;
        call_deinit(&call);
        return r;
}

/* Create, copy, seal; all over again where the connection breaks between. */
static int tensor_write(td_tensor *tensor, const void *data, const int64_t *strides,
                        td_error *error)
{
        int r = TD_OK;

        for (unsigned i = 0; i < 3; i++) {
                td_mapping *mapping;

                r = tensor_create(tensor, error);
                if (r || !tensor_is_unsealed(tensor))
                        return r;
                r = td_map(tensor, TD_MAP_WRITE, true, &mapping, error);
                if (r == TD_E_GONE)
                        continue;
                if (r)
                        return r;
                if (mapping->mapped)
                        mapped_populate(mapping->mapped);
                copy_ordered(td_mapping_data(mapping), &tensor->type, tensor->order, data, strides);
                td_mapping_free(mapping);
                r = tensor_seal(tensor, error);
                if (r != EXCHANGE_LOST && r != EXCHANGE_STALE)
                        return r;
        }
        if (tensor->has_op_id)
                return client_unreachable(tensor->client, TD_E_CONNECTION_LOST, true, error);
        return error_set(error, TD_E_CONNECTION_LOST, "the connection to %s broke again and again",
                         tensor->client->address);
}

int td_put(td_client *client, const void *data, const struct td_type *type, const int64_t *strides,
           char order, const char *name, unsigned how, td_tensor **tensorp, td_error *error)
{
        td_tensor *tensor;
        int r = check_array(type, order, name, error);

        if (r)
                return r;
        if (!name && !tensorp)
                return error_set(
                        error, TD_E_BAD_ARGUMENTS,
                        "a tensor that is put needs a name or somewhere to be referred to");
        if (td_type_n_bytes(type) <= TD_INLINE_MAX)
                return put_small(client, data, type, strides, order, name, how, tensorp, error);
        tensor = tensor_new_unsealed(client, type, order, strides, name, how);
        if (!tensor)
                return fail_no_memory(error);
        r = tensor_write(tensor, data, strides, error);
        if (r || !tensorp)
                td_tensor_free(tensor);
        else
                *tensorp = tensor;
        return r;
}

int td_seal(td_tensor *tensor, td_error *error)
{
        td_client *client = tensor->client;
        struct mapped *mapped;
        uint8_t *data;
        int64_t strides[TD_NDIM_MAX];
        int r;

        if (!tensor_is_unsealed(tensor))
                return error_set(error, TD_E_SEALED, "a sealed tensor is not sealed again");
        r = tensor_seal(tensor, error);
        if (r != EXCHANGE_LOST && r != EXCHANGE_STALE)
                return r;
        /* What was written is still mapped here: write it again. */
        pthread_mutex_lock(&client->lock);
        mapped = tensor->mapped;
        data = mapped ? mapped->address + tensor->offset : NULL;
        if (mapped)
                mapped_use(mapped);
        pthread_mutex_unlock(&client->lock);
        if (!mapped && tensor->n_bytes > 0)
                return fail_gone(tensor, error);
        memcpy(strides, tensor->strides, sizeof(strides));
        r = tensor_write(tensor, data, strides, error);
        if (mapped) {
                pthread_mutex_lock(&client->lock);
                tensor_unuse(tensor, mapped);
                pthread_mutex_unlock(&client->lock);
        }
        return r;
}

/* Have the daemon keep what is here alone. */
static int tensor_store(td_tensor *tensor, td_error *error)
{
        struct ask ask = { .method = METHOD_PUT,
                           .type = &tensor->type,
                           .data = tensor->data,
                           .n_data = tensor->n_bytes };
        uint8_t axes[TD_NDIM_MAX];
        struct description description;
        struct reader result;
        struct call call;
        int r;

        axes_in_order(axes, &tensor->type, 'K', tensor->strides); /* as it lies */
        ask.order = axes;
        ask.handle = client_new_handle(tensor->client);
        call_init(&call);
        r = client_ask(tensor->client, &ask, NULL, 0, &call, &result, error);
        if (r == TD_OK)
                r = expect_description(&result, &description, error);
        if (r == TD_OK) {
                pthread_mutex_lock(&tensor->client->lock);
                if (tensor->handle) {
                        exchange_released(tensor->client, ask.handle,
                                          0); /* another thread was faster */
                } else {
                        tensor->handle = ask.handle;
                        tensor->epoch = call.epoch;
                        tensor->has_id = true;
                        memcpy(tensor->id, description.id, sizeof(tensor->id));
                }
                pthread_mutex_unlock(&tensor->client->lock);
        }
        call_deinit(&call);
        return r;
}

int tensor_make_known(td_tensor *tensor, td_error *error)
{
        bool is_known;
        int r;

        pthread_mutex_lock(&tensor->client->lock);
        r = tensor_check_donated(tensor, error);
        is_known = tensor->handle;
        pthread_mutex_unlock(&tensor->client->lock);
        return r || is_known ? r : tensor_store(tensor, error);
}

/* ---- opening ---- */

static int open_by(td_client *client, struct ask ask, td_tensor **tensorp, td_error *error)
{
        td_tensor *tensor = tensor_new(client, NULL, ask.name);
        int r;

        if (!tensor)
                return fail_no_memory(error);
        ask.handle = tensor->handle = client_new_handle(client);
        r = tensor_ask(tensor, &ask, NULL, 0, error);
        if (r)
                td_tensor_free(tensor);
        else
                *tensorp = tensor;
        return r;
}

int td_open(td_client *client, const char *name, td_tensor **tensorp, td_error *error)
{
        return td_open_of(client, -1, name, false, tensorp, error);
}

int td_open_mapped(td_client *client, const char *name, td_tensor **tensorp, td_error *error)
{
        return td_open_of(client, -1, name, true, tensorp, error);
}

static int check_owner(int64_t owner, td_error *error)
{
        if (owner >= -1 && owner < UINT32_MAX)
                return TD_OK;
        return error_set(error, TD_E_BAD_ARGUMENTS, "an owner is a uid, or -1, not %lld",
                         (long long)owner);
}

static int ask_name(struct ask *ask, enum td_method method, int64_t owner, const char *name,
                    bool map, td_error *error)
{
        int r = check_name(name, error);

        *ask = (struct ask){ .method = method,
                             .name = name,
                             .has_owner = owner >= 0,
                             .owner = (uint32_t)owner,
                             .map = map };
        return r ? r : check_owner(owner, error);
}

int td_open_of(td_client *client, int64_t owner, const char *name, bool map, td_tensor **tensorp,
               td_error *error)
{
        struct ask ask;
        int r = ask_name(&ask, METHOD_OPEN, owner, name, map, error);

        return r ? r : open_by(client, ask, tensorp, error);
}

int td_await(td_client *client, int64_t owner, const char *name, int64_t wait_ms, bool map,
             td_tensor **tensorp, td_error *error)
{
        struct ask ask;
        int r = ask_name(&ask, METHOD_WAIT, owner, name, map, error);

        if (r)
                return r;
        ask.until_ms = INT64_MAX;
        if (wait_ms >= 0 && __builtin_add_overflow(now_ms(), wait_ms, &ask.until_ms))
                ask.until_ms = INT64_MAX;
        return open_by(client, ask, tensorp, error);
}

int td_open_id(td_client *client, const uint8_t id[16], td_tensor **tensorp, td_error *error)
{
        return open_by(client, (struct ask){ .method = METHOD_OPEN, .id = id }, tensorp, error);
}

int td_name(td_tensor *tensor, const char *name, unsigned how, td_error *error)
{
        uint8_t op_id[16];
        struct ask ask = { .method = how & TD_REPLACE ? METHOD_REPLACE : METHOD_NAME,
                           .evictable = how & TD_EVICTABLE,
                           .name = name,
                           .op_id = op_id };
        struct reader result;
        struct call call;
        int r = check_name(name, error);

        if (r == TD_OK)
                r = tensor_make_known(tensor, error);
        if (r)
                return r;
        random_id(op_id);
        call_init(&call);
        r = client_ask(tensor->client, &ask, tensor, 0, &call, &result, error);
        call_deinit(&call);
        return r;
}
