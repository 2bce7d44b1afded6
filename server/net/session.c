/* SPDX-License-Identifier: MIT */
/*
 * Sessions
 *
 * Every event of a session ends in session_update(): it sends what can be sent and derives, from
 * the state alone, what to poll for and when to look again. So no path can forget to resume reading
 * or to set a timer.
 *
 * session_free() is the only place where a session goes; its memory stays until libuv has closed
 * its handles, so that a caller further up may still look at its state.
 */
#include "net/session.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "base/error.h"
#include "base/once.h"
#include "net/sessions.h"
#include "wire/request.h"

/* One turn of a session: so many messages, or those begun within this time; others wait. */
#define SESSION_TURN 32
#define SESSION_TURN_NS (500 * 1000)
#define SESSION_ENDING_MS 1000
/* References of a connection that ended, taken out before the time is looked at: 1 us each. */
#define SESSION_TAKE_OUT 64
/* How soon to ask again whether descriptors were read, doubled each time. */
#define SESSION_LATER_MIN_MS 1
#define SESSION_LATER_MAX_MS 64
#define SESSION_LINGER_MAX_MS 4096
/* What is read and dropped before a close, so that the peer sees an end and no reset. */
#define SESSION_DRAIN_BYTES (64 * 1024)

static uint64_t now_ms(const struct session *session)
{
        return loop_now_ms(session->sessions->loop);
}

/* ---- ends ---- */

static void session_unref(struct session *session)
{
        if (--session->n_handles > 0)
                return;
        input_deinit(&session->input);
        free(session);
}

static void on_handle_closed(uv_handle_t *handle)
{
        session_unref(handle->data);
}

/* Neither socket nor client is left. */
static void session_gone(struct session *session)
{
        struct sessions *sessions = session->sessions;

        charge_drop(&session->connection);
        charge_drop(&session->memory);
        list_unlink(&session->link);
        session->turns = turns_leave(session->turns);
        sessions->n--;
        sessions->ended(sessions->ctx);
}

/* What the client had, as far as this turn goes. */
static void session_take_out(struct session *session)
{
        uint64_t began_ns = uv_hrtime();
        bool is_over;

        do
                is_over = client_take_out(&session->client, SESSION_TAKE_OUT);
        while (!is_over && uv_hrtime() - began_ns < SESSION_TURN_NS);
        turns_spend(session->turns, uv_hrtime() - began_ns);
        if (!is_over) {
                sessions_want_turn(session->sessions, session);
                return;
        }
        client_deinit(&session->client);
        session->is_leaving = false;
        if (session->state == SESSION_CLOSED)
                session_gone(session);
        session_unref(session);
}

/*
 * The service lets go of it: no reply comes any more. The client's references go in turns of its
 * user.
 */
static void session_leave(struct session *session)
{
        uint64_t began_ns = uv_hrtime();

        if (session->state != SESSION_OPEN)
                return;
        session->state = SESSION_ENDING;
        session->ending_ms = now_ms(session) + SESSION_ENDING_MS;
        list_unlink(&session->ready);
        if (session->sessions->latest == session)
                session->sessions->latest = NULL;
        charge_move(&session->connection, &session->client.connection);
        client_leave(&session->client);
        session->is_leaving = true;
        session->n_handles++;
        turns_spend(session->turns, uv_hrtime() - began_ns);
        if (turns_may_go(session->turns))
                session_take_out(session);
        else
                sessions_want_turn(session->sessions, session);
}

static void session_free(struct session *session)
{
        session->state = SESSION_CLOSED;
        list_unlink(&session->dirty);
        output_deinit(&session->output);
        uv_close((uv_handle_t *)&session->timer, on_handle_closed);
        uv_close((uv_handle_t *)&session->poll, on_handle_closed);
        close(session->fd);
        if (!session->is_leaving)
                session_gone(session);
}

static void session_drain(struct session *session)
{
        char bytes[4096];

        for (size_t n = 0; n < SESSION_DRAIN_BYTES; n += sizeof(bytes))
                if (recv(session->fd, bytes, sizeof(bytes), MSG_DONTWAIT) <= 0)
                        return;
}

/* At once, but for the socket that descriptors in flight are counted on. */
static void session_close(struct session *session)
{
        session_leave(session);
        output_drop(&session->output);
        session_drain(session);
        if (output_is_read(&session->output)) {
                session_free(session);
                return;
        }
        session->state = SESSION_LINGERING;
        session->later_step_ms = SESSION_LATER_MAX_MS;
        session->later_ms = now_ms(session) + session->later_step_ms;
        shutdown(session->fd, SHUT_RDWR);
}

/* Tell the peer why, and close when it knows. */
static void session_fail(struct session *session, enum td_error_code code, const char *message)
{
        struct reply *reply = reply_new();

        once_log(LOG_LEVEL_INFO,
                 code == TD_E_MALFORMED ? ONCE_MALFORMED
                 : code == TD_E_TIMEOUT ? ONCE_LATE
                                        : ONCE_MEMORY,
                 session->uid, "connection closed: %s", message);
        if (reply) {
                reply_notify_error(reply, code, message);
                if (reply_finish(reply))
                        reply_free(reply);
                else
                        output_push(&session->output, reply, now_ms(session));
        }
        session_leave(session);
}

/* ---- requests ---- */

static void on_reply(struct reply_sink *sink, struct reply *reply)
{
        struct session *session = container_of(sink, struct session, sink);

        output_push(&session->output, reply, now_ms(session));
        list_unlink(&session->dirty);
        list_push_back(&session->sessions->dirty, &session->dirty);
}

static void on_lost(struct reply_sink *sink)
{
        struct session *session = container_of(sink, struct session, sink);

        session->has_lost = true;
        list_unlink(&session->dirty);
        list_push_back(&session->sessions->dirty, &session->dirty);
}

static bool on_is_read(struct reply_sink *sink)
{
        return output_is_drained(&container_of(sink, struct session, sink)->output);
}

static void session_message(struct session *session, const uint8_t *bytes, size_t n_bytes)
{
        _cleanup_(request_freep) struct request *request = NULL;
        struct td_refusal refusal;
        int r;

        session->has_spoken = true;
        session->started_ms = 0;
        r = request_read(&request, bytes, n_bytes, service_nodes_cache(session->client.service),
                         &refusal);
        if (r == 0)
                service_request(&session->client, steal_ptr(&request));
        else if (r == REQUEST_E_REFUSED)
                service_refuse(&session->client, request, &refusal);
        else if (r == REQUEST_E_MALFORMED)
                session_fail(session, TD_E_MALFORMED, refusal.message);
        else
                session_fail(session, TD_E_INTERNAL, "no memory to read the request");
}

static bool session_may_read(const struct session *session)
{
        return session->state == SESSION_OPEN && !session->has_lost &&
               session->output.n_bytes <= TD_OUTPUT_SOFT && !client_is_full(&session->client);
}

/* What the input takes beyond what any may is its user's. False: it is more than that may have. */
static bool session_count_input(struct session *session)
{
        uint64_t n = session->input.n_allocated;

        n = n > INPUT_KEPT_BYTES ? n - INPUT_KEPT_BYTES : 0;
        if (n > session->memory.n)
                return !charge_grow(&session->memory, n - session->memory.n);
        charge_shrink(&session->memory, session->memory.n - n);
        return true;
}

/* The whole messages in the input, as far as this turn and the peer's reading go. */
static void session_process(struct session *session)
{
        uint64_t began_ns = uv_hrtime(), now_ns;
        const uint8_t *bytes;
        size_t n_bytes;
        int r = 0;

        session->is_behind = true;
        for (unsigned n = 0; n < SESSION_TURN && session_may_read(session) &&
                             (n == 0 || !input_is_started(&session->input) ||
                              uv_hrtime() - began_ns < SESSION_TURN_NS);
             n++) {
                r = input_next(&session->input, &bytes, &n_bytes);
                if (r)
                        break;
                session_message(session, bytes, n_bytes);
        }
        now_ns = uv_hrtime();
        turns_spend(session->turns, now_ns - began_ns);
        loop_note_message(session->sessions->loop, now_ns);
        session->sessions->latest = session->state == SESSION_OPEN ? session : NULL;

        if (r == SCAN_MORE) {
                session->is_behind = false;
                if (!input_is_started(&session->input))
                        session->started_ms = 0;
                else if (!session->started_ms)
                        session->started_ms = now_ms(session);
                input_settle(&session->input);
                session_count_input(session);
        } else if (r) {
                session_fail(session, TD_E_MALFORMED, scan_error(r));
        }
}

/* false: nothing was there */
static bool session_read(struct session *session)
{
        int r;

        if (!session_may_read(session) || session->is_behind)
                return false;
        r = input_receive(&session->input, session->fd);
        if (r == 0 && !session_count_input(session)) {
                session_fail(session, TD_E_TOO_MANY,
                             "messages of this user that are not whole take too much memory");
                return true;
        }
        if (r == 0 && !turns_may_go(session->turns))
                session->is_behind = true; /* perhaps; its turn will show */
        else if (r == 0)
                session_process(session);
        else if (r == INPUT_E_END)
                session_leave(session);
        else if (r < 0)
                session_close(session);
        return r != INPUT_E_EMPTY;
}

/* ---- what is awaited ---- */

/* When to look at this session again, whatever happens; UINT64_MAX: never. */
static uint64_t session_deadline(const struct session *session)
{
        uint64_t deadline = UINT64_MAX;

#define AT(ms) (deadline = (ms) < deadline ? (ms) : deadline)
        if (session->later_ms)
                AT(session->later_ms);
        if (session->state == SESSION_LINGERING)
                return deadline;
        if (session->state == SESSION_ENDING)
                AT(session->ending_ms);
        if (session_may_read(session) && !session->is_behind) {
                if (!session->has_spoken)
                        AT(session->born_ms + TD_FIRST_MESSAGE_MS);
                if (session->started_ms)
                        AT(session->started_ms + TD_STARTED_MESSAGE_MS);
        }
        if (!output_is_empty(&session->output))
                AT(session->output.since_ms + TD_OUTPUT_MS);
        if (session->output.n_fds_unread)
                AT(session->output.fds_since_ms + TD_OUTPUT_MS);
#undef AT
        return deadline;
}

static void on_timer(uv_timer_t *timer);

/* A timer that is early is left alone: it finds nothing due, and is set again. */
static void session_arm(struct session *session)
{
        uint64_t deadline = session_deadline(session), now = now_ms(session);

        if (deadline == UINT64_MAX) {
                uv_timer_stop(&session->timer);
                return;
        }
        if (uv_is_active((uv_handle_t *)&session->timer) &&
            uv_timer_get_due_in(&session->timer) <= (deadline > now ? deadline - now : 0))
                return;
        uv_timer_start(&session->timer, on_timer, deadline > now ? deadline - now : 0, 0);
}

static void on_poll(uv_poll_t *poll_handle, int status, int events);

static int session_listen(struct session *session, bool is_full)
{
        int events = is_full ? UV_WRITABLE : 0;

        if (session_may_read(session) && !session->is_behind)
                events |= UV_READABLE;
        if (!session->is_half_closed && session->state == SESSION_OPEN)
                events |= UV_DISCONNECT;
        if (events == session->events)
                return 0;
        session->events = events;
        return loop_watch(&session->poll, events, on_poll);
}

/* A peer that was not read from has read enough: its time to finish a message begins now. */
static void session_resume(struct session *session, bool could_read)
{
        if (could_read || !session_may_read(session))
                return;
        if (session->started_ms)
                session->started_ms = now_ms(session);
        if (!session->has_spoken)
                session->born_ms = now_ms(session);
}

static void session_wait_later(struct session *session)
{
        uint64_t now = now_ms(session);

        if (session->later_ms > now)
                return;
        session->later_step_ms = session->later_ms ? session->later_step_ms * 2
                                                   : SESSION_LATER_MIN_MS;
        if (session->later_step_ms > SESSION_LATER_MAX_MS)
                session->later_step_ms = SESSION_LATER_MAX_MS;
        session->later_ms = now + session->later_step_ms;
}

static void session_give_up(struct session *session)
{
        session_close(session);
        if (session->state == SESSION_LINGERING)
                session_update(session);
}

void session_update(struct session *session)
{
        bool could_read = session_may_read(session);
        int r;

        if (session->state == SESSION_CLOSED)
                return;
        list_unlink(&session->dirty);
        if (session->state == SESSION_LINGERING) {
                session_listen(session, false);
                session_arm(session);
                return;
        }
        r = output_flush(&session->output, now_ms(session));
        if (r < 0 || session->has_lost || session->output.is_over ||
            session->output.n_bytes > TD_OUTPUT_HARD ||
            (session->state == SESSION_ENDING && output_is_empty(&session->output))) {
                session_give_up(session);
                return;
        }
        if (r == OUTPUT_E_LATER)
                session_wait_later(session);
        else
                session->later_ms = 0;

        session_resume(session, could_read);
        if (session->is_behind && session_may_read(session) && list_is_empty(&session->ready))
                sessions_want_turn(session->sessions, session);
        if (session_listen(session, r == OUTPUT_E_FULL))
                session_give_up(session);
        else
                session_arm(session);
}

/* ---- events ---- */

/* The peer sends no more while it is not read from. A half-closed one may still read; one that is
 * gone does not. */
static void session_hang_up(struct session *session)
{
        struct pollfd pollfd = { .fd = session->fd };

        session->is_half_closed = true;
        if (poll(&pollfd, 1, 0) > 0 && (pollfd.revents & (POLLHUP | POLLERR)))
                session_close(session);
}

static void on_poll(uv_poll_t *poll_handle, int status, int events)
{
        struct session *session = poll_handle->data;

        if (status < 0)
                session_close(session);
        else if (events & UV_READABLE)
                session_read(session);
        else if (events & UV_DISCONNECT)
                session_hang_up(session);
        session_update(session);
}

void session_glance(struct session *session)
{
        if (session_read(session))
                session_update(session);
}

void session_turn(struct session *session)
{
        if (session->is_leaving) {
                session_take_out(session);
                return;
        }
        session_process(session);
        session_update(session);
}

static void session_linger(struct session *session)
{
        if (output_is_read(&session->output)) {
                session_free(session);
                return;
        }
        if (session->later_step_ms < SESSION_LINGER_MAX_MS)
                session->later_step_ms *= 2;
        session->later_ms = now_ms(session) + session->later_step_ms;
}

/* An open session whose time for a message is over. */
static bool session_is_late(const struct session *session)
{
        uint64_t now = now_ms(session);

        if (!session_may_read(session) || session->is_behind)
                return false;
        if (!session->has_spoken && now >= session->born_ms + TD_FIRST_MESSAGE_MS)
                return true;
        return session->started_ms && now >= session->started_ms + TD_STARTED_MESSAGE_MS;
}

/* A peer that does not read its replies, or not the descriptors that it was sent. */
static bool session_is_deaf(struct session *session)
{
        struct output *output = &session->output;
        uint64_t now = now_ms(session);

        if (!output_is_empty(output) && now >= output->since_ms + TD_OUTPUT_MS)
                return true;
        return output->n_fds_unread && now >= output->fds_since_ms + TD_OUTPUT_MS &&
               !output_is_read(output);
}

static void on_timer(uv_timer_t *timer)
{
        struct session *session = timer->data;

        if (session->state == SESSION_LINGERING) {
                if (now_ms(session) >= session->later_ms)
                        session_linger(session);
        } else if (session->state == SESSION_ENDING && now_ms(session) >= session->ending_ms) {
                session_close(session);
        } else if (session_is_deaf(session)) {
                once_log(LOG_LEVEL_INFO, ONCE_DEAF, session->uid,
                         "connection closed: its output was not read for %d s",
                         TD_OUTPUT_MS / 1000);
                session_close(session);
        } else if (session_is_late(session)) {
                session_fail(session, TD_E_TIMEOUT,
                             session->has_spoken ? "a message was begun and not finished in time"
                                                 : "no message came in time");
        }
        session_update(session);
}

/* ---- life ---- */

void session_end(struct session *session)
{
        session_leave(session);
        if (session->state == SESSION_LINGERING)
                session_free(session);
        session_update(session);
}

static int peer_credentials(int fd, uid_t *uidp, pid_t *pidp)
{
        struct ucred credentials;
        socklen_t n = sizeof(credentials);

        if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &n))
                return error_origin(-errno);
        *uidp = credentials.uid;
        *pidp = credentials.pid;
        return 0;
}

/* There is no session for it: tell the peer why, as far as its socket takes that at once. */
static void refuse(int fd, const struct td_refusal *refusal)
{
        _cleanup_(reply_freep) struct reply *reply = reply_new();

        if (!reply)
                return;
        reply_notify_error(reply, refusal->code, refusal->message);
        if (!reply_finish(reply) &&
            send(fd, reply->bytes, reply->n_bytes, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
                log_debug("a refused connection was not told why");
}

int session_new(struct sessions *sessions, int fd_in)
{
        _cleanup_(closep) int fd = fd_in;
        _cleanup_(freep) struct session *session = calloc(1, sizeof(*session));
        struct session *s = session;
        pid_t pid = 0;
        struct td_refusal refusal;
        int r;

        if (!session)
                return error_origin(-ENOMEM);
        s->sessions = sessions;
        s->fd = fd;
        s->sink = (struct reply_sink){ .send = on_reply, .lost = on_lost, .is_read = on_is_read };
        list_init(&s->link);
        list_init(&s->dirty);
        list_init(&s->ready);
        input_init(&s->input);
        r = peer_credentials(fd, &s->uid, &pid);
        if (r)
                return r;
        r = turns_join(&sessions->turns, s->uid, &s->turns);
        if (r)
                return r;
        r = client_init(&s->client, sessions->service, s->uid, &s->sink, &refusal);
        if (r > 0)
                refuse(fd, &refusal);
        if (r) {
                turns_leave(s->turns);
                return r;
        }
        s->client.pid = (uint32_t)pid;
        r = uv_poll_init(&sessions->loop->uv, &s->poll, fd);
        if (r) {
                client_deinit(&s->client);
                turns_leave(s->turns);
                return error_origin(r);
        }
        uv_timer_init(&sessions->loop->uv, &s->timer);
        s->n_handles = 2;
        s->poll.data = s->timer.data = s;
        output_init(&s->output, fd, &sessions->budget, s->client.user);
        charge_adopt(&s->memory, s->client.user, RESOURCE_WORKSPACE, 0);
        s->born_ms = now_ms(s);
        list_push_back(&sessions->all, &s->link);
        sessions->n++;
        steal_fd(&fd);
        session_update(steal_ptr(&session));
        return 0;
}
