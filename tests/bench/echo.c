/* SPDX-License-Identifier: MIT */
/*
 * Echo over AF_UNIX: what a round trip costs where nothing is done
 *
 * A server process sends back what it gets; clients send one message and wait for it to come back.
 * Blocking: both sides sleep in poll() at once. Polling: both try for at most 50 us before they
 * sleep; one client and its server have a core each, several clients yield between tries.
 * Messages are about as long as a request for one small operation.
 *
 *   echo MODE           seconds of a round trip
 *   rate MODE N TRIPS   seconds in which N client processes do TRIPS round trips each
 */
#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "serve.h"

#define MESSAGE_BYTES 96
#define POLL_SECONDS 50e-6
#define CLIENTS_MAX 16

static double spin_seconds;
static bool yields; /* between tries */
static pid_t children[CLIENTS_MAX + 1];
static int n_children;
static int sockets[CLIENTS_MAX]; /* the clients' ends; to their processes where there are several */
static int n_sockets;
static long n_trips;

static bool is_alive(ssize_t n)
{
        return n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR));
}

/* One message; false at the end. */
static bool receive(int fd, char *message)
{
        struct pollfd pollfd = { .fd = fd, .events = POLLIN };
        double until = spin_seconds > 0 ? serve_now() + spin_seconds : 0;

        for (;;) {
                ssize_t n = recv(fd, message, MESSAGE_BYTES, MSG_DONTWAIT);

                if (n > 0)
                        return true;
                if (!is_alive(n))
                        return false;
                if (yields)
                        sched_yield();
                if (spin_seconds <= 0 || serve_now() > until)
                        poll(&pollfd, 1, -1);
        }
}

static bool trip(int fd)
{
        char message[MESSAGE_BYTES] = { 0 };

        return send(fd, message, sizeof(message), MSG_NOSIGNAL) == sizeof(message) &&
               receive(fd, message);
}

/* Answer what is there: how many messages; -1 once every client is gone. */
static int answer(struct pollfd *clients, int n)
{
        char message[MESSAGE_BYTES];
        int n_answered = 0, n_alive = 0;

        for (int i = 0; i < n; i++) {
                ssize_t got = clients[i].fd < 0 ? 0 : recv(clients[i].fd, message, sizeof(message),
                                                           MSG_DONTWAIT);

                if (got > 0 && send(clients[i].fd, message, (size_t)got, MSG_NOSIGNAL) == got)
                        n_answered++;
                else if (!is_alive(got))
                        clients[i].fd = -1;
                n_alive += clients[i].fd >= 0;
        }
        return n_alive ? n_answered : -1;
}

static void run_server(const int *fds, int n)
{
        struct pollfd clients[CLIENTS_MAX];
        double until = 0;

        for (int i = 0; i < n; i++)
                clients[i] = (struct pollfd){ .fd = fds[i], .events = POLLIN };
        for (;;) {
                int n_answered = answer(clients, n);

                if (n_answered < 0)
                        return;
                if (yields && !n_answered)
                        sched_yield();
                if (spin_seconds > 0 && n_answered)
                        until = serve_now() + spin_seconds;
                if (!n_answered && (spin_seconds <= 0 || serve_now() > until))
                        poll(clients, (nfds_t)n, -1);
        }
}

/* A client process: trips whenever a byte comes down the control socket. */
static void run_client(int control, int fd)
{
        char byte;

        while (read(control, &byte, 1) == 1) {
                for (long i = 0; i < n_trips; i++)
                        if (!trip(fd))
                                return;
                if (write(control, &byte, 1) != 1)
                        return;
        }
}

static void forget(void)
{
        for (int i = 0; i < n_sockets; i++)
                close(sockets[i]);
        for (int i = 0; i < n_children; i++)
                waitpid(children[i], NULL, 0);
        n_sockets = n_children = 0;
}

/*
 * A core to itself for this process: the first for the client, the last for the server. Two that
 * poll on one core keep each other from answering, and the scheduler does put them there.
 */
static void take_core(bool is_server)
{
        cpu_set_t all, one;
        size_t cpu = is_server ? CPU_SETSIZE - 1 : 0;

        if (sched_getaffinity(0, sizeof(all), &all) || CPU_COUNT(&all) < 2)
                return;
        while (!CPU_ISSET(cpu, &all))
                cpu = is_server ? cpu - 1 : cpu + 1;
        CPU_ZERO(&one);
        CPU_SET(cpu, &one);
        sched_setaffinity(0, sizeof(one), &one);
}

/* 0 in the child, which must _exit(). */
static pid_t fork_child(void)
{
        pid_t pid = fork();

        if (pid > 0)
                children[n_children++] = pid;
        if (pid == 0)
                prctl(PR_SET_PDEATHSIG, SIGKILL);
        return pid;
}

/* Echo server with n clients, whose ends are written to ends. */
static bool start_server(const char *mode, int n, int *ends)
{
        int theirs[CLIENTS_MAX];

        spin_seconds = strcmp(mode, "polling") ? 0 : POLL_SECONDS;
        yields = spin_seconds > 0 && n > 1;
        for (int i = 0; i < n; i++) {
                int pair[2];

                if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
                        return false;
                ends[i] = pair[0];
                theirs[i] = pair[1];
        }
        if (fork_child() == 0) {
                for (int i = 0; i < n; i++)
                        close(ends[i]);
                if (spin_seconds > 0 && n == 1)
                        take_core(true);
                run_server(theirs, n);
                _exit(0);
        }
        for (int i = 0; i < n; i++)
                close(theirs[i]);
        return true;
}

static bool echo_prepare(char **arguments)
{
        if (!start_server(arguments[0], 1, sockets))
                return serve_no("no socket");
        n_sockets = 1;
        if (spin_seconds > 0)
                take_core(false);
        return serve_ok("%s", arguments[0]);
}

static const char *echo_time(double *seconds, long n)
{
        for (long i = 0; i < n; i++) {
                double start = serve_now();

                if (!trip(sockets[0]))
                        return "the echo ended";
                seconds[i] = serve_now() - start;
        }
        return NULL;
}

static bool rate_prepare(char **arguments)
{
        int n = atoi(arguments[1]), ends[CLIENTS_MAX];

        n_trips = strtol(arguments[2], NULL, 10);
        if (n < 1 || n > CLIENTS_MAX || n_trips < 1 || !start_server(arguments[0], n, ends))
                return serve_no("that many clients or trips do not go");
        for (int i = 0; i < n; i++) {
                int pair[2];

                if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
                        return serve_no("no socket");
                if (fork_child() == 0) {
                        for (int k = 0; k < n_sockets; k++)
                                close(sockets[k]);
                        for (int k = i + 1; k < n; k++)
                                close(ends[k]);
                        close(pair[0]);
                        if (spin_seconds > 0 && n == 1)
                                take_core(false);
                        run_client(pair[1], ends[i]);
                        _exit(0);
                }
                close(pair[1]);
                close(ends[i]);
                sockets[n_sockets++] = pair[0];
        }
        return serve_ok("%s", arguments[0]);
}

static const char *rate_time(double *seconds, long n)
{
        for (long i = 0; i < n; i++) {
                double start = serve_now();
                char byte = 0;

                for (int k = 0; k < n_sockets; k++)
                        if (write(sockets[k], &byte, 1) != 1)
                                return "a client ended";
                for (int k = 0; k < n_sockets; k++)
                        if (read(sockets[k], &byte, 1) != 1)
                                return "a client ended";
                seconds[i] = serve_now() - start;
        }
        return NULL;
}

int main(void)
{
        static const struct serve_work works[] = {
                { "echo", 1, echo_prepare, echo_time, forget, NULL },
                { "rate", 3, rate_prepare, rate_time, forget, NULL },
                { 0 },
        };

        return serve(works);
}
