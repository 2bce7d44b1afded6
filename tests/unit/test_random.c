/* layer: compute */
/* SPDX-License-Identifier: MIT */
#include "step_kit.h"

#include "compute/create/random_core.h"

/* From kat_vectors of the Random123 distribution: counter, key, result. */
START_TEST(test_known_answers)
{
        static const uint32_t vectors[][10] = {
                { 0, 0, 0, 0, 0, 0, 0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8 },
                { 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff,
                  0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd },
                { 0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344, 0xa4093822, 0x299f31d0,
                  0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1 },
        };

        for (unsigned i = 0; i < ARRAY_SIZE(vectors); i++) {
                const uint32_t *v = vectors[i];
                struct philox philox = { .key = { v[4], v[5] }, .high = { v[2], v[3] } };
                uint64_t block = v[0] | (uint64_t)v[1] << 32;
                uint32_t c[4] = { v[0], v[1], v[2], v[3] };
                struct philox_words words;

                philox_block(c, philox.key);
                philox_words(&philox, block - 5, &words);
                for (unsigned j = 0; j < 4; j++) {
                        ck_assert_uint_eq(c[j], v[6 + j]);
                        ck_assert_uint_eq(words.w[j][5], v[6 + j]);
                }
        }
}
END_TEST

static struct td_attrs drawn(unsigned dtype, int64_t n, int64_t seed)
{
        return (struct td_attrs){ .set = TD_ATTR_SHAPE | TD_ATTR_DTYPE | TD_ATTR_SEED,
                                  .dtype = (uint8_t)dtype,
                                  .n_shape = 1,
                                  .shape = { n },
                                  .seed = seed };
}

static struct td_attrs of_range(struct td_attrs attrs, int64_t start, int64_t stop, int64_t step)
{
        attrs.set |= TD_ATTR_RANGE;
        attrs.range[0] = (struct td_number){ .kind = TD_KIND_INT, .i = start };
        attrs.range[1] = (struct td_number){ .kind = TD_KIND_INT, .i = stop };
        attrs.range[2] = (struct td_number){ .kind = TD_KIND_INT, .i = step };
        return attrs;
}

/* The first elements of a longer one, on any number of threads, are those of a shorter one. */
START_TEST(test_bits_depend_on_the_index_alone)
{
        static const struct {
                enum td_op op;
                unsigned dtype;
        } rows[] = { { TD_OP_RANDOM_UNIFORM, TD_FLOAT32 }, { TD_OP_RANDOM_UNIFORM, TD_FLOAT64 },
                     { TD_OP_RANDOM_NORMAL, TD_FLOAT32 },  { TD_OP_RANDOM_NORMAL, TD_FLOAT64 },
                     { TD_OP_RANDOM_INTEGERS, TD_INT64 },  { TD_OP_RANDOM_INTEGERS, TD_UINT8 } };
        static const int64_t lengths[] = { 1, 2, 255, 257, 5000, 131071, 200001 };

        for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
                struct td_attrs attrs = drawn(rows[i].dtype, 300000, 42);
                int64_t size = td_dtype_size(rows[i].dtype);
                struct array all, some;

                if (rows[i].op == TD_OP_RANDOM_INTEGERS)
                        attrs = of_range(attrs, 3, 250, 1);
                all = kit_one(rows[i].op, &attrs, 0, NULL, 0);
                for (unsigned k = 0; k < ARRAY_SIZE(lengths); k++) {
                        attrs.shape[0] = lengths[k];
                        some = kit_one(rows[i].op, &attrs, 0, NULL, k % 3 == 2 ? 7 : k % 3);
                        ck_assert_int_eq(memcmp(some.bytes, all.bytes, (size_t)(lengths[k] * size)),
                                         0);
                        array_free(&some);
                }
                attrs.set |= TD_ATTR_STREAM;
                attrs.stream = 1;
                attrs.shape[0] = 64;
                some = kit_one(rows[i].op, &attrs, 0, NULL, 0);
                ck_assert_int_ne(memcmp(some.bytes, all.bytes, (size_t)(64 * size)), 0);
                array_free(&some);
                array_free(&all);
        }
}
END_TEST

/* Against the C library: a few units in the last place of 1 at most. */
START_TEST(test_normals_are_those_of_box_and_muller)
{
        struct philox philox = philox_of(9, 0);
        struct philox_words words;
        double u[2 * PHILOX_BLOCKS], x[2 * PHILOX_BLOCKS];

        for (uint64_t block = 0; block < 200 * PHILOX_BLOCKS; block += PHILOX_BLOCKS) {
                philox_words(&philox, block, &words);
                random_uniforms(&words, u);
                random_normals(&words, x);
                for (unsigned i = 0; i < 2 * PHILOX_BLOCKS; i += 2) {
                        double r = sqrt(-2 * log(1 - u[i])), a = 2 * M_PI * u[i + 1];

                        EXPECT(fabs(x[i] - r * cos(a)) < 1e-14, "cosine");
                        EXPECT(fabs(x[i + 1] - r * sin(a)) < 1e-14, "sine");
                }
        }
}
END_TEST

/* Ranges whose draws are rejected nearly every other time, and whole widths. */
START_TEST(test_integers_of_wide_ranges)
{
        struct td_attrs attrs = drawn(TD_INT64, 4096, 1);
        struct array got;
        bool is_negative = false, is_positive = false;

        attrs = of_range(attrs, INT64_MIN, 2, 1); /* 2^63 + 2 */
        got = kit_one(TD_OP_RANDOM_INTEGERS, &attrs, 0, NULL, 2);
        for (int64_t i = 0; i < 4096; i++) {
                EXPECT(array_get_int(&got, i) < 2, "below the end");
                is_positive |= array_get_int(&got, i) < INT64_MIN / 2;
        }
        ck_assert(is_positive);
        array_free(&got);

        attrs = of_range(attrs, INT64_MIN, 0, 1);
        attrs.range[1] = (struct td_number){ .kind = TD_KIND_UINT, .u = UINT64_C(1) << 63 };
        got = kit_one(TD_OP_RANDOM_INTEGERS, &attrs, 0, NULL, 2);
        is_positive = false;
        for (int64_t i = 0; i < 4096; i++) {
                is_negative |= array_get_int(&got, i) < 0;
                is_positive |= array_get_int(&got, i) > 0;
        }
        ck_assert(is_negative && is_positive);
        array_free(&got);

        attrs = of_range(attrs, 0, (INT64_C(1) << 31) + 1, 1); /* half of the words are rejected */
        got = kit_one(TD_OP_RANDOM_INTEGERS, &attrs, 0, NULL, 0);
        for (int64_t i = 0; i < 4096; i++)
                EXPECT(array_get_int(&got, i) >= 0 && array_get_int(&got, i) <= INT64_C(1) << 31,
                       "in range");
        array_free(&got);
}
END_TEST

START_TEST(test_permutations)
{
        static const int64_t lengths[] = { 0, 1, 2, 3, 17, 4096, 100000, 300001 };

        for (unsigned i = 0; i < ARRAY_SIZE(lengths); i++) {
                int64_t n = lengths[i];
                struct td_attrs attrs = drawn(0, n, 5);
                struct array alone, together;
                char *seen = calloc(1, (size_t)n + 1);

                attrs.set &= ~(uint32_t)TD_ATTR_DTYPE;
                alone = kit_one(TD_OP_RANDOM_PERMUTATION, &attrs, 0, NULL, 0);
                together = kit_one(TD_OP_RANDOM_PERMUTATION, &attrs, 0, NULL, 7);
                ck_assert_int_eq(memcmp(alone.bytes, together.bytes, (size_t)n * 8), 0);
                for (int64_t k = 0; k < n; k++) {
                        int64_t x = array_get_int(&alone, k);

                        EXPECT(x >= 0 && x < n && !seen[x], "each once");
                        seen[x] = 1;
                }
                free(seen);
                array_free(&alone);
                array_free(&together);
        }
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("random");
        TCase *tc = tcase_create("random");

        tcase_set_timeout(tc, 60);
        tcase_add_test(tc, test_known_answers);
        tcase_add_test(tc, test_bits_depend_on_the_index_alone);
        tcase_add_test(tc, test_normals_are_those_of_box_and_muller);
        tcase_add_test(tc, test_integers_of_wide_ranges);
        tcase_add_test(tc, test_permutations);
        suite_add_tcase(suite, tc);
        return kit_main(suite);
}
