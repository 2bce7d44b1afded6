/* layer: compute */
/* SPDX-License-Identifier: MIT */
#include <cblas.h>
#include <check.h>
#include <stdlib.h>

#include "compute/linalg/blas_threads.h"

/* What is alone gets threads; whoever comes meanwhile takes them away, from both. */
START_TEST(test_alone)
{
        blas_enter(1);
        ck_assert_int_eq(openblas_get_num_threads(), 1);
        blas_leave();
        blas_enter(2);
        ck_assert_int_eq(openblas_get_num_threads(), 2);
        blas_enter(2);
        ck_assert_int_eq(openblas_get_num_threads(), 1);
        blas_leave();
        ck_assert_int_eq(openblas_get_num_threads(), 1);
        blas_leave();
        blas_enter(2);
        ck_assert_int_eq(openblas_get_num_threads(), 2);
        blas_leave();
        ck_assert_int_eq(openblas_get_num_threads(), 1);
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("blas_threads");
        TCase *tc = tcase_create("blas_threads");
        SRunner *runner = srunner_create(suite);
        int n_failed;

        tcase_add_test(tc, test_alone);
        suite_add_tcase(suite, tc);
        srunner_run_all(runner, CK_NORMAL);
        n_failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
