/* SPDX-License-Identifier: MIT */
#include "net/config.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <math.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/error.h"
#include "store/ledger.h"

/* ---- numbers ---- */

int config_parse_size(const char *text, uint64_t *n_bytesp)
{
        static const char suffixes[] = "KMGT";
        const char *suffix;
        char *end;
        double value;

        if (*text < '0' || *text > '9') /* no sign, no blank, no "inf" */
                return -EINVAL;
        errno = 0;
        value = strtod(text, &end);
        if (errno)
                return -ERANGE;
        if (memchr(text, 'x', (size_t)(end - text)) || memchr(text, 'X', (size_t)(end - text)))
                return -EINVAL;
        if (*end) {
                suffix = strchr(suffixes, *end & ~0x20);
                if (!suffix)
                        return -EINVAL;
                value = ldexp(value, 10 * (int)(suffix - suffixes + 1));
                end++;
                if (*end && strcmp(end, "iB") && strcmp(end, "B"))
                        return -EINVAL;
        }
        if (value < 1 || value >= 0x1p63)
                return -ERANGE;
        *n_bytesp = (uint64_t)value;
        return 0;
}

int config_parse_number(const char *text, uint64_t min, uint64_t max, uint64_t *valuep)
{
        unsigned long long value;
        char *end;

        if (*text < '0' || *text > '9')
                return -EINVAL;
        errno = 0;
        value = strtoull(text, &end, 10);
        if (*end)
                return -EINVAL;
        if (errno || value < min || value > max)
                return -ERANGE;
        *valuep = value;
        return 0;
}

/* ---- the socket's place ---- */

static int write_path(char path[CONFIG_PATH_SIZE], const char *format, const char *text)
{
        int n = snprintf(path, CONFIG_PATH_SIZE, format, text);

        return n < 0 || n >= CONFIG_PATH_SIZE ? -ENAMETOOLONG : 0;
}

int config_default_socket(char path[CONFIG_PATH_SIZE], bool *is_oursp)
{
        const char *given = getenv("TENSORD_SOCKET"), *runtime = getenv("XDG_RUNTIME_DIR");
        char uid[24];

        *is_oursp = true;
        if (given && *given) {
                *is_oursp = false;
                return write_path(path, "%s", given);
        }
        if (runtime && *runtime)
                return write_path(path, "%s/tensord/socket", runtime);
        if (geteuid() == 0)
                return write_path(path, "%s", "/run/tensord/socket");
        snprintf(uid, sizeof(uid), "%lu", (unsigned long)geteuid());
        return write_path(path, "/tmp/tensord-%s/socket", uid);
}

int config_make_directory(const char *socket_path, bool is_ours)
{
        char directory[CONFIG_PATH_SIZE];
        const char *slash = strrchr(socket_path, '/');
        bool is_system = strcmp(socket_path, "/run/tensord/socket") == 0;
        struct stat status;

        if (!slash || slash == socket_path)
                return 0;
        snprintf(directory, sizeof(directory), "%.*s", (int)(slash - socket_path), socket_path);
        if (mkdir(directory, is_system ? 0755 : 0700) && errno != EEXIST)
                return -errno;
        if (!is_ours)
                return 0;
        if (lstat(directory, &status))
                return -errno;
        if (!S_ISDIR(status.st_mode) || status.st_uid != geteuid() || (status.st_mode & 022))
                return -EPERM;
        return 0;
}

static int join_path(char *path, size_t n_path, const char *directory, size_t n_directory,
                     const char *rest)
{
        int n = snprintf(path, n_path, "%.*s%s", (int)n_directory, directory, rest);

        return n < 0 || (size_t)n >= n_path ? -ENAMETOOLONG : 0;
}

int config_cache_path(char *path, size_t n_path)
{
        const char *runtime = getenv("RUNTIME_DIRECTORY"), *home = getenv("HOME");
        const char *cache = getenv("XDG_CACHE_HOME");
        int r;

        if (runtime && *runtime == '/') /* a list: the first */
                return join_path(path, n_path, runtime, strcspn(runtime, ":"), "/blas-core");
        if (cache && *cache == '/')
                r = join_path(path, n_path, cache, strlen(cache), "");
        else if (home && *home == '/')
                r = join_path(path, n_path, home, strlen(home), "/.cache");
        else
                return -ENOENT;
        if (!r && mkdir(path, 0700) && errno != EEXIST)
                r = -errno;
        if (!r)
                r = join_path(path + strlen(path), n_path - strlen(path), "/tensord", 8, "");
        if (!r && mkdir(path, 0700) && errno != EEXIST)
                r = -errno;
        if (!r)
                r = join_path(path + strlen(path), n_path - strlen(path), "/blas-core", 10, "");
        return r;
}

/* ---- the machine ---- */

int config_default_memory(const char *directory, uint64_t *n_bytesp)
{
        struct statvfs file_system;
        uint64_t shm, ram, cgroup;

        if (statvfs(directory, &file_system))
                return -errno;
        shm = (uint64_t)file_system.f_blocks * file_system.f_frsize;
        ram = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
        cgroup = config_memory_max("/sys/fs/cgroup", "/proc/self/cgroup");
        ram = cgroup < ram ? cgroup : ram;
        shm = shm / 10 * 9;
        ram = ram / 4 * 3;
        /* A tmpfs without a size has no blocks to tell of. */
        *n_bytesp = shm > 0 && shm < ram ? shm : ram;
        return 0;
}

/* One line of a file, of which at most n_line - 1 bytes count. */
static bool read_line(const char *path, char *line, int n_line)
{
        FILE *file = fopen(path, "re");
        bool is_read = file && fgets(line, n_line, file);

        if (file)
                fclose(file);
        return is_read;
}

uint64_t config_memory_max(const char *root, const char *path)
{
        char group[512], file[1024], line[64], *slash;
        uint64_t least = UINT64_MAX, value;

        if (!read_line(path, group, sizeof(group)) || strncmp(group, "0::/", 4))
                return UINT64_MAX; /* not the unified hierarchy */
        group[strcspn(group, "\n")] = '\0';
        while ((slash = strrchr(group + 3, '/'))) {
                snprintf(file, sizeof(file), "%s%s/memory.max", root, group + 3);
                if (read_line(file, line, sizeof(line)) && line[0] >= '0' && line[0] <= '9') {
                        value = strtoull(line, NULL, 10);
                        least = value < least ? value : least;
                }
                *slash = '\0';
        }
        return least;
}

int config_make_spill(const char *directory, uint64_t *n_bytesp, uint64_t *n_freep)
{
        struct statvfs file_system;

        if (mkdir(directory, 0700) && errno != EEXIST)
                return -errno;
        if (*n_bytesp > 0)
                return 0;
        if (statvfs(directory, &file_system))
                return -errno;
        /* A tmpfs without a size has no blocks to tell of: no limit, then. */
        *n_freep = (uint64_t)file_system.f_blocks * file_system.f_frsize / 10;
        *n_bytesp = 9 * *n_freep;
        return 0;
}

bool config_is_memory(const char *directory)
{
        struct statfs file_system;

        return statfs(directory, &file_system) == 0 && (file_system.f_type == TMPFS_MAGIC ||
                                                        file_system.f_type == RAMFS_MAGIC ||
                                                        file_system.f_type == HUGETLBFS_MAGIC);
}

static uint64_t at_least(uint64_t n, uint64_t least)
{
        return n > least ? n : least;
}

void config_default_quotas(struct quotas *quotas, uint64_t memory_limit, uint64_t n_connections)
{
        /* 1 KB each */
        quotas->all[RESOURCE_TENSORS] = at_least(memory_limit / 16384, 256 * 1024);
        quotas->all[RESOURCE_LEASES] = 65536;
        quotas->all[RESOURCE_LEDGER] = LEDGER_SLOTS;
        quotas->all[RESOURCE_CONNECTIONS] = n_connections;
        quotas->all[RESOURCE_REQUESTS] = 131072;
        quotas->all[RESOURCE_WORKSPACE] = at_least(memory_limit / 8, 256 << 20);
        /*
         * The catalog takes up to four times what counts in it, and eight times while it moves:
         * that must fit into what one greedy user leaves.
         */
        if (quotas->is_shared)
                quotas->all[RESOURCE_RECORDS] = at_least(memory_limit / 32, 1 << 20);
        /* The ledger doubles where it lies, beyond any share of the memory. */
        if (quotas->is_shared && memory_limit / 16 / LEDGER_SLOT_BYTES < LEDGER_SLOTS)
                quotas->all[RESOURCE_LEDGER] = at_least(memory_limit / 16 / LEDGER_SLOT_BYTES,
                                                        2048);
}

bool config_is_shared(mode_t mode, uid_t owner)
{
        return (mode & 022) || owner != geteuid();
}

unsigned config_default_threads(void)
{
        cpu_set_t set;

        if (sched_getaffinity(0, sizeof(set), &set) == 0)
                return (unsigned)CPU_COUNT(&set);
        return (unsigned)sysconf(_SC_NPROCESSORS_ONLN);
}

uint64_t config_raise_descriptors(void)
{
        struct rlimit limit;

        if (getrlimit(RLIMIT_NOFILE, &limit)) {
                error_origin(-errno);
                return 1024;
        }
        if (limit.rlim_cur < limit.rlim_max) {
                rlim_t before = limit.rlim_cur;

                limit.rlim_cur = limit.rlim_max;
                if (setrlimit(RLIMIT_NOFILE, &limit)) {
                        error_origin(-errno);
                        return before;
                }
        }
        return limit.rlim_cur;
}

void config_cpu_name(char *out, size_t n_out)
{
        FILE *file = fopen("/proc/cpuinfo", "re");
        char line[512];

        snprintf(out, n_out, "unknown");
        if (!file)
                return;
        while (fgets(line, sizeof(line), file)) {
                char *colon = strchr(line, ':');

                if (strncmp(line, "model name", 10) || !colon)
                        continue;
                line[strcspn(line, "\n")] = '\0';
                snprintf(out, n_out, "%s", colon + 1 + strspn(colon + 1, " "));
                break;
        }
        fclose(file);
}
