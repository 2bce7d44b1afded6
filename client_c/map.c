/* SPDX-License-Identifier: MIT */
/*
 * Memory of tensors
 *
 * A td_mapping holds a use of the segment's mapping and a reference to its tensor, so that both
 * outlive whatever their user frees or loses first. The segment of a tensor is usually mapped
 * already (its descriptor came with an earlier reply); if not, the daemon is asked for it.
 */
#include "client.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define ATTEMPTS 4

/*
 * Under the lock: use the mapping of its segment, if there is one. That of a sealed tensor stays
 * good when its connection is gone; one that is written belongs to a connection.
 */
static bool tensor_attach(td_tensor *tensor)
{
        td_client *client = tensor->client;

        if (tensor->mapped && (!tensor->is_unsealed || (tensor->mapped->is_in_table &&
                                                     tensor->mapped->segment == tensor->segment)))
                return true;
        tensor_detach(tensor);
        if (tensor->epoch != client->epoch)
                return false;
        if (tensor->has_segment)
                tensor->mapped = mappings_find(&client->mappings, tensor->segment);
        if (tensor->mapped)
                mapped_use(tensor->mapped);
        return tensor->mapped != NULL;
}

struct mapping_ask {
        td_tensor *tensor;
        bool writable;
        bool forgets; /* first say that the segment is not mapped, so that its descriptor is sent */
};

static int encode_map(td_client *client, struct frame *frame, uint32_t msgid, void *ctx,
                      td_error *error)
{
        const struct mapping_ask *asked = ctx;
        struct ask ask = { .method = METHOD_MAP,
                           .handle = asked->tensor->handle,
                           .writable = asked->writable,
                           .retry_ms = -1 };

        (void)error;
        if (asked->tensor->epoch != client->epoch)
                return EXCHANGE_STALE;
        if (asked->forgets && asked->tensor->has_segment)
                frame_unmap(frame, &asked->tensor->segment, 1);
        frame_ask(frame, msgid, &ask);
        return TD_OK;
}

/* Have its segment's descriptor sent. TD_OK, EXCHANGE_STALE, EXCHANGE_LOST or an error. */
static int tensor_ask_map(td_tensor *tensor, bool writable, bool forgets, td_error *error)
{
        struct mapping_ask asked = { tensor, writable, forgets };
        struct description d;
        struct reader result;
        struct call call;
        int r;

        call_init(&call);
        r = exchange_begin(tensor->client, &call, encode_map, &asked, error);
        if (r == TD_OK)
                r = exchange_finish(tensor->client, &call, &result, error);
        if (r == EXCHANGE_LOST && call.cause)
                r = call.cause;
        if (r == TD_OK && (!read_description(&result, &d) || (!d.has_segment && !d.data)))
                r = error_set(error, TD_E_MALFORMED,
                              "the daemon's description of a mapping cannot be read");
        if (r == TD_OK && !d.has_segment)
                r = tensor_describe(tensor, &d, call.epoch, error);
        else if (r == TD_OK) {
                pthread_mutex_lock(&tensor->client->lock);
                if (tensor->epoch == call.epoch) {
                        tensor->has_segment = true;
                        tensor->segment = d.segment;
                        tensor->offset = d.offset;
                }
                pthread_mutex_unlock(&tensor->client->lock);
        }
        call_deinit(&call);
        return r;
}

/* epoch: of the connection that there was at first */
static int fail_map(td_client *client, uint32_t epoch, td_error *error)
{
        bool is_lost;
        int number;

        pthread_mutex_lock(&client->lock);
        number = client->mappings.error;
        is_lost = !client->is_connected || client->epoch != epoch;
        pthread_mutex_unlock(&client->lock);
        if (is_lost)
                return error_set(error, TD_E_CONNECTION_LOST,
                                 "the connection ended again each time that the tensor's memory "
                                 "was asked for");
        return error_set(error, TD_E_CLIENT_MEMORY, "a segment could not be mapped: %s",
                         number ? strerror(number) : "its descriptor did not come");
}

/* After a request for memory that led to nothing: TD_OK to try again. */
static int map_again(td_tensor *tensor, int r, td_error *error)
{
        if (r == EXCHANGE_STALE)
                return tensor_renew(tensor, error);
        return r == EXCHANGE_LOST ? TD_OK : r;
}

/*
 * Bytes that came along are enough where it need not be shared memory; and of another user's small
 * tensor, who alone has a segment made for it.
 */
static bool has_own_bytes(const td_tensor *tensor, bool share)
{
        bool has_data;

        if (tensor->n_bytes == 0)
                return true;
        pthread_mutex_lock(&tensor->client->lock);
        has_data = tensor->data;
        pthread_mutex_unlock(&tensor->client->lock);
        return has_data && (!share || tensor->has_owner);
}

/* Make sure that tensor->mapped is there and allows what is wanted, or has_own_bytes(). */
static int tensor_make_mapped(td_tensor *tensor, bool writable, td_error *error)
{
        td_client *client = tensor->client;
        uint32_t epoch = 0;

        for (unsigned i = 0; i < ATTEMPTS; i++) {
                bool is_mapped, had_segment;
                int r = 0;

                pthread_mutex_lock(&client->lock);
                if (i == 0)
                        epoch = client->epoch;
                is_mapped = tensor_attach(tensor);
                had_segment = tensor->has_segment;
                if (is_mapped && writable)
                        r = mapped_protect(tensor->mapped, true);
                if (is_mapped && !writable && !tensor->is_mutable)
                        r = mapped_protect(tensor->mapped, false);
                pthread_mutex_unlock(&client->lock);
                if (is_mapped && r == 0)
                        return TD_OK;
                if (r < 0 && r != -EACCES)
                        return error_set(error, TD_E_CLIENT_MEMORY,
                                         "a segment could not be protected: %s", strerror(-r));
                r = map_again(tensor,
                              tensor_ask_map(tensor, writable, i > 0 || had_segment, error),
                              error);
                if (r)
                        return r;
                if (has_own_bytes(tensor, true))
                        return TD_OK;
        }
        return fail_map(client, epoch, error);
}

/* ---- private copies ---- */

/* A descriptor of the segment, for a mapping of one's own; -1: none is to be had. */
static int take_descriptor(td_tensor *tensor, struct mapped *mapped)
{
        td_client *client = tensor->client;
        bool can_ask;
        int fd;

        pthread_mutex_lock(&client->lock);
        can_ask = mapped->is_in_table && tensor->epoch == client->epoch;
        mapped->n_wanting++;
        pthread_mutex_unlock(&client->lock);
        if (can_ask)
                tensor_ask_map(tensor, false, true, NULL);
        pthread_mutex_lock(&client->lock);
        fd = mapped_take_spare(mapped);
        mapped->n_wanting--;
        pthread_mutex_unlock(&client->lock);
        return fd;
}

void tensor_renounce(td_tensor *tensor)
{
        td_client *client = tensor->client;
        struct mapped *mapped;
        int fd;

        pthread_mutex_lock(&client->lock);
        mapped = tensor->mapped;
        if (!mapped && tensor->has_segment && tensor->epoch == client->epoch)
                mapped = mappings_find(&client->mappings, tensor->segment);
        if (mapped && !mapped->can_write)
                mapped = NULL;
        if (mapped)
                mapped_use(mapped);
        pthread_mutex_unlock(&client->lock);
        if (!mapped)
                return;
        fd = take_descriptor(tensor, mapped);
        pthread_mutex_lock(&client->lock);
        if (fd >= 0)
                mapped_renounce(mapped, fd);
        tensor_unuse(tensor, mapped);
        pthread_mutex_unlock(&client->lock);
}

/*
 * The segment's pages, which become one's own as they are written; where there is no descriptor, a
 * copy.
 */
static int map_private(td_tensor *tensor, td_mapping *mapping, td_error *error)
{
        size_t n_bytes = mapping->mapped->n_bytes;
        size_t offset = (size_t)((uint8_t *)mapping->data - mapping->mapped->address);
        int fd = take_descriptor(tensor, mapping->mapped);
        void *address;

        if (fd >= 0) {
                address = mmap(NULL, n_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
                close(fd);
        } else {
                address = mmap(NULL, n_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
                               -1, 0);
                if (address != MAP_FAILED)
                        memcpy((uint8_t *)address + offset, mapping->data, tensor->n_bytes);
        }
        if (address == MAP_FAILED)
                return error_set(error, TD_E_CLIENT_MEMORY, "a private mapping of %zu bytes: %s",
                                 n_bytes, strerror(errno));
        mapping->private = address;
        mapping->n_private = n_bytes;
        mapping->data = (uint8_t *)address + offset;
        return TD_OK;
}

/* ---- mappings ---- */

/* The bytes that came along with a small tensor. */
static int map_own_bytes(td_tensor *tensor, enum td_map_mode mode, td_mapping *mapping,
                         td_error *error)
{
        static uint64_t nothing[2];

        mapping->data = tensor->n_bytes ? tensor->data : (void *)nothing;
        if (mode != TD_MAP_COW || tensor->n_bytes == 0)
                return TD_OK;
        mapping->copy = malloc(tensor->n_bytes);
        if (!mapping->copy)
                return fail_no_memory(error);
        memcpy(mapping->copy, tensor->data, tensor->n_bytes);
        mapping->data = mapping->copy;
        return TD_OK;
}

static int map_segment(td_tensor *tensor, enum td_map_mode mode, td_mapping *mapping,
                       td_error *error)
{
        td_client *client = tensor->client;
        int r = tensor_make_known(tensor, error);

        if (r == TD_OK)
                r = tensor_make_mapped(tensor, mode == TD_MAP_WRITE, error);
        if (r)
                return r;
        if (has_own_bytes(tensor, true))
                return map_own_bytes(tensor, mode, mapping, error);
        pthread_mutex_lock(&client->lock);
        r = tensor_check_lent(tensor, error); /* another thread may have given it away */
        if (r == TD_OK) {
                mapping->mapped = tensor->mapped;
                mapped_use(mapping->mapped);
                mapping->data = mapping->mapped->address + tensor->offset;
        }
        tensor_let_go(tensor);
        pthread_mutex_unlock(&client->lock);
        return r == TD_OK && mode == TD_MAP_COW ? map_private(tensor, mapping, error) : r;
}

/* Under the lock. */
static int check_mode(const td_tensor *tensor, enum td_map_mode mode, td_error *error)
{
        int r;

        if (tensor->is_pending)
                return error_set(error, TD_E_BAD_ARGUMENTS,
                                 "a tensor is not mapped before td_wait()");
        r = tensor_check_lent(tensor, error);
        if (r)
                return r;
        if (!tensor->is_unsealed && mode == TD_MAP_WRITE && !tensor->is_mutable)
                return error_set(error, TD_E_SEALED, "a sealed tensor is not written again");
        if (!tensor->is_unsealed && mode == TD_MAP_WRITE && tensor->n_writing == 0)
                return error_set(error, TD_E_NOT_MUTABLE,
                                 "a mutable tensor is mapped to be written under a lease to write");
        if (tensor->is_unsealed && mode != TD_MAP_WRITE)
                return error_set(error, TD_E_NOT_SEALED,
                                 "an unsealed tensor is mapped to be written, not to be read");
        return TD_OK;
}

int td_map(td_tensor *tensor, enum td_map_mode mode, bool share, td_mapping **mappingp,
           td_error *error)
{
        td_mapping *mapping;
        int r;

        pthread_mutex_lock(&tensor->client->lock);
        r = check_mode(tensor, mode, error);
        pthread_mutex_unlock(&tensor->client->lock);
        if (r)
                return r;
        mapping = calloc(1, sizeof(*mapping));
        if (!mapping)
                return fail_no_memory(error);
        mapping->tensor = tensor_ref(tensor);
        if (has_own_bytes(tensor, share))
                r = map_own_bytes(tensor, mode, mapping, error);
        else
                r = map_segment(tensor, mode, mapping, error);
        if (r)
                td_mapping_free(mapping);
        else
                *mappingp = mapping;
        return r;
}

void *td_mapping_data(const td_mapping *mapping)
{
        return mapping->data;
}

size_t td_mapping_n_bytes(const td_mapping *mapping)
{
        return mapping->tensor->n_bytes;
}

void td_mapping_free(td_mapping *mapping)
{
        if (!mapping)
                return;
        if (mapping->private)
                munmap(mapping->private, mapping->n_private);
        if (mapping->mapped) {
                pthread_mutex_lock(&mapping->tensor->client->lock);
                tensor_unuse(mapping->tensor, mapping->mapped);
                tensor_let_go(mapping->tensor);
                pthread_mutex_unlock(&mapping->tensor->client->lock);
        }
        free(mapping->copy);
        td_tensor_free(mapping->tensor);
        free(mapping);
}
