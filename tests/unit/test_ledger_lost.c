/* layer: store */
/* SPDX-License-Identifier: MIT */
/*
 * What a ledger does not say, or says in another order: nothing is taken for whole or for old.
 */
#include "ledger_kit.h"

#include <sys/syscall.h>
#include <time.h>

/* The machine has been up for so much longer. */
static time_t days_up;

__attribute__((visibility("default"))) int clock_gettime(clockid_t clock, struct timespec *now)
{
        long r = syscall(SYS_clock_gettime, clock, now);

        if (r == 0 && clock == CLOCK_BOOTTIME)
                now->tv_sec += days_up * 24 * 3600;
        return (int)r;
}

/* However long the machine is up, no version comes again when the ledger is lost once more. */
START_TEST(versions_that_are_lost)
{
        struct store *store = kit_store(LIMIT);
        char path[128];
        uint64_t version = 0;

        make(store, "m");
        snprintf(path, sizeof(path), "%s/" KIT_PREFIX ".ledger", kit_directory);
        for (unsigned turn = 0; turn < 4; turn++) {
                store_free(store);
                /* a daemon that counted on, and was stopped; then its ledger is lost */
                for (unsigned again = 0; again < 2; again++) {
                        if (again == 0)
                                ck_assert_int_eq(unlink(path), 0);
                        store = kit_store(LIMIT);
                        if (again == 0)
                                ck_assert_uint_gt(find(store, "m")->mutable->version, version);
                        else
                                ck_assert_uint_eq(find(store, "m")->mutable->version, version);
                        version = find(store, "m")->mutable->version;
                        if (again == 0)
                                store_free(store);
                }
                days_up += turn < 2 ? 25 : 1000;
        }
        days_up = 0;
        forget(store, "m");
}
END_TEST

/* That all of it is torn is known before its version is read, and known to the next one, too. */
static void leave_torn_before_state(void)
{
        struct store *store = kit_store(LIMIT);
        struct tensor *tensor;
        struct lease leases[TORN_MAX + 1];
        char name[8];

        for (unsigned i = 0; i <= TORN_MAX; i++) {
                snprintf(name, sizeof(name), "%u", i);
                make(store, name);
        }
        tensor = make(store, "m");
        for (unsigned i = 0; i <= TORN_MAX; i++) {
                snprintf(name, sizeof(name), "%u", i);
                if (store_delete(store, UID, name, NULL))
                        _exit(11);
        }
        for (unsigned i = 0; i <= TORN_MAX; i++) {
                begin(&leases[i], tensor, 10 * i, 10 * i + 5, NULL);
                lease_touch(&leases[i]);
        }
        _exit(tensor->mutable->slot == TORN_MAX + 2 ? 0 : 12);
}

START_TEST(torn_before_its_state)
{
        KIT_FORKED(leave_torn_before_state());
        for (unsigned turn = 0; turn < 3; turn++) {
                struct store *store = kit_store(LIMIT);

                ck_assert(is_torn(find(store, "m"), N - 1, N));
                if (turn < 2)
                        store_free(store);
                else
                        forget(store, "m");
        }
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("ledger_lost");
        TCase *tcase = tcase_create("ledger_lost");

        tcase_add_test(tcase, versions_that_are_lost);
        tcase_add_test(tcase, torn_before_its_state);
        suite_add_tcase(suite, tcase);
        return kit_run(suite);
}
