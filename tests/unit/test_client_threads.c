/* layer: client */
/* SPDX-License-Identifier: MIT */
/*
 * Threads that have one client and the same tensors in common do everything with them at once.
 * What they find is looked at here; that none of it is read while another thread writes it, by the
 * thread sanitizer.
 */
#include <pthread.h>
#include <stdatomic.h>

#include "client.h"
#include "daemon_kit.h"

enum { N_THREADS = 4, N_TURNS = 48, N_LARGE = 6000, N_SMALL = 8 };

/* What the threads have in common. */
static td_client *client;
static td_tensor *large, *small, *opened, *mutable, *results[N_TURNS];
static pthread_barrier_t barrier;
static atomic_uint n_added;

static void check_mapped(td_tensor *tensor, enum td_map_mode mode, bool share, double last)
{
        td_mapping *mapping;
        td_error error;
        size_t n;

        OK(td_map(tensor, mode, share, &mapping, &error));
        n = td_mapping_n_bytes(mapping) / sizeof(double);
        ck_assert_double_eq(((double *)td_mapping_data(mapping))[n - 1], last);
        td_mapping_free(mapping);
}

static void check_known(void)
{
        ck_assert(td_tensor_is_sealed(large) && !td_tensor_is_mutable(large));
        ck_assert(td_tensor_is_mutable(mutable) && !td_tensor_is_sealed(mutable));
        ck_assert_int_eq(td_tensor_type(large)->shape[0], N_LARGE);
        ck_assert_int_eq(td_tensor_strides(large)[0], sizeof(double));
        ck_assert_uint_eq(td_tensor_n_bytes(small), N_SMALL * sizeof(double));
        ck_assert_str_eq(td_tensor_name(large), "large");
        ck_assert_int_eq(td_tensor_owner(large), -1);
        ck_assert_ptr_nonnull(td_tensor_id(large));
        (void)td_tensor_is_shared(large); /* as another thread has it */
}

static void add_one(void)
{
        td_mapping *mapping;
        td_lease *lease;
        td_error error;

        OK(td_lease_begin(mutable, NULL, NULL, 0, true, false, 60000, &lease, &error));
        OK(td_map(mutable, TD_MAP_WRITE, true, &mapping, &error));
        ((double *)td_mapping_data(mapping))[0]++;
        td_mapping_free(mapping);
        atomic_fetch_add(&n_added, 1);
        OK(td_lease_end(lease, &error));
}

static void check_snapshot(void)
{
        td_tensor *snapshot;
        td_error error;

        OK(td_snapshot(mutable, NULL, false, 60000, &snapshot, &error));
        check_mapped(snapshot, TD_MAP_READ, true, 0);
        td_tensor_free(snapshot);
}

static void check_run(void)
{
        td_builder *builder = td_builder_new();
        td_output output = { .map = false };
        int inputs[2], sums[2];
        td_tensor *result;
        td_error error;

        inputs[0] = td_builder_input(builder, large);
        inputs[1] = td_builder_input(builder, opened);
        for (int i = 0; i < 2; i++)
                sums[i] = td_builder_op(builder, TD_OP_SUM, NULL, &inputs[i], 1, NULL);
        output.value = td_builder_op(builder, TD_OP_ADD, NULL, sums, 2, NULL);
        OK(td_run(client, builder, &output, 1, &result, &error));
        check_mapped(result, TD_MAP_READ, false,
                     N_LARGE * (N_LARGE - 1) / 2 + N_SMALL * (N_SMALL - 1) / 2);
        td_tensor_free(result);
        td_builder_free(builder);
}

/* A result that came along as bytes: who speaks of it first has the daemon keep it. */
static void check_result(td_tensor *result, unsigned way)
{
        td_error error;

        switch (way) {
        case 0:
                OK(td_lend(result, &error));
                break;
        case 1:
                ck_assert_ptr_nonnull(td_tensor_id(result));
                break;
        case 2:
                check_mapped(result, TD_MAP_READ, true, 1 - N_SMALL);
                break;
        default:
                check_mapped(result, TD_MAP_COW, false, 1 - N_SMALL);
                break;
        }
}

static void do_something(unsigned what)
{
        td_error error;

        switch (what) {
        case 0:
                check_mapped(large, TD_MAP_READ, true, N_LARGE - 1);
                break;
        case 1:
        case 2:
                OK(td_share(large, what == 1, &error));
                break;
        case 3:
                check_known();
                break;
        case 4:
                add_one();
                break;
        case 5:
                check_run();
                break;
        case 6:
                check_snapshot();
                break;
        case 7:
                check_mapped(opened, TD_MAP_READ, true, N_SMALL - 1);
                check_mapped(small, TD_MAP_COW, true, N_SMALL - 1);
                break;
        default:
                check_mapped(large, TD_MAP_COW, true, N_LARGE - 1);
                OK(td_lend(large, &error));
                break;
        }
}

static void *do_everything(void *arg)
{
        unsigned number = *(const unsigned *)arg;

        for (unsigned turn = 0; turn < N_TURNS; turn++) {
                pthread_barrier_wait(&barrier);
                check_result(results[turn], (number + turn) % 4);
                do_something((number * 2 + turn) % 9);
        }
        return NULL;
}

static td_tensor *make_result(td_tensor *of)
{
        td_builder *builder = td_builder_new();
        int x = td_builder_input(builder, of);
        td_output output = { .value = td_builder_op(builder, TD_OP_NEGATIVE, NULL, &x, 1, NULL) };
        td_tensor *result;
        td_error error;

        OK(td_run(client, builder, &output, 1, &result, &error));
        td_builder_free(builder);
        return result;
}

static void begin(void)
{
        struct td_type type = f64_1d(N_LARGE), small_type = f64_1d(N_SMALL);
        double *data = ramp(N_LARGE);
        td_mapping *mapping;
        td_error error;

        client = kit_connect();
        OK(td_attend(client, &error));
        OK(td_put(client, data, &type, NULL, 'C', "large", false, &large, &error));
        OK(td_put(client, data, &small_type, NULL, 'C', "small", false, &small, &error));
        OK(td_open(client, "small", &opened, &error));
        OK(td_create_mutable(client, &type, 'C', "mutable", false, &mutable, &error));
        OK(td_map(mutable, TD_MAP_WRITE, true, &mapping, &error));
        memset(td_mapping_data(mapping), 0, td_mapping_n_bytes(mapping));
        td_mapping_free(mapping);
        OK(td_seal(mutable, &error));
        free(data);
}

static void end(void)
{
        td_error error;

        OK(td_delete(client, "large", &error));
        OK(td_delete(client, "small", &error));
        OK(td_delete(client, "mutable", &error));
        td_tensor_free(large);
        td_tensor_free(small);
        td_tensor_free(opened);
        td_tensor_free(mutable);
        td_close(client);
}

static void run_threads(void *(*fn)(void *arg), pthread_t threads[N_THREADS])
{
        static unsigned numbers[N_THREADS];

        for (unsigned i = 0; i < N_THREADS; i++) {
                numbers[i] = i;
                ck_assert_int_eq(pthread_create(&threads[i], NULL, fn, &numbers[i]), 0);
        }
}

START_TEST(everything_at_once)
{
        pthread_t threads[N_THREADS];
        td_mapping *mapping;
        td_lease *lease;
        td_error error;

        begin();
        for (unsigned i = 0; i < N_TURNS; i++)
                results[i] = make_result(small);
        pthread_barrier_init(&barrier, NULL, N_THREADS);
        run_threads(do_everything, threads);
        for (unsigned i = 0; i < N_THREADS; i++)
                pthread_join(threads[i], NULL);
        ck_assert_uint_gt(n_added, N_TURNS / 3);
        OK(td_lease_begin(mutable, NULL, NULL, 0, false, false, 0, &lease, &error));
        OK(td_map(mutable, TD_MAP_READ, true, &mapping, &error));
        ck_assert_double_eq(((double *)td_mapping_data(mapping))[0], n_added);
        td_mapping_free(mapping);
        OK(td_lease_end(lease, &error));
        for (unsigned i = 0; i < N_TURNS; i++)
                td_tensor_free(results[i]);
        end();
}
END_TEST

/* ---- the daemon ends meanwhile ---- */

static atomic_bool is_over;

/* The connection may break in it, which is said. */
static void may_be_lost(int r, const td_error *error)
{
        ck_assert_msg(r == TD_OK || r == TD_E_CONNECTION_LOST || r == TD_E_NO_DAEMON ||
                              r == TD_E_OUTCOME_UNKNOWN,
                      "%s", error->message);
}

static void *go_on(void *arg)
{
        td_error error = { .code = TD_OK };

        for (unsigned turn = *(const unsigned *)arg; !atomic_load(&is_over); turn++) {
                td_mapping *mapping;
                int r;

                may_be_lost(td_share(large, turn % 2, &error), &error);
                r = td_map(turn % 3 ? large : small, TD_MAP_READ, true, &mapping, &error);
                may_be_lost(r, &error);
                if (r == TD_OK) {
                        ck_assert_double_eq(((double *)td_mapping_data(mapping))[7], 7);
                        td_mapping_free(mapping);
                }
                may_be_lost(td_lend(turn % 5 ? large : small, &error), &error);
                ck_assert(td_tensor_is_sealed(large));
        }
        return NULL;
}

START_TEST(the_daemon_is_killed)
{
        pthread_t threads[N_THREADS];

        begin();
        run_threads(go_on, threads);
        for (unsigned i = 0; i < 5; i++) {
                kit_stop(SIGKILL);
                kit_start();
        }
        atomic_store(&is_over, true);
        for (unsigned i = 0; i < N_THREADS; i++)
                pthread_join(threads[i], NULL);
        check_mapped(large, TD_MAP_READ, true, N_LARGE - 1);
        check_mapped(small, TD_MAP_READ, true, N_SMALL - 1);
        end();
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("client_threads");
        TCase *tc = tcase_create("threads");
        SRunner *runner = srunner_create(suite);
        int n_failed;

        tcase_add_checked_fixture(tc, kit_setup, kit_teardown);
        tcase_set_timeout(tc, 60);
        tcase_add_test(tc, everything_at_once);
        tcase_add_test(tc, the_daemon_is_killed);
        suite_add_tcase(suite, tc);
        srunner_run_all(runner, CK_NORMAL);
        n_failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
