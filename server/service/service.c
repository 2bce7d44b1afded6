/* SPDX-License-Identifier: MIT */
#include "service/service.h"

#include <assert.h>
#include <errno.h>
#include <sys/random.h>
#include <time.h>

#include "base/error.h"
#include "service/core.h"
#include "service/dispatch.h"

uint64_t service_now_ms(void)
{
        struct timespec now;

        clock_gettime(CLOCK_BOOTTIME, &now);
        return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

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
        if (!r)
                r = store_compaction_finish(service->store);
        if (r)
                log_warning("the catalog could not be compacted (%d); it stays as it is", r);
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
                .ctx = service,
                .dispose = on_dispose,
                .freed = on_freed,
        };
        int r;

        if (!service)
                return error_origin(-ENOMEM);
        service->config = *config;
        list_init(&service->clients);
        list_init(&service->orphans);
        list_init(&service->ready);
        list_init(&service->starved);
        service->started_ms = service_now_ms();
        if (getrandom(service->epoch, sizeof(service->epoch), 0) != sizeof(service->epoch))
                return error_origin(-errno);
        r = workers_new(&service->workers, config->n_threads, config->wake, config->ctx);
        if (r)
                return r;
        r = store_new(&service->store, &store_config, message);
        if (r)
                return r;
        *servicep = steal_ptr(&service);
        return 0;
}

/* Jobs under way end, and with them the calls that nobody waits for any more. */
static void service_drain(struct service *service)
{
        struct call *call;

        list_for_each (call, &service->orphans, link)
                atomic_store(&call->is_cancelled, !call_names_something(call));
        workers_drain(service->workers);
        service_pump(service);
        while ((call = list_first(&service->starved, struct call, queue)))
                call_refuse(call, TD_E_SHUTTING_DOWN, "the daemon is stopping");
        service_pump(service);
        /* What the last calls gave back is on its way through the workers. */
        workers_drain(service->workers);
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
        }
        store_free(service->store);
        workers_free(service->workers);
        free(service);
        return NULL;
}

/* ---- clients ---- */

static void on_trim(struct holder *holder, const uint64_t *segments, uint32_t n_segments)
{
        struct client *client = container_of(holder, struct client, holder);
        struct reply *reply = reply_new();

        if (!reply)
                return;
        reply_notify_trim(reply, segments, n_segments);
        client_send(client, reply);
}

void client_send(struct client *client, struct reply *reply)
{
        if (reply_finish(reply)) {
                log_error("no memory for a reply to uid %u; it gets none",
                          (unsigned)client->user->uid);
                reply_free(reply);
                return;
        }
        client->sink->send(client->sink, reply);
}

int client_init(struct client *client, struct service *service, uid_t uid, struct reply_sink *sink)
{
        int r;

        *client = (struct client){ .service = service, .sink = sink };
        r = user_get(store_users(service->store), uid, &client->user);
        if (r)
                return r;
        client->user->n_connections++;
        holder_init(&client->holder, client->user, on_trim);
        list_init(&client->calls);
        list_push_back(&service->clients, &client->link);
        service->n_clients++;
        return 0;
}

/* A call whose client is gone goes on if it commits a name, or if one that does waits for it. */
static bool call_survives(const struct call *call)
{
        if (call->request->method != METHOD_CREATE && call_names_something(call))
                return true;
        return call_is_awaited(call);
}

static bool call_is_running(const struct call *call)
{
        return call->work.run && call->work.state != WORK_IDLE;
}

void client_deinit(struct client *client)
{
        struct service *service = client->service;
        struct promise *promise, *next_promise;
        struct call *call;
        bool has_changed;

        HASH_ITER(hh, client->promises, promise, next_promise)
                promise_unlink(promise);

        /* Ending one call frees what it waited for, and so may end another. */
        do {
                has_changed = false;
                list_for_each (call, &client->calls, link) {
                        if (call_survives(call))
                                continue;
                        if (call_is_running(call)) {
                                atomic_store(&call->is_cancelled, true);
                                continue;
                        }
                        failure_set(&call->failure, TD_E_CANCELLED, "the connection ended");
                        list_unlink(&call->link);
                        call->client = NULL;
                        call_fail(call);
                        has_changed = true;
                        break;
                }
        } while (has_changed);

        list_for_each (call, &client->calls, link) {
                list_unlink(&call->link);
                call->client = NULL;
                list_push_back(&service->orphans, &call->link);
        }
        holder_deinit(service->store, &client->holder);
        client->user->n_connections--;
        user_unref(client->user);
        list_unlink(&client->link);
        service->n_clients--;
        service_pump(service);
}

/* ---- the loop's entries ---- */

void service_pump(struct service *service)
{
        struct call *call;

        if (service->is_pumping)
                return;
        service->is_pumping = true;
        for (;;) {
                if (service->has_freed) {
                        service->has_freed = false;
                        while ((call = list_first(&service->starved, struct call, queue))) {
                                list_unlink(&call->queue);
                                list_push_back(&service->ready, &call->queue);
                        }
                }
                call = list_first(&service->ready, struct call, queue);
                if (!call)
                        break;
                list_unlink(&call->queue);
                call_start(call);
        }
        service->is_pumping = false;
}

void service_request(struct client *client, struct request *request)
{
        struct service *service = client->service;

        service->n_requests++;
        call_admit(client, request);
        service_pump(service);
        compact(service);
}

void service_refuse(struct client *client, const struct request *request,
                    const struct td_refusal *refusal)
{
        struct failure failure;
        struct reply *reply;

        client->service->n_requests++;
        if (request->is_notification) {
                reply = reply_new();
                if (reply)
                        reply_notify_error(reply, refusal->code, refusal->message);
        } else {
                failure_from_refusal(&failure, refusal);
                reply = reply_new();
                if (reply)
                        failure_write(&failure, reply, request->msgid);
        }
        if (reply)
                client_send(client, reply);
}

void service_submit(struct service *service, struct call *call, void (*run)(struct work *),
                    void (*done)(struct work *))
{
        service->n_jobs++;
        work_init(&call->work, run, done);
        workers_submit(service->workers, &call->work);
}

unsigned service_reap(struct service *service)
{
        unsigned n = workers_reap(service->workers);

        service_pump(service);
        compact(service);
        return n;
}

void service_tick(struct service *service)
{
        store_retry_held(service->store);
        repeats_expire(&service->repeats, service_now_ms());
        /* Starved calls look at their own clock when they are started. */
        service->has_freed = true;
        service_pump(service);
        compact(service);
}

bool service_wants_tick(const struct service *service)
{
        return !list_is_empty(&service->starved) || service->repeats.n_failed > 0 ||
               store_has_held(service->store);
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
                fds[i] = segment_open(reply->fds[i].segment, reply->fds[i].writable);
                if (fds[i] < 0) {
                        int r = fds[i];

                        while (i > 0)
                                close(fds[--i]);
                        return error_origin(r);
                }
        }
        return 0;
}
