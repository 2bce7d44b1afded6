/* SPDX-License-Identifier: MIT */
/*
 * tensord
 *
 * Arguments become a configuration; what was not said follows from the machine. The choice of
 * OpenBLAS's core comes before everything else, since it may start this program anew: no
 * descriptor, lock or thread is there yet.
 */
#include <argp.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sysexits.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "compute/linalg/blas_core.h"
#include "compute/linalg/blas_threads.h"
#include "compute/kernels/kernels.h"
#include "compute/plan/plan.h"
#include "compute/user/user_child.h"
#include "net/config.h"
#include "net/notify.h"
#include "net/server.h"
#include "tensord/prefix.h"

#define MEMORY_MIN (1024 * 1024)
#define BUSY_POLL_US 50

/* argp finds it by name, in this program's dynamic symbols */
__attribute__((visibility("default")))
const char *argp_program_version = "tensord " TENSORD_VERSION;

enum {
        OPTION_SOCKET_MODE = 256,
        OPTION_BUSY_POLL,
        OPTION_CONNECTIONS,
        OPTION_IDLE_EXIT,
        OPTION_LOG_FILE,
        OPTION_LOG_LEVEL,
        OPTION_SHM_DIRECTORY,
        OPTION_KERNEL_DIR,
        OPTION_SPILL_DIR,
        OPTION_SPILL_LIMIT,
        OPTION_ENGINE_TILE,
        OPTION_ENGINE_UNFUSED,
        OPTION_QUOTA, /* the first of as many as there are resources */
};

static const struct argp_option options[] = {
        { "socket", 's', "PATH", 0,
          "Listen at PATH. Default: $TENSORD_SOCKET, $XDG_RUNTIME_DIR/tensord/socket, "
          "/run/tensord/socket for root, /tmp/tensord-UID/socket",
          0 },
        { "socket-mode", OPTION_SOCKET_MODE, "MODE", 0,
          "Permissions of the socket, octal: who may connect (default 0600)", 0 },
        { "memory", 'm', "SIZE", 0,
          "Never hold more than SIZE bytes of tensors; K, M, G or T may follow the number. "
          "Default: 90 % of the size of /dev/shm or 75 % of the memory, whichever is less",
          0 },
        { "threads", 't', "N", 0, "Compute on N threads (default: one a processor)", 0 },
        { "busy-poll-us", OPTION_BUSY_POLL, "US", 0,
          "Keep looking for the next message for US microseconds before sleeping (default 50 where "
          "there is more than one processor; 0: sleep at once)",
          0 },
        { "max-connections", OPTION_CONNECTIONS, "N", 0,
          "Serve at most N connections at a time; more of them wait (default 4096, or fewer where "
          "descriptors are limited)",
          0 },
        { "idle-exit", OPTION_IDLE_EXIT, "SECONDS", 0,
          "Exit after SECONDS without a client; named tensors stay for the next start", 0 },
        { "log-file", OPTION_LOG_FILE, "FILE", 0, "Append the log to FILE instead of stderr", 0 },
        { "log-level", OPTION_LOG_LEVEL, "LEVEL", 0,
          "error, warning, notice, info (default) or debug", 0 },
        { "shm-directory", OPTION_SHM_DIRECTORY, "DIR", 0,
          "Where the shared memory file system is mounted (default /dev/shm)", 0 },
        { "kernel-dir", OPTION_KERNEL_DIR, "DIR", 0,
          "Load user kernels (*.so, see tensord/kernel.h) from DIR; it must belong to root or to "
          "the daemon's user, and nobody else may write to it",
          0 },
        { "spill-dir", OPTION_SPILL_DIR, "DIR", 0,
          "Where memory runs out, move named tensors that nobody uses to .npy files in DIR, and "
          "back when they are used; it must be the daemon's user's alone (0700), and is made if it "
          "is not there",
          0 },
        { "spill-limit", OPTION_SPILL_LIMIT, "SIZE", 0,
          "Never hold more than SIZE bytes there (default: as long as a tenth of its file system "
          "is free)",
          0 },
#define RESOURCE(sym, name, is_bytes, doc)                                                         \
        { "quota-" name, OPTION_QUOTA + RESOURCE_##sym, is_bytes ? "SIZE" : "N", 0,                \
          "No user has more than that at a time: " doc, 0 },
#include "base/resources.def"
#undef RESOURCE
        { "engine-tile", OPTION_ENGINE_TILE, "N", 0,
          "Diagnosis: compute at most N elements at a time; slow, with the same results", 0 },
        { "engine-unfused", OPTION_ENGINE_UNFUSED, 0, 0,
          "Diagnosis: compute every operation by itself; slow, with the same results", 0 },
        { 0 },
};

struct arguments {
        struct config config;
        const char *socket;
        const char *log_file;
        const char *kernel_dir;
        enum log_level log_level;
        bool has_busy_poll;
        struct plan_options engine;
};

static uint64_t parse_number(struct argp_state *state, const char *option, const char *text,
                             uint64_t min, uint64_t max)
{
        uint64_t value = 0;

        if (config_parse_number(text, min, max, &value))
                argp_error(state, "--%s is a number from %" PRIu64 " to %" PRIu64 ", not '%s'",
                           option, min, max, text);
        return value;
}

static mode_t parse_mode(struct argp_state *state, const char *text)
{
        char *end;
        unsigned long mode = strtoul(text, &end, 8);

        if (*text < '0' || *text > '7' || *end || mode > 0777)
                argp_error(state, "--socket-mode is octal permissions such as 0660, not '%s'",
                           text);
        return (mode_t)mode;
}

static enum log_level parse_level(struct argp_state *state, const char *text)
{
        static const char *const names[] = {
                [LOG_LEVEL_ERROR] = "error",   [LOG_LEVEL_WARNING] = "warning",
                [LOG_LEVEL_NOTICE] = "notice", [LOG_LEVEL_INFO] = "info",
                [LOG_LEVEL_DEBUG] = "debug",
        };

        for (int i = LOG_LEVEL_ERROR; i <= LOG_LEVEL_DEBUG; i++)
                if (!strcmp(names[i], text))
                        return (enum log_level)i;
        argp_error(state, "--log-level is error, warning, notice, info or debug, not '%s'", text);
        return LOG_LEVEL_INFO;
}

static void parse_quota(struct argp_state *state, enum resource resource, const char *text,
                        uint64_t *valuep)
{
        char option[64];

        snprintf(option, sizeof(option), "quota-%s", resource_name(resource));
        if (!resource_is_bytes(resource))
                *valuep = parse_number(state, option, text, 1, UINT32_MAX);
        else if (config_parse_size(text, valuep) || *valuep == 0)
                argp_error(state, "--%s is a size such as 64M or 8G, not '%s'", option, text);
}

static error_t parse_option(int key, char *text, struct argp_state *state)
{
        struct arguments *arguments = state->input;
        struct config *config = &arguments->config;

        if (key >= OPTION_QUOTA && key < OPTION_QUOTA + N_RESOURCES) {
                parse_quota(state, (enum resource)(key - OPTION_QUOTA), text,
                            &config->quotas.each[key - OPTION_QUOTA]);
                return 0;
        }
        switch (key) {
        case 's':
                arguments->socket = text;
                return 0;
        case OPTION_SOCKET_MODE:
                config->socket_mode = parse_mode(state, text);
                return 0;
        case 'm':
                if (config_parse_size(text, &config->memory_limit) ||
                    config->memory_limit < MEMORY_MIN)
                        argp_error(state,
                                   "--memory is a size of at least 1M such as 64M or 8G, not '%s'",
                                   text);
                return 0;
        case 't':
                config->n_threads = (unsigned)parse_number(state, "threads", text, 1, 1024);
                return 0;
        case OPTION_ENGINE_TILE:
                arguments->engine.tile = (unsigned)parse_number(state, "engine-tile", text, 1,
                                                                1 << 20);
                return 0;
        case OPTION_ENGINE_UNFUSED:
                arguments->engine.is_plain = true;
                return 0;
        case OPTION_BUSY_POLL:
                config->busy_poll_us = (unsigned)parse_number(state, "busy-poll-us", text, 0,
                                                              1000000);
                arguments->has_busy_poll = true;
                return 0;
        case OPTION_CONNECTIONS:
                config->max_connections = (uint32_t)parse_number(state, "max-connections", text, 1,
                                                                 1000000);
                return 0;
        case OPTION_IDLE_EXIT:
                config->idle_exit_ms = 1000 * parse_number(state, "idle-exit", text, 1, UINT32_MAX);
                return 0;
        case OPTION_LOG_FILE:
                arguments->log_file = text;
                return 0;
        case OPTION_LOG_LEVEL:
                arguments->log_level = parse_level(state, text);
                return 0;
        case OPTION_KERNEL_DIR:
                arguments->kernel_dir = text;
                return 0;
        case OPTION_SPILL_DIR:
                config->spill_directory = text;
                return 0;
        case OPTION_SPILL_LIMIT:
                if (config_parse_size(text, &config->quotas.all[RESOURCE_SPILLED]))
                        argp_error(state, "--spill-limit is a size such as 64M or 8G, not '%s'",
                                   text);
                return 0;
        case OPTION_SHM_DIRECTORY:
                config->shm_directory = text;
                return 0;
        default:
                return ARGP_ERR_UNKNOWN;
        }
}

/* ---- steps of the start: each returns an exit status ---- */

/* systemd reads what stderr is connected to it says here: "device:inode". */
static bool stderr_is_journal(void)
{
        const char *stream = getenv("JOURNAL_STREAM");
        unsigned long device, inode;
        struct stat status;

        return stream && sscanf(stream, "%lu:%lu", &device, &inode) == 2 &&
               fstat(STDERR_FILENO, &status) == 0 && status.st_dev == device &&
               status.st_ino == inode;
}

static int open_log(const struct arguments *arguments)
{
        int fd;

        if (arguments->log_file) {
                fd = open(arguments->log_file, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
                if (fd < 0 || dup2(fd, STDERR_FILENO) < 0) {
                        log_error("%s: %s", arguments->log_file, strerror(errno));
                        return EX_CANTCREAT;
                }
                close(fd);
        }
        log_init(arguments->log_level, stderr_is_journal());
        return EX_OK;
}

/* Where a handed-over socket listens, and whether for several users. */
static int read_socket(int fd, char path[CONFIG_PATH_SIZE], bool *is_sharedp)
{
        struct sockaddr_un address = { .sun_path = "" };
        socklen_t n = sizeof(address);
        struct stat status;

        if (getsockname(fd, (struct sockaddr *)&address, &n))
                return -errno;
        if (address.sun_path[0] != '/')
                return -EINVAL; /* abstract, or relative to a directory that nobody knows */
        *is_sharedp = stat(address.sun_path, &status) ||
                      config_is_shared(status.st_mode, status.st_uid);
        return td_absolute_path(path, CONFIG_PATH_SIZE, address.sun_path);
}

static int find_socket(struct arguments *arguments)
{
        struct config *config = &arguments->config;
        char path[CONFIG_PATH_SIZE];
        bool is_ours = false;
        int r;

        r = notify_take_socket(&config->listen_fd);
        if (r == 0 && config->listen_fd >= 0) {
                r = read_socket(config->listen_fd, config->socket_path, &config->quotas.is_shared);
                if (!r)
                        return EX_OK;
        }
        if (r) {
                log_error("the socket from systemd is of no use: one Unix stream socket with an "
                          "absolute path is wanted");
                return EX_OSERR;
        }

        config->quotas.is_shared = config_is_shared(config->socket_mode, geteuid());
        if (!arguments->socket)
                r = config_default_socket(path, &is_ours);
        else if (strlen(arguments->socket) >= sizeof(path))
                r = -ENAMETOOLONG;
        else
                strcpy(path, arguments->socket);
        if (!r)
                r = config_make_directory(path, is_ours);
        if (r == -EPERM && is_ours) {
                log_error("the directory of %s belongs to another user, or others may write to it",
                          path);
                return EX_NOPERM;
        }
        if (!r)
                r = td_absolute_path(config->socket_path, sizeof(config->socket_path), path);
        if (r) {
                log_error("cannot listen at %s: %s",
                          arguments->socket ? arguments->socket : "the default path", strerror(-r));
                return EX_CANTCREAT;
        }
        return EX_OK;
}

static int fill_in(struct arguments *arguments)
{
        struct config *config = &arguments->config;
        uint64_t n_max;
        int r;

        if (!config->memory_limit) {
                r = config_default_memory(config->shm_directory, &config->memory_limit);
                if (r) {
                        log_error("%s: %s", config->shm_directory, strerror(-r));
                        return EX_OSERR;
                }
        }
        r = config->spill_directory ? config_make_spill(config->spill_directory,
                                                        &config->quotas.all[RESOURCE_SPILLED],
                                                        &config->spill_free)
                                    : 0;
        if (r) {
                log_error("the spill directory %s: %s", config->spill_directory, strerror(-r));
                return EX_CANTCREAT;
        }
        if (config->spill_directory && config_is_memory(config->spill_directory))
                log_warning("the spill directory %s lies in memory (tmpfs): what moves there frees "
                            "none, unless it is swapped out, and counts to MemoryMax=",
                            config->spill_directory);
        n_max = config_memory_max("/sys/fs/cgroup", "/proc/self/cgroup");
        if (config->memory_limit > n_max / 5 * 4)
                log_warning("--memory %" PRIu64 " MiB is more than four fifths of MemoryMax= "
                            "(%" PRIu64 " MiB): the kernel may end the daemon before a request is "
                            "refused",
                            config->memory_limit >> 20, n_max >> 20);
        if (!config->n_threads)
                config->n_threads = config_default_threads();
        if (!arguments->has_busy_poll)
                config->busy_poll_us = config_default_threads() > 1 ? BUSY_POLL_US : 0;
        config->kernels = kernels_get()->isa;
        plan_set_options(&arguments->engine);
        return EX_OK;
}

static int load_kernels(struct arguments *arguments, struct user_kernels **kernelsp)
{
        char message[256] = "no memory";

        if (!arguments->kernel_dir)
                return EX_OK;
        if (user_kernels_load(kernelsp, arguments->kernel_dir, message, sizeof(message))) {
                log_error("user kernels: %s", message);
                return EX_CONFIG;
        }
        arguments->config.user_kernels = *kernelsp;
        return EX_OK;
}

static const char description[] =
        "Keeps tensors in POSIX shared memory and computes on them, for all processes that connect "
        "to its socket.\v"
        "SIGTERM or SIGINT end it; what has a name is there again at the next start. Exit status: "
        "64 for wrong arguments, 71 when the system fails, 75 when another daemon has the socket, "
        "78 when the catalog of named tensors must be looked at.";

int main(int argc, char **argv)
{
        static const struct argp argp = {
                .options = options,
                .parser = parse_option,
                .doc = description,
        };
        struct arguments arguments = {
                .config = { .listen_fd = -1, .socket_mode = 0600, .shm_directory = "/dev/shm" },
                .log_level = LOG_LEVEL_INFO,
        };
        _cleanup_(user_kernels_freep) struct user_kernels *kernels = NULL;
        char cpu[128], cache[PATH_MAX];
        int status;

        if (argc == 2 && !strcmp(argv[1], USER_CHILD_OPTION))
                return user_child_main();
        if (argc == 2 && !strcmp(argv[1], BLAS_CORE_SELF_TEST))
                return blas_core_self_test();
        argp_err_exit_status = EX_USAGE;
        argp_parse(&argp, argc, argv, 0, NULL, &arguments);
        status = open_log(&arguments);
        if (status)
                return status;
        blas_core_setup(argv, config_cache_path(cache, sizeof(cache)) ? NULL : cache);
        blas_threads_init();

        signal(SIGPIPE, SIG_IGN);
        signal(SIGHUP, SIG_IGN);
        config_cpu_name(cpu, sizeof(cpu));
        arguments.config.cpu = cpu;
        arguments.config.blas_core = blas_core_name();
        if (blas_core_is_fallback())
                log_warning("OpenBLAS runs its %s kernels, though the processor can do better",
                            blas_core_name());
        status = find_socket(&arguments);
        if (!status)
                status = fill_in(&arguments);
        if (!status)
                status = load_kernels(&arguments, &kernels);
        return status ? status : server_run(&arguments.config);
}
