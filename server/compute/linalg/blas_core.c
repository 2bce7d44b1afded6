/* SPDX-License-Identifier: MIT */
/*
 * The core of OpenBLAS
 *
 * The environment variable TENSORD_BLAS_CORE marks a program that was started anew, and names the
 * core if it was chosen: it is never started a third time. The cache is one line, "core<TAB>key"; a
 * key names processor and library, so that either's change asks again. It is read as a stranger's:
 * only a candidate's name counts.
 * Main thread, before all others.
 */
#include "compute/linalg/blas_core.h"

#include <cblas.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/cleanup.h"
#include "base/error.h"

#define CACHE_MAX 1024
#define GUARD "TENSORD_BLAS_CORE"
#define FORCED "OPENBLAS_CORETYPE"
/*
 * How long the library's threads look for work before they sleep: 2**22 cycles, some 2 ms. Left to
 * itself it takes 2**28 and keeps a core busy for 0.1 s after each call that had it alone.
 */
#define PATIENCE "OPENBLAS_THREAD_TIMEOUT"
#define PATIENCE_CYCLES "22"
#define THREADS "OPENBLAS_NUM_THREADS"

extern char **environ;

const char *blas_core_name(void)
{
        return openblas_get_corename();
}

enum blas_level blas_core_level(const char *name)
{
        static const struct {
                const char *name;
                enum blas_level level;
        } cores[] = {
                { "SkylakeX", BLAS_LEVEL_AVX512 },
                { "Cooperlake", BLAS_LEVEL_AVX512 },
                { "SapphireRapids", BLAS_LEVEL_AVX512 },
                { "Haswell", BLAS_LEVEL_AVX2 },
                { "Zen", BLAS_LEVEL_AVX2 },
                { "Excavator", BLAS_LEVEL_AVX2 },
                { "Sandybridge", BLAS_LEVEL_AVX },
                { "Bulldozer", BLAS_LEVEL_AVX },
                { "Piledriver", BLAS_LEVEL_AVX },
                { "Steamroller", BLAS_LEVEL_AVX },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cores); i++)
                if (strcasecmp(cores[i].name, name) == 0)
                        return cores[i].level;
        return BLAS_LEVEL_SSE;
}

enum blas_level blas_core_cpu_level(void)
{
#ifdef __x86_64__
        if (__builtin_cpu_supports("x86-64-v4"))
                return BLAS_LEVEL_AVX512;
        if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
                return BLAS_LEVEL_AVX2;
        if (__builtin_cpu_supports("avx"))
                return BLAS_LEVEL_AVX;
#endif
        return BLAS_LEVEL_SSE;
}

bool blas_core_fell_back(enum blas_level level, enum blas_level cpu_level)
{
        return level < BLAS_LEVEL_AVX2 && level < cpu_level;
}

const char *blas_core_candidate(enum blas_level cpu_level, unsigned i)
{
        static const char *const candidates[][3] = {
                [BLAS_LEVEL_SSE] = { NULL },
                [BLAS_LEVEL_AVX] = { "Sandybridge", NULL },
                [BLAS_LEVEL_AVX2] = { "Haswell", "Sandybridge", NULL },
                [BLAS_LEVEL_AVX512] = { "SkylakeX", "Haswell", NULL },
        };

        return i < 3 ? candidates[cpu_level][i] : NULL;
}

bool blas_core_is_fallback(void)
{
        return blas_core_fell_back(blas_core_level(blas_core_name()), blas_core_cpu_level());
}

/* ---- the cache ---- */

static bool cache_read(const char *path, const char *key, char core[BLAS_CORE_NAME_MAX])
{
        _cleanup_(closep) int fd = -1;
        char text[CACHE_MAX], *tab, *end;
        struct stat st;
        ssize_t n;

        fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
        if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_uid != geteuid())
                return false;
        n = read(fd, text, sizeof(text) - 1);
        if (n <= 0)
                return false;
        text[n] = '\0';
        tab = strchr(text, '\t');
        end = strchr(text, '\n');
        if (!tab || !end || tab > end || tab - text >= BLAS_CORE_NAME_MAX)
                return false;
        *tab = *end = '\0';
        if (strcmp(tab + 1, key))
                return false;
        memcpy(core, text, (size_t)(tab - text) + 1);
        return true;
}

/* Whole or not at all; that it cannot be written is no failure. */
static void cache_write(const char *path, const char *key, const char *core)
{
        _cleanup_(closep) int fd = -1;
        char text[CACHE_MAX], temporary[PATH_MAX];
        int n = snprintf(text, sizeof(text), "%s\t%s\n", core, key);
        int m = snprintf(temporary, sizeof(temporary), "%s.XXXXXX", path);

        if (n < 0 || (size_t)n >= sizeof(text) || m < 0 || (size_t)m >= sizeof(temporary))
                return;
        fd = mkostemp(temporary, O_CLOEXEC);
        if (fd < 0)
                return;
        if (write(fd, text, (size_t)n) != n || rename(temporary, path) < 0)
                unlink(temporary);
}

/* ---- candidates ---- */

static bool is_said(const char *entry, char *const *said, size_t n_said)
{
        for (size_t i = 0; i < n_said; i++)
                if (strncmp(entry, said[i], (size_t)(strchr(said[i], '=') - said[i]) + 1) == 0)
                        return true;
        return false;
}

/* environ, but for what is said; the strings are environ's own, and those given. */
static char **environment_with(char *const *said, size_t n_said)
{
        size_t n = 0, m = 0;
        char **env;

        while (environ[n])
                n++;
        env = calloc(n + n_said + 1, sizeof(*env));
        if (!env)
                return NULL;
        for (size_t i = 0; i < n; i++)
                if (!is_said(environ[i], said, n_said))
                        env[m++] = environ[i];
        memcpy(env + m, said, n_said * sizeof(*said));
        return env;
}

static bool passes_self_test(const char *core, const char *program)
{
        _cleanup_(freep) char **env = NULL;
        char forced[sizeof(FORCED) + BLAS_CORE_NAME_MAX + 1], threads[] = THREADS "=1";
        char *said[] = { forced, threads };
        char test[] = BLAS_CORE_SELF_TEST, name[] = "tensord";
        char *argv[] = { name, test, NULL };
        int status;
        pid_t pid;

        snprintf(forced, sizeof(forced), FORCED "=%s", core);
        env = environment_with(said, ARRAY_SIZE(said));
        if (!env || posix_spawn(&pid, program, NULL, NULL, argv, env))
                return false;
        while (waitpid(pid, &status, 0) < 0)
                if (errno != EINTR)
                        return false;
        if (WIFSIGNALED(status))
                log_warning("OpenBLAS core %s: its self-test died of signal %d", core,
                            WTERMSIG(status));
        else if (WEXITSTATUS(status))
                log_warning("OpenBLAS core %s: it failed its self-test", core);
        return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

bool blas_core_choose(char core[BLAS_CORE_NAME_MAX], enum blas_level cpu_level, const char *program,
                      const char *cache_path, const char *key)
{
        const char *candidate;

        if (cache_path && cache_read(cache_path, key, core))
                for (unsigned i = 0; (candidate = blas_core_candidate(cpu_level, i)); i++)
                        if (strcmp(candidate, core) == 0)
                                return true;
        for (unsigned i = 0; (candidate = blas_core_candidate(cpu_level, i)); i++) {
                if (!passes_self_test(candidate, program))
                        continue;
                snprintf(core, BLAS_CORE_NAME_MAX, "%s", candidate);
                if (cache_path)
                        cache_write(cache_path, key, core);
                return true;
        }
        return false;
}

/* ---- start ---- */

/* Processor, and build of the library, on one line. */
static void make_key(char *key, size_t n_key)
{
        _cleanup_(freep) char *line = NULL;
        FILE *f = fopen("/proc/cpuinfo", "re");
        static const char *const fields[] = { "vendor_id", "cpu family", "model", "stepping",
                                              "microcode" };
        size_t n = 0, n_line = 0;
        int r = snprintf(key, n_key, "%s", openblas_get_config());

        if (r > 0)
                n = (size_t)r < n_key ? (size_t)r : n_key - 1;
        while (f &&
               getline(&line, &n_line, f) > 1) { /* the first processor ends at an empty line */
                line[strcspn(line, "\n")] = '\0';
                for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
                        char *colon = strchr(line, ':');

                        if (!colon || strncmp(line, fields[i], strlen(fields[i])))
                                continue;
                        r = snprintf(key + n, n_key - n, " %s",
                                     colon + 1 + strspn(colon + 1, " \t"));
                        if (r > 0)
                                n += (size_t)r < n_key - n ? (size_t)r : n_key - n - 1;
                        break;
                }
        }
        if (f)
                fclose(f);
        for (char *p = key; *p; p++)
                if (*p == '\t' || *p == '\n')
                        *p = ' ';
}

static void find_program(char program[PATH_MAX])
{
        ssize_t n = readlink("/proc/self/exe", program, PATH_MAX - 1);

        program[n > 0 ? n : 0] = '\0';
        if (n < 0 || access(program, X_OK) < 0)
                snprintf(program, PATH_MAX, "/proc/self/exe");
}

/* A core that is better than what runs, and that the user does not forbid. */
static bool find_better(char core[BLAS_CORE_NAME_MAX], const char *cache_path)
{
        char program[PATH_MAX], key[CACHE_MAX / 2];
        const char *forced = getenv(FORCED);

        if ((forced && *forced) || !blas_core_is_fallback())
                return false;
        find_program(program);
        make_key(key, sizeof(key));
        return blas_core_choose(core, blas_core_cpu_level(), program, cache_path, key);
}

/* core: to be forced; "": the library's own. Returns if it could not; then nothing has changed. */
static void start_anew(char **argv, const char *core)
{
        char forced[sizeof(FORCED) + BLAS_CORE_NAME_MAX + 1];
        char guard[sizeof(GUARD) + BLAS_CORE_NAME_MAX + 1];
        char patience[] = PATIENCE "=" PATIENCE_CYCLES, threads[] = THREADS "=1";
        char program[PATH_MAX], *said[4] = { guard };
        _cleanup_(freep) char **env = NULL;
        size_t n = 1;

        find_program(program);
        snprintf(guard, sizeof(guard), GUARD "=%s", core);
        snprintf(forced, sizeof(forced), FORCED "=%s", core);
        if (*core)
                said[n++] = forced;
        if (!getenv(PATIENCE))
                said[n++] = patience;
        if (!getenv(THREADS))
                said[n++] = threads;
        env = environment_with(said, n);
        if (!env)
                return;
        execve(program, argv, env);
        error_origin(-errno);
}

void blas_core_setup(char **argv, const char *cache_path)
{
        char core[BLAS_CORE_NAME_MAX] = "";
        const char *name = blas_core_name(), *forced = getenv(FORCED), *guard = getenv(GUARD);

        if (!guard && (find_better(core, cache_path) || !getenv(PATIENCE)))
                start_anew(argv, core);
        if (guard && *guard)
                log_info("OpenBLAS core: %s, chosen by self-test; the library's own choice was a "
                         "fallback",
                         name);
        else if (forced && *forced)
                log_info("OpenBLAS core: %s, as " FORCED "=%s asks", name, forced);
        else if (blas_core_is_fallback())
                log_warning("OpenBLAS core: %s, a fallback: the processor offers more than this "
                            "version of OpenBLAS knows of",
                            name);
        else
                log_info("OpenBLAS core: %s", name);
}
