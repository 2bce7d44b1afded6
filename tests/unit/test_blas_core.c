/* layer: compute */
/* SPDX-License-Identifier: MIT */
#include <check.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "compute/linalg/blas_core.h"

#define SETUP "--setup" /* this program, as a daemon would start */

static char self[PATH_MAX], directory[] = "/tmp/test_blas_core.XXXXXX", cache[PATH_MAX];

static void set_up(void)
{
        ck_assert_int_gt(readlink("/proc/self/exe", self, sizeof(self) - 1), 0);
        ck_assert_ptr_nonnull(mkdtemp(directory));
        snprintf(cache, sizeof(cache), "%s/core", directory);
}

static void tear_down(void)
{
        unlink(cache);
        ck_assert_int_eq(rmdir(directory), 0);
}

START_TEST(test_levels)
{
        ck_assert_int_eq(blas_core_level("Prescott"), BLAS_LEVEL_SSE);
        ck_assert_int_eq(blas_core_level("Nehalem"), BLAS_LEVEL_SSE);
        ck_assert_int_eq(blas_core_level("Sandybridge"), BLAS_LEVEL_AVX);
        ck_assert_int_eq(blas_core_level("haswell"), BLAS_LEVEL_AVX2);
        ck_assert_int_eq(blas_core_level("Zen"), BLAS_LEVEL_AVX2);
        ck_assert_int_eq(blas_core_level("SkylakeX"), BLAS_LEVEL_AVX512);
        ck_assert_int_eq(blas_core_level("Cooperlake"), BLAS_LEVEL_AVX512);

        ck_assert(blas_core_fell_back(BLAS_LEVEL_SSE, BLAS_LEVEL_AVX512));
        ck_assert(blas_core_fell_back(BLAS_LEVEL_SSE, BLAS_LEVEL_AVX));
        ck_assert(blas_core_fell_back(BLAS_LEVEL_AVX, BLAS_LEVEL_AVX2));
        ck_assert(!blas_core_fell_back(BLAS_LEVEL_AVX2, BLAS_LEVEL_AVX512));
        ck_assert(!blas_core_fell_back(BLAS_LEVEL_SSE, BLAS_LEVEL_SSE));

        ck_assert_str_eq(blas_core_candidate(BLAS_LEVEL_AVX512, 0), "SkylakeX");
        ck_assert_str_eq(blas_core_candidate(BLAS_LEVEL_AVX512, 1), "Haswell");
        ck_assert_ptr_null(blas_core_candidate(BLAS_LEVEL_AVX512, 2));
        ck_assert_ptr_null(blas_core_candidate(BLAS_LEVEL_SSE, 0));
        for (int level = BLAS_LEVEL_AVX; level <= BLAS_LEVEL_AVX512; level++)
                for (unsigned i = 0; blas_core_candidate((enum blas_level)level, i); i++)
                        ck_assert(!blas_core_fell_back(
                                blas_core_level(blas_core_candidate((enum blas_level)level, i)),
                                BLAS_LEVEL_AVX));
}
END_TEST

START_TEST(test_self_test_passes)
{
        ck_assert_int_eq(blas_core_self_test(), 0);
}
END_TEST

/* A program started with a core forced, and what it says: "core guard" on the first line, its exit
 * status. */
static int start(const char *argument, const char *core, char *line, size_t n_line)
{
        char command[2 * PATH_MAX + 256];
        FILE *f;

        snprintf(command, sizeof(command), "env %s%s '%s' %s '%s' 2>/dev/null",
                 core ? "OPENBLAS_CORETYPE=" : "-u OPENBLAS_CORETYPE", core ? core : "", self,
                 argument, cache);
        f = popen(command, "r");
        ck_assert_ptr_nonnull(f);
        line[0] = '\0';
        if (fgets(line, (int)n_line, f))
                line[strcspn(line, "\n")] = '\0';
        return WEXITSTATUS(pclose(f));
}

/* A core that the processor cannot run ends as another one, and the self-test says so. */
START_TEST(test_self_test_wants_the_core_asked_for)
{
        char line[64];

        ck_assert_int_eq(start(BLAS_CORE_SELF_TEST, "NoSuchCore", line, sizeof(line)), 2);
        ck_assert_int_eq(start(BLAS_CORE_SELF_TEST, "Prescott", line, sizeof(line)), 0);
}
END_TEST

START_TEST(test_choose)
{
        enum blas_level level = blas_core_cpu_level();
        char core[BLAS_CORE_NAME_MAX] = "";
        const char *first = blas_core_candidate(level, 0);

        if (!first) { /* a processor without AVX: there is nothing to choose */
                ck_assert(!blas_core_choose(core, level, self, NULL, "key"));
                return;
        }
        ck_assert(blas_core_choose(core, level, self, cache, "key"));
        ck_assert_int_gt(blas_core_level(core), BLAS_LEVEL_SSE);
        /* remembered: no program is needed now, until processor or library is another */
        core[0] = '\0';
        ck_assert(blas_core_choose(core, level, "/bin/false", cache, "key"));
        ck_assert_int_gt(blas_core_level(core), BLAS_LEVEL_SSE);
        ck_assert(!blas_core_choose(core, level, "/bin/false", cache, "other key"));
        ck_assert(!blas_core_choose(core, level, "/nowhere/to/be/found", NULL, "key"));
}
END_TEST

static void write_cache(const char *text)
{
        FILE *f = fopen(cache, "w");

        ck_assert_ptr_nonnull(f);
        fputs(text, f);
        fclose(f);
}

/* What is no candidate, is torn, or is another's is not believed. */
START_TEST(test_cache_is_not_trusted)
{
        static const char *const texts[] = { "",
                                             "\t",
                                             "Prescott\tkey\n",
                                             "SkylakeX\tkey",
                                             "SkylakeX key\n",
                                             "LD_PRELOAD=x\tkey\n" };
        char core[BLAS_CORE_NAME_MAX], target[PATH_MAX + 8];

        for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
                write_cache(texts[i]);
                ck_assert(!blas_core_choose(core, BLAS_LEVEL_AVX512, "/bin/false", cache, "key"));
        }
        write_cache("Haswell\tkey\n");
        ck_assert(blas_core_choose(core, BLAS_LEVEL_AVX512, "/bin/false", cache, "key"));
        ck_assert_str_eq(core, "Haswell");

        snprintf(target, sizeof(target), "%s.target", cache);
        ck_assert_int_eq(rename(cache, target), 0);
        ck_assert_int_eq(symlink(target, cache), 0);
        ck_assert(!blas_core_choose(core, BLAS_LEVEL_AVX512, "/bin/false", cache, "key"));
        ck_assert_int_eq(unlink(target), 0);
}
END_TEST

/* As main() does it. What the user forces stands; else no fallback is left where the processor
 * offers more. */
START_TEST(test_setup)
{
        char line[64], expected[64];
        char core[BLAS_CORE_NAME_MAX];

        ck_assert_int_eq(start(SETUP, "Prescott", line, sizeof(line)), 0);
        ck_assert_str_eq(line, "Prescott -");
        ck_assert_int_eq(start(SETUP, NULL, line, sizeof(line)), 0);
        ck_assert_int_eq(sscanf(line, "%31s %63s", core, expected), 2);
        ck_assert(!blas_core_fell_back(blas_core_level(core), blas_core_cpu_level()));
}
END_TEST

/* There are too many arguments for a program to be started anew: all stays as the user has it. */
START_TEST(test_what_cannot_start_anew_changes_nothing)
{
        static char much[100000];
        const struct rlimit stack = { .rlim_cur = 1 << 20, .rlim_max = RLIM_INFINITY };
        char line[64], key[] = "MUCH_0", program[] = "test", *argv[] = { program, NULL };

        ck_assert_int_eq(start(SETUP, NULL, line, sizeof(line)), 0); /* the core is in the cache */
        memset(much, 'x', sizeof(much) - 1);
        for (; key[5] < '9'; key[5]++)
                ck_assert_int_eq(setenv(key, much, 1), 0);
        unsetenv("OPENBLAS_THREAD_TIMEOUT");
        unsetenv("OPENBLAS_NUM_THREADS");
        unsetenv("TENSORD_BLAS_CORE");
        setenv("OPENBLAS_CORETYPE", "", 1);
        ck_assert_int_eq(setrlimit(RLIMIT_STACK, &stack), 0);
        blas_core_setup(argv, cache);
        ck_assert_str_eq(getenv("OPENBLAS_CORETYPE"), "");
        ck_assert_ptr_null(getenv("TENSORD_BLAS_CORE"));
        ck_assert_ptr_null(getenv("OPENBLAS_THREAD_TIMEOUT"));
        ck_assert_ptr_null(getenv("OPENBLAS_NUM_THREADS"));
}
END_TEST

static int set_up_and_tell(char **argv)
{
        const char *chosen;

        blas_core_setup(argv, argv[2]);
        chosen = getenv("TENSORD_BLAS_CORE"); /* nothing: started anew for another reason */
        printf("%s %s\n", blas_core_name(), chosen && *chosen ? chosen : "-");
        return 0;
}

int main(int argc, char **argv)
{
        Suite *suite;
        TCase *tc;
        SRunner *runner;
        int n_failed;

        if (argc > 1 && strcmp(argv[1], BLAS_CORE_SELF_TEST) == 0)
                return blas_core_self_test();
        if (argc > 2 && strcmp(argv[1], SETUP) == 0)
                return set_up_and_tell(argv);
        suite = suite_create("blas_core");
        tc = tcase_create("blas_core");
        tcase_add_checked_fixture(tc, set_up, tear_down);
        tcase_set_timeout(tc, 60);
        tcase_add_test(tc, test_levels);
        tcase_add_test(tc, test_self_test_passes);
        tcase_add_test(tc, test_self_test_wants_the_core_asked_for);
        tcase_add_test(tc, test_choose);
        tcase_add_test(tc, test_cache_is_not_trusted);
        tcase_add_test(tc, test_setup);
        tcase_add_test(tc, test_what_cannot_start_anew_changes_nothing);
        suite_add_tcase(suite, tc);
        runner = srunner_create(suite);
        srunner_run_all(runner, CK_NORMAL);
        n_failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
