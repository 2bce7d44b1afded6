/* layer: service */
/* SPDX-License-Identifier: MIT */
/*
 * The service without sockets: requests are written by the reply writer, read by request_read(), and
 * answered into a list. Jobs run on real workers and come back when the test reaps.
 */
#include "service/service.h"

#include <check.h>
#include <semaphore.h>
#include <stdio.h>
#include <string.h>

#include "service/core.h"

static sem_t woken;
static char prefix[64];

/* ---- kit ---- */

struct peer {
        struct client client;
        struct reply_sink sink;
        struct list replies;
        unsigned n_replies;
};

static void wake(void *ctx)
{
        (void)ctx;
        sem_post(&woken);
}

static void collect(struct reply_sink *sink, struct reply *reply)
{
        struct peer *peer = container_of(sink, struct peer, sink);

        list_push_back(&peer->replies, &reply->link);
        peer->n_replies++;
}

static struct service *start(uint64_t limit)
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

static void attach(struct peer *peer, struct service *service, uid_t uid)
{
        *peer = (struct peer){ .sink = { .send = collect } };
        list_init(&peer->replies);
        ck_assert_int_eq(client_init(&peer->client, service, uid, &peer->sink), 0);
}

static void detach(struct peer *peer)
{
        struct reply *reply;

        client_deinit(&peer->client);
        while ((reply = list_first(&peer->replies, struct reply, link)))
                reply_free(reply);
}

/* Wait until that many replies are there. */
static void await(struct peer *peer, unsigned n)
{
        while (peer->n_replies < n) {
                ck_assert(service_is_busy(peer->client.service));
                sem_wait(&woken);
                service_reap(peer->client.service);
        }
}

/* The replies, oldest first, hold the text? Takes it off. */
static bool next_reply_has(struct peer *peer, const char *text)
{
        struct reply *reply = list_first(&peer->replies, struct reply, link);
        bool has;

        ck_assert(reply);
        has = memmem(reply->bytes, reply->n_bytes, text, strlen(text));
        if (!has)
                fprintf(stderr, "not in the reply: %s: %.*s\n", text, (int)reply->n_bytes, reply->bytes);
        list_unlink(&reply->link);
        peer->n_replies--;
        reply_free(reply);
        return has;
}

static struct reply *begin(const char *method, uint32_t n_params)
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

static void submit(struct peer *peer, struct reply *message)
{
        struct td_refusal refusal = { .message = "" };
        struct request *request;

        ck_assert_int_eq(reply_finish(message), 0);
        ck_assert_msg(!request_read(&request, message->bytes, message->n_bytes, &refusal), "%s",
                      refusal.message);
        reply_free(message);
        service_request(&peer->client, request);
}

static void key_uint(struct reply *message, const char *key, uint64_t value)
{
        reply_key(message, key);
        reply_uint(message, value);
}

static void key_str(struct reply *message, const char *key, const char *value)
{
        reply_key(message, key);
        reply_str(message, value);
}

static void key_op_id(struct reply *message, uint8_t fill)
{
        uint8_t op_id[16];

        memset(op_id, fill, sizeof(op_id));
        reply_key(message, "op_id");
        reply_bin(message, op_id, sizeof(op_id));
}

static void key_shape(struct reply *message, uint64_t rows, uint64_t columns)
{
        reply_key(message, "shape");
        reply_array(message, 2);
        reply_uint(message, rows);
        reply_uint(message, columns);
}

/* put of a (1, 2) float64 [1.5, 2.5] */
static void send_put(struct peer *peer, uint64_t handle, const char *name, uint8_t op_fill)
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

static void write_ones(struct reply *message, const char *op, uint64_t n)
{
        reply_array(message, 3);
        reply_str(message, op);
        reply_array(message, 0);
        reply_map(message, 2);
        key_shape(message, n, n);
        key_str(message, "dtype", "float64");
}

/* A run without inputs: ones((n, n)), then op applied to it twice over; big ones go to a worker. */
static void send_run(struct peer *peer, const char *op, uint64_t n, uint64_t handle,
                     const char *name, uint8_t op_fill)
{
        struct reply *message = begin("run", 3u + !!op_fill);

        reply_key(message, "inputs");
        reply_array(message, 0);
        reply_key(message, "nodes");
        reply_array(message, 2);
        write_ones(message, "ones", n);
        reply_array(message, 3);
        reply_str(message, op);
        reply_array(message, 2);
        reply_uint(message, 0);
        reply_uint(message, 0);
        reply_map(message, 0);
        reply_key(message, "outputs");
        reply_array(message, 1);
        reply_map(message, 1u + !!handle + !!name);
        key_uint(message, "value", 1);
        if (handle)
                key_uint(message, "handle", handle);
        if (name)
                key_str(message, "name", name);
        if (op_fill)
                key_op_id(message, op_fill);
        submit(peer, message);
}

/* sum of a handle, inline */
static void send_sum(struct peer *peer, uint64_t handle)
{
        struct reply *message = begin("run", 3);

        reply_key(message, "inputs");
        reply_array(message, 1);
        reply_map(message, 1);
        key_uint(message, "handle", handle);
        reply_key(message, "nodes");
        reply_array(message, 1);
        reply_array(message, 3);
        reply_str(message, "sum");
        reply_array(message, 1);
        reply_uint(message, 0);
        reply_map(message, 0);
        reply_key(message, "outputs");
        reply_array(message, 1);
        reply_map(message, 1);
        key_uint(message, "value", 1);
        submit(peer, message);
}

static void send_name(struct peer *peer, const char *method, const char *name)
{
        struct reply *message = begin(method, 1);

        key_str(message, "name", name);
        submit(peer, message);
}

static void send_open(struct peer *peer, const char *name, uint64_t handle)
{
        struct reply *message = begin("open", 2);

        key_str(message, "name", name);
        key_uint(message, "handle", handle);
        submit(peer, message);
}

static void send_release(struct peer *peer, uint64_t handle)
{
        struct reply *message = begin("release", 1);

        reply_key(message, "handles");
        reply_array(message, 1);
        reply_uint(message, handle);
        submit(peer, message);
}

static void send_create(struct peer *peer, uint64_t n, uint64_t handle, const char *name)
{
        struct reply *message = begin("create", 3u + !!name);

        key_str(message, "dtype", "float64");
        key_shape(message, n, n);
        key_uint(message, "handle", handle);
        if (name)
                key_str(message, "name", name);
        submit(peer, message);
}

static void send_seal(struct peer *peer, uint64_t handle)
{
        struct reply *message = begin("seal", 1);

        key_uint(message, "handle", handle);
        submit(peer, message);
}

/* Delete what the test named, end, and look that nothing is left. */
static void finish(struct service *service, struct peer *peer, const char *name)
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

/* ---- tests ---- */

START_TEST(put_open_delete)
{
        struct service *service = start(1 << 26);
        struct peer peer;

        attach(&peer, service, 1000);
        send_put(&peer, 1, "a", 0);
        ck_assert(next_reply_has(&peer, "sealed"));
        send_put(&peer, 1, NULL, 0);
        ck_assert(next_reply_has(&peer, "handle_taken"));
        send_put(&peer, 0, "a", 0);
        ck_assert(next_reply_has(&peer, "name_taken"));
        send_open(&peer, "a", 2);
        ck_assert(next_reply_has(&peer, "float64"));
        send_open(&peer, "b", 3);
        ck_assert(next_reply_has(&peer, "not_found"));
        send_sum(&peer, 9);
        ck_assert(next_reply_has(&peer, "not_found"));
        send_sum(&peer, 2);
        await(&peer, 1);
        ck_assert(next_reply_has(&peer, "outputs"));
        finish(service, &peer, "a");
}
END_TEST

START_TEST(names_belong_to_a_uid)
{
        struct service *service = start(1 << 26);
        struct peer peer, other;

        attach(&peer, service, 1000);
        attach(&other, service, 1001);
        send_put(&peer, 0, "a", 0);
        ck_assert(next_reply_has(&peer, "sealed"));
        send_open(&other, "a", 1);
        ck_assert(next_reply_has(&other, "not_found"));
        send_put(&other, 0, "a", 0);
        ck_assert(next_reply_has(&other, "sealed"));
        send_name(&other, "delete", "a");
        ck_assert(next_reply_has(&other, "\xc0\xc0"));
        send_open(&peer, "a", 1);
        ck_assert(next_reply_has(&peer, "sealed"));
        detach(&other);
        finish(service, &peer, "a");
}
END_TEST

START_TEST(requests_wait_for_unfinished_handles)
{
        struct service *service = start(1 << 28);
        struct peer peer;

        attach(&peer, service, 1000);
        send_run(&peer, "matmul", 600, 1, NULL, 0);
        ck_assert_uint_eq(peer.n_replies, 0); /* on a worker */
        send_sum(&peer, 1);
        send_release(&peer, 1);
        ck_assert_uint_eq(peer.n_replies, 1); /* the release, at once */
        ck_assert(next_reply_has(&peer, "\xc0\xc0"));
        send_sum(&peer, 1);
        ck_assert(next_reply_has(&peer, "not_found"));
        await(&peer, 2);
        ck_assert(next_reply_has(&peer, "float64"));
        ck_assert(next_reply_has(&peer, "outputs"));
        finish(service, &peer, NULL);
}
END_TEST

START_TEST(failure_is_inherited)
{
        struct service *service = start(1 << 28);
        struct peer peer;

        attach(&peer, service, 1000);
        send_run(&peer, "solve", 100, 1, NULL, 0); /* ones: singular */
        send_sum(&peer, 1);
        await(&peer, 2);
        ck_assert(next_reply_has(&peer, "singular"));
        ck_assert(next_reply_has(&peer, "singular"));
        send_put(&peer, 1, NULL, 0); /* the handle is free again */
        ck_assert(next_reply_has(&peer, "sealed"));
        finish(service, &peer, NULL);
}
END_TEST

START_TEST(client_ends_named_job_finishes)
{
        struct service *service = start(1 << 28);
        struct store_figures figures;
        struct tensor *tensor;
        struct peer peer;

        attach(&peer, service, 1000);
        send_run(&peer, "matmul", 500, 1, NULL, 0);
        send_run(&peer, "matmul", 500, 2, "kept", 0);
        send_sum(&peer, 1);
        detach(&peer);
        workers_drain(service->workers);
        service_reap(service);
        ck_assert(list_is_empty(&service->orphans));
        ck_assert_int_eq(store_find(service->store, 1000, "kept", &tensor), 0);
        store_figures(service->store, &figures);
        ck_assert_uint_eq(figures.n_tensors, 1);
        attach(&peer, service, 1000);
        finish(service, &peer, "kept");
}
END_TEST

START_TEST(named_write_is_done_once)
{
        struct service *service = start(1 << 28);
        struct peer peer;

        attach(&peer, service, 1000);
        send_put(&peer, 1, "a", 5);
        send_put(&peer, 2, "a", 5);
        ck_assert(next_reply_has(&peer, "sealed"));
        ck_assert(next_reply_has(&peer, "sealed"));
        send_put(&peer, 0, "a", 6);
        send_put(&peer, 0, "a", 6);
        ck_assert(next_reply_has(&peer, "name_taken"));
        ck_assert(next_reply_has(&peer, "name_taken"));
        send_name(&peer, "delete", "a");
        ck_assert(next_reply_has(&peer, "\xc0\xc0"));
        /* the failure is remembered, though the name is free now */
        send_put(&peer, 0, "a", 6);
        ck_assert(next_reply_has(&peer, "name_taken"));

        /* a repeat joins the running job, by another connection too */
        send_run(&peer, "matmul", 600, 3, "b", 7);
        send_run(&peer, "matmul", 600, 4, "b", 7);
        ck_assert_uint_eq(service->n_jobs, 1);
        await(&peer, 2);
        ck_assert(next_reply_has(&peer, "sealed"));
        ck_assert(next_reply_has(&peer, "sealed"));
        send_sum(&peer, 4);
        await(&peer, 1);
        ck_assert(next_reply_has(&peer, "outputs"));
        finish(service, &peer, "b");
}
END_TEST

START_TEST(created_name_appears_at_seal)
{
        struct service *service = start(1 << 28);
        struct peer peer, other;

        attach(&peer, service, 1000);
        attach(&other, service, 1000);
        send_create(&peer, 10, 1, "a");
        ck_assert(next_reply_has(&peer, "unsealed"));
        send_open(&other, "a", 1);
        ck_assert(next_reply_has(&other, "not_found"));
        send_put(&other, 0, "a", 0);
        ck_assert(next_reply_has(&other, "name_taken"));
        send_sum(&peer, 1);
        ck_assert(next_reply_has(&peer, "not_sealed"));
        send_seal(&peer, 1);
        ck_assert(next_reply_has(&peer, "sealed"));
        send_seal(&peer, 1);
        ck_assert(next_reply_has(&peer, "sealed already"));
        send_open(&other, "a", 1);
        ck_assert(next_reply_has(&other, "float64"));
        send_create(&other, 10, 2, "b");
        ck_assert(next_reply_has(&other, "unsealed"));
        detach(&other);
        /* an unsealed tensor ends with its creator, and its name is free */
        send_put(&peer, 0, "b", 0);
        ck_assert(next_reply_has(&peer, "sealed"));
        send_name(&peer, "delete", "b");
        ck_assert(next_reply_has(&peer, "\xc0\xc0"));
        finish(service, &peer, "a");
}
END_TEST

START_TEST(big_create_waits_for_its_pages)
{
        struct service *service = start(1 << 28);
        struct peer peer;

        attach(&peer, service, 1000);
        send_create(&peer, 2000, 1, "big"); /* 32 MB: reserved on a worker */
        ck_assert_uint_eq(peer.n_replies, 0);
        send_seal(&peer, 1);
        await(&peer, 2);
        ck_assert(next_reply_has(&peer, "unsealed"));
        ck_assert(next_reply_has(&peer, "sealed"));
        finish(service, &peer, "big");
}
END_TEST

START_TEST(limit_is_an_error_with_figures)
{
        struct service *service = start(1 << 26);
        struct store_figures before, after;
        struct peer peer;

        attach(&peer, service, 1000);
        store_figures(service->store, &before);
        send_create(&peer, 4096, 1, "a"); /* 128 MiB of 64 */
        ck_assert(next_reply_has(&peer, "memory_limit"));
        send_run(&peer, "matmul", 4096, 1, NULL, 0);
        ck_assert(next_reply_has(&peer, "asked"));
        store_figures(service->store, &after);
        ck_assert_uint_eq(before.used, after.used);
        send_put(&peer, 1, "a", 0); /* handle and name are free */
        ck_assert(next_reply_has(&peer, "sealed"));
        finish(service, &peer, "a");
}
END_TEST

START_TEST(freed_memory_serves_the_next)
{
        struct service *service = start(1 << 26);
        struct peer peer;

        attach(&peer, service, 1000);
        for (uint64_t i = 1; i < 20; i++) { /* 8 MB each of 64 MiB, freed again */
                send_run(&peer, "add", 1000 + i, i, NULL, 0);
                await(&peer, 1);
                ck_assert(next_reply_has(&peer, "sealed"));
                send_release(&peer, i);
                ck_assert(next_reply_has(&peer, "\xc0\xc0"));
        }
        finish(service, &peer, NULL);
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("service");
        TCase *tcase = tcase_create("service");
        SRunner *runner;
        int n_failed;

        tcase_set_timeout(tcase, 60);
        tcase_add_test(tcase, put_open_delete);
        tcase_add_test(tcase, names_belong_to_a_uid);
        tcase_add_test(tcase, requests_wait_for_unfinished_handles);
        tcase_add_test(tcase, failure_is_inherited);
        tcase_add_test(tcase, client_ends_named_job_finishes);
        tcase_add_test(tcase, named_write_is_done_once);
        tcase_add_test(tcase, created_name_appears_at_seal);
        tcase_add_test(tcase, big_create_waits_for_its_pages);
        tcase_add_test(tcase, limit_is_an_error_with_figures);
        tcase_add_test(tcase, freed_memory_serves_the_next);
        suite_add_tcase(suite, tcase);
        runner = srunner_create(suite);
        srunner_run_all(runner, CK_NORMAL);
        n_failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return n_failed ? 1 : 0;
}
