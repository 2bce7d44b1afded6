/* layer: compute */
/* SPDX-License-Identifier: MIT */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "compute/user/user_kernel.h"

START_TEST(signatures)
{
        struct user_signature s;

        ck_assert_int_eq(user_signature_parse(&s, "(n, m), (m,k),()->(n,k)"), 0);
        ck_assert_uint_eq(s.n_args, 3);
        ck_assert_uint_eq(s.n_results, 1);
        ck_assert_uint_eq(s.n_names, 3);
        ck_assert_uint_eq(s.ndim[2], 0);
        ck_assert_uint_eq(s.dims[1][0], s.dims[0][1]);
        ck_assert_uint_eq(s.dims[3][1], s.dims[1][1]);
        ck_assert_int_eq(user_signature_parse(&s, "->(),(x)"), 0);
        ck_assert_uint_eq(s.n_args, 0);
        ck_assert_uint_eq(s.n_results, 2);
}
END_TEST

START_TEST(what_is_no_signature)
{
        static const char *const bad[] = {
                "",
                "(n)",
                "(n)->",
                "n->n",
                "(n,)->(n)",
                "(n)->(n) x",
                "(1)->(1)",
                "(n->(n)",
                "(n),->(n)",
                "(),(),(),(),(),(),(),(),(),(),(),(),(),(),(),()->()",
                "(a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p,q)->()",
        };
        struct user_signature s;

        for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
                ck_assert_msg(user_signature_parse(&s, bad[i]) == -EINVAL, "%s", bad[i]);
}
END_TEST

/* more names than there is room for */
START_TEST(names_without_end)
{
        char text[4096] = "(";
        struct user_signature s;

        for (int i = 0; i < 100; i++)
                snprintf(text + strlen(text), sizeof(text) - strlen(text), "n%d%s", i,
                         i % 10 == 9 ? "),(" : ",");
        strcat(text, "x)->()");
        ck_assert_int_eq(user_signature_parse(&s, text), -EINVAL);
}
END_TEST

START_TEST(a_directory_that_is_not_there)
{
        struct user_kernels *kernels = NULL;
        char message[128] = "";

        ck_assert_int_eq(user_kernels_load(&kernels, "/nowhere/at/all", message, sizeof(message)),
                         USER_KERNEL_E_DIRECTORY);
        ck_assert_ptr_null(kernels);
        ck_assert_ptr_nonnull(strstr(message, "/nowhere/at/all"));
        ck_assert_ptr_null(user_kernels_find(NULL, "heat1d"));
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("user_kernel");
        TCase *tcase = tcase_create("user_kernel");
        SRunner *runner = srunner_create(suite);
        int n_failed;

        tcase_add_test(tcase, signatures);
        tcase_add_test(tcase, what_is_no_signature);
        tcase_add_test(tcase, names_without_end);
        tcase_add_test(tcase, a_directory_that_is_not_there);
        suite_add_tcase(suite, tcase);
        srunner_run_all(runner, CK_ENV);
        n_failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
