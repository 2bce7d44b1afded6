/* SPDX-License-Identifier: MIT */
/*
 * Isolated user kernels
 *
 * One letter goes to the child: a struct child_order, with descriptors of all files that it is to
 * map; one comes back: a struct child_answer. Arrays that lie in a segment are mapped from a
 * descriptor of it (run->locate); all others, and the scratch, lie in one file without a name,
 * copied there and back.
 */
#include "compute/user/user_child.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "base/error.h"
#include "compute/step_base.h"

#define CHILD_FD 3
#define POLL_MS 10 /* how often the parent asks whether it should stop */
#define FILES_MAX (TD_KERNEL_ARRAYS_MAX + 1)

/* Where an array lies for the child. */
struct child_array {
        struct td_type type;
        uint64_t offset; /* in the file */
        uint32_t file;   /* index of its descriptor */
};

struct child_order {
        pid_t parent;
        uint32_t n_args, n_results, n_files;
        struct child_array arrays[TD_KERNEL_ARRAYS_MAX];
        uint64_t scratch_offset, n_scratch; /* in file 0 */
        uint64_t file_bytes[FILES_MAX];     /* to be mapped */
        bool is_writable[FILES_MAX];
        char path[PATH_MAX];
};

struct child_answer {
        int result;
        char message[USER_MESSAGE];
};

void user_message_tidy(char *message)
{
        for (; *message; message++)
                if (*message < ' ' || *message > '~')
                        *message = '?';
}

/* ---- the daemon's side ---- */

struct child {
        struct child_order order;
        int fds[FILES_MAX];
        char *arena; /* mapping of file 0 */
        uint64_t n_arena;
        bool is_copied[TD_KERNEL_ARRAYS_MAX];
        int socket;
        pid_t pid; /* 0: none */
};

static void child_deinit(struct child *child)
{
        if (child->pid > 0) {
                kill(child->pid, SIGKILL);
                while (waitpid(child->pid, NULL, 0) < 0 && errno == EINTR)
                        ;
        }
        if (child->arena)
                munmap(child->arena, child->n_arena);
        for (uint32_t i = 0; i < child->order.n_files; i++)
                close(child->fds[i]);
        if (child->socket >= 0)
                close(child->socket);
}

static uint64_t array_bytes(const struct td_kernel_array *array)
{
        return (uint64_t)td_type_n_bytes(&array->type);
}

/* Which arrays lie in files that can be handed over; the others get room in the arena. */
static void place_arrays(struct child *child, const struct run *run,
                         const struct td_kernel_call *call)
{
        struct child_order *order = &child->order;

        order->n_files = 1;
        for (uint32_t i = 0; i < call->n_args + call->n_results; i++) {
                const struct td_kernel_array *array = &call->args[i];
                struct child_array *place = &order->arrays[i];
                bool is_result = i >= call->n_args;

                place->type = array->type;
                if (run && run->locate && array_bytes(array) > 0 &&
                    run->locate(run->ctx, array->data, is_result, &child->fds[order->n_files],
                                &place->offset)) {
                        place->file = order->n_files++;
                        order->file_bytes[place->file] = place->offset + array_bytes(array);
                        order->is_writable[place->file] = is_result;
                        continue;
                }
                child->is_copied[i] = true;
                place->offset = child->n_arena;
                child->n_arena = align_64(child->n_arena + array_bytes(array));
        }
        order->scratch_offset = child->n_arena;
        order->n_scratch = call->n_scratch;
        child->n_arena = align_64(child->n_arena + call->n_scratch) + 64;
        order->file_bytes[0] = child->n_arena;
        order->is_writable[0] = true;
}

static int make_arena(struct child *child, const struct td_kernel_call *call)
{
        void *map;

        child->fds[0] = memfd_create("user-kernel", MFD_CLOEXEC);
        if (child->fds[0] < 0) {
                int r = error_origin(-errno);

                child->fds[0] = open("/dev/null", O_RDONLY | O_CLOEXEC); /* to be closed */
                return r;
        }
        if (ftruncate(child->fds[0], (off_t)child->n_arena))
                return error_origin(-errno);
        map = mmap(NULL, child->n_arena, PROT_READ | PROT_WRITE, MAP_SHARED, child->fds[0], 0);
        if (map == MAP_FAILED)
                return error_origin(-errno);
        child->arena = map;
        for (uint32_t i = 0; i < call->n_args; i++)
                if (child->is_copied[i])
                        memcpy(child->arena + child->order.arrays[i].offset, call->args[i].data,
                               array_bytes(&call->args[i]));
        return 0;
}

static int spawn(struct child *child)
{
        char *argv[] = { (char *)"tensord", (char *)USER_CHILD_OPTION, NULL };
        char *environment[] = { NULL };
        posix_spawn_file_actions_t actions;
        posix_spawnattr_t attributes;
        sigset_t none, all;
        int pair[2], r;

        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
                return error_origin(-errno);
        child->socket = pair[0];
        sigemptyset(&none);
        sigfillset(&all);
        posix_spawn_file_actions_init(&actions);
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
        posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
        posix_spawn_file_actions_adddup2(&actions, pair[1], CHILD_FD);
        posix_spawnattr_init(&attributes);
        posix_spawnattr_setsigmask(&attributes, &none);
        posix_spawnattr_setsigdefault(&attributes, &all);
        posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
        r = posix_spawn(&child->pid, "/proc/self/exe", &actions, &attributes, argv, environment);
        posix_spawn_file_actions_destroy(&actions);
        posix_spawnattr_destroy(&attributes);
        close(pair[1]);
        if (r)
                child->pid = 0;
        return r ? error_origin(-r) : 0;
}

static int send_order(struct child *child)
{
        struct iovec iov = { .iov_base = &child->order, .iov_len = sizeof(child->order) };
        union {
                struct cmsghdr header;
                char bytes[CMSG_SPACE(FILES_MAX * sizeof(int))];
        } control = { 0 };
        const size_t n_bytes = child->order.n_files * sizeof(int);
        struct msghdr message = { .msg_iov = &iov,
                                  .msg_iovlen = 1,
                                  .msg_control = &control,
                                  .msg_controllen = CMSG_SPACE(n_bytes) };
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);

        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(n_bytes);
        memcpy(CMSG_DATA(header), child->fds, n_bytes);
        if (sendmsg(child->socket, &message, MSG_NOSIGNAL) < 0)
                return errno == EPIPE || errno == ECONNRESET ? 0 : error_origin(-errno);
        return 0;
}

/* How a child ended that gave no answer. */
static void tell_end(struct child *child, char *message, size_t n_message)
{
        int status = 0;

        while (waitpid(child->pid, &status, 0) < 0 && errno == EINTR)
                ;
        child->pid = 0;
        if (WIFSIGNALED(status))
                snprintf(message, n_message, "its process was ended by signal %d (%s)",
                         WTERMSIG(status), strsignal(WTERMSIG(status)));
        else
                snprintf(message, n_message, "its process exited with status %d and no answer",
                         WEXITSTATUS(status));
}

/* 0, 1, or negative errno, as user_child_run(). */
static int await_answer(struct child *child, const struct run *run,
                        const struct td_kernel_call *call)
{
        struct pollfd poll_fd = { .fd = child->socket, .events = POLLIN };
        struct child_answer answer;
        ssize_t n;

        for (;;) {
                int r = poll(&poll_fd, 1, POLL_MS);

                if (r < 0 && errno != EINTR)
                        return error_origin(-errno);
                if (r > 0)
                        break;
                if (run_should_stop(run))
                        return 1;
        }
        n = recv(child->socket, &answer, sizeof(answer), 0);
        if (n != sizeof(answer)) {
                tell_end(child, call->message, call->n_message);
                return 1;
        }
        answer.message[sizeof(answer.message) - 1] = '\0';
        snprintf(call->message, call->n_message, "%s", answer.message);
        return answer.result ? 1 : 0;
}

int user_child_run(const struct user_kernel *kernel, const struct run *run,
                   const struct td_kernel_call *call)
{
        _cleanup_(freep) struct child *child = calloc(1, sizeof(*child));
        int r;

        if (!child)
                return error_origin(-ENOMEM);
        child->socket = -1;
        child->order.parent = getpid();
        child->order.n_args = call->n_args;
        child->order.n_results = call->n_results;
        snprintf(child->order.path, sizeof(child->order.path), "%s", kernel->path);
        place_arrays(child, run, call);
        r = make_arena(child, call);
        if (r == 0)
                r = spawn(child);
        if (r == 0)
                r = send_order(child);
        if (r == 0)
                r = await_answer(child, run, call);
        for (uint32_t i = 0; r == 0 && i < call->n_results; i++)
                if (child->is_copied[call->n_args + i])
                        memcpy(call->results[i].data,
                               child->arena + child->order.arrays[call->n_args + i].offset,
                               array_bytes(&call->results[i]));
        child_deinit(child);
        return r;
}

/* ---- the child's side ---- */

static void serial_for(const struct td_kernel_call *call, uint64_t n,
                       void (*fn)(void *ctx, uint64_t i), void *ctx)
{
        (void)call;
        for (uint64_t i = 0; i < n; i++)
                fn(ctx, i);
}

static bool never_stop(const struct td_kernel_call *call)
{
        (void)call;
        return false; /* it is killed instead */
}

static bool receive_order(struct child_order *order, int *fds)
{
        struct iovec iov = { .iov_base = order, .iov_len = sizeof(*order) };
        union {
                struct cmsghdr header;
                char bytes[CMSG_SPACE(FILES_MAX * sizeof(int))];
        } control;
        struct msghdr message = { .msg_iov = &iov,
                                  .msg_iovlen = 1,
                                  .msg_control = &control,
                                  .msg_controllen = sizeof(control) };
        struct cmsghdr *header;

        if (recvmsg(CHILD_FD, &message, MSG_CMSG_CLOEXEC) != sizeof(*order))
                return false;
        header = CMSG_FIRSTHDR(&message);
        if (!header || header->cmsg_len != CMSG_LEN(order->n_files * sizeof(int)))
                return false;
        memcpy(fds, CMSG_DATA(header), order->n_files * sizeof(int));
        return true;
}

/* Map every file; 0, or -1 and errno. */
static int map_files(const struct child_order *order, const int *fds, char **maps)
{
        for (uint32_t i = 0; i < order->n_files; i++) {
                int protection = PROT_READ | (order->is_writable[i] ? PROT_WRITE : 0);
                void *map = mmap(NULL, order->file_bytes[i], protection, MAP_SHARED, fds[i], 0);

                if (map == MAP_FAILED)
                        return -1;
                maps[i] = map;
        }
        return 0;
}

static void run_order(const struct child_order *order, char *const *maps,
                      struct child_answer *answer)
{
        struct td_kernel_array arrays[TD_KERNEL_ARRAYS_MAX];
        struct td_kernel_call call = { .struct_size = sizeof(call),
                                       .n_args = order->n_args,
                                       .n_results = order->n_results,
                                       .args = arrays,
                                       .results = arrays + order->n_args,
                                       .scratch = maps[0] + order->scratch_offset,
                                       .n_scratch = order->n_scratch,
                                       .message = answer->message,
                                       .n_message = sizeof(answer->message),
                                       .parallel_for = serial_for,
                                       .should_stop = never_stop };
        void *library = dlopen(order->path, RTLD_NOW | RTLD_LOCAL);
        const struct td_kernel *kernel = library ? dlsym(library, "tensord_kernel") : NULL;

        answer->result = 1;
        if (!kernel) {
                snprintf(answer->message, sizeof(answer->message), "%s", dlerror());
                return;
        }
        for (uint32_t i = 0; i < order->n_args + order->n_results; i++) {
                arrays[i].type = order->arrays[i].type;
                arrays[i].data = maps[order->arrays[i].file] + order->arrays[i].offset;
        }
        answer->result = kernel->run(&call);
}

int user_child_main(void)
{
        static struct child_order order;
        struct child_answer answer = { .result = 1 };
        const struct rlimit no_core = { 0, 0 };
        int fds[FILES_MAX];
        char *maps[FILES_MAX];

        prctl(PR_SET_PDEATHSIG, SIGKILL);
        setrlimit(RLIMIT_CORE, &no_core);
        if (!receive_order(&order, fds) || getppid() != order.parent)
                return 1; /* the daemon was gone before its death could be told */
        if (map_files(&order, fds, maps))
                snprintf(answer.message, sizeof(answer.message), "mmap: %s", strerror(errno));
        else
                run_order(&order, maps, &answer);
        return send(CHILD_FD, &answer, sizeof(answer), MSG_NOSIGNAL) == sizeof(answer) ? 0 : 1;
}
