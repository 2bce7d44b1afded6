/* SPDX-License-Identifier: MIT */
/*
 * The service without sockets: requests are written by the reply writer, read by request_read(),
 * and answered into a list. Jobs run on real workers and come back when the test reaps.
 */
#pragma once

#include "service/service.h"

#include <check.h>
#include <semaphore.h>
#include <stdio.h>
#include <string.h>

#include "service/core.h"

static sem_t woken;
static char prefix[64];

struct peer {
        struct client client;
        struct reply_sink sink;
        struct list replies;
        unsigned n_replies;
        unsigned n_lost;
};

static inline void wake(void *ctx)
{
        (void)ctx;
        sem_post(&woken);
}

static inline void collect(struct reply_sink *sink, struct reply *reply)
{
        struct peer *peer = container_of(sink, struct peer, sink);

        list_push_back(&peer->replies, &reply->link);
        peer->n_replies++;
}

static inline void lose(struct reply_sink *sink)
{
        container_of(sink, struct peer, sink)->n_lost++;
}

static inline bool is_read(struct reply_sink *sink)
{
        (void)sink;
        return true;
}

static inline struct service *start(uint64_t limit)
{
        struct service_config config = {
                .prefix = prefix,
                .directory = "/dev/shm",
                .memory_limit = limit,
                .n_threads = 2,
                .blas_core = "test",
                .kernels = "test",
                .cpu = "test",
                .wake = wake,
        };
        struct service *service;
        char message[256] = "";

        snprintf(prefix, sizeof(prefix), "tensord.unit-service.%d", getpid());
        sem_init(&woken, 0, 0);
        ck_assert_msg(!service_new(&service, &config, message), "%s", message);
        return service;
}

static inline void attach(struct peer *peer, struct service *service, uid_t uid)
{
        *peer = (struct peer){ .sink = { .send = collect, .lost = lose, .is_read = is_read } };
        list_init(&peer->replies);
        ck_assert_int_eq(client_init(&peer->client, service, uid, &peer->sink, NULL), 0);
}

static inline void detach(struct peer *peer)
{
        struct reply *reply;

        client_deinit(&peer->client);
        while ((reply = list_first(&peer->replies, struct reply, link)))
                reply_free(reply);
}

/* All that is left to be done at the end of turns of the loop. */
static inline unsigned end_turns(struct service *service)
{
        unsigned n = 0;

        for (; service_is_behind(service); n++)
                service_end_turn(service);
        return n;
}

/* Wait until that many replies are there. */
static inline void await(struct peer *peer, unsigned n)
{
        while (peer->n_replies < n) {
                if (service_end_turn(peer->client.service))
                        continue;
                ck_assert(service_is_busy(peer->client.service));
                sem_wait(&woken);
                service_reap(peer->client.service);
        }
}

/* The replies, oldest first, hold the text? Takes it off. */
static inline bool next_reply_has(struct peer *peer, const char *text)
{
        struct reply *reply = list_first(&peer->replies, struct reply, link);
        bool has;

        ck_assert(reply);
        has = memmem(reply->bytes, reply->n_bytes, text, strlen(text));
        if (!has)
                fprintf(stderr, "not in the reply: %s: %.*s\n", text, (int)reply->n_bytes,
                        reply->bytes);
        list_unlink(&reply->link);
        peer->n_replies--;
        reply_free(reply);
        return has;
}

static inline struct reply *begin(const char *method, uint32_t n_params)
{
        struct reply *message = reply_new();

        reply_array(message, 4);
        reply_uint(message, 0);
        reply_uint(message, 7);
        reply_str(message, method);
        reply_array(message, 1);
        reply_map(message, n_params);
        return message;
}

static inline void submit(struct peer *peer, struct reply *message)
{
        struct td_refusal refusal = { .message = "" };
        struct request *request;

        ck_assert_int_eq(reply_finish(message), 0);
        ck_assert_msg(!request_read(&request, message->bytes, message->n_bytes, NULL, &refusal),
                      "%s", refusal.message);
        reply_free(message);
        service_request(&peer->client, request);
}

static inline void key_uint(struct reply *message, const char *key, uint64_t value)
{
        reply_key(message, key);
        reply_uint(message, value);
}

static inline void key_str(struct reply *message, const char *key, const char *value)
{
        reply_key(message, key);
        reply_str(message, value);
}

static inline void key_op_id(struct reply *message, uint8_t fill)
{
        uint8_t op_id[16];

        memset(op_id, fill, sizeof(op_id));
        reply_key(message, "op_id");
        reply_bin(message, op_id, sizeof(op_id));
}

static inline void key_shape(struct reply *message, uint64_t rows, uint64_t columns)
{
        reply_key(message, "shape");
        reply_array(message, 2);
        reply_uint(message, rows);
        reply_uint(message, columns);
}

/* put of a (1, 2) float64 [1.5, 2.5] */
static inline void send_put(struct peer *peer, uint64_t handle, const char *name, uint8_t op_fill)
{
        double data[2] = { 1.5, 2.5 };
        struct reply *message = begin("put", 3u + !!handle + !!name + !!op_fill);

        key_str(message, "dtype", "float64");
        key_shape(message, 1, 2);
        reply_key(message, "data");
        reply_bin(message, data, sizeof(data));
        if (handle)
                key_uint(message, "handle", handle);
        if (name)
                key_str(message, "name", name);
        if (op_fill)
                key_op_id(message, op_fill);
        submit(peer, message);
}

static inline void write_ones(struct reply *message, const char *op, uint64_t n)
{
        reply_array(message, 3);
        reply_str(message, op);
        reply_array(message, 0);
        reply_map(message, 2);
        key_shape(message, n, n);
        key_str(message, "dtype", "float64");
}

/* The node op(v, v), v being the first value. */
static inline void write_twice(struct reply *message, const char *op)
{
        reply_array(message, 3);
        reply_str(message, op);
        reply_array(message, 2);
        reply_uint(message, 0);
        reply_uint(message, 0);
        reply_map(message, 0);
}

/* The first value is what the handle means, which may be donated; one node follows. */
static inline void write_input(struct reply *message, uint64_t handle, bool is_donated)
{
        reply_key(message, "inputs");
        reply_array(message, 1);
        reply_map(message, 1u + is_donated);
        key_uint(message, "handle", handle);
        if (is_donated) {
                reply_key(message, "donate");
                reply_bool(message, true);
        }
        reply_key(message, "nodes");
        reply_array(message, 1);
}

/* The second value is the output; handle 0, name NULL: without. */
static inline void write_output(struct reply *message, uint64_t handle, const char *name)
{
        reply_key(message, "outputs");
        reply_array(message, 1);
        reply_map(message, 1u + !!handle + !!name);
        key_uint(message, "value", 1);
        if (handle)
                key_uint(message, "handle", handle);
        if (name)
                key_str(message, "name", name);
}

/* A run without inputs: ones((n, n)), then op applied to it twice over; big ones go to a worker. */
static inline void send_run(struct peer *peer, const char *op, uint64_t n, uint64_t handle,
                            const char *name, uint8_t op_fill)
{
        struct reply *message = begin("run", 3u + !!op_fill);

        reply_key(message, "inputs");
        reply_array(message, 0);
        reply_key(message, "nodes");
        reply_array(message, 2);
        write_ones(message, "ones", n);
        write_twice(message, op);
        write_output(message, handle, name);
        if (op_fill)
                key_op_id(message, op_fill);
        submit(peer, message);
}

/* An operation on a handle, which may be donated; result: its handle, 0: inline. */
static inline void send_op_on(struct peer *peer, const char *op, uint64_t handle, bool is_donated,
                              uint64_t result)
{
        struct reply *message = begin("run", 3);

        write_input(message, handle, is_donated);
        reply_array(message, 3);
        reply_str(message, op);
        reply_array(message, 1);
        reply_uint(message, 0);
        reply_map(message, 0);
        write_output(message, result, NULL);
        submit(peer, message);
}

static inline void send_op(struct peer *peer, const char *op, uint64_t handle, uint64_t result)
{
        send_op_on(peer, op, handle, false, result);
}

/* sum of a handle, inline */
static inline void send_sum(struct peer *peer, uint64_t handle)
{
        send_op(peer, "sum", handle, 0);
}

static inline void send_name(struct peer *peer, const char *method, const char *name)
{
        struct reply *message = begin(method, 1);

        key_str(message, "name", name);
        submit(peer, message);
}

static inline void send_open(struct peer *peer, const char *name, uint64_t handle)
{
        struct reply *message = begin("open", 2);

        key_str(message, "name", name);
        key_uint(message, "handle", handle);
        submit(peer, message);
}

static inline void send_release(struct peer *peer, uint64_t handle)
{
        struct reply *message = begin("release", 1);

        reply_key(message, "handles");
        reply_array(message, 1);
        reply_uint(message, handle);
        submit(peer, message);
}

static inline void send_create(struct peer *peer, uint64_t n, uint64_t handle, const char *name)
{
        struct reply *message = begin("create", 3u + !!name);

        key_str(message, "dtype", "float64");
        key_shape(message, n, n);
        key_uint(message, "handle", handle);
        if (name)
                key_str(message, "name", name);
        submit(peer, message);
}

static inline void send_seal(struct peer *peer, uint64_t handle)
{
        struct reply *message = begin("seal", 1);

        key_uint(message, "handle", handle);
        submit(peer, message);
}

static inline bool is_named(struct service *service, uid_t uid, const char *name)
{
        struct tensor *tensor;

        return store_find(service->store, uid, name, &tensor) == 0;
}

/* Delete what the test named, end, and look that nothing is left. */
static inline void finish(struct service *service, struct peer *peer, const char *name)
{
        struct store_figures figures;

        if (name) {
                send_name(peer, "delete", name);
                ck_assert(next_reply_has(peer, "\xc0\xc0"));
        }
        detach(peer);
        store_figures(service->store, &figures);
        ck_assert_uint_eq(figures.n_tensors, 0);
        ck_assert_uint_eq(figures.n_names, 0);
        service_free(service);
}
