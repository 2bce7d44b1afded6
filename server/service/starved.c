/* SPDX-License-Identifier: MIT */
#include "service/starved.h"

#include <assert.h>
#include <stdlib.h>

#include "base/clock.h"
#include "service/core.h"
#include "service/fetch.h"
#include "store/spill.h"

/* Of those who wait behind the first one of a line: so many are looked at, and tried, at a time. */
#define BEHIND_LOOKED 256
#define BEHIND_TRIED 8

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
        list_init(&line->brief);
        line->user = user_ref(user);
        list_push_back(&service->lines, &line->link);
        return line;
}

static void line_settle(struct line *line)
{
        if (!list_is_empty(&line->calls) || !list_is_empty(&line->brief) || line->first ||
            line->tried)
                return;
        list_unlink(&line->link);
        user_unref(line->user);
        free(line);
}

static void line_push_back(struct line *line, struct call *call)
{
        call->starved_place = ++line->n_places;
        list_push_back(&line->calls, &call->queue);
}

/* One that was tried goes where it stood; that is not far from the front. */
static void line_put_back(struct line *line, struct call *call)
{
        struct call *behind;

        list_for_each (behind, &line->calls, queue)
                if (behind->starved_place > call->starved_place) {
                        list_push_back(&behind->queue, &call->queue);
                        return;
                }
        list_push_back(&line->calls, &call->queue);
}

/* Who stands there now, if it is another than before, begins anew. */
static struct call *line_first(struct line *line, uint64_t now_ms)
{
        struct call *call = list_first(&line->calls, struct call, queue);

        if (call && call == line->first && now_ms - line->since_ms >= FRONT_MS) {
                list_unlink(&call->queue);
                line_push_back(line, call);
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

/* Not even if all of it were free, and its user held none; the file of a tensor is larger. */
static bool is_hopeless(const struct call *call, uint64_t asked)
{
        const struct users *users = call->user->users;
        const struct total *total = &users->totals[RESOURCE_BYTES];

        return asked >= total->limit || asked >= total->cap ||
               (users->is_shared && asked / USER_SHARE > total->limit - asked);
}

/* Does it wait for whatever comes free? What may be asked for again does without its connection. */
static bool is_patient(const struct call *call, uint64_t now_ms)
{
        return call->request->wait_ms && call->blocked_until_ms > now_ms &&
               (call->client || call->repeat);
}

/* Until when it would wait, 0: not at all. */
static uint64_t patience_until_ms(struct call *call, int r, uint64_t now_ms)
{
        uint64_t until_ms = is_patient(call, now_ms) ? call->blocked_until_ms : 0;
        uint64_t began_ms = call->starved_ms ? call->starved_ms : now_ms;
        uint64_t spilling_ms = store_spilling_ms(call->service->store);

        if (r != STORE_E_TRIMMING)
                return until_ms;
        /* What goes to a disk takes its time; the others' begins behind that. */
        if (spilling_ms > began_ms && now_ms - began_ms < SPILLING_MS)
                began_ms = spilling_ms;
        began_ms += call->service->disk ? STARVED_SPILLS_MS : STARVED_MS;
        if (began_ms > until_ms)
                until_ms = began_ms;
        if (until_ms <= now_ms && call->request->wait_ms) {
                if (!call->last_until_ms)
                        call->last_until_ms = now_ms + STARVED_LAST_MS;
                until_ms = call->last_until_ms;
        }
        return until_ms > now_ms ? until_ms : 0;
}

bool starved_wait(struct call *call, int r, uint64_t asked)
{
        struct service *service = call->service;
        uint64_t now_ms = clock_now_ms(), until_ms;
        struct line *line;

        if (!is_for_memory(call, r) || is_hopeless(call, asked))
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
        if (!is_patient(call, now_ms)) {
                list_push_back(&line->brief, &call->queue);
                if (line->first == call)
                        line->first = NULL;
        } else if (line->tried == call && call->starved_place) {
                line_put_back(line, call);
        } else {
                line_push_back(line, call);
        }
        if (!call->starved_ms)
                call->starved_ms = now_ms;
        call->starved_until_ms = until_ms;
        call->starved_bytes = asked;
        call->line = line;
        call->is_trimming = r == STORE_E_TRIMMING;
        service->n_trimming += call->is_trimming;
        fetch_rest(call);
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
        fetch_rest_over(call);
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
        list_push_back(&call->service->ready, &call->queue);
}

bool starved_want_ticks(const struct service *service)
{
        return service->n_trimming > 0;
}

/* ---- feeding ---- */

/* One of a line is started. If it was its first it is so as long as it is under way here. */
static bool line_try(struct service *service, struct line *line, struct call *call)
{
        call->line = NULL;
        fetch_rest_over(call);
        service->n_trimming -= call->is_trimming;
        call->is_trimming = false;
        call_stop_waiting(call);
        list_unlink(&call->queue);
        service->has_starved = false;
        line->tried = call;
        call_start(call);
        line->tried = NULL;
        if (!service->has_starved && line->first == call) /* it may be gone: compared only */
                line->first = NULL;
        return !service->has_starved;
}

static bool line_try_brief(struct service *service, struct line *line)
{
        unsigned n = 0;
        struct call *call;

        list_for_each (call, &line->brief, queue)
                if (++n == BEHIND_TRIED)
                        break;
        for (; n > 0 && (call = list_first(&line->brief, struct call, queue)); n--)
                if (line_try(service, line, call))
                        return true;
        return false;
}

/*
 * Of those behind the one at that place: the next that asks for less than was tried; at last the
 * smallest of them, so that many of about the same size hide none.
 */
static struct call *line_behind(struct line *line, uint64_t place, uint64_t n_tried, bool is_last)
{
        struct call *call, *found = NULL;
        unsigned n_looked = 0;

        list_for_each (call, &line->calls, queue) {
                if (call->starved_place > place && call->starved_bytes < n_tried) {
                        found = call;
                        n_tried = call->starved_bytes;
                        if (!is_last)
                                break;
                }
                if (++n_looked == BEHIND_LOOKED)
                        break;
        }
        return found;
}

static bool line_is_kept(const struct line *line)
{
        return line->n_asked > 0 && line->n_overtaken >= line->n_asked;
}

/* True: one got through. */
static bool line_feed(struct service *service, struct line *line, uint64_t now_ms)
{
        struct call *call = line_first(line, now_ms);
        uint64_t n_tried = UINT64_MAX, place = 0;

        if (call && line_try(service, line, call))
                return true;
        if (line_try_brief(service, line))
                return true;
        call = line_first(line, now_ms);
        /* What is on its way to the first one is left to it. */
        for (int i = 0; call && i < BEHIND_TRIED && !call->is_trimming; i++) {
                n_tried = call->starved_bytes ? call->starved_bytes : n_tried;
                place = call->starved_place;
                call = line_is_kept(line)
                               ? NULL
                               : line_behind(line, place, n_tried, i == BEHIND_TRIED - 1);
                if (call && line_try(service, line, call))
                        return true;
        }
        return false;
}

/* Those that got some go behind the others. */
static void lines_turn(struct service *service)
{
        struct list got;
        struct line *line;

        list_init(&got);
        list_for_each (line, &service->lines, link) {
                if (!line->has_got)
                        continue;
                line->has_got = false;
                list_unlink(&line->link);
                list_push_back(&got, &line->link);
        }
        while ((line = list_first(&got, struct line, link))) {
                list_unlink(&line->link);
                list_push_back(&service->lines, &line->link);
        }
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
                line = list_first(&service->lines, struct line, link);
                list_unlink(&line->link);
                list_push_back(&service->lines, &line->link);
                line->has_got = line_feed(service, line, now_ms);
                has_fed = line->has_got || has_fed;
                line_settle(line);
        }
        lines_turn(service);
        /* What an attempt in vain gave back came free for nobody else. */
        service->has_freed = has_fed;
}

void starved_refuse_all(struct service *service)
{
        struct line *line;

        while ((line = list_first(&service->lines, struct line, link)))
                call_refuse(list_first(list_is_empty(&line->calls) ? &line->brief : &line->calls,
                                       struct call, queue),
                            TD_E_SHUTTING_DOWN, "the daemon is stopping");
}

/* ---- overtaking ---- */

int starved_reserve(struct call *call, struct user *user, struct holder *holder, uint64_t n_bytes,
                    struct segment **segmentp, bool *is_readyp)
{
        struct service *service = call->service;
        struct line *line = line_of(service, user);
        bool is_later = line && line->first && line->first != call;
        int r;

        call->is_kept_back = is_later && line_is_kept(line);
        if (call->is_kept_back)
                return STORE_E_LIMIT;
        r = store_reserve(service->store, user, holder, n_bytes, segmentp, is_readyp);
        if (!r && is_later)
                line->n_overtaken += n_bytes;
        return r;
}
