/* SPDX-License-Identifier: MIT */
/*
 * Exchange
 *
 * Requests out, replies in, for any number of threads over one socket. The thread that waits for a
 * reply while nobody reads becomes the reader and serves all; replies are handled in the order of
 * their arrival, descriptors become mappings at once, so whoever speaks of a segment later finds
 * it.
 *
 * A reader polls without sleeping for a moment, because a wake-up costs more than a small request.
 */
#include "client.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

/* ---- calls ---- */

void call_init(struct call *call)
{
        call->next = NULL;
        call->state = CALL_NEW;
        call->may_cancel = false;
        call->gives_away = false;
        call->end_ms = 0;
        call->has_news = false;
        call->tell = NULL;
        call->cause = TD_OK;
        call->reply = call->first;
        call->n_reply = 0;
}

void call_deinit(struct call *call)
{
        if (call->reply != call->first)
                free(call->reply);
        call->reply = NULL;
}

static struct call *client_take_call(td_client *client, uint32_t msgid)
{
        struct call **link = &client->calls[msgid % CALL_BUCKETS], *call;

        while (*link && (*link)->msgid != msgid)
                link = &(*link)->next;
        call = *link;
        if (call)
                *link = call->next;
        return call;
}

void exchange_expect(td_client *client, struct call *call)
{
        call->msgid = client->next_msgid++;
        call->epoch = client->epoch;
        call->state = CALL_SENT;
        call->next = client->calls[call->msgid % CALL_BUCKETS];
        client->calls[call->msgid % CALL_BUCKETS] = call;
}

void exchange_forget(td_client *client, struct call *call)
{
        if (call->state != CALL_SENT)
                return;
        client_take_call(client, call->msgid);
        call->state = CALL_NEW;
}

static void client_lose_calls(td_client *client)
{
        for (unsigned i = 0; i < CALL_BUCKETS; i++) {
                struct call *call;

                while ((call = client->calls[i])) {
                        client->calls[i] = call->next;
                        call->state = CALL_LOST;
                        call->cause = client->complaint.code;
                }
        }
}

static void call_answer(struct call *call, const struct reader *body)
{
        size_t n = (size_t)(body->end - body->at);

        if (n > sizeof(call->first)) {
                call->reply = malloc(n);
                if (!call->reply) {
                        call->reply = call->first;
                        call->state = CALL_LOST;
                        call->cause = TD_E_CLIENT_MEMORY;
                        return;
                }
        }
        memcpy(call->reply, body->at, n);
        call->n_reply = n;
        call->state = CALL_DONE;
}

/* ---- waiting for others ---- */

static void client_changed(td_client *client)
{
        if (client->n_waiting > 0)
                pthread_cond_broadcast(&client->changed);
}

static void client_wait(td_client *client)
{
        client->n_waiting++;
        pthread_cond_wait(&client->changed, &client->lock);
        client->n_waiting--;
}

/* For so long at most. */
static void client_wait_ms(td_client *client, int timeout_ms)
{
        struct timespec until;

        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_nsec += timeout_ms * 1000000L;
        until.tv_sec += until.tv_nsec / 1000000000;
        until.tv_nsec %= 1000000000;
        client->n_waiting++;
        pthread_cond_timedwait(&client->changed, &client->lock, &until);
        client->n_waiting--;
}

/* Close the socket of a connection that ended, once nobody uses it. */
static void client_settle(td_client *client)
{
        if (!client->is_connected && !client->is_connecting && !client->has_reader &&
            !client->has_sender)
                connection_close(&client->connection);
        client_changed(client);
}

void exchange_break(td_client *client)
{
        if (!client->is_connected)
                return;
        client->is_connected = false;
        client_lose_calls(client);
        /* First: the daemon looks who maps what is left as soon as it sees the end. */
        mappings_detach(&client->mappings);
        shutdown(client->connection.fd, SHUT_RDWR);
        client->n_released = 0;
        client->n_released_bytes = 0;
        client->n_undefined = 0;
        client->n_unmapped = 0;
        client_settle(client);
}

void exchange_close(td_client *client)
{
        client->is_closed = true;
        exchange_break(client);
        attend_end(client);
        while (client->n_active > 0 || client->has_sender || client->has_reader)
                client_wait(client);
        connection_deinit(&client->connection);
}

/* ---- receiving ---- */

/* Descriptors become mappings. false: the daemon announced other descriptors than it sent. */
static bool client_take_fds(td_client *client, const struct message *message)
{
        struct reader body = message->body;
        struct handed handed[TD_FDS_MAX];
        int n;

        if (reader_next(&body).kind != READ_NIL)
                return true;
        n = read_handed(body, handed);
        for (int i = 0; i < n; i++) {
                int fd = connection_take_fd(&client->connection);

                if (fd < 0)
                        return false;
                mappings_add(&client->mappings, &handed[i], fd);
        }
        return n >= 0;
}

static void client_take_trim(td_client *client, struct reader *params)
{
        uint32_t n = reader_array(params);

        for (uint32_t i = 0; i < n && !params->has_failed; i++) {
                uint64_t segment = reader_uint(params);

                if (!params->has_failed && mappings_trim(&client->mappings, segment))
                        exchange_unmapped(client, segment);
        }
}

static void client_take_progress(td_client *client, struct reader *params)
{
        uint32_t n = reader_array(params), msgid = (uint32_t)reader_uint(params);
        uint64_t n_done = reader_uint(params), n_steps = reader_uint(params);
        struct call *call = client->calls[msgid % CALL_BUCKETS];

        while (call && call->msgid != msgid)
                call = call->next;
        if (n < 3 || params->has_failed || !call)
                return;
        call->n_done = n_done;
        call->n_steps = n_steps;
        call->has_news = true;
}

static void client_take_complaint(td_client *client, struct reader *params)
{
        size_t n_code, n_text;
        const char *code, *text;

        if (reader_array(params) < 2)
                return;
        code = reader_str(params, &n_code);
        text = reader_str(params, &n_text);
        if (params->has_failed)
                return;
        error_set(&client->complaint, error_from_name(code, n_code), "%.*s", (int)n_text, text);
}

static bool client_take_message(td_client *client, const uint8_t *bytes, size_t n_bytes)
{
        struct message message;
        struct call *call;

        if (!message_read(&message, bytes, n_bytes))
                return false;
        if (message.is_notification && text_is(message.method, message.n_method, "trim"))
                client_take_trim(client, &message.body);
        else if (message.is_notification && text_is(message.method, message.n_method, "error"))
                client_take_complaint(client, &message.body);
        else if (message.is_notification && text_is(message.method, message.n_method, "progress"))
                client_take_progress(client, &message.body);
        if (message.is_notification)
                return true;
        if (!client_take_fds(client, &message))
                return false;
        call = client_take_call(client, message.msgid);
        if (call)
                call_answer(call, &message.body);
        return true;
}

/* What a receive yielded, under the lock. */
static void client_take(td_client *client, int r)
{
        const uint8_t *bytes;
        size_t n_bytes;
        int found = 0;

        if (!client->is_connected)
                return;
        while (r > 0 && (found = connection_next(&client->connection, &bytes, &n_bytes)) > 0) {
                if (!client_take_message(client, bytes, n_bytes)) {
                        found = -EPROTO;
                        break;
                }
        }
        if (r < 0 || found < 0)
                exchange_break(client);
}

/* How often one who waits and may be interrupted looks up; a signal wakes it at once. */
#define INTERRUPT_MS 100
/* How long the answer of a run that was cancelled is waited for; one pass may take 2 s by then. */
#define ABANDON_MS 4000

/* Receive something: spin, then sleep until it comes, or once for timeout_ms (-1: no bound). */
static int receive_patiently(struct connection *connection, int64_t spin_ns, int timeout_ms)
{
        bool spins = spin_ns > 0 && td_patience_may_poll(&connection->patience);
        int64_t end_ns = spins ? now_ns() + spin_ns : 0;
        int r;

        do {
                r = connection_receive(connection);
        } while (r == 0 && spins && now_ns() < end_ns);
        if (spins)
                td_patience_polled(&connection->patience, r == 0);
        else
                td_patience_rest(&connection->patience);
        while (r == 0) {
                r = connection_wait(connection, POLLIN, timeout_ms);
                if (r >= 0)
                        r = connection_receive(connection);
                if (timeout_ms >= 0)
                        break;
        }
        return r;
}

/* Be the reader for once: for something to come (in timeout_ms, -1: ever), or what is there (0). */
static void client_read(td_client *client, int timeout_ms)
{
        int64_t spin_ns = client->spin_ns;
        int r;

        client->has_reader = true;
        pthread_mutex_unlock(&client->lock);
        r = timeout_ms ? receive_patiently(&client->connection, spin_ns, timeout_ms)
                       : connection_receive(&client->connection);
        pthread_mutex_lock(&client->lock);
        client_take(client, r);
        client->has_reader = false;
        client_settle(client);
        if (client->n_unmapped > 0)
                exchange_flush(client);
}

/* ---- sending ---- */

/*
 * The socket takes no more: wait until it does, reading meanwhile, since the daemon may wait for us
 * to read.
 */
static void client_wait_writable(td_client *client)
{
        bool reads = !client->has_reader;
        int events, r = 0;

        if (reads)
                client->has_reader = true;
        pthread_mutex_unlock(&client->lock);
        events = connection_wait(&client->connection, (short)(reads ? POLLIN | POLLOUT : POLLOUT),
                                 reads ? -1 : 100);
        if (reads && events > 0 && events & (POLLIN | POLLHUP | POLLERR))
                r = connection_receive(&client->connection);
        pthread_mutex_lock(&client->lock);
        if (!reads)
                return;
        client_take(client, r);
        client->has_reader = false;
        client_changed(client);
}

/*
 * The other side is gone: what it said before tells why. A reader will see to it, if there is one.
 */
static void client_drain_input(td_client *client)
{
        int r;

        if (client->has_reader)
                return;
        do {
                r = connection_receive(&client->connection);
                client_take(client, r);
        } while (r > 0 && client->is_connected);
        exchange_break(client);
}

static void client_send(td_client *client)
{
        if (client->has_sender)
                return;
        client->has_sender = true;
        while (client->is_connected) {
                int r = connection_send(&client->connection);

                if (r == 0)
                        break;
                if (r == 1) {
                        client_wait_writable(client);
                        continue;
                }
                client_drain_input(client);
                break;
        }
        client->has_sender = false;
        client_settle(client);
}

static void client_gone(void *ctx, uint64_t segment)
{
        exchange_unmapped(ctx, segment);
}

/* Write what is to be told; unmaps first, so that a released segment is not given back to us. */
static void client_write_queued(td_client *client)
{
        struct frame *out = &client->connection.out;

        mappings_purge(&client->mappings, client_gone, client);
        if (client->n_unmapped > 0)
                frame_unmap(out, client->unmapped, client->n_unmapped);
        if (client->n_released > 0)
                frame_release(out, client->released, client->n_released);
        if (client->n_undefined > 0)
                frame_undefine(out, client->undefined, client->n_undefined);
        client->n_unmapped = 0;
        client->n_released = 0;
        client->n_released_bytes = 0;
        client->n_undefined = 0;
}

void exchange_flush(td_client *client)
{
        struct frame *out = &client->connection.out;
        size_t n_bytes = out->n_bytes;

        if (!client->is_connected)
                return;
        client_write_queued(client);
        if (out->has_failed) {
                frame_truncate(out, n_bytes);
                exchange_break(client);
                return;
        }
        client_send(client);
}

void exchange_unmapped(td_client *client, uint64_t segment)
{
        if (!client->is_connected)
                return;
        if (client->n_unmapped == client->n_unmapped_allocated) {
                size_t n = client->n_unmapped ? 2 * client->n_unmapped : 16;
                uint64_t *unmapped = realloc(client->unmapped, n * sizeof(*unmapped));

                if (!unmapped) {
                        /* Not to tell would let the daemon count on a mapping that is gone. */
                        exchange_break(client);
                        return;
                }
                client->unmapped = unmapped;
                client->n_unmapped_allocated = n;
        }
        client->unmapped[client->n_unmapped++] = segment;
}

void exchange_released(td_client *client, uint64_t handle, uint64_t n_bytes)
{
        if (!client->is_connected)
                return;
        client->released[client->n_released++] = handle;
        client->n_released_bytes += n_bytes;
        if (client->n_released == RELEASES_MAX || client->n_released_bytes >= RELEASES_BYTES)
                exchange_flush(client);
}

void exchange_undefined(td_client *client, uint64_t definition, uint64_t n_bytes)
{
        if (!client->is_connected)
                return;
        client->undefined[client->n_undefined++] = definition;
        client->n_released_bytes += n_bytes;
        if (client->n_undefined == RELEASES_MAX || client->n_released_bytes >= RELEASES_BYTES)
                exchange_flush(client);
}

/* ---- connecting ---- */

/* A connection, under the lock, which is let go meanwhile. */
static int client_connect(td_client *client, td_error *error)
{
        struct greeting greeting;
        int r;

        for (;;) {
                if (client->is_closed)
                        return error_set(
                                error, TD_E_CLOSED,
                                "the client was closed, or belongs to the process before fork");
                if (client->is_connected)
                        return TD_OK;
                if (!client->is_connecting && !client->has_reader && !client->has_sender)
                        break;
                client_wait(client);
        }
        client->is_connecting = true;
        pthread_mutex_unlock(&client->lock);
        r = launch_connect(client, &client->connection, client->epoch > 0, &greeting, error);
        pthread_mutex_lock(&client->lock);
        client->is_connecting = false;
        if (r == TD_OK) {
                client->is_connected = true;
                client->epoch++;
                attend_wake(client);
                client->complaint.code = TD_OK;
                leases_ask_back(client);
                client->spin_ns = (client->busy_poll_us < 0 ? greeting.busy_poll_us
                                                            : client->busy_poll_us) *
                                  1000;
        }
        client_settle(client);
        if (r == TD_OK && client->is_closed) {
                exchange_break(client);
                return error_set(error, TD_E_CLOSED, "the client was closed");
        }
        return r;
}

int exchange_connect(td_client *client, td_error *error)
{
        int r;

        pthread_mutex_lock(&client->lock);
        client->n_active++;
        r = client_connect(client, error);
        client->n_active--;
        client_changed(client);
        pthread_mutex_unlock(&client->lock);
        return r;
}

/* Under the lock: write the request behind what waits to be told. */
static int client_write(td_client *client, struct call *call, encode_fn encode, void *ctx,
                        td_error *error)
{
        struct frame *out = &client->connection.out;
        size_t n_start, n_before = out->n_bytes;
        int r;

        client_write_queued(client);
        n_start = out->n_bytes;
        exchange_expect(client, call);
        r = encode(client, out, call->msgid, ctx, error);
        if (out->has_failed) {
                frame_truncate(out, n_before);
                exchange_forget(client, call);
                exchange_break(client);
                return fail_no_memory(error);
        }
        if (r == TD_OK && out->n_bytes - n_start > TD_MESSAGE_MAX)
                r = error_set(error, TD_E_BAD_PROGRAM,
                              "the request has %zu bytes; a message has at most %d",
                              out->n_bytes - n_start, TD_MESSAGE_MAX);
        if (r) {
                frame_truncate(out, n_start);
                exchange_forget(client, call);
        }
        return r;
}

int exchange_begin(td_client *client, struct call *call, encode_fn encode, void *ctx,
                   td_error *error)
{
        int r;

        pthread_mutex_lock(&client->lock);
        client->n_active++;
        r = client_connect(client, error);
        while (r == TD_OK && client->has_sender && client->is_connected &&
               client->connection.out.n_bytes > TD_MESSAGE_MAX)
                client_wait(client);
        if (r == TD_OK && !client->is_connected)
                r = client_connect(client, error);
        if (r == TD_OK)
                r = client_write(client, call, encode, ctx, error);
        client_send(client);
        client->n_active--;
        client_changed(client);
        pthread_mutex_unlock(&client->lock);
        return r;
}

/* ---- ending early ---- */

/* Under the lock. */
static void client_cancel(td_client *client, const struct call *call)
{
        struct frame *out = &client->connection.out;
        size_t n_bytes = out->n_bytes;

        if (call->state != CALL_SENT || !client->is_connected || call->epoch != client->epoch)
                return;
        frame_cancel(out, call->msgid);
        if (out->has_failed) {
                /* Nobody would give back what it may still be granted. */
                frame_truncate(out, n_bytes);
                exchange_break(client);
        } else {
                client_send(client);
        }
}

void exchange_cancel(td_client *client, struct call *call)
{
        pthread_mutex_lock(&client->lock);
        client->n_active++;
        client_cancel(client, call);
        client->n_active--;
        client_changed(client);
        pthread_mutex_unlock(&client->lock);
}

/* Asked without the lock: who answers may wait for somebody who wants it. */
static bool client_is_interrupted(td_client *client)
{
        bool (*interrupt)(void *) = client->interrupt;
        void *ctx = client->interrupt_ctx;
        bool is_interrupted;

        pthread_mutex_unlock(&client->lock);
        is_interrupted = interrupt && interrupt(ctx);
        pthread_mutex_lock(&client->lock);
        return is_interrupted;
}

/*
 * Who waits for it is interrupted: it is cancelled, and its answer will be dropped. But where it
 * gave tensors away, and the results may lie in their memory already, the answer is waited for.
 */
static void client_abandon(td_client *client, struct call *call)
{
        if (call->state == CALL_SENT && !call->end_ms) {
                client_cancel(client, call);
                call->end_ms = now_ms() + ABANDON_MS;
                if (call->gives_away && call->state == CALL_SENT)
                        return;
        }
        exchange_forget(client, call);
        if (call->state == CALL_LOST)
                call->state = CALL_NEW;
}

/* Without the lock, as above. A call that is to end is cancelled. */
static void client_tell(td_client *client, struct call *call)
{
        uint64_t n_done = call->n_done, n_steps = call->n_steps;
        bool goes_on;

        if (!call->has_news || !call->tell || call->end_ms)
                return;
        call->has_news = false;
        pthread_mutex_unlock(&client->lock);
        goes_on = call->tell(call->tell_ctx, n_done, n_steps);
        pthread_mutex_lock(&client->lock);
        if (!goes_on)
                client_abandon(client, call);
}

int exchange_finish(td_client *client, struct call *call, struct reader *result, td_error *error)
{
        bool is_stopping = false;
        int r;

        pthread_mutex_lock(&client->lock);
        client->n_active++;
        while (call->state == CALL_SENT) {
                bool looks_up = call->end_ms || (call->may_cancel && client->interrupt);

                if (!client->has_reader)
                        client_read(client, looks_up ? INTERRUPT_MS : -1);
                else if (looks_up)
                        client_wait_ms(client, INTERRUPT_MS);
                else
                        client_wait(client);
                if (looks_up && call->state != CALL_DONE &&
                    (call->end_ms ? now_ms() >= call->end_ms : client_is_interrupted(client)))
                        client_abandon(client, call);
                client_tell(client, call);
        }
        if (call->state == CALL_NEW || (call->state == CALL_LOST && call->end_ms)) {
                r = error_set(error, TD_E_CANCELLED, "interrupted while waiting for the answer");
        } else if (call->state == CALL_LOST) {
                r = EXCHANGE_LOST;
                if (call->cause)
                        error_set(error, call->cause, "%s", client->complaint.message);
        } else {
                *result = reader_of(call->reply, call->n_reply);
                r = read_error(result, error);
                is_stopping = r == TD_E_SHUTTING_DOWN;
        }
        if (is_stopping) {
                if (call->epoch == client->epoch)
                        exchange_break(client);
                r = EXCHANGE_LOST;
        }
        client->n_active--;
        client_changed(client);
        pthread_mutex_unlock(&client->lock);
        return r;
}

bool exchange_poll(td_client *client, struct call *call)
{
        bool is_there;

        pthread_mutex_lock(&client->lock);
        client->n_active++;
        if (client->is_connected && !client->has_reader && (!call || call->state == CALL_SENT))
                client_read(client, 0);
        if (call)
                client_tell(client, call);
        is_there = !call || call->state != CALL_SENT;
        client->n_active--;
        client_changed(client);
        pthread_mutex_unlock(&client->lock);
        return is_there;
}
