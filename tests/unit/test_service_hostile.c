/* layer: service */
/* SPDX-License-Identifier: MIT */
/*
 * Clients that go in the middle of things, that ask oddly, or that ask for more than is good for
 * anybody else.
 */
#include "service_kit.h"

#include "store/state.h"

/* ---- requests of this file ---- */

/* n by n zeros plus what the handle means, times itself: of large n a job for a worker. */
static void send_square(struct peer *peer, uint64_t from, uint64_t handle, const char *name)
{
        struct reply *message = begin("run", 3);

        write_input(message, from, false);
        write_twice(message, "matmul");
        write_output(message, handle, name);
        submit(peer, message);
}

/* Delete the names, of whatever is left after the service was started anew. */
static void clean(const char *const *names, unsigned n)
{
        struct service *service = start(1 << 28);
        struct peer peer;

        attach(&peer, service, 1000);
        for (unsigned i = 0; i < n; i++) {
                ck_assert_msg(is_named(service, 1000, names[i]), "%s", names[i]);
                send_name(&peer, "delete", names[i]);
        }
        finish(service, &peer, NULL);
}

/* ---- the end of a client, the end of the daemon ---- */

/* Each begins when the one before it is done, and all of them commit. */
START_TEST(a_chain_of_jobs_outlives_client_and_service)
{
        static const char *const names[] = { "a", "b", "c", "d" };
        struct service *service = start(1 << 28);
        struct peer peer;

        attach(&peer, service, 1000);
        send_run(&peer, "matmul", 300, 1, "a", 0);
        send_square(&peer, 1, 2, "b");
        send_square(&peer, 2, 3, "c");
        send_square(&peer, 3, 4, "d");
        detach(&peer);
        service_free(service);
        clean(names, 4);
}
END_TEST

/* What a named output is computed from is not cancelled, though it has no name itself. */
START_TEST(what_a_named_output_waits_for_is_finished)
{
        static const char *const names[] = { "b" };
        struct service *service = start(1 << 28);
        struct peer peer;

        attach(&peer, service, 1000);
        send_run(&peer, "matmul", 1000, 1, NULL, 0);
        send_square(&peer, 1, 2, "b");
        detach(&peer);
        service_free(service);
        clean(names, 1);
}
END_TEST

/* ---- asking again ---- */

/* put, with what the kit's does not have */
static void send_replace_put(struct peer *peer, const char *name)
{
        double value = 9;
        struct reply *message = begin("put", 5);

        key_str(message, "dtype", "float64");
        reply_key(message, "shape");
        reply_array(message, 0);
        reply_key(message, "data");
        reply_bin(message, &value, sizeof(value));
        key_str(message, "name", name);
        reply_key(message, "replace");
        reply_bool(message, true);
        submit(peer, message);
}

/* zeros under the name "a", ones under the name "b" */
static void send_two(struct peer *peer, uint8_t op_fill)
{
        struct reply *message = begin("run", 4);

        reply_key(message, "inputs");
        reply_array(message, 0);
        reply_key(message, "nodes");
        reply_array(message, 2);
        write_ones(message, "zeros", 2);
        write_ones(message, "ones", 2);
        reply_key(message, "outputs");
        reply_array(message, 2);
        for (uint64_t i = 0; i < 2; i++) {
                reply_map(message, 2);
                key_uint(message, "value", i);
                key_str(message, "name", i ? "b" : "a");
        }
        key_op_id(message, op_fill);
        submit(peer, message);
}

/* A name that means something else since is no outcome of the first request any more. */
START_TEST(repeat_does_not_tell_what_others_wrote)
{
        struct service *service = start(1 << 26);
        struct peer peer;

        attach(&peer, service, 1000);
        send_two(&peer, 1);
        ck_assert(next_reply_has(&peer, "sealed"));
        send_replace_put(&peer, "b");
        ck_assert(next_reply_has(&peer, "sealed"));
        send_two(&peer, 1);
        /* one description, then nil */
        ck_assert(next_reply_has(&peer, "\xa4name\xa1"
                                        "a"));
        send_two(&peer, 1);
        ck_assert(!next_reply_has(&peer, "\xa4name\xa1"
                                         "b"));
        send_name(&peer, "delete", "b");
        ck_assert(next_reply_has(&peer, "\xc0\xc0"));

        /* the old value is still there, under a handle; the name is not */
        send_put(&peer, 1, "c", 2);
        ck_assert(next_reply_has(&peer, "sealed"));
        send_replace_put(&peer, "c");
        ck_assert(next_reply_has(&peer, "sealed"));
        send_put(&peer, 2, "c", 2);
        ck_assert(next_reply_has(&peer, "\xc0\xc0"));
        send_release(&peer, 2);
        ck_assert(next_reply_has(&peer, "\xc0\xc0"));
        send_name(&peer, "delete", "c");
        ck_assert(next_reply_has(&peer, "\xc0\xc0"));
        finish(service, &peer, "a");
}
END_TEST

static void send_name_of(struct peer *peer, uint64_t handle, const char *name, uint8_t op_fill)
{
        struct reply *message = begin("name", 3);

        key_uint(message, "handle", handle);
        key_str(message, "name", name);
        key_op_id(message, op_fill);
        submit(peer, message);
}

/* On a new connection the handles of the old one mean nothing: the outcome comes first. */
START_TEST(repeat_names_a_handle_of_the_lost_connection)
{
        struct service *service = start(1 << 26);
        struct peer peer, again;

        attach(&peer, service, 1000);
        send_put(&peer, 5, NULL, 0);
        ck_assert(next_reply_has(&peer, "sealed"));
        send_name_of(&peer, 5, "a", 3);
        ck_assert(next_reply_has(&peer, "sealed"));
        detach(&peer);

        attach(&again, service, 1000);
        send_name_of(&again, 5, "a", 3);
        ck_assert(next_reply_has(&again, "sealed"));
        /* one that never took effect cannot be done now, and can when the handle is there */
        send_name_of(&again, 5, "b", 4);
        ck_assert(next_reply_has(&again, "not_found"));
        send_put(&again, 5, NULL, 0);
        ck_assert(next_reply_has(&again, "sealed"));
        send_name_of(&again, 5, "b", 4);
        ck_assert(next_reply_has(&again, "sealed"));
        send_name(&again, "delete", "b");
        ck_assert(next_reply_has(&again, "\xc0\xc0"));
        finish(service, &again, "a");
}
END_TEST

/* Nothing was to be named: an id alone does not keep a job alive. */
START_TEST(unnamed_job_with_an_id_ends_with_its_client)
{
        struct service *service = start(1 << 28);
        struct peer peer;

        attach(&peer, service, 1000);
        send_run(&peer, "matmul", 2000, 1, NULL, 9);
        send_square(&peer, 1, 2, NULL);
        ck_assert_uint_eq(service->n_jobs, 1);
        detach(&peer);
        for (struct call *call = list_first(&service->orphans, struct call, link); call;
             call = NULL)
                ck_assert_int_eq(atomic_load(&call->stop), CALL_STOPS_GONE);
        service_free(service);
}
END_TEST

/* Failures are remembered for a while; not as many as a client likes to make. */
START_TEST(failures_remembered_are_bounded)
{
        struct service *service = start(1 << 26);
        struct peer peer;

        attach(&peer, service, 1000);
        for (uint32_t i = 1; i <= 3 * REPEATS_FAILED_MAX; i++) {
                struct reply *message = begin("delete", 2);
                uint32_t op_id[4] = { i };

                key_str(message, "name", "nothing");
                reply_key(message, "op_id");
                reply_bin(message, op_id, sizeof(op_id));
                submit(&peer, message);
                ck_assert_uint_le(service->repeats.n_failed, REPEATS_FAILED_MAX);
                reply_free(list_first(&peer.replies, struct reply, link));
                peer.n_replies--;
        }
        ck_assert_uint_eq(HASH_COUNT(service->repeats.by_key), service->repeats.n_failed);
        finish(service, &peer, NULL);
}
END_TEST

/* ---- too much ---- */

/* It is told to stop reading before requests that end later pile up without bound. */
START_TEST(requests_under_way_are_bounded)
{
        struct service *service = start(1 << 28);
        struct peer peer;
        unsigned n = 0;

        attach(&peer, service, 1000);
        ck_assert(!client_is_full(&peer.client));
        send_run(&peer, "matmul", 1500, 1, "a", 7);
        while (!client_is_full(&peer.client)) {
                send_run(&peer, "matmul", 1500, 0, "a", 7); /* repeats: they join */
                ck_assert_uint_lt(++n, 100000);
        }
        await(&peer, n + 1);
        ck_assert(!client_is_full(&peer.client));
        while (peer.n_replies > 0)
                ck_assert(next_reply_has(&peer, "sealed"));
        finish(service, &peer, "a");
}
END_TEST

static void send_open_map(struct peer *peer, const char *name, uint64_t handle)
{
        struct reply *message = begin("open", 3);

        key_str(message, "name", name);
        key_uint(message, "handle", handle);
        reply_key(message, "map");
        reply_bool(message, true);
        submit(peer, message);
}

static void send_unmap(struct peer *peer, uint64_t segment)
{
        struct reply *message = begin("unmap", 1);

        reply_key(message, "segments");
        reply_array(message, 1);
        reply_uint(message, segment);
        submit(peer, message);
}

static void send_release_some(struct peer *peer, uint64_t first, uint32_t n)
{
        struct reply *message = begin("release", 1);

        reply_key(message, "handles");
        reply_array(message, n);
        for (uint32_t i = 0; i < n; i++)
                reply_uint(message, first + i);
        submit(peer, message);
}

static void send_release_many(struct peer *peer, uint64_t first, uint32_t n)
{
        for (; n > REQUEST_IDS_MAX; n -= REQUEST_IDS_MAX, first += REQUEST_IDS_MAX)
                send_release_some(peer, first, REQUEST_IDS_MAX);
        send_release_some(peer, first, n);
}

static void drop_replies(struct peer *peer)
{
        struct reply *reply;

        while ((reply = list_first(&peer->replies, struct reply, link)))
                reply_free(reply);
        peer->n_replies = 0;
}

/* Creates 8 KiB segments until there is no more room: how many there are. */
static uint32_t fill(struct peer *peer, uint64_t first)
{
        for (uint32_t n = 0;; n++) {
                drop_replies(peer);
                send_create(peer, 20, first + n, NULL);
                if (peer->n_replies == 0)
                        return n; /* it waits */
                if (!memmem(list_first(&peer->replies, struct reply, link)->bytes, 200, "unsealed",
                            8))
                        return n;
        }
}

static uint64_t some_parked(struct service *service)
{
        struct pool *pool = &service->store->pool;
        struct list *list = list_is_empty(&pool->asked) ? &pool->parked : &pool->asked;

        return list_first(list, struct segment, link)->id;
}

/* A mapping that has to wait for memory is handed out when others gave theirs back. */
START_TEST(mapping_of_a_small_one_waits_for_memory)
{
        struct service *service = start(1 << 20);
        struct peer peer, hoarder;
        uint64_t segment;
        uint32_t n;

        attach(&peer, service, 1000);
        attach(&hoarder, service, 1000);
        send_put(&peer, 0, "a", 0);
        n = fill(&hoarder, 1);
        ck_assert_uint_gt(n, 20);
        send_release_many(&hoarder, 1, 2);
        segment = some_parked(service);
        drop_replies(&peer);
        /* Two are parked: one may come free. Nothing else does. */
        send_open_map(&peer, "a", 4);
        ck_assert_uint_eq(peer.n_replies, 0);
        send_sum(&peer, 4);
        service_tick(service);
        service_tick(service);
        ck_assert_uint_eq(peer.n_replies, 0);
        send_unmap(&hoarder, segment);
        service_tick(service);
        ck_assert_uint_eq(peer.n_replies, 2);
        ck_assert(next_reply_has(&peer, "segment"));
        ck_assert(next_reply_has(&peer, "outputs"));
        detach(&hoarder);
        finish(service, &peer, "a");
}
END_TEST

/* Those that wait for memory are tried one at a time, and get their answer all the same. */
START_TEST(many_wait_for_memory)
{
        struct service *service = start(1 << 20);
        struct peer peer, hoarder;
        uint32_t n, n_wait = 0;

        attach(&peer, service, 1000);
        attach(&hoarder, service, 1000);
        n = fill(&hoarder, 1);
        send_release_many(&hoarder, 1, 8);
        for (uint64_t i = 0; i < 8; i++) {
                drop_replies(&peer);
                send_create(&peer, 20, 100 + i, NULL);
                n_wait += peer.n_replies == 0;
        }
        ck_assert_uint_eq(n_wait, 8);
        while (n_wait > 0) {
                uint64_t segment = some_parked(service);

                send_unmap(&hoarder, segment);
                service_tick(service);
                ck_assert_uint_eq(peer.n_replies, 9 - n_wait);
                n_wait--;
        }
        while (peer.n_replies > 0)
                ck_assert(next_reply_has(&peer, "unsealed"));
        ck_assert_uint_gt(n, 8);
        detach(&hoarder);
        finish(service, &peer, NULL);
}
END_TEST

/* An answer that there is no memory for is not left out silently: the connection is to end. */
START_TEST(lost_answer_is_told)
{
        struct service *service = start(1 << 26);
        struct reply *reply = reply_new();
        struct peer peer;

        attach(&peer, service, 1000);
        reply_begin_result(reply, 1);
        reply->has_failed = true;
        client_send(&peer.client, reply);
        ck_assert_uint_eq(peer.n_lost, 1);
        ck_assert_uint_eq(peer.n_replies, 0);
        client_send(&peer.client, NULL);
        ck_assert_uint_eq(peer.n_lost, 2);
        finish(service, &peer, NULL);
}
END_TEST

/* A long program is planned on a worker, and refused from there too. */
START_TEST(long_programs_are_planned_elsewhere)
{
        struct service *service = start(1 << 26);
        struct peer peer;

        attach(&peer, service, 1000);
        for (unsigned is_wrong = 0; is_wrong < 2; is_wrong++) {
                struct reply *message = begin("run", 3);
                uint32_t n = 1000;

                reply_key(message, "inputs");
                reply_array(message, 0);
                reply_key(message, "nodes");
                reply_array(message, n);
                write_ones(message, "ones", 2);
                for (uint32_t i = 1; i < n; i++) {
                        reply_array(message, 3);
                        reply_str(message, "negative");
                        reply_array(message, 1);
                        reply_uint(message, is_wrong && i == n - 1 ? n : i - 1);
                        reply_map(message, 0);
                }
                reply_key(message, "outputs");
                reply_array(message, 1);
                reply_map(message, 1);
                key_uint(message, "value", n - 1);
                submit(&peer, message);
                ck_assert_uint_eq(service->n_jobs, 1);
                ck_assert_uint_eq(peer.n_replies, 0);
                await(&peer, 1);
                ck_assert(next_reply_has(&peer, is_wrong ? "bad_program" : "outputs"));
        }
        finish(service, &peer, NULL);
}
END_TEST

/* One notification names many segments: a queue of thousands would pass for a client that does not
 * read. */
START_TEST(many_are_asked_back_in_few_messages)
{
        struct service *service = start(1 << 27);
        struct peer peer;
        size_t n_bytes = 0;
        struct reply *reply;
        uint32_t n;

        attach(&peer, service, 1000);
        n = fill(&peer, 1);
        ck_assert_uint_gt(n, 1000);
        drop_replies(&peer);
        send_release_many(&peer, 1, n);
        end_turns(service);
        ck_assert_uint_le(peer.n_replies, 2 * (n / REQUEST_IDS_MAX + 1));
        list_for_each (reply, &peer.replies, link)
                n_bytes += reply->n_bytes;
        ck_assert_uint_gt(n_bytes, n / 2 * 8); /* three quarters are beyond what may be parked */
        finish(service, &peer, NULL);
}
END_TEST

/* What a connection that ended is still to give back is waited for. */
START_TEST(memory_of_who_leaves_is_waited_for)
{
        struct service *service = start(1 << 20);
        struct peer peer, hoarder;

        attach(&peer, service, 1000);
        attach(&hoarder, service, 1000);
        ck_assert_uint_gt(fill(&hoarder, 1), 20);
        client_leave(&hoarder.client);
        ck_assert_uint_eq(service_n_clients(service), 1);
        ck_assert(!client_take_out(&hoarder.client, 1));
        send_create(&peer, 40, 1, NULL);
        ck_assert_uint_eq(peer.n_replies, 0);
        while (!client_take_out(&hoarder.client, 1))
                ;
        end_turns(service);
        service_tick(service);
        ck_assert(next_reply_has(&peer, "unsealed"));
        detach(&hoarder);
        finish(service, &peer, NULL);
}
END_TEST

/* Not what a handle of it does not free: what has a name, or is another's, or referred to twice. */
START_TEST(what_stays_is_not_waited_for)
{
        struct service *service = start(1 << 25);
        struct peer peer, other;
        const uint64_t *n_leaving;

        attach(&peer, service, 1000);
        attach(&other, service, 1000);
        n_leaving = &peer.client.user->spare.n_leaving;
        send_create(&peer, 64, 1, "x"); /* named by its seal, */
        send_seal(&peer, 1);
        send_put(&peer, 2, "y", 0); /* or at once */
        for (uint64_t i = 3; i < 100; i++)
                send_open(&peer, "y", i);
        send_create(&peer, 8, 100, NULL); /* what it is that leaves */
        send_create(&peer, 8, 101, NULL);
        send_release(&peer, 101);
        for (uint64_t i = 0; i < 99; i++)
                send_open(&other, i % 2 ? "x" : "y", 1 + i);
        end_turns(service);
        client_leave(&other.client);
        ck_assert_uint_eq(*n_leaving, 0);
        client_leave(&peer.client);
        ck_assert_uint_eq(*n_leaving, 8 * 8 * 8);
        ck_assert(!client_take_out(&peer.client, 99));
        ck_assert_uint_eq(*n_leaving, 8 * 8 * 8);
        detach(&peer);
        ck_assert_uint_eq(*n_leaving, 0);
        detach(&other);
        attach(&peer, service, 1000);
        send_name(&peer, "delete", "x");
        ck_assert(next_reply_has(&peer, "\xc0\xc0"));
        finish(service, &peer, "y");
}
END_TEST

/* Others are answered while what it left behind is looked at. */
START_TEST(a_connection_with_many_segments_ends_in_turns)
{
        struct service *service = start(1 << 25);
        struct peer peer, other;
        struct store_figures figures;
        uint32_t n;

        attach(&peer, service, 1000);
        attach(&other, service, 1001);
        n = fill(&peer, 1);
        ck_assert_uint_gt(n, 1000);
        detach(&peer);
        ck_assert(service_is_behind(service));
        service_end_turn(service);
        ck_assert(service_is_behind(service));
        send_put(&other, 0, "other", 0);
        ck_assert(next_reply_has(&other, "sealed"));
        ck_assert_uint_gt(end_turns(service), n / 100);
        store_figures(service->store, &figures);
        ck_assert_uint_eq(figures.live, 0);
        finish(service, &other, "other");
}
END_TEST

static uint32_t n_stakes(struct peer *peer)
{
        const struct stake *stake;
        struct tensor *tensor;
        uint32_t n = 0;

        ck_assert_int_eq(store_find(peer->client.service->store, 1000, "x", &tensor), 0);
        list_for_each (stake, &tensor->stakes, link)
                n++;
        return n;
}

/* What holders walks of a tensor is one thing for each connection, however many handles it has. */
START_TEST(handles_of_one_tensor_are_counted_not_walked)
{
        enum { HANDLES = 1000, OTHERS = 3 };
        struct service *service = start(1 << 25);
        struct peer peer, others[OTHERS];

        attach(&peer, service, 1000);
        send_put(&peer, 1, "x", 0);
        ck_assert(next_reply_has(&peer, "sealed"));
        for (unsigned i = 0; i < OTHERS; i++) {
                attach(&others[i], service, 1000);
                for (uint64_t k = 1; k <= HANDLES; k++)
                        send_open(&others[i], "x", k);
        }
        ck_assert_uint_eq(n_stakes(&peer), 1 + OTHERS);
        for (uint64_t k = 1; k < HANDLES; k++)
                send_release(&others[0], k);
        send_release(&peer, 1);
        ck_assert(next_reply_has(&peer, "\xc0\xc0"));
        ck_assert_uint_eq(n_stakes(&peer), OTHERS);
        ck_assert_uint_eq(HASH_COUNT(others[0].client.stakes), 1);
        send_release(&others[0], HANDLES);
        ck_assert_uint_eq(n_stakes(&peer), OTHERS - 1);
        client_leave(&others[1].client);
        ck_assert(!client_take_out(&others[1].client, HANDLES - 1));
        ck_assert_uint_eq(n_stakes(&peer), OTHERS - 1);
        for (unsigned i = 0; i < OTHERS; i++)
                detach(&others[i]);
        ck_assert_uint_eq(n_stakes(&peer), 0);
        finish(service, &peer, "x");
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("service_hostile");
        TCase *tcase = tcase_create("service_hostile");
        SRunner *runner;
        int n_failed;

        tcase_set_timeout(tcase, 60);
        tcase_add_test(tcase, a_chain_of_jobs_outlives_client_and_service);
        tcase_add_test(tcase, what_a_named_output_waits_for_is_finished);
        tcase_add_test(tcase, repeat_does_not_tell_what_others_wrote);
        tcase_add_test(tcase, repeat_names_a_handle_of_the_lost_connection);
        tcase_add_test(tcase, unnamed_job_with_an_id_ends_with_its_client);
        tcase_add_test(tcase, failures_remembered_are_bounded);
        tcase_add_test(tcase, requests_under_way_are_bounded);
        tcase_add_test(tcase, mapping_of_a_small_one_waits_for_memory);
        tcase_add_test(tcase, many_wait_for_memory);
        tcase_add_test(tcase, lost_answer_is_told);
        tcase_add_test(tcase, long_programs_are_planned_elsewhere);
        tcase_add_test(tcase, many_are_asked_back_in_few_messages);
        tcase_add_test(tcase, memory_of_who_leaves_is_waited_for);
        tcase_add_test(tcase, what_stays_is_not_waited_for);
        tcase_add_test(tcase, a_connection_with_many_segments_ends_in_turns);
        tcase_add_test(tcase, handles_of_one_tensor_are_counted_not_walked);
        suite_add_tcase(suite, tcase);
        runner = srunner_create(suite);
        srunner_run_all(runner, CK_NORMAL);
        n_failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return n_failed ? 1 : 0;
}
