/* SPDX-License-Identifier: MIT */
/*
 * Kills a process at its N-th stop: before or behind a system call of any of its threads.
 *
 *   killer attach PID N
 *       counts from the moment at which it prints "ready"; SIGTERM ends the counting: it runs on
 *   killer start N FROM COMMAND
 *       starts it; counts from the first system call that opens a path beginning with FROM, up to
 *       the first wait for events (epoll), where it is killed in any case
 *
 * N = 0: never. Threads that wait by sched_yield change nothing, and are not counted then. Prints
 * "killed COUNT CALL entry|exit", "past COUNT" (start: it waited for events before), "alive COUNT"
 * (attach: told to stop) or "ended COUNT STATUS". SIGKILL at a stop before a call means that the
 * call is not made.
 */
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/ptrace.h>

#define N_PATH 256
#define N_THREADS 64

struct killer {
        pid_t pid; /* of the process, and of its first thread */
        unsigned long n;
        unsigned long count;
        const char *from; /* NULL: counting has begun */
        bool ends_at_wait;
};

_Noreturn static void fail(const char *what)
{
        fprintf(stderr, "killer: %s: %s\n", what, strerror(errno));
        exit(2);
}

static void kill_it(const struct killer *killer)
{
        pid_t tid;
        int status;

        kill(killer->pid, SIGKILL);
        /* Its threads first: a process ends with the last of them. */
        do
                tid = waitpid(-1, &status, __WALL);
        while (tid >= 0 && (tid != killer->pid || !(WIFSIGNALED(status) || WIFEXITED(status))));
}

/* Does the call open a path that begins with killer->from? */
static bool is_beginning(const struct killer *killer, const struct ptrace_syscall_info *info)
{
        char path[N_PATH] = "";
        struct iovec to = { .iov_base = path, .iov_len = N_PATH - 1 };
        struct iovec from;

        if (info->op != PTRACE_SYSCALL_INFO_ENTRY || info->entry.nr != SYS_openat)
                return false;
        from = (struct iovec){ .iov_base = (void *)(uintptr_t)info->entry.args[1],
                               .iov_len = N_PATH - 1 };
        /* Up to the end of a page that nothing follows, if need be. */
        if (process_vm_readv(killer->pid, &to, 1, &from, 1, 0) < 0) {
                from.iov_len = 4096 - (size_t)(info->entry.args[1] % 4096);
                if (from.iov_len >= N_PATH)
                        return false;
                if (process_vm_readv(killer->pid, &to, 1, &from, 1, 0) < 0)
                        return false;
        }
        return strncmp(path, killer->from, strlen(killer->from)) == 0;
}

/* What a thread last called. */
static unsigned long long *call_of(pid_t tid)
{
        static struct {
                pid_t tid;
                unsigned long long call;
        } threads[N_THREADS];

        for (unsigned i = 0; i < N_THREADS; i++) {
                if (!threads[i].tid)
                        threads[i].tid = tid;
                if (threads[i].tid == tid)
                        return &threads[i].call;
        }
        errno = E2BIG;
        fail("threads");
}

/* A thread stands before or behind a system call. True: all is over. */
static bool at_call(struct killer *killer, pid_t tid)
{
        struct ptrace_syscall_info info = { 0 };
        unsigned long long *callp = call_of(tid);
        bool is_entry;

        if (ptrace(PTRACE_GET_SYSCALL_INFO, tid, sizeof(info), &info) < 0)
                return false; /* gone meanwhile */
        is_entry = info.op == PTRACE_SYSCALL_INFO_ENTRY;
        if (is_entry)
                *callp = info.entry.nr;
        if (killer->from && is_beginning(killer, &info))
                killer->from = NULL;
        if (killer->from || *callp == SYS_sched_yield)
                return false;
        if (killer->ends_at_wait && is_entry &&
            (info.entry.nr == SYS_epoll_wait || info.entry.nr == SYS_epoll_pwait)) {
                kill_it(killer);
                printf("past %lu\n", killer->count);
                return true;
        }
        if (++killer->count != killer->n)
                return false;
        kill_it(killer);
        printf("killed %lu %llu %s\n", killer->count, *callp, is_entry ? "entry" : "exit");
        return true;
}

/* True: all is over. */
static bool at_stop(struct killer *killer, pid_t tid, int status)
{
        int signal = 0;

        if (WIFEXITED(status) || WIFSIGNALED(status)) {
                if (tid != killer->pid)
                        return false;
                printf("ended %lu %d\n", killer->count, status);
                return true;
        }
        if (status >> 16 == 0 && WSTOPSIG(status) == (SIGTRAP | 0x80)) {
                if (at_call(killer, tid))
                        return true;
        } else if (status >> 16 == 0) {
                signal = WSTOPSIG(status);
        }
        ptrace(PTRACE_SYSCALL, tid, NULL, (void *)(intptr_t)signal);
        return false;
}

/* ---- which threads ---- */

#define OPTIONS (PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACECLONE | PTRACE_O_TRACEEXEC)

static void attach(pid_t pid)
{
        char path[64];
        struct dirent *entry;
        DIR *dir;

        snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
        dir = opendir(path);
        if (!dir)
                fail(path);
        while ((entry = readdir(dir))) {
                pid_t tid = (pid_t)atoi(entry->d_name);

                if (tid <= 0)
                        continue;
                if (ptrace(PTRACE_SEIZE, tid, NULL, (void *)OPTIONS) < 0)
                        fail("PTRACE_SEIZE");
                if (ptrace(PTRACE_INTERRUPT, tid, NULL, NULL) < 0)
                        fail("PTRACE_INTERRUPT");
        }
        closedir(dir);
}

static pid_t start(char **command)
{
        int fds[2];
        char byte;
        pid_t pid;

        if (pipe(fds) < 0)
                fail("pipe");
        pid = fork();
        if (pid < 0)
                fail("fork");
        if (pid == 0) {
                sigset_t none;

                close(fds[1]);
                while (read(fds[0], &byte, 1) < 0 && errno == EINTR)
                        ;
                close(fds[0]);
                sigemptyset(&none);
                sigprocmask(SIG_SETMASK, &none, NULL);
                execv(command[0], command);
                fail(command[0]);
        }
        close(fds[0]);
        attach(pid);
        close(fds[1]);
        return pid;
}

int main(int argc, char **argv)
{
        struct killer killer = { 0 };
        sigset_t signals;
        pid_t tid;
        int status;

        setvbuf(stdout, NULL, _IOLBF, 0);
        sigemptyset(&signals);
        sigaddset(&signals, SIGCHLD);
        sigaddset(&signals, SIGTERM);
        sigprocmask(SIG_BLOCK, &signals, NULL);
        if (argc == 4 && !strcmp(argv[1], "attach")) {
                killer.pid = (pid_t)atoi(argv[2]);
                killer.n = strtoul(argv[3], NULL, 10);
                attach(killer.pid);
                puts("ready");
        } else if (argc >= 5 && !strcmp(argv[1], "start")) {
                killer.n = strtoul(argv[2], NULL, 10);
                killer.from = argv[3];
                killer.ends_at_wait = true;
                killer.pid = start(argv + 4);
        } else {
                fputs("killer attach PID N | killer start N FROM COMMAND...\n", stderr);
                return 2;
        }
        for (;;) {
                while ((tid = waitpid(-1, &status, __WALL | WNOHANG)) > 0)
                        if (at_stop(&killer, tid, status))
                                return 0;
                if (sigwaitinfo(&signals, NULL) == SIGTERM) {
                        printf("alive %lu\n", killer.count);
                        return 0;
                }
        }
}
