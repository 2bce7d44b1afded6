/* layer: store */
/* SPDX-License-Identifier: MIT */
#include "store_kit.h"

#include <signal.h>

#include "store/guard.h"

#define N_PAGES 64
#define N_BYTES ((size_t)N_PAGES * 4096)

struct area {
        int fd;
        uint8_t *map;
        int slot;
        atomic_bool is_poisoned;
};

static void area_begin(struct area *area, uint8_t value)
{
        *area = (struct area){ 0 };
        area->fd = memfd_create("area", MFD_CLOEXEC);
        ck_assert_int_ge(area->fd, 0);
        ck_assert_int_eq(posix_fallocate(area->fd, 0, (off_t)N_BYTES), 0);
        area->map = mmap(NULL, N_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, area->fd, 0);
        ck_assert_ptr_ne(area->map, MAP_FAILED);
        memset(area->map, value, N_BYTES);
        area->slot = guard_insert(area->map, N_BYTES, &area->is_poisoned);
        ck_assert_int_ge(area->slot, 0);
}

static bool area_is(const struct area *area, uint8_t value)
{
        for (size_t i = 0; i < N_BYTES; i++)
                if (area->map[i] != value)
                        return false;
        return true;
}

static void area_end(struct area *area)
{
        guard_remove(area->slot);
        munmap(area->map, N_BYTES);
        close(area->fd);
}

START_TEST(test_truncated_reads_as_zeros)
{
        struct area a, b;
        unsigned sum = 0;

        ck_assert_int_eq(guard_init(), 0);
        area_begin(&a, 1);
        area_begin(&b, 2);
        ck_assert_int_eq(ftruncate(a.fd, 4096), 0);
        for (size_t i = 0; i < N_BYTES; i += 4096)
                sum += a.map[i];
        ck_assert_uint_eq(sum, 1); /* the first page was read before the fault */
        ck_assert(atomic_load(&a.is_poisoned));
        ck_assert(!atomic_load(&b.is_poisoned));

        /* All of it is private memory now: writes reach nobody, the other is as it was. */
        memset(a.map, 7, N_BYTES);
        ck_assert(area_is(&b, 2));
        area_end(&a);
        area_end(&b);
}
END_TEST

static void *touch_all(void *arg)
{
        struct area *areas = arg;
        uint64_t sum = 0;

        for (unsigned turn = 0; turn < 20; turn++)
                for (unsigned a = 0; a < 4; a++)
                        for (size_t i = 0; i < N_BYTES; i += 512)
                                sum += *(volatile uint8_t *)(areas[a].map + i);
        return (void *)(uintptr_t)sum;
}

START_TEST(test_many_threads_fault_at_once)
{
        struct area areas[4];
        pthread_t threads[4];

        ck_assert_int_eq(guard_init(), 0);
        for (unsigned turn = 0; turn < 20; turn++) {
                for (unsigned i = 0; i < 4; i++)
                        area_begin(&areas[i], (uint8_t)(i + 1));
                for (unsigned i = 0; i < 4; i++)
                        ck_assert_int_eq(pthread_create(&threads[i], NULL, touch_all, areas), 0);
                for (unsigned i = 0; i < 3; i++)
                        ck_assert_int_eq(ftruncate(areas[i].fd, 0), 0);
                for (unsigned i = 0; i < 4; i++)
                        pthread_join(threads[i], NULL);
                touch_all(areas);
                for (unsigned i = 0; i < 4; i++)
                        ck_assert_int_eq(atomic_load(&areas[i].is_poisoned), i < 3);
                ck_assert(area_is(&areas[3], 4));
                for (unsigned i = 0; i < 4; i++)
                        area_end(&areas[i]);
        }
}
END_TEST

static atomic_bool is_over;

static void *come_and_go(void *arg)
{
        (void)arg;
        while (!atomic_load(&is_over)) {
                struct area area;

                area_begin(&area, 9);
                if (ftruncate(area.fd, 0) < 0 || *(volatile uint8_t *)area.map != 0)
                        return arg;
                if (!atomic_load(&area.is_poisoned))
                        return arg;
                area_end(&area);
        }
        return NULL;
}

START_TEST(test_faults_while_others_come_and_go)
{
        pthread_t threads[3];
        struct area area;
        void *result;
        int here;

        ck_assert_int_eq(guard_init(), 0);
        for (unsigned i = 0; i < 3; i++)
                ck_assert_int_eq(pthread_create(&threads[i], NULL, come_and_go, &here), 0);
        for (unsigned turn = 0; turn < 500; turn++) {
                area_begin(&area, 5);
                ck_assert_uint_eq(area.map[N_BYTES - 1], 5);
                ck_assert_int_eq(ftruncate(area.fd, 0), 0);
                ck_assert_uint_eq(*(volatile uint8_t *)(area.map + N_BYTES - 1), 0);
                ck_assert(atomic_load(&area.is_poisoned));
                area_end(&area);
        }
        atomic_store(&is_over, true);
        for (unsigned i = 0; i < 3; i++) {
                pthread_join(threads[i], &result);
                ck_assert_ptr_null(result);
        }
}
END_TEST

START_TEST(test_table_fills_and_empties)
{
        static int slots[70000];
        static uint8_t byte[1];
        atomic_bool is_poisoned = false;
        int n = 0;

        while (n < 70000 && (slots[n] = guard_insert(byte, 1, &is_poisoned)) >= 0)
                n++;
        ck_assert_int_eq(n, 65536);
        ck_assert_int_eq(guard_insert(byte, 1, &is_poisoned), -ENOMEM);
        guard_remove(slots[777]);
        ck_assert_int_eq(guard_insert(byte, 1, &is_poisoned), slots[777]);
        for (int i = 0; i < n; i++)
                guard_remove(slots[i]);
        ck_assert_int_eq(guard_insert(byte, 1, &is_poisoned), 0);
}
END_TEST

START_TEST(test_a_fault_elsewhere_kills)
{
        struct area area;

        ck_assert_int_eq(guard_init(), 0);
        area_begin(&area, 1);
        guard_remove(area.slot);
        ck_assert_int_eq(ftruncate(area.fd, 0), 0);
        ck_assert_uint_eq(area.map[0], 0);
}
END_TEST

START_TEST(test_a_sent_signal_kills)
{
        struct area area;

        ck_assert_int_eq(guard_init(), 0);
        area_begin(&area, 1);
        raise(SIGBUS);
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("guard");
        TCase *tcase = tcase_create("guard");

        tcase_set_timeout(tcase, 60);
        tcase_add_test(tcase, test_table_fills_and_empties);
        if (KIT_SANITIZED) {
                puts("guard: tests that fault are left out, a sanitizer is in the way");
        } else {
                tcase_add_test(tcase, test_truncated_reads_as_zeros);
                tcase_add_test(tcase, test_many_threads_fault_at_once);
                tcase_add_test(tcase, test_faults_while_others_come_and_go);
                tcase_add_test_raise_signal(tcase, test_a_fault_elsewhere_kills, SIGBUS);
                tcase_add_test_raise_signal(tcase, test_a_sent_signal_kills, SIGBUS);
        }
        suite_add_tcase(suite, tcase);
        return kit_run(suite);
}
