/* SPDX-License-Identifier: MIT */
#include "service/service.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <malloc.h>
#include <sys/random.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/once.h"
#include "service/claims.h"
#include "service/core.h"
#include "service/dispatch.h"
#include "service/fetch.h"
#include "service/progress.h"
#include "service/starved.h"
#include "store/spill.h"

/* One that writes, one that reads, and the one of small works. */
#define DISK_THREADS 2
/* As fast as a disk may be: what is small for it is small for a slow one, too. */
#define READ_BYTES_PER_NS 1

/* ---- jobs of the store ---- */

/* A segment whose pages are given back on a worker. */
struct disposal {
        struct work work;
        struct service *service;
        struct segment *segment;
};

static void disposal_run(struct work *work)
{
        segment_destroy(container_of(work, struct disposal, work)->segment);
}

static void disposal_done(struct work *work)
{
        struct disposal *disposal = container_of(work, struct disposal, work);

        store_disposed(disposal->service->store, disposal->segment);
        free(disposal);
}

static void on_dispose(void *ctx, struct segment *segment)
{
        struct service *service = ctx;
        struct disposal *disposal = NULL;

        if (segment_n_bytes(segment) > SMALL_BYTES)
                disposal = calloc(1, sizeof(*disposal));
        if (!disposal) {
                segment_destroy(segment);
                store_disposed(service->store, segment);
                return;
        }
        disposal->service = service;
        disposal->segment = segment;
        work_init(&disposal->work, disposal_run, disposal_done);
        workers_submit(service->workers, &disposal->work);
}

static void on_freed(void *ctx)
{
        ((struct service *)ctx)->has_freed = true;
}

static void on_named(void *ctx, const struct tensor *tensor)
{
        struct service *service = ctx;

        promise_named(tensor);
        waiters_wake(&service->waiters, tensor, &service->ready);
}

static void disk_run(struct work *work)
{
        spill_job_run(container_of(work, struct spill_job, work));
}

static void disk_done(struct work *work)
{
        spill_job_done(container_of(work, struct spill_job, work));
}

static void on_disk(void *ctx, struct spill_job *job)
{
        struct service *service = ctx;

        work_init(&job->work, disk_run, disk_done);
        job->work.queue = &job->user->disk;
        if (job->kind == SPILL_REMOVE)
                job->work.cost_ns = 0;
        else if (job->kind == SPILL_BACK)
                job->work.cost_ns = job->place.n_bytes / READ_BYTES_PER_NS;
        workers_submit(service->disk, &job->work);
}

static void on_fetched(void *ctx, struct tensor *tensor, struct list *waits, int r)
{
        fetch_done(ctx, tensor, waits, r);
}

static void compaction_run(struct work *work)
{
        struct service *service = container_of(work, struct service, compaction);

        service->compaction_result = store_compaction_copy(service->store);
}

static void compaction_done(struct work *work)
{
        struct service *service = container_of(work, struct service, compaction);
        int r = service->compaction_result;

        service->is_compacting = false;
        if (r)
                store_compaction_drop(service->store);
        else
                r = store_compaction_finish(service->store);
        service->has_freed = true;
        if (r)
                once_log(LOG_LEVEL_WARNING, ONCE_COMPACTION, service->config.uid,
                         "the catalog could not be compacted (%d); it stays as it is", r);
}

static void compact(struct service *service)
{
        if (service->is_compacting || !store_compaction_is_due(service->store))
                return;
        if (store_compaction_begin(service->store))
                return;
        service->is_compacting = true;
        work_init(&service->compaction, compaction_run, compaction_done);
        workers_submit(service->workers, &service->compaction);
}

/* ---- life ---- */

int service_new(struct service **servicep, const struct service_config *config, char message[256])
{
        _cleanup_(service_freep) struct service *service = calloc(1, sizeof(*service));
        struct store_config store_config = {
                .prefix = config->prefix,
                .directory = config->directory,
                .limit = config->memory_limit,
                .quotas = &config->quotas,
                .ctx = service,
                .dispose = on_dispose,
                .freed = on_freed,
                .named = on_named,
                .spill_directory = config->spill_directory,
                .disk = on_disk,
                .fetched = on_fetched,
                .spill_free = config->spill_free,
        };
        int r;

        if (!service)
                return error_origin(-ENOMEM);
        service->config = *config;
        list_init(&service->clients);
        list_init(&service->orphans);
        list_init(&service->ready);
        list_init(&service->lines);
        list_init(&service->trimmed);
        list_init(&service->watched);
        list_init(&service->returning);
        service->next_progress_ms = UINT64_MAX;
        loans_init(&service->loans);
        waiters_init(&service->waiters);
        nodes_cache_init(&service->nodes);
        plans_init(&service->plans);
        repeats_init(&service->repeats);
        service->started_ms = clock_now_ms();
        if (getrandom(service->epoch, sizeof(service->epoch), 0) != sizeof(service->epoch))
                return error_origin(-errno);
        r = workers_new(&service->workers, config->n_threads, config->wake, config->ctx);
        if (!r && config->spill_directory)
                r = workers_new(&service->disk, DISK_THREADS, config->wake, config->ctx);
        if (r)
                return r;
        r = store_new(&service->store, &store_config, message);
        if (!r)
                r = claims_recover(service);
        if (r)
                return r;
        *servicep = steal_ptr(&service);
        return 0;
}

/* Those that were not told so yet. Each may take along those that wait for it. */
static void service_stop_orphans(struct service *service)
{
        struct call *call = list_first(&service->orphans, struct call, link);

        while (call) {
                struct list *next = call->link.next;

                if (atomic_load(&call->stop) == CALL_GOES_ON) {
                        call_stop(call, CALL_STOPS_SHUT);
                        next = service->orphans.next;
                }
                call = next == &service->orphans ? NULL : list_entry(next, struct call, link);
        }
}

/*
 * The calls that are left finish, those that wait for them too: each commits a name, or what one
 * that does is waiting for. What is not done in time is stopped. Nobody gives memory back any more.
 */
static void service_drain(struct service *service)
{
        uint64_t end_ms = clock_now_ms() + DRAIN_MS, now_ms;

        store_stop_spilling(service->store);
        do {
                service_pump(service);
                service_give_kept(service);
                if (service->disk)
                        workers_drain(service->disk);
                if (workers_n_busy(service->workers) == 0)
                        starved_refuse_all(service);
                now_ms = clock_now_ms();
                if (!workers_drain_for(service->workers, now_ms < end_ms ? end_ms - now_ms : 0)) {
                        service_stop_orphans(service);
                        workers_drain(service->workers);
                }
        } while (!list_is_empty(&service->orphans));
        /* What the last calls gave back is on its way through the workers. */
        workers_drain(service->workers);
        if (service->disk)
                workers_drain(service->disk);
}

void service_stop(struct service *service)
{
        service->is_stopping = true;
}

struct service *service_free(struct service *service)
{
        if (!service)
                return NULL;
        assert(list_is_empty(&service->clients));
        if (service->store) {
                service_drain(service);
                assert(list_is_empty(&service->orphans));
                repeats_deinit(&service->repeats);
                claims_leave(service);
        }
        loans_deinit(&service->loans);
        waiters_deinit(&service->waiters);
        plans_deinit(&service->plans);
        nodes_cache_deinit(&service->nodes);
        store_free(service->store);
        workers_free(service->workers);
        workers_free(service->disk);
        free(service);
        return NULL;
}

/* ---- clients ---- */

static void client_send_trims(struct client *client)
{
        for (uint32_t i = 0; i < client->n_trims; i += TRIM_MAX) {
                uint32_t n_left = client->n_trims - i;
                struct reply *reply = reply_new();

                if (reply)
                        reply_notify_trim(reply, client->trims + i,
                                          n_left < TRIM_MAX ? n_left : TRIM_MAX);
                client_send(client, reply);
        }
        client->n_trims = 0;
        list_unlink(&client->trimmed);
}

void service_enter(struct service *service)
{
        service->n_entered++;
}

void service_leave(struct service *service)
{
        struct client *client;

        if (--service->n_entered > 0)
                return;
        list_for_each (client, &service->trimmed, trimmed)
                if (client->n_trims >= TRIM_MAX || !service_is_behind(service))
                        client_send_trims(client);
}

/* Without memory for it the client is not asked; who waits for its segments does so in vain. */
static void on_trim(struct holder *holder, const uint64_t *segments, uint32_t n_segments)
{
        struct client *client = container_of(holder, struct client, holder);
        uint32_t n_max = client->n_trims_max;
        uint64_t *trims;

        if (client->has_left)
                return;
        while (n_max < client->n_trims + n_segments)
                n_max = n_max ? 2 * n_max : 16;
        if (n_max > client->n_trims_max) {
                trims = realloc(client->trims, n_max * sizeof(*trims));
                if (!trims)
                        return;
                client->trims = trims;
                client->n_trims_max = n_max;
        }
        for (uint32_t i = 0; i < n_segments; i++)
                client->trims[client->n_trims++] = segments[i];

        service_enter(client->service);
        list_unlink(&client->trimmed);
        list_push_back(&client->service->trimmed, &client->trimmed);
        service_leave(client->service);
}

void client_send(struct client *client, struct reply *reply)
{
        if (!reply || reply_finish(reply)) {
                once_log(LOG_LEVEL_ERROR, ONCE_MEMORY, client->user->uid,
                         "no memory for a reply; its connection ends");
                reply_free(reply);
                client->sink->lost(client->sink);
                return;
        }
        client->sink->send(client->sink, reply);
}

bool client_is_full(const struct client *client)
{
        return client->n_calls >= CLIENT_CALLS_MAX || client->n_bytes >= CLIENT_BYTES_MAX;
}

static void refuse_connection(const struct users *users, struct td_refusal *refusal)
{
        struct failure failure;

        failure_from_charge(&failure, users);
        td_refuse(refusal, failure.code, "%s", failure.message);
}

int client_init(struct client *client, struct service *service, uid_t uid, struct reply_sink *sink,
                struct td_refusal *refusal)
{
        struct users *users = store_users(service->store);
        int r;

        *client = (struct client){ .service = service,
                                   .sink = sink,
                                   .number = ++service->n_clients_ever,
                                   .name = "unnamed" };
        r = user_get(users, uid, &client->user);
        if (r)
                return r;
        r = charge_take(&client->connection, client->user, RESOURCE_CONNECTIONS, 1);
        if (r) {
                refuse_connection(users, refusal);
                client->user = user_unref(client->user);
                return r;
        }
        holder_init(&client->holder, client->user, on_trim);
        list_init(&client->failed);
        list_init(&client->calls);
        list_init(&client->trimmed);
        list_push_back(&service->clients, &client->link);
        service->n_clients++;
        return 0;
}

/* A call whose client is gone goes on if it commits a name, or if one that does waits for it. */
static bool call_survives(const struct call *call)
{
        if (call->user->n_orphans >= ORPHANS_MAX || claim_may_last(call) ||
            call->request->method == METHOD_WAIT ||
            (call->line && call->request->wait_ms && !call->repeat))
                return false;
        if (call->request->method != METHOD_CREATE && call_names_something(call))
                return true;
        return call_is_awaited(call);
}

void client_leave(struct client *client)
{
        struct service *service = client->service;

        assert(!client->has_left);
        service_enter(service);
        client->has_left = true;
        store_expect(service->store, client->user, client->n_returning);
        /* The latest first: ending one frees what it waited for, which came before it. */
        while (!list_is_empty(&client->calls)) {
                struct call *call = list_entry(client->calls.prev, struct call, link);

                bool survives = call_survives(call);

                call_orphan(call);
                if (!survives)
                        call_stop(call, CALL_STOPS_GONE);
        }
        definitions_clear(&client->definitions);
        claims_end(client);
        assert(client->n_calls == 0 && client->n_waiting == 0 && client->n_bytes == 0);
        list_unlink(&client->link);
        list_unlink(&client->trimmed);
        client->n_trims = 0;
        service->n_clients--;
        service_pump(service);
        service_leave(service);
}

bool client_take_out(struct client *client, unsigned n)
{
        struct service *service = client->service;

        assert(client->has_left);
        service_enter(service);
        for (; n > 0 && client->promises; n--)
                promise_unlink(client->promises);
        n = holder_take_out(service->store, &client->holder, n);
        service_pump(service);
        service_leave(service);
        return n > 0;
}

void client_deinit(struct client *client)
{
        if (!client->has_left)
                client_leave(client);
        while (!client_take_out(client, UINT_MAX))
                ;
        assert(client->n_referred == 0 && client->n_returning == 0);
        holder_deinit(client->service->store, &client->holder);
        charge_drop(&client->connection);
        user_unref(client->user);
        free(client->trims);
}

/* ---- the heap ---- */

/* Of what the heap took for users, so much is free again. */
static uint64_t heap_freed(struct service *service)
{
        uint64_t n = store_users(service->store)->totals[RESOURCE_WORKSPACE].n +
                     store_heap_bytes(service->store);

        if (service->n_heap_most < n)
                service->n_heap_most = n;
        return service->n_heap_most - n;
}

/* When what was freed is to be given to the system; UINT64_MAX: it is not. */
static uint64_t heap_trim_at_ms(struct service *service)
{
        uint64_t n_freed = heap_freed(service);

        if (n_freed < TRIM_BYTES)
                return UINT64_MAX;
        return n_freed < TRIM_MUCH ? service->heap_trimmed_ms + TRIM_MS : 0;
}

static void heap_trim(struct service *service)
{
        uint64_t now_ms = clock_now_ms();

        if (heap_trim_at_ms(service) > now_ms)
                return;
        malloc_trim(0);
        service->n_heap_most = 0;
        service->heap_trimmed_ms = now_ms;
}

/* ---- the loop's entries ---- */

void service_pump(struct service *service)
{
        struct call *call;

        if (service->is_pumping)
                return;
        service->is_pumping = true;
        do {
                while ((call = list_first(&service->ready, struct call, queue))) {
                        list_unlink(&call->queue);
                        call_start(call);
                }
                if (service->has_freed)
                        starved_feed(service);
        } while (!list_is_empty(&service->ready) || service->has_freed);
        service->is_pumping = false;
}

void service_request(struct client *client, struct request *request)
{
        struct service *service = client->service;

        service_enter(service);
        service->n_requests++;
        call_admit(client, request);
        service_pump(service);
        compact(service);
        service_leave(service);
}

void service_refuse(struct client *client, const struct request *request,
                    const struct td_refusal *refusal)
{
        struct failure failure;
        struct reply *reply = reply_new();

        client->service->n_requests++;
        if (reply && request->is_notification) {
                reply_notify_error(reply, refusal->code, refusal->message);
        } else if (reply) {
                failure_from_refusal(&failure, refusal);
                failure_write(&failure, reply, request->msgid);
        }
        client_send(client, reply);
}

unsigned service_reap(struct service *service)
{
        unsigned n;

        service_enter(service);
        n = workers_reap(service->workers);
        if (service->disk)
                n += workers_reap(service->disk);
        service_pump(service);
        compact(service);
        service_leave(service);
        return n;
}

/* End what is late; what a worker is at is told once. */
static void service_end_late(struct service *service)
{
        uint64_t now = clock_now_ms();

        while (service->timed.first && service->timed.first->key <= now) {
                struct call *call = container_of(service->timed.first, struct call, timed);
                uint64_t due = call_due_ms(call);

                heap_remove(&service->timed, &call->timed);
                if (due > now)
                        call_set_timer(call, due);
                else if (due < call->deadline_ms && due == starved_due_ms(call))
                        starved_try_last(call);
                else
                        call_stop(call, due == call->deadline_ms ? CALL_STOPS_LATE
                                                                 : CALL_STOPS_BLOCKED);
        }
}

void service_tick(struct service *service)
{
        service_enter(service);
        service_end_late(service);
        claims_expire(service, clock_now_ms());
        progress_tell(service);
        store_retry_held(service->store);
        repeats_expire(&service->repeats, clock_now_ms());
        loans_expire(&service->loans, clock_now_ms());
        service->has_freed = true; /* or it is seen by now that some does not */
        service_pump(service);
        compact(service);
        heap_trim(service);
        service_leave(service);
}

uint64_t service_tick_in_ms(struct service *service)
{
        uint64_t ms = UINT64_MAX, next_ms = UINT64_MAX, now;

        if (starved_want_ticks(service) || service->repeats.n_failed > 0 ||
            store_has_held(service->store) ||
            (!list_is_empty(&service->lines) && store_has_aside(service->store)))
                ms = TICK_MS;
        if (service->timed.first)
                next_ms = service->timed.first->key;
        if (!list_is_empty(&service->watched) && service->next_progress_ms < next_ms)
                next_ms = service->next_progress_ms;
        if (claims_expire_at_ms(service) < next_ms)
                next_ms = claims_expire_at_ms(service);
        if (heap_trim_at_ms(service) < next_ms)
                next_ms = heap_trim_at_ms(service);
        if (loans_next_ms(&service->loans) < next_ms)
                next_ms = loans_next_ms(&service->loans);
        if (next_ms == UINT64_MAX)
                return ms;
        now = clock_now_ms();
        next_ms = next_ms > now ? next_ms - now : 0;
        return next_ms < ms ? next_ms : ms;
}

struct nodes_cache *service_nodes_cache(struct service *service)
{
        return &service->nodes;
}

bool service_is_busy(const struct service *service)
{
        return workers_n_busy(service->workers) > 0;
}

uint32_t service_n_clients(const struct service *service)
{
        return service->n_clients;
}

int service_open_fds(const struct reply *reply, int fds[TD_FDS_MAX])
{
        for (unsigned i = 0; i < reply->n_fds; i++) {
                fds[i] = segment_open_for_client(reply->fds[i].segment, reply->fds[i].writable);
                if (fds[i] < 0) {
                        int r = fds[i];

                        while (i > 0)
                                close(fds[--i]);
                        return error_origin(r);
                }
        }
        return 0;
}
