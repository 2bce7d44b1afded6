/* layer: base */
/* SPDX-License-Identifier: MIT */
/*
 * Against a plain array: the first is always one of the least, whatever was added and removed.
 */
#include "base/heap.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { N = 300, MANY = 200000 };

static struct heap_node nodes[MANY];

START_TEST(at_random)
{
        struct heap heap = { NULL };
        unsigned n_in = 0;

        srand(1);
        for (unsigned turn = 0; turn < 100000; turn++) {
                struct heap_node *node = &nodes[rand() % N];
                uint64_t least = UINT64_MAX;

                if (node->is_in) {
                        heap_remove(&heap, node);
                        n_in--;
                } else if (turn % 3 || n_in < N / 4) {
                        heap_add(&heap, node, (uint64_t)rand() % 1000);
                        n_in++;
                } else {
                        heap_remove(&heap, node); /* is not in: nothing happens */
                        heap_remove(&heap, heap.first);
                        n_in--;
                }
                for (unsigned i = 0; i < N; i++)
                        if (nodes[i].is_in && nodes[i].key < least)
                                least = nodes[i].key;
                ck_assert_int_eq(heap.first == NULL, n_in == 0);
                if (n_in > 0)
                        ck_assert(heap.first->is_in && heap.first->key == least);
        }
        while (heap.first)
                heap_remove(&heap, heap.first);
}
END_TEST

START_TEST(in_order)
{
        struct heap heap = { NULL };
        struct timespec begin, end;
        uint64_t last = 0;

        clock_gettime(CLOCK_MONOTONIC, &begin);
        for (unsigned i = 0; i < MANY; i++)
                heap_add(&heap, &nodes[i], (uint64_t)i * 7919 % MANY);
        for (unsigned i = 0; i < MANY; i++) {
                ck_assert(heap.first->key >= last);
                last = heap.first->key;
                heap_remove(&heap, heap.first);
        }
        clock_gettime(CLOCK_MONOTONIC, &end);
        ck_assert_ptr_null(heap.first);
        printf("heap: %d in and out in %.0f ms\n", MANY,
               (double)(end.tv_sec - begin.tv_sec) * 1e3 +
                       (double)(end.tv_nsec - begin.tv_nsec) / 1e6);
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("heap");
        TCase *tcase = tcase_create("heap");
        SRunner *runner = srunner_create(suite);
        int n_failed;

        tcase_set_timeout(tcase, 60);
        tcase_add_test(tcase, at_random);
        tcase_add_test(tcase, in_order);
        suite_add_tcase(suite, tcase);
        srunner_run_all(runner, CK_ENV);
        n_failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
