/* SPDX-License-Identifier: MIT */
/*
 * Isolated user kernels
 *
 * run() in a process of its own: this program, executed anew with USER_CHILD_OPTION, which inherits
 * no descriptor but one end of a socket pair, maps the memory that it is handed, loads the kernel's
 * file, and answers with what run() returned. It dies with the daemon, and is killed when the job
 * should stop.
 */
#pragma once

#include "compute/plan/plan.h"
#include "compute/user/user_kernel.h"

/* main() answers this, as the only argument, by exit status user_child_main(), before anything
 * else. */
#define USER_CHILD_OPTION "--user-kernel"

#define USER_MESSAGE 256 /* bytes of a kernel's message */

/*
 * 0; 1 and the call's message says why it failed (the process died, perhaps); negative errno. May
 * return early if the run should stop. The call's results stand right behind its arguments.
 */
int user_child_run(const struct user_kernel *kernel, const struct run *run,
                   const struct td_kernel_call *call);

int user_child_main(void);

/* Printable ASCII, for it goes into an error message. */
void user_message_tidy(char *message);
