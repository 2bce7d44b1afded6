/* SPDX-License-Identifier: MIT */
/*
 * Kit for tests of who is killed: a child that is stopped at its n-th system call, or its n-th
 * instruction, and killed there.
 */
#pragma once

#include <check.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

enum kit_end { KIT_KILLED, KIT_ENDED, KIT_FORBIDDEN };

/* The child's life: tells in the word how far it is, and ends with _exit(0). */
typedef void (*kit_life)(_Atomic unsigned *done);

__attribute__((unused)) static _Atomic unsigned *kit_shared_word(void)
{
        void *word = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

        ck_assert_ptr_ne(word, MAP_FAILED);
        return word;
}

/* Stopped before it lives; 0: ptrace is forbidden. */
static inline pid_t kit_begin_traced(kit_life life, _Atomic unsigned *done)
{
        pid_t pid = fork();
        int status;

        ck_assert_int_ge(pid, 0);
        if (pid == 0) {
                if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0)
                        _exit(77);
                raise(SIGSTOP);
                life(done);
        }
        ck_assert_int_eq(waitpid(pid, &status, 0), pid);
        if (WIFSTOPPED(status))
                return pid;
        ck_assert_int_eq(WEXITSTATUS(status), 77);
        puts("killing at every step is not tested, ptrace is forbidden");
        return 0;
}

/* Until its next stop of that kind; false: it ended before, well. */
static inline bool kit_step(pid_t pid, int how)
{
        int status;

        ck_assert_int_eq(ptrace((enum __ptrace_request)how, pid, NULL, NULL), 0);
        ck_assert_int_eq(waitpid(pid, &status, 0), pid);
        if (WIFEXITED(status))
                ck_assert_int_eq(WEXITSTATUS(status), 0);
        else
                ck_assert(WIFSTOPPED(status));
        return WIFSTOPPED(status);
}

static inline enum kit_end kit_kill_after_steps(pid_t pid, unsigned n, int how)
{
        int status;

        for (unsigned i = 0; i < n; i++)
                if (!kit_step(pid, how))
                        return KIT_ENDED;
        kill(pid, SIGKILL);
        ck_assert_int_eq(waitpid(pid, &status, 0), pid);
        ck_assert(WIFSIGNALED(status));
        return KIT_KILLED;
}

/* Killed at its n-th stop (PTRACE_SYSCALL: in and out of system calls). */
__attribute__((unused)) static enum kit_end kit_kill_at(kit_life life, _Atomic unsigned *done,
                                                        unsigned n, int how)
{
        pid_t pid = kit_begin_traced(life, done);

        return pid ? kit_kill_after_steps(pid, n, how) : KIT_FORBIDDEN;
}

/* Killed n instructions after it raised SIGSTOP. */
__attribute__((unused)) static enum kit_end kit_kill_after(kit_life life, _Atomic unsigned *done,
                                                           unsigned n)
{
        pid_t pid = kit_begin_traced(life, done);

        if (!pid)
                return KIT_FORBIDDEN;
        ck_assert(kit_step(pid, PTRACE_CONT));
        return kit_kill_after_steps(pid, n, PTRACE_SINGLESTEP);
}
