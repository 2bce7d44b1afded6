/* layer: store */
/* SPDX-License-Identifier: MIT */
#include "store_kit.h"

#include "store/names.h"

static struct users users;
static struct names names;
static struct loss loss;

static struct name *get(uid_t uid, const char *text)
{
        struct user *user;
        struct name *name;

        ck_assert_int_eq(user_get(&users, uid, &user), 0);
        ck_assert_int_eq(names_get(&names, user, text, strlen(text), &name), 0);
        user_unref(user);
        name->loss = &loss; /* it means something */
        return name;
}

static void drop(struct name *name)
{
        name->loss = NULL;
        names_settle(&names, name);
}

START_TEST(test_order_and_lookup)
{
        users_init(&users, 1);
        names_init(&names, 7);
        for (unsigned round = 0; round < 2; round++) {
                struct name *b = get(2, "b"), *ab = get(2, "ab"), *a = get(2, "a"),
                            *other = get(1, "a"), *high = get(3, "\xc3\xa4");

                ck_assert_ptr_eq(get(2, "b"), b);
                ck_assert_uint_eq(names.n_names, 5);
                ck_assert_ptr_eq(names_find(&names, 2, "ab", 2), ab);
                ck_assert_ptr_eq(names_find(&names, 2, "ab", 1), a);
                ck_assert_ptr_null(names_find(&names, 2, "abc", 3));
                ck_assert_ptr_null(names_find(&names, 4, "a", 1));
                ck_assert_ptr_eq(names_find(&names, 1, "a", 1), other);
                ck_assert_ptr_eq(names_from(&names, 2, ""), a);
                ck_assert_ptr_eq(names_from(&names, 2, "aa"), ab);
                ck_assert_ptr_null(names_from(&names, 2, "c"));
                ck_assert_ptr_eq(names_from(&names, 3, "z"), high);
                ck_assert_ptr_eq(names_next(a), ab);
                ck_assert_ptr_eq(names_next(ab), b);
                ck_assert_ptr_null(names_next(b));
                names_settle(&names, a); /* means something: stays */
                ck_assert_ptr_eq(names_from(&names, 2, ""), a);
                drop(a);
                ck_assert_ptr_eq(names_from(&names, 2, ""), ab);
                drop(high);
                drop(ab);
                drop(other);
                drop(b);
        }
        names_deinit(&names);
        users_deinit(&users);
}
END_TEST

START_TEST(test_many)
{
        static bool is_there[5000];
        unsigned seed = 99, n = 0;
        char text[16], before[16];
        struct name *name;

        users_init(&users, 1);
        names_init(&names, 12345);
        for (unsigned turn = 0; turn < 40000; turn++) {
                unsigned i = (unsigned)rand_r(&seed) % ARRAY_SIZE(is_there);

                snprintf(text, sizeof(text), "%05u", i);
                name = names_find(&names, 5, text, 5);
                ck_assert_int_eq(name != NULL, is_there[i]);
                if (name)
                        drop(name);
                else
                        get(5, text);
                n = is_there[i] ? n - 1 : n + 1;
                is_there[i] = !is_there[i];
        }
        ck_assert_uint_eq(names.n_names, n);
        before[0] = '\0';
        while ((name = names_from(&names, 5, ""))) {
                ck_assert_int_gt(strcmp(name_text(name), before), 0);
                strcpy(before, name_text(name));
                ck_assert(is_there[atoi(name_text(name))]);
                drop(name);
                n--;
        }
        ck_assert_uint_eq(n, 0);
        names_deinit(&names);
        users_deinit(&users);
}
END_TEST

/* Never in the midst of a character, nor behind the end. */
START_TEST(test_cut)
{
        static const char text[] = "a\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80";
        static const int ends[] = { 0, 1, 1, 3, 3, 3, 6, 6, 6, 6, 10, 10 };

        for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++)
                ck_assert_int_eq(name_cut(text, 10, i), ends[i]);
        ck_assert_int_eq(name_cut(text, 3, 8), 3);
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("names");
        TCase *tcase = tcase_create("names");

        tcase_add_test(tcase, test_order_and_lookup);
        tcase_add_test(tcase, test_many);
        tcase_add_test(tcase, test_cut);
        suite_add_tcase(suite, tcase);
        return kit_run(suite);
}
