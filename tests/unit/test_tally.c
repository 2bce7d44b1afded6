/* layer: compute */
/* SPDX-License-Identifier: MIT */
#include "step_kit.h"

#include "compute/tally.h"

START_TEST(counts_become_sums)
{
        int64_t counts[] = { 3, 0, 4, 1 };
        const int64_t sums[] = { 0, 3, 3, 7 };

        ck_assert_int_eq(tally_sum(counts, 4), 8);
        ck_assert_mem_eq(counts, sums, sizeof(sums));
        ck_assert_int_eq(tally_sum(NULL, 0), 0);
}
END_TEST

static struct tally *tally_of(int64_t n_chunks, const int64_t *counts)
{
        struct tally *tally = aligned_alloc(64, tally_n_bytes(n_chunks));

        ck_assert_uint_ge(tally_n_bytes(n_chunks), (uint64_t)(n_chunks + 2) * sizeof(int64_t));
        ck_assert_uint_eq(tally_n_bytes(n_chunks) % 64, 0);
        memset(tally, 0xdd, tally_n_bytes(n_chunks));
        for (int64_t i = 0; i < n_chunks; i++)
                tally->starts[i] = counts[i];
        tally_close(tally, n_chunks);
        return tally;
}

START_TEST(chunks_have_their_parts)
{
        const int64_t counts[] = { 3, 0, 4 }, begins[] = { 0, 3, 3 }, ends[] = { 3, 3, 7 };
        struct tally *tally = tally_of(3, counts);

        ck_assert_int_eq(tally->total, 7);
        for (uint64_t i = 0; i < 3; i++) {
                struct tally_part part = tally_part(tally, i, 7);

                ck_assert_int_eq(part.begin, begins[i]);
                ck_assert_int_eq(part.end, ends[i]);
        }
        free(tally);
        tally = tally_of(0, NULL);
        ck_assert_int_eq(tally->total, 0);
        free(tally);
}
END_TEST

/* Also if others wrote into the scratch. */
START_TEST(parts_keep_within_bounds)
{
        const int64_t lies[] = { INT64_MIN, -1, 0, 5, 10, 11, INT64_MAX };
        struct tally *tally = tally_of(1, (int64_t[]){ 10 });

        for (unsigned i = 0; i < 7; i++)
                for (unsigned j = 0; j < 7; j++) {
                        struct tally_part part;

                        tally->starts[0] = lies[i];
                        tally->starts[1] = lies[j];
                        part = tally_part(tally, 0, 10);
                        ck_assert(0 <= part.begin && part.begin <= part.end && part.end <= 10);
                }
        free(tally);
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("tally");
        TCase *test = tcase_create("tally");

        tcase_add_test(test, counts_become_sums);
        tcase_add_test(test, chunks_have_their_parts);
        tcase_add_test(test, parts_keep_within_bounds);
        suite_add_tcase(suite, test);
        return kit_main(suite);
}
