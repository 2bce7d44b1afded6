/* layer: client */
/* SPDX-License-Identifier: MIT */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "mapping.h"

#define N_BYTES 8192

static int memory_of(const char *text)
{
        int fd = memfd_create("segment", MFD_CLOEXEC);

        ck_assert_int_ge(fd, 0);
        ck_assert_int_eq(ftruncate(fd, N_BYTES), 0);
        ck_assert_int_eq(pwrite(fd, text, strlen(text), 4096), (ssize_t)strlen(text));
        return fd;
}

/* Another description of the same memory. */
static int open_again(int fd, int flags)
{
        char path[64];
        int again;

        snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
        again = open(path, flags | O_CLOEXEC);
        ck_assert_int_ge(again, 0);
        return again;
}

static void add(struct mappings *mappings, uint64_t segment, int fd, bool is_writable)
{
        mappings_add(mappings, &(struct handed){ segment, N_BYTES, is_writable }, fd);
        ck_assert_int_eq(fcntl(fd, F_GETFD), -1); /* it is closed */
}

START_TEST(one_address_for_a_segment)
{
        struct mappings mappings = { 0 };
        int fd = memory_of("hello");
        struct mapped *mapped;
        uint8_t *address;

        add(&mappings, 7, open_again(fd, O_RDONLY), false);
        mapped = mappings_find(&mappings, 7);
        ck_assert_ptr_nonnull(mapped);
        ck_assert_ptr_null(mappings_find(&mappings, 8));
        address = mapped->address;
        ck_assert_mem_eq(address + 4096, "hello", 5);
        ck_assert_int_eq(mapped_protect(mapped, true), -EACCES);

        /* a descriptor for writing takes its place, where it is */
        mapped_use(mapped);
        add(&mappings, 7, open_again(fd, O_RDWR), true);
        ck_assert_ptr_eq(mappings_find(&mappings, 7), mapped);
        ck_assert_ptr_eq(mapped->address, address);
        memcpy(address + 4096, "world", 5);
        ck_assert_int_eq(mapped_protect(mapped, false), 0);
        ck_assert_int_eq(mapped_protect(mapped, true), 0);
        ck_assert(!mapped_unuse(&mappings, mapped)); /* parked */
        ck_assert_ptr_eq(mappings_find(&mappings, 7), mapped);
        mappings_detach(&mappings);
        ck_assert_ptr_null(mappings.table);
        close(fd);
}
END_TEST

START_TEST(what_is_used_outlives_the_connection)
{
        struct mappings mappings = { 0 };
        struct mapped *used;

        add(&mappings, 1, memory_of("used"), true);
        add(&mappings, 2, memory_of("parked"), true);
        used = mappings_find(&mappings, 1);
        mapped_use(used);
        mapped_use(used);
        mappings_detach(&mappings);
        ck_assert_ptr_null(mappings_find(&mappings, 1));
        ck_assert_mem_eq(used->address + 4096, "used", 4);
        ck_assert(!mapped_unuse(&mappings, used));
        ck_assert_mem_eq(used->address + 4096, "used", 4);
        ck_assert(!mapped_unuse(&mappings, used)); /* unmapped; no daemon to be told */
}
END_TEST

START_TEST(trim_spares_what_is_used)
{
        struct mappings mappings = { 0 };
        struct mapped *used;

        add(&mappings, 1, memory_of("used"), true);
        add(&mappings, 2, memory_of("parked"), true);
        used = mappings_find(&mappings, 1);
        mapped_use(used);
        ck_assert(!mappings_trim(&mappings, 1));
        ck_assert(mappings_trim(&mappings, 2));
        ck_assert_ptr_null(mappings_find(&mappings, 2));
        ck_assert(mappings_trim(&mappings, 3));
        ck_assert_mem_eq(used->address + 4096, "used", 4);
        mapped_unuse(&mappings, used);
        ck_assert(mappings_trim(&mappings, 1));
}
END_TEST

static void note(void *ctx, uint64_t segment)
{
        *(uint64_t *)ctx |= 1U << segment;
}

/* Nothing that existed before a fork is parked after it. */
START_TEST(forks_end_parking)
{
        struct mappings mappings = { 0 };
        struct mapped *used, *later;
        uint64_t gone = 0;

        add(&mappings, 1, memory_of("used"), true);
        add(&mappings, 2, memory_of("parked"), true);
        used = mappings_find(&mappings, 1);
        mapped_use(used);
        mapping_count_fork();
        add(&mappings, 3, memory_of("later"), true);
        mappings_purge(&mappings, note, &gone);
        ck_assert_uint_eq(gone, 1U << 2);
        ck_assert_ptr_null(mappings_find(&mappings, 2));
        later = mappings_find(&mappings, 3);
        ck_assert_ptr_nonnull(later);
        mapped_use(later);
        ck_assert(!mapped_unuse(&mappings, later)); /* parked */
        ck_assert(mapped_unuse(&mappings, used));   /* the daemon is to be told */
        ck_assert_ptr_null(mappings_find(&mappings, 1));
        mappings_detach(&mappings);
}
END_TEST

START_TEST(a_descriptor_for_oneself)
{
        struct mappings mappings = { 0 };
        int fd = memory_of("x"), spare;
        struct mapped *mapped;

        add(&mappings, 1, open_again(fd, O_RDONLY), false);
        mapped = mappings_find(&mappings, 1);
        add(&mappings, 1, open_again(fd, O_RDONLY), false);
        ck_assert_int_eq(mapped_take_spare(mapped), -1);
        mapped->n_wanting = 1;
        add(&mappings, 1, open_again(fd, O_RDONLY), false);
        spare = mapped_take_spare(mapped);
        ck_assert_int_ge(spare, 0);
        ck_assert_int_eq(mapped_take_spare(mapped), -1);
        close(spare);
        mapped->n_wanting = 0;
        mappings_detach(&mappings);
        close(fd);
}
END_TEST

START_TEST(populated_pages)
{
        struct mappings mappings = { 0 };
        unsigned char in_memory[2];
        struct mapped *mapped;

        add(&mappings, 1, memory_of("a"), true);
        mapped = mappings_find(&mappings, 1);
        mapped_populate(mapped);
        ck_assert(mapped->is_populated);
        ck_assert_int_eq(mincore(mapped->address, N_BYTES, in_memory), 0);
        ck_assert(in_memory[0] & in_memory[1] & 1);
        mappings_detach(&mappings);
}
END_TEST

START_TEST(what_cannot_be_mapped)
{
        struct mappings mappings = { 0 };
        int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

        add(&mappings, 1, fd, false);
        ck_assert_ptr_null(mappings_find(&mappings, 1));
        ck_assert_int_ne(mappings.error, 0);
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("mapping");
        TCase *tc = tcase_create("mapping");
        SRunner *runner = srunner_create(suite);
        int n_failed;

        tcase_add_test(tc, one_address_for_a_segment);
        tcase_add_test(tc, what_is_used_outlives_the_connection);
        tcase_add_test(tc, trim_spares_what_is_used);
        tcase_add_test(tc, forks_end_parking);
        tcase_add_test(tc, a_descriptor_for_oneself);
        tcase_add_test(tc, populated_pages);
        tcase_add_test(tc, what_cannot_be_mapped);
        suite_add_tcase(suite, tc);
        srunner_run_all(runner, CK_NORMAL);
        n_failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
