/* layer: base */
/* SPDX-License-Identifier: MIT */
/*
 * Keys that somebody chose to collide, under what uthash would hash by, lie apart in our tables; so
 * do those that differ in one byte only.
 */
#include "base/table.h"

#include <check.h>
#include <stdint.h>
#include <stdlib.h>

/* Chains of more would be no chance: 20000 elements have at least 2048 buckets. */
enum { N_KEYS = 20000, CHAIN_MAX = 64 };

struct element {
        uint64_t key;
        UT_hash_handle hh;
};

static struct element *elements, *table;

static void setup(void)
{
        elements = calloc(N_KEYS, sizeof(*elements));
        ck_assert_ptr_nonnull(elements);
}

static void teardown(void)
{
        HASH_CLEAR(hh, table);
        free(elements);
}

static unsigned longest_chain(void)
{
        unsigned longest = 0;

        for (unsigned i = 0; i < table->hh.tbl->num_buckets; i++)
                if (table->hh.tbl->buckets[i].count > longest)
                        longest = table->hh.tbl->buckets[i].count;
        return longest;
}

static void add(unsigned i, uint64_t key)
{
        elements[i].key = key;
        HASH_ADD(hh, table, key, sizeof(key), &elements[i]);
        ck_assert(table_has(&elements[i]));
}

START_TEST(chosen_to_collide)
{
        uint64_t key = 0;
        unsigned hash;

        for (unsigned i = 0; i < N_KEYS; i++) {
                do {
                        key++;
                        HASH_JEN(&key, sizeof(key), hash);
                } while ((hash & 0x3ff) != 7);
                add(i, key);
        }
        ck_assert_uint_le(longest_chain(), CHAIN_MAX);
}
END_TEST

START_TEST(one_after_another)
{
        const uint64_t step = UINT64_C(1) << (_i * 8);

        for (unsigned i = 0; i < N_KEYS; i++)
                add(i, 1 + i * step);
        ck_assert_uint_le(longest_chain(), CHAIN_MAX);
}
END_TEST

START_TEST(by_bytes)
{
        static const char text[] = "a key that is longer than one word, as node lists are";

        ck_assert_uint_eq(table_hash(text, sizeof(text)), table_hash(text, sizeof(text)));
        ck_assert_uint_ne(table_hash(text, sizeof(text)), table_hash(text, sizeof(text) - 1));
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("table");
        TCase *tcase = tcase_create("table");
        SRunner *runner = srunner_create(suite);
        int n_failed;

        tcase_add_checked_fixture(tcase, setup, teardown);
        tcase_add_test(tcase, chosen_to_collide);
        tcase_add_loop_test(tcase, one_after_another, 0, 5);
        tcase_add_test(tcase, by_bytes);
        suite_add_tcase(suite, tcase);
        srunner_run_all(runner, CK_ENV);
        n_failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
