/* SPDX-License-Identifier: MIT */
/*
 * What a tensor is
 *
 * What the daemon says of a tensor first (type, strides, owner) is what it is for good, and read by
 * any thread without the lock; so is what is written once (name, id, data), for whoever has seen
 * that it is there. All else is its state, under the client's lock.
 */
#include "client.h"

#include <stdlib.h>
#include <string.h>

int expect_description(struct reader *result, struct description *description, td_error *error)
{
        if (read_description(result, description))
                return TD_OK;
        return error_set(error, TD_E_MALFORMED,
                         "the daemon's description of a tensor cannot be read");
}

/* Under the lock, the first time. */
static void tensor_take_nature(td_tensor *tensor, const struct description *d)
{
        tensor->is_described = true;
        tensor->type = d->type;
        memcpy(tensor->strides, d->strides, sizeof(tensor->strides));
        tensor->n_bytes = d->n_bytes;
        tensor->has_owner = d->has_owner;
        tensor->owner = d->owner;
}

/* Under the lock. */
static int tensor_take_once(td_tensor *tensor, const struct description *d)
{
        if (d->name && !tensor->name && !(tensor->name = strndup(d->name, d->n_name)))
                return TD_E_CLIENT_MEMORY;
        if (!d->data || tensor->data)
                return TD_OK;
        tensor->data = malloc(d->n_data ? d->n_data : 1);
        if (!tensor->data)
                return TD_E_CLIENT_MEMORY;
        memcpy(tensor->data, d->data, d->n_data);
        return TD_OK;
}

/* Under the lock. */
static void tensor_take_state(td_tensor *tensor, const struct description *d)
{
        tensor->is_unsealed = d->is_unsealed;
        tensor->is_mutable = d->is_mutable || (d->is_unsealed && tensor->is_mutable);
        tensor->is_pending = false;
        tensor->is_shared = d->is_shared;
        tensor->is_evictable = d->is_evictable;
        tensor->has_id = d->has_id && tensor->handle;
        if (tensor->has_id && memcmp(tensor->id, d->id, sizeof(tensor->id)) != 0)
                memcpy(tensor->id, d->id, sizeof(tensor->id));
        tensor->has_segment = d->has_segment;
        tensor->segment = d->segment;
        tensor->offset = d->offset;
}

/*
 * Under the lock: is this said of the tensor, and by the connection that it belongs to? Another
 * thread may have renewed it meanwhile; a name may mean another one by now.
 */
static bool tensor_is_meant(const td_tensor *tensor, const struct description *d, uint32_t epoch)
{
        if (epoch)
                return epoch >= tensor->epoch;
        return !tensor->has_id || !d->has_id ||
               memcmp(tensor->id, d->id, sizeof(tensor->id)) == 0;
}

int tensor_describe(td_tensor *tensor, const struct description *d, uint32_t epoch, td_error *error)
{
        td_client *client = tensor->client;
        int r = TD_OK;

        pthread_mutex_lock(&client->lock);
        if (!tensor->is_described)
                tensor_take_nature(tensor, d);
        if (tensor_is_meant(tensor, d, epoch)) {
                if (epoch)
                        tensor->epoch = epoch;
                tensor_take_state(tensor, d);
                r = tensor_take_once(tensor, d);
        }
        pthread_mutex_unlock(&client->lock);
        return r ? fail_no_memory(error) : TD_OK;
}

/* ---- to the user ---- */

const struct td_type *td_tensor_type(const td_tensor *tensor)
{
        return &tensor->type;
}

const int64_t *td_tensor_strides(const td_tensor *tensor)
{
        return tensor->strides;
}

uint64_t td_tensor_n_bytes(const td_tensor *tensor)
{
        return tensor->n_bytes;
}

const uint8_t *td_tensor_id(const td_tensor *tensor)
{
        td_tensor *mutable = (td_tensor *)(uintptr_t)tensor;
        bool has_id;

        if (tensor_make_known(mutable, NULL))
                return NULL;
        pthread_mutex_lock(&tensor->client->lock);
        has_id = tensor->has_id;
        pthread_mutex_unlock(&tensor->client->lock);
        return has_id ? tensor->id : NULL;
}

const char *td_tensor_name(const td_tensor *tensor)
{
        const char *name;

        pthread_mutex_lock(&tensor->client->lock);
        name = tensor->name;
        pthread_mutex_unlock(&tensor->client->lock);
        return name;
}

static bool is_true(const td_tensor *tensor, const bool *flag)
{
        bool value;

        pthread_mutex_lock(&tensor->client->lock);
        value = *flag;
        pthread_mutex_unlock(&tensor->client->lock);
        return value;
}

bool tensor_is_unsealed(const td_tensor *tensor)
{
        return is_true(tensor, &tensor->is_unsealed);
}

bool td_tensor_is_sealed(const td_tensor *tensor)
{
        return !tensor_is_unsealed(tensor) && !td_tensor_is_mutable(tensor);
}

bool td_tensor_is_mutable(const td_tensor *tensor)
{
        return is_true(tensor, &tensor->is_mutable);
}

bool td_tensor_is_shared(const td_tensor *tensor)
{
        return is_true(tensor, &tensor->is_shared);
}

bool td_tensor_is_evictable(const td_tensor *tensor)
{
        return is_true(tensor, &tensor->is_evictable);
}

int64_t td_tensor_owner(const td_tensor *tensor)
{
        return tensor->has_owner ? (int64_t)tensor->owner : -1;
}

td_client *td_tensor_client(const td_tensor *tensor)
{
        return tensor->client;
}
