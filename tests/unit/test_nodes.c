/* layer: wire */
/* SPDX-License-Identifier: MIT */
/* Node lists: found in a message, decoded once, shared, and forgotten within a bound. */
#include "requests.h"

static struct nodes_cache cache;

/* n times x + x, of an immediate; k tells one program from another. */
static struct reply *message_of(unsigned n, unsigned k)
{
        struct reply *w = begin("run");
        double one = 1;

        reply_map(w, 3);
        reply_key(w, "inputs");
        reply_array(w, 1);
        reply_map(w, 3);
        reply_key(w, "dtype");
        reply_str(w, "float64");
        reply_key(w, "shape");
        reply_array(w, 0);
        reply_key(w, "data");
        reply_bin(w, &one, sizeof(one));
        reply_key(w, "nodes");
        reply_array(w, n);
        for (unsigned i = 0; i < n; i++) {
                reply_array(w, 3);
                reply_str(w, "add");
                reply_array(w, 2);
                reply_uint(w, i ? i : 0);
                reply_uint(w, i == k ? 0 : i);
                reply_map(w, 0);
        }
        reply_key(w, "outputs");
        reply_array(w, 1);
        reply_map(w, 1);
        reply_key(w, "value");
        reply_uint(w, n);
        ck_assert_int_eq(reply_finish(w), 0);
        return w;
}

static struct request *read_message(struct reply *w)
{
        struct request *request;
        int r = request_read(&request, w->bytes, w->n_bytes, &cache, &refusal);

        ck_assert_msg(r == 0, "%s", refusal.message);
        reply_free(w);
        return request;
}

START_TEST(test_shared)
{
        struct request *first, *second, *other;

        nodes_cache_init(&cache);
        first = read_message(message_of(3, 1));
        second = read_message(message_of(3, 1));
        other = read_message(message_of(3, 2));
        ck_assert_ptr_eq(first->nodes, second->nodes);
        ck_assert_ptr_ne(first->nodes, other->nodes);
        ck_assert_ptr_eq(second->program.block.nodes, first->nodes->nodes);
        ck_assert_uint_eq(second->program.block.n_nodes, 3);
        ck_assert_uint_eq(second->program.block.nodes[2].args[0], 2);
        ck_assert_uint_eq(other->program.block.nodes[2].args[1], 0);
        request_free(first);
        nodes_cache_deinit(&cache);
        ck_assert_uint_eq(second->program.block.nodes[1].args[1], 0);
        request_free(second);
        request_free(other);
}
END_TEST

START_TEST(test_same_as_without_cache)
{
        struct reply *w = message_of(40, 7);
        struct request *plain, *cached;

        nodes_cache_init(&cache);
        ck_assert_int_eq(request_read(&plain, w->bytes, w->n_bytes, NULL, &refusal), 0);
        cached = read_message(w);
        ck_assert_uint_eq(plain->program.block.n_nodes, cached->program.block.n_nodes);
        ck_assert_uint_eq(plain->n_bytes, cached->n_bytes);
        for (unsigned i = 0; i < 40; i++)
                ck_assert_uint_eq(plain->program.block.nodes[i].args[1],
                                  cached->program.block.nodes[i].args[1]);
        request_free(plain);
        request_free(cached);
        nodes_cache_deinit(&cache);
}
END_TEST

/* One program after the other: the cache stays within its bound, and forgets the oldest. */
START_TEST(test_bound)
{
        struct request *first, *again;

        nodes_cache_init(&cache);
        first = read_message(message_of(1000, 0));
        for (unsigned k = 1; k < 60; k++) {
                request_free(read_message(message_of(1000, k)));
                ck_assert_uint_le(cache.n_bytes, NODES_CACHE_BYTES);
        }
        again = read_message(message_of(1000, 0));
        ck_assert_ptr_ne(first->nodes, again->nodes);
        request_free(first);
        request_free(again);
        nodes_cache_deinit(&cache);
}
END_TEST

/* A refused program is not remembered, and refused each time. */
START_TEST(test_refused)
{
        nodes_cache_init(&cache);
        for (unsigned i = 0; i < 2; i++) {
                struct reply *w = begin("run");
                struct request *request;

                reply_map(w, 3);
                reply_key(w, "nodes");
                reply_array(w, 1);
                reply_array(w, 2);
                reply_str(w, "add");
                reply_array(w, 0);
                reply_key(w, "inputs");
                reply_array(w, 0);
                reply_key(w, "outputs");
                reply_array(w, 0);
                ck_assert_int_eq(reply_finish(w), 0);
                ck_assert_int_eq(request_read(&request, w->bytes, w->n_bytes, &cache, &refusal),
                                 REQUEST_E_REFUSED);
                ck_assert_int_eq(refusal.node, 0);
                request_free(request);
                reply_free(w);
        }
        ck_assert_uint_eq(cache.n_bytes, 0);
        nodes_cache_deinit(&cache);
}
END_TEST

/* nodes twice, or where none belong: found or not, the decoder says what is wrong. */
START_TEST(test_twice)
{
        struct reply *w = begin("run");

        nodes_cache_init(&cache);
        reply_map(w, 4);
        reply_key(w, "nodes");
        reply_array(w, 0);
        reply_key(w, "inputs");
        reply_array(w, 0);
        reply_key(w, "nodes");
        reply_array(w, 0);
        reply_key(w, "outputs");
        reply_array(w, 0);
        check_refused(w, TD_E_BAD_ARGUMENTS, "\"nodes\" is given twice");
        nodes_cache_deinit(&cache);
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("nodes");
        TCase *tcase = tcase_create("nodes");
        SRunner *runner;
        int n_failed;

        tcase_add_test(tcase, test_shared);
        tcase_add_test(tcase, test_same_as_without_cache);
        tcase_add_test(tcase, test_bound);
        tcase_add_test(tcase, test_refused);
        tcase_add_test(tcase, test_twice);
        suite_add_tcase(suite, tcase);
        runner = srunner_create(suite);
        srunner_run_all(runner, CK_NORMAL);
        n_failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return n_failed != 0;
}
