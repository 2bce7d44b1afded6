/* SPDX-License-Identifier: MIT */
#include "service/starved.h"

#include <assert.h>
#include <stdlib.h>

#include "base/clock.h"
#include "service/core.h"

static struct line *line_of(struct service *service, const struct user *user)
{
        struct line *line;

        list_for_each (line, &service->lines, link)
                if (line->user == user)
                        return line;
        return NULL;
}

static struct line *line_get(struct service *service, struct user *user)
{
        struct line *line = line_of(service, user);

        if (line)
                return line;
        line = calloc(1, sizeof(*line));
        if (!line)
                return NULL;
        list_init(&line->calls);
        line->user = user_ref(user);
        list_push_back(&service->lines, &line->link);
        return line;
}

static void line_settle(struct line *line)
{
        if (!list_is_empty(&line->calls) || line->first)
                return;
        list_unlink(&line->link);
        user_unref(line->user);
        free(line);
}

/* Who stands there now, if it is another than before, begins anew. */
static struct call *line_first(struct line *line, uint64_t now_ms)
{
        struct call *call = list_first(&line->calls, struct call, queue);

        if (call && call == line->first && now_ms - line->since_ms >= FRONT_MS) {
                list_unlink(&call->queue);
                list_push_back(&line->calls, &call->queue);
                line->first = NULL;
                call = list_first(&line->calls, struct call, queue);
        }
        if (call && call != line->first) {
                line->first = call;
                line->since_ms = now_ms;
                line->n_overtaken = 0;
                call_set_timer(call, now_ms + FRONT_MS);
        }
        if (call)
                line->n_asked = call->starved_bytes;
        return call;
}

/* ---- waiting ---- */

static bool is_for_memory(const struct call *call, int r)
{
        if (r == STORE_E_QUOTA)
                return call->user->users->refusal.resource == RESOURCE_BYTES;
        return r == STORE_E_LIMIT || r == STORE_E_TRIMMING;
}

/* Until when it would wait, 0: not at all. */
static uint64_t patience_until_ms(const struct call *call, int r, uint64_t now_ms)
{
        uint64_t until_ms = 0;

        /* What may be asked for again goes on without its connection. */
        if (call->blocked_until_ms < UINT64_MAX && (call->client || call->repeat))
                until_ms = call->blocked_until_ms;
        if (r == STORE_E_TRIMMING) {
                uint64_t began_ms = call->starved_ms ? call->starved_ms : now_ms;

                until_ms = began_ms + STARVED_MS > until_ms ? began_ms + STARVED_MS : until_ms;
        }
        return until_ms > now_ms ? until_ms : 0;
}

bool starved_wait(struct call *call, int r, uint64_t asked)
{
        struct service *service = call->service;
        uint64_t now_ms = clock_now_ms(), until_ms;
        struct line *line;

        if (call->is_last_try || !is_for_memory(call, r))
                return false;
        until_ms = patience_until_ms(call, r, now_ms);
        line = until_ms ? line_get(service, call->user) : NULL;
        if (!line)
                return false;
        if (call_count_waiting(call)) {
                /* The refusal of memory says more. */
                line_settle(line);
                return false;
        }
        list_unlink(&call->queue);
        /* Whose turn it was keeps it. */
        if (line->first == call)
                list_push_front(&line->calls, &call->queue);
        else
                list_push_back(&line->calls, &call->queue);
        if (!call->starved_ms)
                call->starved_ms = now_ms;
        call->starved_until_ms = until_ms;
        call->starved_bytes = asked;
        call->line = line;
        call->is_trimming = r == STORE_E_TRIMMING;
        service->n_trimming += call->is_trimming;
        call_set_timer(call, until_ms);
        line_first(line, now_ms);
        service->has_starved = true;
        return true;
}

void starved_leave(struct call *call)
{
        struct line *line = call->line;

        if (!line)
                return;
        call->line = NULL;
        call->service->n_trimming -= call->is_trimming;
        call->is_trimming = false;
        call_stop_waiting(call);
        list_unlink(&call->queue);
        if (line->first == call)
                line->first = NULL;
        line_settle(line);
        /* Who stood behind it may get through where it could not. */
        call->service->has_freed = true;
}

uint64_t starved_due_ms(const struct call *call)
{
        return call->line ? call->starved_until_ms : UINT64_MAX;
}

void starved_try_last(struct call *call)
{
        starved_leave(call);
        call_set_timer(call, call->deadline_ms);
        call->is_last_try = true;
        list_push_back(&call->service->ready, &call->queue);
}

bool starved_want_ticks(const struct service *service)
{
        return service->n_trimming > 0;
}

/* ---- feeding ---- */

/* The first of a line is started, and is its first as long as it is under way here. */
static bool line_try(struct service *service, struct line *line, struct call *call)
{
        call->line = NULL;
        service->n_trimming -= call->is_trimming;
        call->is_trimming = false;
        call_stop_waiting(call);
        list_unlink(&call->queue);
        service->has_starved = false;
        call_start(call);
        if (!service->has_starved) /* it may be gone by now: compared only */
                line->first = NULL;
        return !service->has_starved;
}

void starved_feed(struct service *service)
{
        uint64_t now_ms = clock_now_ms();
        unsigned n_lines = 0;
        bool has_fed = false;
        struct line *line;

        list_for_each (line, &service->lines, link)
                n_lines++;
        for (; n_lines > 0; n_lines--) {
                struct call *call;

                line = list_first(&service->lines, struct line, link);
                list_unlink(&line->link);
                list_push_back(&service->lines, &line->link);
                call = line_first(line, now_ms);
                has_fed = line_try(service, line, call) || has_fed;
                line_settle(line);
        }
        /* What an attempt in vain gave back came free for nobody else. */
        service->has_freed = has_fed;
}

void starved_refuse_all(struct service *service)
{
        struct line *line;

        while ((line = list_first(&service->lines, struct line, link)))
                call_refuse(list_first(&line->calls, struct call, queue), TD_E_SHUTTING_DOWN,
                            "the daemon is stopping");
}

/* ---- overtaking ---- */

int starved_reserve(struct call *call, struct holder *holder, uint64_t n_bytes,
                    struct segment **segmentp, bool *is_readyp)
{
        struct service *service = call->service;
        struct line *line = line_of(service, call->user);
        bool is_later = line && line->first && line->first != call;
        int r;

        call->is_kept_back = is_later && line->n_asked > 0 && line->n_overtaken >= line->n_asked;
        if (call->is_kept_back)
                return STORE_E_LIMIT;
        r = store_reserve(service->store, call->user, holder, n_bytes, segmentp, is_readyp);
        if (!r && is_later)
                line->n_overtaken += n_bytes;
        return r;
}
