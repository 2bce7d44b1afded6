/* SPDX-License-Identifier: MIT */
/*
 * Jobs
 *
 * Calls' work, which workers do. A short job that comes alone is kept until the turn of the loop
 * ends, and done there: workers would take longer. As soon as a second one comes both are the
 * workers', so jobs that can be done side by side are; and no client waits for more than one in a
 * turn.
 */
#include <assert.h>
#include <errno.h>

#include "service/core.h"
#include "service/fetch.h"

/* What workers take longer, less what they gain: to wake up, to share a job, to wake the loop. */
#define WAKE_NS 100000

/* Will the loop thread be done with it before the workers would be? */
static bool is_short(const struct service *service, uint64_t cost_ns)
{
        unsigned n = workers_n_threads(service->workers);

        return cost_ns - cost_ns / n < WAKE_NS && cost_ns < 2 * WAKE_NS;
}

static void on_job_done(struct work *work)
{
        struct call *call = container_of(work, struct call, work);

        call->service->n_jobs--;
        call->is_submitted = false;
        call->done(call);
}

/* The job that was kept becomes the workers' after all. */
void service_give_kept(struct service *service)
{
        struct call *call = service->kept;

        if (!call)
                return;
        service->kept = NULL;
        call->is_kept = false;
        workers_submit(service->workers, &call->work);
}

void service_submit(struct service *service, struct call *call, uint64_t cost_ns,
                    void (*run)(struct work *), void (*done)(struct call *))
{
        bool is_alone = service->n_jobs == 0 && workers_n_busy(service->workers) == 0;

        fetch_end(call);
        service->n_jobs++;
        call->done = done;
        call->result = -ECANCELED;
        call->is_submitted = true;
        work_init(&call->work, run, on_job_done);
        call->work.queue = &call->user->works;
        call->work.cost_ns = cost_ns;
        call->work.n_threads = call->request->n_threads;
        if (is_alone && is_short(service, cost_ns)) {
                service->kept = call;
                call->is_kept = true;
                return;
        }
        service_give_kept(service);
        workers_submit(service->workers, &call->work);
}

bool service_withdraw(struct service *service, struct call *call)
{
        if (call->is_kept)
                service->kept = NULL;
        else if (!workers_withdraw(service->workers, &call->work))
                return false;
        call->is_kept = false;
        service->n_jobs--;
        call->is_submitted = false;
        return true;
}

static bool do_kept(struct service *service)
{
        struct call *call = service->kept;

        if (!call)
                return false;
        call->work.run(&call->work);
        service->kept = NULL;
        call->is_kept = false;
        on_job_done(&call->work);
        return true;
}

bool service_is_behind(const struct service *service)
{
        return store_has_left(service->store);
}

bool service_end_turn(struct service *service)
{
        bool has_done;

        service_enter(service);
        has_done = do_kept(service);
        store_settle(service->store);
        service_pump(service);
        service_give_kept(service); /* one that waited for it */
        service_leave(service);
        return has_done;
}
