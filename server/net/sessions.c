/* SPDX-License-Identifier: MIT */
#include "net/sessions.h"

#include <assert.h>

#include "base/error.h"
#include "net/session.h"

/* So long at a time those in line have their turns; then the loop looks who else is there. */
#define SESSIONS_TURNS_NS (2 * 1000 * 1000)

static void on_idle(uv_idle_t *idle)
{
        struct sessions *sessions = idle->data;
        uint64_t began_ns = uv_hrtime();
        struct list *link;

        do {
                link = turns_next(&sessions->turns);
                if (link)
                        session_turn(list_entry(link, struct session, ready));
        } while (link && uv_hrtime() - began_ns < SESSIONS_TURNS_NS);
}

/* Whatever was queued outside of a session's own turn goes out before the loop sleeps. */
static void sessions_flush(struct sessions *sessions)
{
        struct session *session;

        while ((session = list_first(&sessions->dirty, struct session, dirty)))
                session_update(session);
}

static void sessions_end_turn(struct sessions *sessions)
{
        sessions_flush(sessions);
        if (service_end_turn(sessions->service))
                loop_note_answer(sessions->loop);
        sessions_flush(sessions);
        if (service_is_behind(sessions->service))
                uv_idle_start(&sessions->idle, on_idle);
        else if (turns_is_empty(&sessions->turns))
                uv_idle_stop(&sessions->idle);
}

static void on_prepare(uv_prepare_t *prepare)
{
        struct sessions *sessions = prepare->data;

        sessions_end_turn(sessions);
        turns_begin_round(&sessions->turns);
}

static void on_check(uv_check_t *check)
{
        sessions_end_turn(check->data);
}

void sessions_want_turn(struct sessions *sessions, struct session *session)
{
        turns_wait(session->turns, &session->ready);
        uv_idle_start(&sessions->idle, on_idle);
}

void sessions_init(struct sessions *sessions, struct loop *loop, struct service *service,
                   uint64_t n_fds_max, void (*ended)(void *ctx), void *ctx)
{
        *sessions =
                (struct sessions){ .loop = loop, .service = service, .ended = ended, .ctx = ctx };
        list_init(&sessions->all);
        list_init(&sessions->dirty);
        turns_init(&sessions->turns);
        fd_budget_init(&sessions->budget, n_fds_max);
        /* None of these can fail. */
        uv_prepare_init(&loop->uv, &sessions->prepare);
        uv_check_init(&loop->uv, &sessions->check);
        uv_idle_init(&loop->uv, &sessions->idle);
        sessions->prepare.data = sessions->check.data = sessions->idle.data = sessions;
        uv_prepare_start(&sessions->prepare, on_prepare);
        uv_check_start(&sessions->check, on_check);
}

void sessions_deinit(struct sessions *sessions)
{
        assert(list_is_empty(&sessions->all));
        assert(sessions->n == 0);
        turns_deinit(&sessions->turns);
        fd_budget_deinit(&sessions->budget);
        uv_close((uv_handle_t *)&sessions->prepare, NULL);
        uv_close((uv_handle_t *)&sessions->check, NULL);
        uv_close((uv_handle_t *)&sessions->idle, NULL);
}

int sessions_add(struct sessions *sessions, int fd)
{
        return session_new(sessions, fd);
}

void sessions_glance(struct sessions *sessions)
{
        if (sessions->latest)
                session_glance(sessions->latest);
}

void sessions_end(struct sessions *sessions)
{
        struct session *session;

        list_for_each (session, &sessions->all, link)
                session_end(session);
}
