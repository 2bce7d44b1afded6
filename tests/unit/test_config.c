/* layer: net */
/* SPDX-License-Identifier: MIT */
#include "net/config.h"

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void check_size(const char *text, uint64_t wanted)
{
        uint64_t n_bytes = 0;

        ck_assert_msg(config_parse_size(text, &n_bytes) == 0, "%s", text);
        ck_assert_uint_eq(n_bytes, wanted);
}

START_TEST(sizes)
{
        static const char *const bad[] = { "",    "K",    "-1",  "+1",  " 1", "1 K",
                                           "1KK", "0x10", "inf", "nan", "1Q", "1Kib" };
        static const char *const out_of_range[] = { "0", "0.5", "16777216T",
                                                    "99999999999999999999" };
        uint64_t n_bytes;

        check_size("1", 1);
        check_size("4096", 4096);
        check_size("64K", 65536);
        check_size("64k", 65536);
        check_size("256M", 268435456);
        check_size("1.5G", 1610612736);
        check_size("2GiB", UINT64_C(2) << 30);
        check_size("2GB", UINT64_C(2) << 30);
        check_size("1T", UINT64_C(1) << 40);
        for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
                ck_assert_msg(config_parse_size(bad[i], &n_bytes) == -EINVAL, "%s", bad[i]);
        for (size_t i = 0; i < sizeof(out_of_range) / sizeof(out_of_range[0]); i++)
                ck_assert_msg(config_parse_size(out_of_range[i], &n_bytes) == -ERANGE, "%s",
                              out_of_range[i]);
}
END_TEST

START_TEST(numbers)
{
        uint64_t value = 0;

        ck_assert_int_eq(config_parse_number("17", 1, 17, &value), 0);
        ck_assert_uint_eq(value, 17);
        ck_assert_int_eq(config_parse_number("18", 1, 17, &value), -ERANGE);
        ck_assert_int_eq(config_parse_number("0", 1, 17, &value), -ERANGE);
        ck_assert_int_eq(config_parse_number("99999999999999999999999", 1, UINT64_MAX, &value),
                         -ERANGE);
        ck_assert_int_eq(config_parse_number("", 0, 9, &value), -EINVAL);
        ck_assert_int_eq(config_parse_number("-1", 0, 9, &value), -EINVAL);
        ck_assert_int_eq(config_parse_number("1x", 0, 9, &value), -EINVAL);
        ck_assert_uint_eq(value, 17);
}
END_TEST

static void write_file(const char *directory, const char *name, const char *text)
{
        char path[256];
        FILE *file;

        snprintf(path, sizeof(path), "%s/%s", directory, name);
        file = fopen(path, "we");
        ck_assert_ptr_nonnull(file);
        ck_assert_int_ge(fputs(text, file), 0);
        ck_assert_int_eq(fclose(file), 0);
}

/* The smallest of what the group and those above it say. */
START_TEST(memory_of_the_control_group)
{
        static const char *const files[] = { "a/b/memory.max", "a/memory.max", "memory.max",
                                             "cgroup" };
        char root[] = "/tmp/tensord-config-XXXXXX", path[256], group[256];

        ck_assert_ptr_nonnull(mkdtemp(root));
        snprintf(group, sizeof(group), "%s/cgroup", root);
        ck_assert(config_memory_max(root, group) == UINT64_MAX);
        snprintf(path, sizeof(path), "%s/a", root);
        ck_assert_int_eq(mkdir(path, 0700), 0);
        snprintf(path, sizeof(path), "%s/a/b", root);
        ck_assert_int_eq(mkdir(path, 0700), 0);
        write_file(root, "cgroup", "0::/a/b\n");
        ck_assert(config_memory_max(root, group) == UINT64_MAX);
        write_file(root, "a/b/memory.max", "max\n");
        ck_assert(config_memory_max(root, group) == UINT64_MAX);
        write_file(root, "a/memory.max", "3000\n");
        ck_assert_uint_eq(config_memory_max(root, group), 3000);
        write_file(root, "a/b/memory.max", "4000\n");
        ck_assert_uint_eq(config_memory_max(root, group), 3000);
        write_file(root, "memory.max", "2000\n");
        write_file(root, "a/b/memory.max", "1000\n");
        ck_assert_uint_eq(config_memory_max(root, group), 1000);
        write_file(root, "cgroup", "12:memory:/a/b\n");
        ck_assert(config_memory_max(root, group) == UINT64_MAX);

        for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
                snprintf(path, sizeof(path), "%s/%s", root, files[i]);
                ck_assert_int_eq(unlink(path), 0);
        }
        snprintf(path, sizeof(path), "%s/a/b", root);
        ck_assert_int_eq(rmdir(path), 0);
        snprintf(path, sizeof(path), "%s/a", root);
        ck_assert_int_eq(rmdir(path), 0);
        ck_assert_int_eq(rmdir(root), 0);
}
END_TEST

START_TEST(who_may_connect)
{
        struct quotas quotas = { .is_shared = true };

        ck_assert(!config_is_shared(0600, geteuid()));
        ck_assert(!config_is_shared(0644, geteuid()));
        ck_assert(config_is_shared(0660, geteuid()));
        ck_assert(config_is_shared(0602, geteuid()));
        ck_assert(config_is_shared(0600, geteuid() + 1));

        /* With everything taken the daemon stays below what the unit allows. */
        config_default_quotas(&quotas, UINT64_C(64) << 30, 1000);
        ck_assert_uint_eq(quotas.all[RESOURCE_CONNECTIONS], 1000);
        ck_assert_uint_le(quotas.all[RESOURCE_WORKSPACE] + 1024 * quotas.all[RESOURCE_TENSORS],
                          (UINT64_C(64) << 30) / 5);
        ck_assert_uint_eq(quotas.all[RESOURCE_RECORDS], UINT64_C(2) << 30);
        quotas = (struct quotas){ .is_shared = false };
        config_default_quotas(&quotas, UINT64_C(64) << 30, 1000);
        ck_assert_uint_eq(quotas.all[RESOURCE_RECORDS], 0);
}
END_TEST

START_TEST(default_socket)
{
        char path[CONFIG_PATH_SIZE], wanted[CONFIG_PATH_SIZE], *text;
        bool is_ours;

        setenv("TENSORD_SOCKET", "/a/b", 1);
        setenv("XDG_RUNTIME_DIR", "/r", 1);
        ck_assert_int_eq(config_default_socket(path, &is_ours), 0);
        ck_assert_str_eq(path, "/a/b");
        ck_assert(!is_ours);
        unsetenv("TENSORD_SOCKET");
        ck_assert_int_eq(config_default_socket(path, &is_ours), 0);
        ck_assert_str_eq(path, "/r/tensord/socket");
        ck_assert(is_ours);
        unsetenv("XDG_RUNTIME_DIR");
        ck_assert_int_eq(config_default_socket(path, &is_ours), 0);
        snprintf(wanted, sizeof(wanted), "/tmp/tensord-%u/socket", (unsigned)geteuid());
        ck_assert_str_eq(path, geteuid() ? wanted : "/run/tensord/socket");

        text = malloc(200);
        ck_assert_ptr_nonnull(text);
        memset(text, 'x', 199);
        text[0] = '/';
        text[199] = '\0';
        setenv("TENSORD_SOCKET", text, 1);
        ck_assert_int_eq(config_default_socket(path, &is_ours), -ENAMETOOLONG);
        free(text);
}
END_TEST

START_TEST(directories)
{
        char top[] = "/tmp/test_config.XXXXXX", directory[64], path[CONFIG_PATH_SIZE];
        struct stat status;

        ck_assert_ptr_nonnull(mkdtemp(top));
        snprintf(directory, sizeof(directory), "%s/d", top);
        snprintf(path, sizeof(path), "%s/socket", directory);
        ck_assert_int_eq(config_make_directory(path, true), 0);
        ck_assert_int_eq(lstat(directory, &status), 0);
        ck_assert_uint_eq(status.st_mode & 0777, 0700);
        /* again */
        ck_assert_int_eq(config_make_directory(path, true), 0);

        /* one that others may write to is not ours */
        ck_assert_int_eq(chmod(directory, 0777), 0);
        ck_assert_int_eq(config_make_directory(path, true), -EPERM);
        ck_assert_int_eq(config_make_directory(path, false), 0);

        /* neither is a link to one, wherever it points */
        ck_assert_int_eq(rmdir(directory), 0);
        ck_assert_int_eq(symlink("/", directory), 0);
        ck_assert_int_eq(config_make_directory(path, true), -EPERM);
        ck_assert_int_eq(unlink(directory), 0);

        snprintf(path, sizeof(path), "%s/no/such/socket", top);
        ck_assert_int_eq(config_make_directory(path, false), -ENOENT);
        ck_assert_int_eq(rmdir(top), 0);
}
END_TEST

START_TEST(machine)
{
        uint64_t n_bytes = 0;
        char cpu[128];

        ck_assert_int_eq(config_default_memory("/dev/shm", &n_bytes), 0);
        ck_assert_uint_gt(n_bytes, 0);
        ck_assert_uint_le(n_bytes, (uint64_t)sysconf(_SC_PHYS_PAGES) *
                                           (uint64_t)sysconf(_SC_PAGESIZE) / 4 * 3);
        ck_assert_int_eq(config_default_memory("/no/such/directory", &n_bytes), -ENOENT);
        ck_assert_uint_ge(config_default_threads(), 1);
        ck_assert_uint_ge(config_raise_descriptors(), 64);
        ck_assert(config_is_memory("/dev/shm"));
        ck_assert(!config_is_memory("/proc") && !config_is_memory("/no/such/directory"));
        config_cpu_name(cpu, sizeof(cpu));
        ck_assert_uint_gt(strlen(cpu), 0);
        ck_assert_ptr_null(strchr(cpu, '\n'));
}
END_TEST

START_TEST(cache)
{
        char top[] = "/tmp/test_config.XXXXXX", path[256], wanted[256];

        ck_assert_ptr_nonnull(mkdtemp(top));
        setenv("RUNTIME_DIRECTORY", "/run/a:/run/b", 1);
        ck_assert_int_eq(config_cache_path(path, sizeof(path)), 0);
        ck_assert_str_eq(path, "/run/a/blas-core");
        unsetenv("RUNTIME_DIRECTORY");
        unsetenv("XDG_CACHE_HOME");
        setenv("HOME", top, 1);
        ck_assert_int_eq(config_cache_path(path, sizeof(path)), 0);
        snprintf(wanted, sizeof(wanted), "%s/.cache/tensord/blas-core", top);
        ck_assert_str_eq(path, wanted);
        ck_assert_int_eq(config_cache_path(path, 20), -ENAMETOOLONG);
        unsetenv("HOME");
        ck_assert_int_eq(config_cache_path(path, sizeof(path)), -ENOENT);
        snprintf(path, sizeof(path), "%s/.cache/tensord", top);
        ck_assert_int_eq(rmdir(path), 0);
        snprintf(path, sizeof(path), "%s/.cache", top);
        ck_assert_int_eq(rmdir(path), 0);
        ck_assert_int_eq(rmdir(top), 0);
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("config");
        TCase *tcase = tcase_create("config");
        SRunner *runner;
        int n_failed;

        tcase_add_test(tcase, sizes);
        tcase_add_test(tcase, numbers);
        tcase_add_test(tcase, memory_of_the_control_group);
        tcase_add_test(tcase, who_may_connect);
        tcase_add_test(tcase, default_socket);
        tcase_add_test(tcase, directories);
        tcase_add_test(tcase, machine);
        tcase_add_test(tcase, cache);
        suite_add_tcase(suite, tcase);
        runner = srunner_create(suite);
        srunner_run_all(runner, CK_ENV);
        n_failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return n_failed ? 1 : 0;
}
