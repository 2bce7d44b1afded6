/* SPDX-License-Identifier: MIT */
/*
 * Attend
 *
 * A thread for clients that nobody asks anything of for a while. The daemon may ask them for memory
 * that they only keep mapped (trim), and does not wait for long; without the thread that would be
 * read with the next reply.
 *
 * It listens only while the client is at rest, so whoever waits for a reply is not woken together
 * with it: it looks ATTEND_MS later whether a request was made meanwhile.
 *
 * The thread looks at the client under its lock alone and never sleeps with it. What it polls may
 * be closed and opened again before it does: attend_wake() makes it choose anew. All its signals
 * are blocked, and it calls nobody back.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "client.h"

#define ATTEND_MS 250
#define ATTEND_STACK (256U * 1024U)

/* For how long to poll what: a client that is used is looked at later, one that is not connected
 * when it is (attend_wake()). */
static int attend_choose(td_client *client, uint32_t *seen_msgid, int *fdp)
{
        bool is_connected, is_at_rest;

        pthread_mutex_lock(&client->lock);
        is_connected = client->is_connected;
        is_at_rest = is_connected && client->next_msgid == *seen_msgid && client->n_active == 0;
        *seen_msgid = client->next_msgid;
        *fdp = is_at_rest ? client->connection.fd : -1;
        pthread_mutex_unlock(&client->lock);
        return is_connected && !is_at_rest ? ATTEND_MS : -1;
}

static void *attend(void *ctx)
{
        td_client *client = ctx;
        struct attendant *attendant = &client->attendant;
        uint32_t seen_msgid = 0;

        while (!atomic_load_explicit(&attendant->ends, memory_order_acquire)) {
                struct pollfd fds[2] = { { .fd = attendant->wake_fd, .events = POLLIN },
                                         { .events = POLLIN } };
                int timeout_ms = attend_choose(client, &seen_msgid, &fds[1].fd);
                uint64_t n_woken;

                if (poll(fds, 2, timeout_ms) <= 0)
                        continue;
                if (fds[0].revents && read(attendant->wake_fd, &n_woken, sizeof(n_woken)) < 0)
                        break;
                if (fds[1].revents)
                        exchange_poll(client, NULL);
        }
        return NULL;
}

/* Signals are for the process's own threads. */
static int attend_start(td_client *client)
{
        pthread_attr_t attr;
        sigset_t all, old;
        int r;

        r = pthread_attr_init(&attr);
        if (r)
                return r;
        sigfillset(&all);
        pthread_attr_setstacksize(&attr, ATTEND_STACK);
        pthread_sigmask(SIG_SETMASK, &all, &old);
        r = pthread_create(&client->attendant.thread, &attr, attend, client);
        if (r == EINVAL) /* the program's thread-local data lies on it, too, and is larger */
                r = pthread_create(&client->attendant.thread, NULL, attend, client);
        pthread_sigmask(SIG_SETMASK, &old, NULL);
        pthread_attr_destroy(&attr);
        return r;
}

/* Under the lock. */
static int client_attend(td_client *client, td_error *error)
{
        struct attendant *attendant = &client->attendant;
        int r;

        if (client->is_closed)
                return error_set(error, TD_E_CLOSED, "the client was closed");
        if (attendant->is_there)
                return TD_OK;
        attendant->wake_fd = eventfd(0, EFD_CLOEXEC);
        if (attendant->wake_fd < 0)
                return error_set(error, TD_E_CLIENT_MEMORY, "no descriptor to attend with: %s",
                                 strerror(errno));
        atomic_init(&attendant->ends, false);
        attendant->is_there = true;
        r = attend_start(client);
        if (r == 0)
                return TD_OK;
        attend_forget(client);
        return error_set(error, TD_E_CLIENT_MEMORY, "no thread to attend with: %s", strerror(r));
}

int td_attend(td_client *client, td_error *error)
{
        int r;

        pthread_mutex_lock(&client->lock);
        r = client_attend(client, error);
        pthread_mutex_unlock(&client->lock);
        return r;
}

void attend_wake(td_client *client)
{
        const uint64_t one = 1;

        if (client->attendant.is_there && write(client->attendant.wake_fd, &one, sizeof(one)) < 0)
                return; /* it was woken 2^64 - 2 times and did not look: it will */
}

void attend_forget(td_client *client)
{
        if (!client->attendant.is_there)
                return;
        client->attendant.is_there = false;
        close(client->attendant.wake_fd);
}

void attend_end(td_client *client)
{
        struct attendant *attendant = &client->attendant;

        if (!attendant->is_there)
                return;
        atomic_store_explicit(&attendant->ends, true, memory_order_release);
        attend_wake(client);
        pthread_mutex_unlock(&client->lock);
        pthread_join(attendant->thread, NULL);
        pthread_mutex_lock(&client->lock);
        attend_forget(client);
}
