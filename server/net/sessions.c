/* SPDX-License-Identifier: MIT */
#include "net/sessions.h"

#include <assert.h>

#include "base/error.h"
#include "net/session.h"

static void on_idle(uv_idle_t *idle)
{
        struct sessions *sessions = idle->data;
        struct list turn = LIST_INIT(turn);
        struct session *session;

        /* Those that are not done with this turn come back to the list, for the next one. */
        while ((session = list_first(&sessions->ready, struct session, ready))) {
                list_unlink(&session->ready);
                list_push_back(&turn, &session->ready);
        }
        while ((session = list_first(&turn, struct session, ready))) {
                list_unlink(&session->ready);
                session_turn(session);
        }
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
        else if (list_is_empty(&sessions->ready))
                uv_idle_stop(&sessions->idle);
}

static void on_prepare(uv_prepare_t *prepare)
{
        sessions_end_turn(prepare->data);
}

static void on_check(uv_check_t *check)
{
        sessions_end_turn(check->data);
}

void sessions_want_turn(struct sessions *sessions, struct list *link)
{
        list_push_back(&sessions->ready, link);
        uv_idle_start(&sessions->idle, on_idle);
}

void sessions_init(struct sessions *sessions, struct loop *loop, struct service *service,
                   uint64_t n_fds_max, void (*ended)(void *ctx), void *ctx)
{
        *sessions =
                (struct sessions){ .loop = loop, .service = service, .ended = ended, .ctx = ctx };
        list_init(&sessions->all);
        list_init(&sessions->dirty);
        list_init(&sessions->ready);
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
