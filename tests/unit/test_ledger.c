/* layer: store */
/* SPDX-License-Identifier: MIT */
/*
 * What was being written when the daemon was killed: between any two instructions it is known.
 * Nobody reads as whole what may be half written, and no lease comes back without its nonce.
 */
#include "ledger_kit.h"

#include <time.h>
#include <xxhash.h>

#include "kill_kit.h"
#include "store/guard.h"

/* ---- what is there after a kill ---- */

static void leave_all_kinds(void)
{
        struct store *store = kit_store(LIMIT);
        struct tensor *tensor = make(store, "m");
        struct lease leases[5];

        begin(&leases[0], tensor, 0, 10, nonce); /* held */
        begin(&leases[1], tensor, 10, 20, other_nonce);
        end_written(&leases[1]); /* written */
        begin(&leases[2], tensor, 20, 30, nonce);
        lease_abandon(&leases[2]); /* torn */
        begin(&leases[3], tensor, 30, 40, NULL);
        lease_touch(&leases[3]);                 /* a run that was copying */
        begin(&leases[4], tensor, 40, 50, NULL); /* a run that was computing */
        _exit(0);
}

START_TEST(each_kind_is_known_again)
{
        struct store *store;

        KIT_FORKED(leave_all_kinds());
        /* The second turn: as the daemon that recovered it leaves it, once killed, once stopped. */
        for (unsigned turn = 0; turn < 3; turn++) {
                struct recovered *recovered;
                struct tensor *tensor;

                store = kit_store(LIMIT);
                tensor = find(store, "m");
                recovered = store_next_recovered(store);
                ck_assert_ptr_nonnull(recovered);
                ck_assert_mem_eq(recovered->nonce, nonce, 16);
                ck_assert_ptr_eq(recovered->tensor, tensor);
                ck_assert_int_eq(recovered->region.offset, 0);
                ck_assert_int_eq(recovered->region.type.shape[0], 10);
                ck_assert_ptr_null(store_next_recovered(store));
                recovered_free(recovered);
                ck_assert_uint_eq(tensor->mutable->version, 1);
                ck_assert(!is_torn(tensor, 0, 20) && is_torn(tensor, 29, 30) &&
                          is_torn(tensor, 30, 31) && !is_torn(tensor, 40, N));
                kit_check(store);
                if (turn < 2)
                        store_free(store);
        }
        forget(store, "m");
}
END_TEST

/* A lease that came back ends like any other. */
START_TEST(a_lease_comes_back)
{
        struct lease lease = { .is_lasting = true };
        struct recovered *recovered;
        struct store *store;
        struct tensor *tensor;

        KIT_FORKED(leave_all_kinds());
        for (unsigned turn = 0; turn < 2; turn++) {
                store = kit_store(LIMIT);
                recovered = store_next_recovered(store);
                lease_resume(&lease, recovered);
                recovered_free(recovered);
                if (turn == 0)
                        lease_leave(&lease);
                else
                        end_written(&lease);
                store_free(store);
        }
        store = kit_store(LIMIT);
        tensor = find(store, "m");
        ck_assert_ptr_null(store_next_recovered(store));
        ck_assert_uint_eq(tensor->mutable->version, 2);
        ck_assert(!is_torn(tensor, 0, 20));
        forget(store, "m");
}
END_TEST

/* More torn regions than are remembered one by one: all is, until all was written. */
START_TEST(torn_all_over)
{
        struct store *store = kit_store(LIMIT);
        struct tensor *tensor = make(store, "m");
        struct lease lease;
        uint32_t n_free = 0;

        for (unsigned i = 0; i < 3 * TORN_MAX; i++) {
                if (i == 1)
                        n_free = store->ledger.n_free;
                begin(&lease, tensor, 10 * i, 10 * i + 5, i % 2 ? nonce : NULL);
                lease_abandon(&lease);
        }
        ck_assert(tensor->mutable->is_torn);
        ck_assert_uint_le(n_free, store->ledger.n_free + TORN_MAX);
        store_free(store);
        store = kit_store(LIMIT);
        tensor = find(store, "m");
        ck_assert(is_torn(tensor, N - 1, N));
        begin(&lease, tensor, 0, N, nonce);
        end_written(&lease);
        ck_assert(!is_torn(tensor, 0, N));
        store_free(store);
        store = kit_store(LIMIT);
        ck_assert(!is_torn(find(store, "m"), 0, N));
        ck_assert_uint_eq(find(store, "m")->mutable->version, 1);
        ck_assert_uint_eq(store->ledger.n_free, LEDGER_MIN / 320 - 2);
        forget(store, "m");
}
END_TEST

/* 0: removed, 1: another header, 2: a slot damaged, 3: a version damaged, 4: cut, 5: a link */
START_TEST(one_that_cannot_be_believed)
{
        struct store *store;
        struct tensor *tensor;
        struct lease lease;
        uint64_t version;
        uint8_t byte;
        char path[128];
        int fd;

        KIT_FORKED(leave_all_kinds());
        snprintf(path, sizeof(path), "%s/" KIT_PREFIX ".ledger", kit_directory);
        fd = open(path, O_RDWR);
        if (_i == 0 || _i == 5) {
                ck_assert_int_eq(unlink(path), 0);
        } else if (_i == 4) {
                ck_assert_int_eq(ftruncate(fd, 100), 0);
        } else {
                /* slot 1 is the tensor's state: word, then version */
                off_t at = _i == 1 ? 3 : _i == 2 ? 320 + 20 : 320 + 11;

                ck_assert_int_eq(pread(fd, &byte, 1, at), 1);
                byte ^= 0x10;
                ck_assert_int_eq(pwrite(fd, &byte, 1, at), 1);
        }
        if (_i == 5)
                ck_assert_int_eq(symlink("/dev/null", path), 0);
        close(fd);
        store = kit_store(LIMIT);
        tensor = find(store, "m");
        ck_assert(is_torn(tensor, 0, 1) && is_torn(tensor, N - 1, N));
        version = tensor->mutable->version;
        ck_assert_uint_gt(version, 1000);
        ck_assert_ptr_null(store_next_recovered(store));
        kit_check(store);
        begin(&lease, tensor, 0, N, nonce);
        end_written(&lease);
        store_free(store);
        store = kit_store(LIMIT);
        ck_assert(!is_torn(find(store, "m"), 0, N));
        ck_assert_uint_eq(find(store, "m")->mutable->version, version + 1);
        forget(store, "m");
}
END_TEST

/* Every bit of it flipped: either nothing that counts changed, or all is torn. */
START_TEST(every_bit_of_it)
{
        uint8_t kept[LEDGER_MIN], flipped[LEDGER_MIN];
        unsigned n_noticed = 0, n_not = 0;
        char path[128];
        int fd;

        KIT_FORKED(leave_all_kinds());
        snprintf(path, sizeof(path), "%s/" KIT_PREFIX ".ledger", kit_directory);
        fd = open(path, O_RDWR);
        ck_assert_int_eq(pread(fd, kept, LEDGER_MIN, 0), LEDGER_MIN);
        for (unsigned bit = 0; bit < 8 * LEDGER_MIN; bit += bit < 8 * 2240 ? 7 : 97) {
                struct shm shm;
                struct ledger ledger;
                struct users users;
                struct user *user;
                int r;

                memcpy(flipped, kept, sizeof(kept));
                flipped[bit / 8] ^= (uint8_t)(1 << bit % 8);
                ck_assert_int_eq(pwrite(fd, flipped, LEDGER_MIN, 0), LEDGER_MIN);
                users_init(&users, LIMIT);
                ck_assert_int_eq(user_get(&users, UID, &user), 0);
                ck_assert_int_eq(shm_init(&shm, kit_directory, KIT_PREFIX), 0);
                ck_assert_int_eq(guard_init(), 0);
                r = ledger_open(&ledger, &shm, user);
                ck_assert(r == 0 || r == LEDGER_E_DAMAGED);
                n_noticed += r != 0;
                n_not += r == 0;
                /* the header's word, then slots 1 to 4 that count (states: 1; 2 to 6 were used) */
                if (bit < 64 || (bit >= 8 * 320 && bit < 8 * 328))
                        ck_assert_int_eq(r, LEDGER_E_DAMAGED);
                if (!r)
                        ledger_close(&ledger);
                shm_deinit(&shm);
                user_unref(user);
                users_deinit(&users);
        }
        ck_assert_uint_gt(n_noticed, 100);
        ck_assert_uint_gt(n_not, 10);
        ck_assert_int_eq(pwrite(fd, kept, LEDGER_MIN, 0), LEDGER_MIN);
        close(fd);
        forget(kit_store(LIMIT), "m");
}
END_TEST

START_TEST(it_grows)
{
        struct store *store = kit_store(LIMIT);
        struct tensor *tensor = make(store, "m");
        static struct lease leases[300];
        struct recovered *recovered;
        unsigned n = 0;

        for (unsigned i = 0; i < 300; i++)
                begin(&leases[i], tensor, i, i + 1, nonce);
        ck_assert_uint_gt(store->ledger.n_bytes, 300 * 320);
        kit_check(store);
        for (unsigned i = 0; i < 300; i++)
                lease_leave(&leases[i]);
        store_free(store);
        store = kit_store(LIMIT);
        kit_check(store);
        while ((recovered = store_next_recovered(store))) {
                struct lease lease = { .is_lasting = true };

                lease_resume(&lease, recovered);
                recovered_free(recovered);
                end_written(&lease);
                n++;
        }
        ck_assert_uint_eq(n, 300);
        ck_assert_uint_eq(find(store, "m")->mutable->version, 300);
        forget(store, "m");
}
END_TEST

START_TEST(what_it_costs)
{
        struct store *store = kit_store(LIMIT);
        struct tensor *tensor = make(store, "m");
        const unsigned n = 200000;
        struct timespec at[2];
        struct lease lease;

        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &at[0]);
        for (unsigned i = 0; i < n; i++) {
                begin(&lease, tensor, 0, 10, nonce);
                end_written(&lease);
        }
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &at[1]);
        printf("ledger: a lease to write and its end take %.0f ns\n",
               ((double)(at[1].tv_sec - at[0].tv_sec) * 1e9 +
                (double)(at[1].tv_nsec - at[0].tv_nsec)) /
                       n);
        ck_assert_uint_eq(tensor->mutable->version, n);
        forget(store, "m");
}
END_TEST

START_TEST(no_room)
{
        struct store *store = kit_store(CATALOG_MIN + LEDGER_MIN + 64 * 1024);
        struct tensor *tensor = make(store, "m");
        static struct lease leases[400];
        struct desc region;
        unsigned n;
        int r = 0;

        for (n = 0; n < 400 && !r; n++) {
                region = part(n, n + 1);
                leases[n] = (struct lease){ .is_lasting = true };
                lease_begin(&leases[n], tensor, &region, true);
                r = lease_record(&leases[n], nonce);
        }
        ck_assert_int_eq(r, STORE_E_LIMIT);
        ck_assert_uint_gt(n, 20);
        kit_check(store);
        while (n-- > 0)
                lease_end(&leases[n]);
        forget(store, "m");
}
END_TEST

/* ---- killed anywhere ---- */

enum { N_STATES = 11 };

/* leased, torn, version: in the order in which one_life() passes through them */
static const struct {
        unsigned n_leased;
        unsigned n_torn;
        uint64_t version;
        unsigned step; /* reached by this step of one_life(), and left by the next one */
} states[N_STATES] = {
        { 0, 0, 0, 0 }, { 1, 0, 0, 1 }, { 1, 0, 1, 2 }, { 0, 0, 1, 2 },
        { 1, 0, 1, 3 }, { 0, 1, 1, 3 }, { 1, 1, 1, 4 }, { 1, 0, 1, 4 },
        { 1, 0, 2, 4 }, { 0, 0, 2, 4 }, { 0, 1, 2, 5 },
};

static void one_life(_Atomic unsigned *done)
{
        struct store *store = kit_store(LIMIT);
        struct tensor *tensor = make(store, "m");
        struct lease lease;

        raise(SIGSTOP);
        begin(&lease, tensor, 0, 10, nonce);
        atomic_store(done, 1);
        end_written(&lease);
        atomic_store(done, 2);
        begin(&lease, tensor, 20, 30, nonce);
        lease_abandon(&lease);
        atomic_store(done, 3);
        begin(&lease, tensor, 0, N, nonce);
        end_written(&lease);
        atomic_store(done, 4);
        begin(&lease, tensor, 5, 6, NULL);
        lease_touch(&lease);
        atomic_store(done, 5);
        _exit(0);
}

struct there {
        unsigned n_leased;
        unsigned n_torn;
        uint64_t version;
        const struct ledger *ledger;
};

static int count(void *ctx, uint32_t slot, enum ledger_kind kind, const struct ledger_entry *entry)
{
        struct there *there = ctx;
        bool is_torn;

        (void)entry;
        if (kind == LEDGER_STATE)
                ledger_state(there->ledger, slot, &there->version, &is_torn);
        there->n_leased += kind == LEDGER_LEASE;
        there->n_torn += kind == LEDGER_TORN;
        return 0;
}

/* What a daemon would find if the one that wrote it were killed now. */
static struct there look(const struct shm *shm, struct user *user)
{
        struct ledger ledger;
        struct there there = { .ledger = &ledger };

        ck_assert_int_eq(ledger_open(&ledger, shm, user), 0);
        ck_assert_int_eq(ledger_walk(&ledger, count, &there), 0);
        ledger_close(&ledger);
        return there;
}

/* Which state that is: the one that was acknowledged, or one on the way to the next. */
static unsigned state_of(const struct there *there, unsigned n_done)
{
        unsigned i, last = 0;

        for (i = 0; i < N_STATES; i++)
                if (states[i].step <= n_done)
                        last = i;
        for (i = last; i < N_STATES; i++)
                if (states[i].step <= n_done + 1 && states[i].n_leased == there->n_leased &&
                    states[i].n_torn == there->n_torn && states[i].version == there->version)
                        return i;
        ck_abort_msg("%u done: %u leased, %u torn, version %u", n_done, there->n_leased,
                     there->n_torn, (unsigned)there->version);
}

START_TEST(between_any_two_instructions)
{
        _Atomic unsigned *done = kit_shared_word();
        unsigned n_seen[N_STATES] = { 0 }, n = 0;
        pid_t pid = kit_begin_traced(one_life, done);
        struct users users;
        struct user *user;
        struct shm shm;

        if (!pid)
                return;
        users_init(&users, LIMIT);
        ck_assert_int_eq(user_get(&users, UID, &user), 0);
        ck_assert_int_eq(shm_init(&shm, kit_directory, KIT_PREFIX), 0);
        ck_assert_int_eq(guard_init(), 0);
        ck_assert(kit_step(pid, PTRACE_CONT));
        while (kit_step(pid, PTRACE_SINGLESTEP)) {
                struct there there = look(&shm, user);

                n_seen[state_of(&there, atomic_load(done))]++;
                n++;
        }
        printf("ledger: looked at between %u instructions\n", n);
        for (unsigned i = 0; i < N_STATES; i++)
                ck_assert_msg(n_seen[i] > 0, "state %u was never seen", i);
        shm_deinit(&shm);
        user_unref(user);
        users_deinit(&users);
        forget(kit_store(LIMIT), "m");
}
END_TEST

static void life_of_growth(_Atomic unsigned *done)
{
        struct store *store = kit_store(LIMIT);
        struct tensor *tensor = make(store, "m");
        static struct lease leases[40];

        for (unsigned i = 0; i < 40; i++) {
                begin(&leases[i], tensor, i, i + 1, nonce);
                atomic_store(done, i + 1);
        }
        for (unsigned i = 0; i < 40; i++)
                lease_leave(&leases[i]);
        store_free(store);
        _exit(0);
}

/* Of a life in which the ledger is made and grows, and of the recovery of that. */
START_TEST(killed_at_every_system_call)
{
        _Atomic unsigned *done = kit_shared_word();
        bool goes_on = true;

        for (unsigned n = 1; goes_on; n++) {
                struct recovered *recovered;
                struct tensor *tensor;
                unsigned n_leased = 0;
                struct store *store;

                atomic_store(done, 0);
                goes_on = kit_kill_at(life_of_growth, done, n, PTRACE_SYSCALL) == KIT_KILLED;
                store = kit_store(LIMIT);
                while ((recovered = store_next_recovered(store))) {
                        n_leased++;
                        recovered_free(recovered);
                }
                ck_assert(n_leased == atomic_load(done) || n_leased == atomic_load(done) + 1);
                kit_check(store);
                if (store_find(store, UID, "m", &tensor) == 0)
                        forget(store, "m");
                else
                        store_free(store);
        }
        ck_assert_uint_eq(atomic_load(done), 40);
}
END_TEST

/* ---- an older catalog ---- */

/* What a daemon of that version wrote: no ledger before 2, the same records. */
static void make_older(uint32_t version)
{
        struct catalog_header header;
        char path[128];
        int fd;

        snprintf(path, sizeof(path), "%s/" KIT_PREFIX ".ledger", kit_directory);
        if (version < CATALOG_VERSION_LEDGER)
                ck_assert_int_eq(unlink(path), 0);
        snprintf(path, sizeof(path), "%s/" KIT_PREFIX ".catalog", kit_directory);
        fd = open(path, O_RDWR);
        ck_assert_int_eq(pread(fd, &header, sizeof(header), 0), sizeof(header));
        ck_assert_uint_eq(header.version, CATALOG_VERSION);
        header.version = version;
        header.check = XXH3_64bits(&header, offsetof(struct catalog_header, check));
        ck_assert_int_eq(pwrite(fd, &header, sizeof(header), 0), sizeof(header));
        close(fd);
}

static uint32_t version_there(void)
{
        struct catalog_header header;
        char path[128];
        int fd;

        snprintf(path, sizeof(path), "%s/" KIT_PREFIX ".catalog", kit_directory);
        fd = open(path, O_RDONLY);
        ck_assert_int_eq(pread(fd, &header, sizeof(header), 0), sizeof(header));
        close(fd);
        return header.version;
}

static void older_life(void)
{
        struct store *store = kit_store(LIMIT);
        struct user *user = kit_user(store, UID);
        struct lease lease;

        kit_name(store, kit_tensor(store, user, 20000, 1), "large", NULL);
        kit_name(store, kit_small(store, user, 2), "small", NULL);
        begin(&lease, make(store, "m"), 0, 10, nonce);
        _exit(0);
}

static void check_adopted(struct store *store)
{
        struct tensor *tensor;

        ck_assert_int_eq(store_find(store, UID, "large", &tensor), 0);
        ck_assert(kit_tensor_is(tensor, 1));
        ck_assert_int_eq(store_find(store, UID, "small", &tensor), 0);
        ck_assert(kit_tensor_is(tensor, 2));
        /* What was being written was not marked then: nothing is torn. */
        ck_assert_uint_eq(find(store, "m")->mutable->version, 0);
        ck_assert(!is_torn(find(store, "m"), 0, N));
        ck_assert_uint_eq(version_there(), CATALOG_VERSION);
        kit_check(store);
}

START_TEST(an_older_catalog_is_adopted)
{
        struct store *store;

        KIT_FORKED(older_life());
        make_older(1);
        store = kit_store(LIMIT);
        check_adopted(store);
        store_free(store);
        store = kit_store(LIMIT);
        check_adopted(store);
        ck_assert_int_eq(store_delete(store, UID, "large", NULL), 0);
        ck_assert_int_eq(store_delete(store, UID, "small", NULL), 0);
        forget(store, "m");
}
END_TEST

static void before_life(void)
{
        struct store *store = kit_store(LIMIT);
        struct user *user = kit_user(store, UID);

        kit_name(store, kit_tensor(store, user, 20000, 1), "large", NULL);
        make(store, "m");
        _exit(0);
}

/* Nothing in it is evictable, which is all that is new. */
START_TEST(the_version_before_is_adopted)
{
        struct store *store;
        struct tensor *tensor;

        KIT_FORKED(before_life());
        make_older(CATALOG_VERSION - 1);
        store = kit_store(LIMIT);
        ck_assert_uint_eq(version_there(), CATALOG_VERSION);
        ck_assert_int_eq(store_find(store, UID, "large", &tensor), 0);
        ck_assert(kit_tensor_is(tensor, 1) && !tensor->is_evictable);
        ck_assert(!is_torn(find(store, "m"), 0, N));
        kit_check(store);
        ck_assert_int_eq(store_delete(store, UID, "large", NULL), 0);
        forget(store, "m");
}
END_TEST

static void adopt_and_die(_Atomic unsigned *done)
{
        kit_store(LIMIT);
        atomic_store(done, 1);
        _exit(0);
}

START_TEST(killed_while_adopting)
{
        _Atomic unsigned *done = kit_shared_word();
        bool goes_on = true;

        for (unsigned n = 1; goes_on; n++) {
                struct store *store;

                KIT_FORKED(older_life());
                make_older(1);
                goes_on = kit_kill_at(adopt_and_die, done, n, PTRACE_SYSCALL) == KIT_KILLED;
                store = kit_store(LIMIT);
                check_adopted(store);
                ck_assert_int_eq(store_delete(store, UID, "large", NULL), 0);
                ck_assert_int_eq(store_delete(store, UID, "small", NULL), 0);
                forget(store, "m");
        }
        ck_assert_uint_eq(atomic_load(done), 1);
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("ledger");
        TCase *tcase = tcase_create("ledger");

        tcase_set_timeout(tcase, 100);
        tcase_add_test(tcase, each_kind_is_known_again);
        tcase_add_test(tcase, a_lease_comes_back);
        tcase_add_test(tcase, torn_all_over);
        tcase_add_loop_test(tcase, one_that_cannot_be_believed, 0, 6);
        tcase_add_test(tcase, every_bit_of_it);
        tcase_add_test(tcase, it_grows);
        tcase_add_test(tcase, what_it_costs);
        tcase_add_test(tcase, no_room);
        tcase_add_test(tcase, an_older_catalog_is_adopted);
        tcase_add_test(tcase, the_version_before_is_adopted);
        if (!KIT_SANITIZED) {
                tcase_add_test(tcase, between_any_two_instructions);
                tcase_add_test(tcase, killed_at_every_system_call);
                tcase_add_test(tcase, killed_while_adopting);
        }
        suite_add_tcase(suite, tcase);
        return kit_run(suite);
}
