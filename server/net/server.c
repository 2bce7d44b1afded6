/* SPDX-License-Identifier: MIT */
#include "net/server.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "base/error.h"
#include "base/once.h"
#include "net/listener.h"
#include "net/notify.h"
#include "net/sessions.h"
#include "service/service.h"
#include "tensord/prefix.h"

/* How long the service is not asked, while the loop spins, whether it has upkeep to do. */
#define SERVER_ASK_MS 100
/* Descriptors kept for everything but connections. */
#define SERVER_OWN_DESCRIPTORS 64
#define SERVER_CONNECTIONS 4096

struct server {
        const struct config *config;
        struct loop loop;
        struct service *service;
        struct listener listener;
        struct sessions sessions;
        uint32_t n_sessions_max;
        bool is_stopping;
        uint64_t asked_ms; /* when the service was last asked whether it wants a tick */
        uv_async_t wake;   /* jobs are done */
        uv_timer_t tick;
        uv_timer_t idle_exit;
        uv_timer_t watchdog;
        uv_timer_t once; /* runs while lines of the log are counted */
        uv_prepare_t prepare;
        uv_signal_t sigterm;
        uv_signal_t sigint;
};

/* ---- the service's needs ---- */

/* Any thread. */
static void on_work_done(void *ctx)
{
        struct server *server = ctx;

        uv_async_send(&server->wake);
}

static void on_wake(uv_async_t *wake)
{
        struct server *server = wake->data;

        if (server->service)
                service_reap(server->service);
}

static void on_tick(uv_timer_t *tick)
{
        struct server *server = tick->data;

        service_tick(server->service);
}

/* Is there upkeep? Asked before the loop sleeps; now and then while it spins, for asking is not
 * free. */
static void on_prepare(uv_prepare_t *prepare)
{
        struct server *server = prepare->data;
        uint64_t now = loop_now_ms(&server->loop), ms;

        if (server->loop.is_spinning && now - server->asked_ms < SERVER_ASK_MS)
                return;
        server->asked_ms = now;
        ms = service_tick_in_ms(server->service);
        if (ms == UINT64_MAX || (uv_is_active((uv_handle_t *)&server->tick) &&
                                 uv_timer_get_due_in(&server->tick) <= ms))
                return;
        uv_timer_start(&server->tick, on_tick, ms, 0);
}

static void glance(void *ctx)
{
        struct server *server = ctx;

        sessions_glance(&server->sessions);
}

static bool may_spin(void *ctx)
{
        struct server *server = ctx;

        return !service_is_busy(server->service);
}

/* ---- connections ---- */

static void on_idle_exit(uv_timer_t *timer);
static void on_once(uv_timer_t *timer);

static void server_count_sessions(struct server *server)
{
        uint32_t n = server->sessions.n;

        listener_hold(&server->listener, n >= server->n_sessions_max);
        if (n == 0 && server->config->idle_exit_ms && !server->is_stopping)
                uv_timer_start(&server->idle_exit, on_idle_exit, server->config->idle_exit_ms, 0);
        else
                uv_timer_stop(&server->idle_exit);
        if (n == 0 && server->is_stopping)
                loop_stop(&server->loop);
}

/* What is counted is told a minute later at the earliest. */
static void server_tell_once(struct server *server)
{
        if (once_is_counting() && !uv_is_active((uv_handle_t *)&server->once))
                uv_timer_start(&server->once, on_once, ONCE_MS, 0);
}

static void on_once(uv_timer_t *timer)
{
        once_tell(false);
        server_tell_once(timer->data);
}

static void on_session_ended(void *ctx)
{
        struct server *server = ctx;

        server_tell_once(server);
        server_count_sessions(server);
}

static void on_accepted(void *ctx, int fd)
{
        struct server *server = ctx;

        sessions_add(&server->sessions, fd);
        server_count_sessions(server);
}

/* ---- stopping ---- */

static void server_stop(struct server *server, const char *why)
{
        if (server->is_stopping)
                return;
        log_notice("stopping: %s", why);
        notify_stopping();
        server->is_stopping = true;
        service_stop(server->service);
        listener_close(&server->listener);
        sessions_end(&server->sessions);
        server_count_sessions(server);
}

static void on_idle_exit(uv_timer_t *timer)
{
        server_stop(timer->data, "no client for a while");
}

static void on_signal(uv_signal_t *handle, int number)
{
        server_stop(handle->data, number == SIGTERM ? "SIGTERM" : "SIGINT");
}

static void on_watchdog(uv_timer_t *timer)
{
        (void)timer;
        notify_watchdog();
}

/* ---- life ---- */

/* As many as there are descriptors for. */
static uint32_t server_connections(const struct config *config, uint64_t n_descriptors)
{
        uint64_t n = config->max_connections ? config->max_connections : SERVER_CONNECTIONS;

        if (n > n_descriptors - SERVER_OWN_DESCRIPTORS)
                n = n_descriptors - SERVER_OWN_DESCRIPTORS;
        return (uint32_t)n;
}

static int server_start_service(struct server *server, const char *prefix)
{
        const struct config *config = server->config;
        struct service_config service_config = {
                .prefix = prefix,
                .directory = config->shm_directory,
                .spill_directory = config->spill_directory,
                .spill_free = config->spill_free,
                .memory_limit = config->memory_limit,
                .quotas = config->quotas,
                .n_threads = config->n_threads,
                .busy_poll_us = config->busy_poll_us,
                .uid = geteuid(),
                .blas_core = config->blas_core,
                .kernels = config->kernels,
                .cpu = config->cpu,
                .user_kernels = config->user_kernels,
                .wake = on_work_done,
                .ctx = server,
        };
        char message[256] = "";
        int r;

        config_default_quotas(&service_config.quotas, config->memory_limit,
                              server->n_sessions_max);
        r = service_new(&server->service, &service_config, message);
        if (r == 0)
                return EX_OK;
        if (r < 0) {
                log_error("cannot start: %s", strerror(-r));
                return EX_OSERR;
        }
        log_error("cannot start: %s", message);
        return r == STORE_E_BUSY ? EX_TEMPFAIL : EX_CONFIG;
}

static int server_start_listener(struct server *server)
{
        const struct config *config = server->config;
        bool is_ours = config->listen_fd < 0;
        int fd = config->listen_fd, r = 0;

        if (is_ours)
                r = listener_bind(config->socket_path, config->socket_mode, &fd);
        if (r == LISTENER_E_IN_USE || r == LISTENER_E_NO_SOCKET) {
                log_error("%s: %s", config->socket_path,
                          r == LISTENER_E_IN_USE ? "another process listens there"
                                                 : "exists, and is no socket");
                return r == LISTENER_E_IN_USE ? EX_TEMPFAIL : EX_CANTCREAT;
        }
        if (r == 0)
                r = listener_init(&server->listener, &server->loop, fd, config->socket_path,
                                  is_ours, on_accepted, server);
        if (r < 0) {
                log_error("cannot listen at %s: %s", config->socket_path, strerror(-r));
                return EX_OSERR;
        }
        return EX_OK;
}

static void server_start_handles(struct server *server)
{
        uv_loop_t *uv = &server->loop.uv;
        uint64_t watchdog_ms = notify_watchdog_ms();

        /* None of these can fail, but for signals that do not exist. */
        uv_timer_init(uv, &server->tick);
        uv_timer_init(uv, &server->idle_exit);
        uv_timer_init(uv, &server->watchdog);
        uv_timer_init(uv, &server->once);
        uv_prepare_init(uv, &server->prepare);
        uv_signal_init(uv, &server->sigterm);
        uv_signal_init(uv, &server->sigint);
        server->tick.data = server->idle_exit.data = server->watchdog.data = server;
        server->once.data = server;
        server->prepare.data = server->sigterm.data = server->sigint.data = server;
        uv_prepare_start(&server->prepare, on_prepare);
        uv_signal_start(&server->sigterm, on_signal, SIGTERM);
        uv_signal_start(&server->sigint, on_signal, SIGINT);
        if (watchdog_ms)
                uv_timer_start(&server->watchdog, on_watchdog, watchdog_ms, watchdog_ms);
}

static void server_close_handles(struct server *server)
{
        uv_close((uv_handle_t *)&server->tick, NULL);
        uv_close((uv_handle_t *)&server->idle_exit, NULL);
        uv_close((uv_handle_t *)&server->watchdog, NULL);
        uv_close((uv_handle_t *)&server->once, NULL);
        uv_close((uv_handle_t *)&server->prepare, NULL);
        uv_close((uv_handle_t *)&server->sigterm, NULL);
        uv_close((uv_handle_t *)&server->sigint, NULL);
}

static void server_announce(const struct server *server, const char *prefix)
{
        const struct config *config = server->config;
        char status[256];

        log_notice("tensord %s at %s, memory limit %" PRIu64 " MiB in %s (%s), %u threads, "
                   "BLAS core %s, kernels %s, %" PRIu32 " connections",
                   TENSORD_VERSION, config->socket_path, config->memory_limit >> 20,
                   config->shm_directory, prefix, config->n_threads, config->blas_core,
                   config->kernels, server->n_sessions_max);
        snprintf(status, sizeof(status), "Listening at %s", config->socket_path);
        notify_ready(status);
}

static void server_serve(struct server *server, uint64_t n_descriptors, const char *prefix)
{
        sessions_init(&server->sessions, &server->loop, server->service, n_descriptors / 2,
                      on_session_ended, server);
        server_start_handles(server);
        server_count_sessions(server);
        server_announce(server, prefix);
        loop_run(&server->loop);
        once_tell(true);
        assert(server->sessions.n == 0);
        sessions_deinit(&server->sessions);
        server_close_handles(server);
}

int server_run(const struct config *config)
{
        struct server server = { .config = config };
        uint64_t n_descriptors = config_raise_descriptors();
        char prefix[TD_SHM_PREFIX_SIZE];
        int status;

        if (n_descriptors < 2 * SERVER_OWN_DESCRIPTORS)
                n_descriptors = 2 * SERVER_OWN_DESCRIPTORS;
        server.n_sessions_max = server_connections(config, n_descriptors);
        td_shm_prefix(prefix, geteuid(), config->socket_path);
        if (loop_init(&server.loop, config->busy_poll_us, may_spin, glance, &server))
                return EX_OSERR;
        if (uv_async_init(&server.loop.uv, &server.wake, on_wake)) {
                loop_deinit(&server.loop);
                return EX_OSERR;
        }
        server.wake.data = &server;

        status = server_start_service(&server, prefix);
        if (!status)
                status = server_start_listener(&server);
        if (!status)
                server_serve(&server, n_descriptors, prefix);

        /* Jobs under way call wake() until the service is gone. */
        server.service = service_free(server.service);
        uv_close((uv_handle_t *)&server.wake, NULL);
        loop_finish(&server.loop);
        loop_deinit(&server.loop);
        if (!status)
                log_notice("stopped");
        return status;
}
