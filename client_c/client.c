/* SPDX-License-Identifier: MIT */
/*
 * The client
 *
 * Connecting, closing, fork, and the verbs that speak of no single tensor. All clients of the
 * process are on a list for the fork handlers: while a process forks, no thread is inside of a
 * client's lock; in the child every client is closed and its socket with it, memory that is used
 * stays mapped.
 */
#include "client.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "tensord/infer_client.h"

#define TIMEOUT_MS 5000

static pthread_mutex_t clients_lock = PTHREAD_MUTEX_INITIALIZER;
static td_client *clients;
static pthread_once_t fork_once = PTHREAD_ONCE_INIT;

/* ---- small things ---- */

int error_set(td_error *error, int code, const char *format, ...)
{
        va_list args;

        if (!error)
                return code;
        error->code = code;
        error->node = -1;
        va_start(args, format);
        vsnprintf(error->message, sizeof(error->message), format, args);
        va_end(args);
        return code;
}

int fail_no_memory(td_error *error)
{
        return error_set(error, TD_E_CLIENT_MEMORY, "this process is out of memory");
}

int64_t now_ns(void)
{
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC, &now);
        return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

int64_t now_ms(void)
{
        return now_ns() / 1000000;
}

void random_id(uint8_t id[16])
{
        size_t n = 0;

        while (n < 16) {
                ssize_t r = getrandom(id + n, 16 - n, 0);

                if (r > 0)
                        n += (size_t)r;
        }
}

int check_name(const char *name, td_error *error)
{
        size_t n = strlen(name);

        if (n == 0 || n > TD_NAME_MAX)
                return error_set(error, TD_E_BAD_NAME, "a name has 1 to %d bytes, this has %zu",
                                 TD_NAME_MAX, n);
        return TD_OK;
}

uint64_t client_new_handle(td_client *client)
{
        return atomic_fetch_add_explicit(&client->next_handle, 1, memory_order_relaxed);
}

/* ---- fork ---- */

static void fork_prepare(void)
{
        pthread_mutex_lock(&clients_lock);
        for (td_client *c = clients; c; c = c->next)
                pthread_mutex_lock(&c->lock);
}

static void fork_parent(void)
{
        mapping_count_fork();
        for (td_client *c = clients; c; c = c->next)
                pthread_mutex_unlock(&c->lock);
        pthread_mutex_unlock(&clients_lock);
}

/*
 * The threads that were inside of the client are not here. One that was receiving or connecting may
 * have left the connection's buffers half changed: they are left alone.
 */
static void fork_child_client(td_client *client)
{
        bool was_in_use = client->has_reader || client->is_connecting;

        attend_forget(client);
        pthread_cond_init(&client->changed, NULL);
        client->is_closed = true;
        client->is_connected = false;
        client->is_connecting = false;
        client->has_reader = false;
        client->has_sender = false;
        client->n_active = 0;
        client->n_waiting = 0;
        client->n_released = 0;
        client->n_undefined = 0;
        client->n_unmapped = 0;
        for (unsigned i = 0; i < CALL_BUCKETS; i++) {
                for (struct call *call = client->calls[i]; call; call = call->next)
                        call->state = CALL_LOST;
                client->calls[i] = NULL;
        }
        if (was_in_use) {
                if (client->connection.fd >= 0)
                        close(client->connection.fd);
                connection_init(&client->connection);
        } else {
                connection_close(&client->connection);
        }
        mappings_detach(&client->mappings);
}

static void fork_child(void)
{
        mapping_count_fork();
        for (td_client *c = clients; c; c = c->next)
                fork_child_client(c);
        for (td_client *c = clients; c; c = c->next)
                pthread_mutex_unlock(&c->lock);
        pthread_mutex_unlock(&clients_lock);
}

static void fork_register(void)
{
        pthread_atfork(fork_prepare, fork_parent, fork_child);
}

static void clients_add(td_client *client)
{
        pthread_once(&fork_once, fork_register);
        pthread_mutex_lock(&clients_lock);
        client->next = clients;
        if (clients)
                clients->prev = client;
        clients = client;
        pthread_mutex_unlock(&clients_lock);
}

static void clients_remove(td_client *client)
{
        pthread_mutex_lock(&clients_lock);
        if (client->prev)
                client->prev->next = client->next;
        else
                clients = client->next;
        if (client->next)
                client->next->prev = client->prev;
        pthread_mutex_unlock(&clients_lock);
}

/* ---- life ---- */

td_client *client_ref(td_client *client)
{
        atomic_fetch_add_explicit(&client->n_refs, 1, memory_order_relaxed);
        return client;
}

td_client *client_unref(td_client *client)
{
        if (!client || atomic_fetch_sub_explicit(&client->n_refs, 1, memory_order_acq_rel) > 1)
                return NULL;
        clients_remove(client);
        connection_deinit(&client->connection);
        mappings_detach(&client->mappings);
        pthread_mutex_destroy(&client->lock);
        pthread_cond_destroy(&client->changed);
        free(client->unmapped);
        free(client->address);
        free(client->daemon_path);
        free(client->client_name);
        free(client);
        return NULL;
}

static td_client *client_new(void)
{
        td_client *client = calloc(1, sizeof(*client));

        if (!client)
                return NULL;
        atomic_init(&client->n_refs, 1);
        atomic_init(&client->next_handle, 1);
        atomic_init(&client->next_definition, 1);
        atomic_init(&client->next_lease, 1);
        pthread_mutex_init(&client->lock, NULL);
        pthread_cond_init(&client->changed, NULL);
        connection_init(&client->connection);
        client->next_msgid = 1;
        clients_add(client);
        return client;
}

static int client_configure(td_client *client, const td_options *options, td_error *error)
{
        if (options->daemon_path && !(client->daemon_path = strdup(options->daemon_path)))
                return fail_no_memory(error);
        if (options->client_name && !(client->client_name = strdup(options->client_name)))
                return fail_no_memory(error);
        client->no_start = options->no_start;
        client->busy_poll_us = options->busy_poll_us;
        client->memory_wait_ms = options->memory_wait_ms;
        client->timeout_ms = options->timeout_ms > 0 ? options->timeout_ms : TIMEOUT_MS;
        return launch_find(options, &client->address, &client->is_private, error);
}

int td_connect(td_client **clientp, const td_options *options, td_error *error)
{
        static const td_options defaults = { .busy_poll_us = -1 };
        td_client *client = client_new();
        int r;

        if (!client)
                return fail_no_memory(error);
        r = client_configure(client, options ? options : &defaults, error);
        if (r == TD_OK)
                r = exchange_connect(client, error);
        if (r) {
                td_close(client);
                return r;
        }
        *clientp = client;
        return TD_OK;
}

void td_close(td_client *client)
{
        if (!client)
                return;
        pthread_mutex_lock(&client->lock);
        exchange_close(client);
        pthread_mutex_unlock(&client->lock);
        client_unref(client);
}

void td_set_interrupt(td_client *client, bool (*is_interrupted)(void *ctx), void *ctx)
{
        pthread_mutex_lock(&client->lock);
        client->interrupt = is_interrupted;
        client->interrupt_ctx = ctx;
        pthread_mutex_unlock(&client->lock);
}

const char *td_address(const td_client *client)
{
        return client->address;
}

/* ---- verbs ---- */

/* Ask for something whose result says nothing. */
static int ask_plainly(td_client *client, struct ask *ask, td_error *error)
{
        struct reader result;
        struct call call;
        int r;

        call_init(&call);
        r = client_ask(client, ask, NULL, 0, &call, &result, error);
        call_deinit(&call);
        return r;
}

int td_ping(td_client *client, td_error *error)
{
        struct ask ask = { .method = METHOD_PING };

        return ask_plainly(client, &ask, error);
}

int td_delete(td_client *client, const char *name, td_error *error)
{
        uint8_t op_id[16];
        struct ask ask = { .method = METHOD_DELETE, .name = name, .op_id = op_id };
        int r = check_name(name, error);

        if (r)
                return r;
        random_id(op_id);
        return ask_plainly(client, &ask, error);
}

struct raw {
        const char *method;
        const void *params;
        size_t n_params;
};

static int encode_raw(td_client *client, struct frame *frame, uint32_t msgid, void *ctx,
                      td_error *error)
{
        const struct raw *raw = ctx;

        (void)client;
        (void)error;
        frame_raw(frame, msgid, raw->method, raw->params, raw->n_params);
        return TD_OK;
}

static bool is_question(const char *method)
{
        static const char *const questions[] = { "hello", "ping", "ops", "stat", "list" };

        for (size_t i = 0; i < sizeof(questions) / sizeof(questions[0]); i++)
                if (strcmp(method, questions[i]) == 0)
                        return true;
        return false;
}

int td_call(td_client *client, const char *method, const void *params, size_t n_params,
            void **resultp, size_t *n_resultp, td_error *error)
{
        struct raw raw = { method, params, n_params };
        struct reader result;
        struct call call;
        void *bytes;
        int r;

        call_init(&call);
        r = client_repeat(client, encode_raw, &raw, is_question(method), &call, &result, error);
        if (r == TD_OK) {
                size_t n = (size_t)(result.end - result.at);

                bytes = malloc(n ? n : 1);
                if (bytes) {
                        memcpy(bytes, result.at, n);
                        *resultp = bytes;
                        *n_resultp = n;
                } else {
                        r = fail_no_memory(error);
                }
        }
        call_deinit(&call);
        return r;
}

void td_free(void *memory)
{
        free(memory);
}
