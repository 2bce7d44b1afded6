/* layer: store */
/* SPDX-License-Identifier: MIT */
#include "store_kit.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <xxhash.h>

#include "store/catalog.h"
#include "store/guard.h"

static struct shm shm;
static struct users users;
static struct user *user;

static void begin(void)
{
        ck_assert_int_eq(guard_init(), 0);
        ck_assert_int_eq(shm_init(&shm, kit_directory, KIT_PREFIX), 0);
        users_init(&users, 64 * KIT_MIB);
        ck_assert_int_eq(user_get(&users, 7, &user), 0);
}

static void end(void)
{
        user_unref(user);
        users_deinit(&users);
        shm_deinit(&shm);
        kit_clear();
}

static struct record say(enum record_type type, const char *name, uint8_t op, uint64_t time_ms)
{
        static const double value = 1.5;
        struct record record = { .type = type,
                                 .uid = 7,
                                 .name = name,
                                 .n_name = (uint16_t)strlen(name),
                                 .time_ms = time_ms };

        if (type == RECORD_COMMIT) {
                record.desc = kit_desc(1);
                record.n_data = 8;
                record.data = (const uint8_t *)&value;
                memset(record.tensor_id, op, sizeof(record.tensor_id));
        }
        if (op) {
                record.op_id.is_set = true;
                memset(record.op_id.bytes, op, sizeof(record.op_id.bytes));
        }
        return record;
}

static void append(struct catalog *catalog, enum record_type type, const char *name, uint8_t op,
                   uint64_t time_ms)
{
        struct record record = say(type, name, op, time_ms);

        ck_assert_int_eq(catalog_has_room(catalog, record_n_bytes(&record)), 0);
        catalog_stage(catalog, &record);
        ck_assert_int_eq(catalog_publish(catalog), 0);
}

struct story {
        char text[1024];
        size_t n;
};

static int tell(void *ctx, const struct record *record, const uint8_t *bytes)
{
        struct story *story = ctx;

        (void)bytes;
        story->n += (size_t)snprintf(story->text + story->n, sizeof(story->text) - story->n,
                                     "%c%.*s%u ", " CDO"[record->type], (int)record -> n_name,
                                     record -> name, record -> op_id.bytes[0]);
        return 0;
}

static struct story read_all(const struct catalog *catalog)
{
        struct story story = { 0 };
        uint64_t damaged_at;

        ck_assert_int_eq(record_scan(catalog->file->map + CATALOG_RECORDS,
                                     catalog->tail - CATALOG_RECORDS, CATALOG_RECORDS, tell, &story,
                                     &damaged_at),
                         0);
        return story;
}

START_TEST(test_made_written_found_again)
{
        struct catalog catalog;
        char message[256];

        begin();
        ck_assert_int_eq(catalog_open(&catalog, &shm, message), CATALOG_E_ABSENT);
        ck_assert_int_eq(catalog_create(&catalog, &shm), 0);
        ck_assert_uint_eq(kit_files("catalog", NULL), 1);
        append(&catalog, RECORD_COMMIT, "a", 1, 10);
        append(&catalog, RECORD_DELETE, "a", 2, 11);
        catalog_close(&catalog);
        ck_assert_int_eq(catalog_open(&catalog, &shm, message), 0);
        ck_assert_str_eq(read_all(&catalog).text, "Ca1 Da2 ");
        append(&catalog, RECORD_COMMIT, "b", 0, 12);
        catalog_close(&catalog);
        ck_assert_int_eq(catalog_open(&catalog, &shm, message), 0);
        ck_assert_str_eq(read_all(&catalog).text, "Ca1 Da2 Cb0 ");
        catalog_close(&catalog);
        end();
}
END_TEST

START_TEST(test_staged_is_not_there)
{
        struct catalog catalog, other;
        struct record records[3] = { say(RECORD_COMMIT, "x", 1, 1), say(RECORD_COMMIT, "y", 1, 1),
                                     say(RECORD_COMMIT, "z", 1, 1) };
        char message[256];

        begin();
        ck_assert_int_eq(catalog_create(&catalog, &shm), 0);
        for (unsigned i = 0; i < 3; i++) {
                catalog_stage(&catalog, &records[i]);
                /* Another daemon, if this one were killed now. */
                ck_assert_int_eq(catalog_open(&other, &shm, message), 0);
                ck_assert_str_eq(read_all(&other).text, "");
                catalog_close(&other);
        }
        ck_assert_int_eq(catalog_publish(&catalog), 0);
        ck_assert_int_eq(catalog_open(&other, &shm, message), 0);
        ck_assert_str_eq(read_all(&other).text, "Cx1 Cy1 Cz1 ");
        catalog_close(&other);
        catalog_close(&catalog);
        end();
}
END_TEST

static void forbid_system_calls(void)
{
        struct sock_filter filter[] = {
                BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
                BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_exit_group, 0, 1),
                BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
                BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
        };
        struct sock_fprog program = { .len = ARRAY_SIZE(filter), .filter = filter };

        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
            prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0)
                _exit(99);
}

static void append_in_silence(struct catalog *catalog, unsigned n)
{
        struct record record = say(RECORD_COMMIT, "quiet", 3, 4);

        forbid_system_calls();
        for (unsigned i = 0; i < n; i++) {
                if (catalog_has_room(catalog, record_n_bytes(&record)))
                        _exit(98);
                catalog_stage(catalog, &record);
                if (catalog_publish(catalog))
                        _exit(97);
        }
        syscall(SYS_exit_group, 0);
}

START_TEST(test_appending_is_no_system_call)
{
        struct catalog catalog, other;
        struct story story;
        char message[256];

        begin();
        ck_assert_int_eq(catalog_create(&catalog, &shm), 0);
        KIT_FORKED(append_in_silence(&catalog, 100));
        ck_assert_int_eq(catalog_open(&other, &shm, message), 0);
        story = read_all(&other);
        ck_assert_uint_eq(story.n, 100 * strlen("Cquiet3 "));
        catalog_close(&other);
        catalog_close(&catalog);
        end();
}
END_TEST

static uint8_t *map_file(struct shm *at, size_t *n_bytesp)
{
        char name[SHM_NAME_MAX];
        struct stat st;
        uint8_t *map;
        int fd;

        shm_name(at, "catalog", name);
        fd = openat(at->fd, name, O_RDWR | O_CLOEXEC);
        ck_assert_int_ge(fd, 0);
        ck_assert_int_eq(fstat(fd, &st), 0);
        map = mmap(NULL, (size_t)st.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        ck_assert_ptr_ne(map, MAP_FAILED);
        close(fd);
        *n_bytesp = (size_t)st.st_size;
        return map;
}

START_TEST(test_damage_is_refused)
{
        struct catalog_header newer, *header;
        struct catalog catalog;
        char message[256], name[SHM_NAME_MAX];
        size_t n_bytes;
        uint8_t *map;

        begin();
        ck_assert_int_eq(catalog_create(&catalog, &shm), 0);
        append(&catalog, RECORD_COMMIT, "a", 1, 10);
        catalog_close(&catalog);
        map = map_file(&shm, &n_bytes);

        /* Every bit of the header, and of the tail word. */
        for (unsigned bit = 0; bit < (sizeof(*header) + 8) * 8; bit++) {
                unsigned at = bit / 8 < sizeof(*header)
                                      ? bit / 8
                                      : 2048 + bit / 8 - (unsigned)sizeof(*header);

                map[at] ^= (uint8_t)(1 << bit % 8);
                message[0] = '\0';
                ck_assert_msg(catalog_open(&catalog, &shm, message) == CATALOG_E_DAMAGED, "bit %u",
                              bit);
                ck_assert_str_ne(message, "");
                map[at] ^= (uint8_t)(1 << bit % 8);
        }
        ck_assert_int_eq(catalog_open(&catalog, &shm, message), 0);
        catalog_close(&catalog);

        header = (struct catalog_header *)(void *)map;
        memcpy(&newer, header, sizeof(newer));
        header->version = CATALOG_VERSION + 1;
        ck_assert_int_eq(catalog_open(&catalog, &shm, message), CATALOG_E_DAMAGED);
        ck_assert_ptr_nonnull(strstr(message, "newer"));
        memcpy(header, &newer, sizeof(newer));

        /* Another boot: refused if it names anything, else as if it were not there. */
        catalog_header_write(map, n_bytes, "00000000-another-boot");
        ck_assert_int_eq(catalog_open(&catalog, &shm, message), CATALOG_E_DAMAGED);
        ck_assert_ptr_nonnull(strstr(message, "boot"));
        *(uint64_t *)(void *)(map + 2048) = catalog_tail_word(CATALOG_RECORDS);
        ck_assert_int_eq(catalog_open(&catalog, &shm, message), CATALOG_E_ABSENT);
        memcpy(header, &newer, sizeof(newer));
        *(uint64_t *)(void *)(map + 2048) = catalog_tail_word(n_bytes + 8);
        ck_assert_int_eq(catalog_open(&catalog, &shm, message), CATALOG_E_DAMAGED);
        munmap(map, n_bytes);

        shm_name(&shm, "catalog", name);
        ck_assert_int_eq(unlinkat(shm.fd, name, 0), 0);
        ck_assert_int_eq(symlinkat("/etc/hostname", shm.fd, name), 0);
        ck_assert_int_eq(catalog_open(&catalog, &shm, message), CATALOG_E_DAMAGED);
        end();
}
END_TEST

static void set_size(uint64_t n_bytes)
{
        char name[SHM_NAME_MAX];
        int fd;

        shm_name(&shm, "catalog", name);
        fd = openat(shm.fd, name, O_RDWR | O_CLOEXEC);
        ck_assert_int_ge(fd, 0);
        ck_assert_int_eq(ftruncate(fd, (off_t)n_bytes), 0);
        ck_assert_int_eq(posix_fallocate(fd, 0, (off_t)n_bytes), 0);
        close(fd);
}

static void set_version(uint32_t version)
{
        struct catalog_header *header;
        size_t n_bytes;
        uint8_t *map = map_file(&shm, &n_bytes);

        header = (struct catalog_header *)(void *)map;
        header->version = version;
        header->check = XXH3_64bits(header, offsetof(struct catalog_header, check));
        munmap(map, n_bytes);
}

static void open_charged(struct catalog *catalog)
{
        char message[256];

        ck_assert_int_eq(catalog_open(catalog, &shm, message), 0);
        charge_adopt(&catalog->file->charge, user, RESOURCE_BYTES, catalog->file->n_bytes);
}

/*
 * Killed anywhere while it grows, it is as long as before or as after: its header says how long it
 * was made.
 */
START_TEST(test_grown_is_adopted)
{
        struct catalog catalog;
        char message[256];

        begin();
        ck_assert_int_eq(catalog_create(&catalog, &shm), 0);
        charge_adopt(&catalog.file->charge, user, RESOURCE_BYTES, CATALOG_MIN);
        append(&catalog, RECORD_COMMIT, "a", 1, 1000);
        ck_assert_int_eq(catalog_grow(&catalog, user, CATALOG_MIN, false), 0);
        ck_assert_uint_eq(catalog.file->n_bytes, 2 * CATALOG_MIN);
        ck_assert_uint_eq(users.totals[RESOURCE_BYTES].n, 2 * CATALOG_MIN);
        ck_assert_int_eq(catalog_has_room(&catalog, CATALOG_MIN), 0);
        catalog_close(&catalog);
        ck_assert_uint_eq(users.totals[RESOURCE_BYTES].n, 0);

        for (unsigned n = 1; n < 4; n++) {
                set_size(n * CATALOG_MIN);
                open_charged(&catalog);
                ck_assert_str_eq(read_all(&catalog).text, "Ca1 ");
                catalog_close(&catalog);
                set_size(n * CATALOG_MIN + CATALOG_PAGE);
                ck_assert_int_eq(catalog_open(&catalog, &shm, message), CATALOG_E_DAMAGED);
                ck_assert_str_eq(message, "its header is damaged");
        }

        /* None grew before that version. */
        set_version(CATALOG_VERSION_GROWN - 1);
        set_size(2 * CATALOG_MIN);
        ck_assert_int_eq(catalog_open(&catalog, &shm, message), CATALOG_E_DAMAGED);
        set_size(CATALOG_MIN);
        ck_assert_int_eq(catalog_open(&catalog, &shm, message), 0);
        catalog_close(&catalog);
        end();
}
END_TEST

/* Refused, and as it was; one that was cut is not made whole with zeros. */
START_TEST(test_it_cannot_grow)
{
        struct charge rest = { 0 };
        struct catalog catalog;
        struct stat st;

        begin();
        ck_assert_int_eq(catalog_create(&catalog, &shm), 0);
        catalog_close(&catalog);
        open_charged(&catalog);
        ck_assert_int_eq(charge_take(&rest, user, RESOURCE_BYTES, 64 * KIT_MIB - 2 * CATALOG_MIN),
                         0);
        ck_assert_int_eq(catalog_grow(&catalog, user, 2 * CATALOG_MIN, false), CATALOG_E_LIMIT);
        charge_drop(&rest);
        ck_assert_int_eq(catalog_grow(&catalog, user, 17 * CATALOG_MIN, false), CATALOG_E_FULL);
        ck_assert_uint_eq(users.totals[RESOURCE_BYTES].n, CATALOG_MIN);
        ck_assert_int_eq(fstat(catalog.file->fd, &st), 0);
        ck_assert_int_eq(st.st_size, CATALOG_MIN);

        ck_assert_int_eq(ftruncate(catalog.file->fd, CATALOG_PAGE), 0);
        ck_assert_int_eq(catalog_grow(&catalog, user, CATALOG_MIN, false), -EIO);
        ck_assert_uint_eq(users.totals[RESOURCE_BYTES].n, CATALOG_MIN);
        ck_assert_int_eq(fstat(catalog.file->fd, &st), 0);
        ck_assert_int_eq(st.st_size, CATALOG_PAGE);
        catalog_close(&catalog);
        end();
}
END_TEST

static void compact(struct catalog *catalog, uint64_t now_ms)
{
        struct compaction *compaction;

        ck_assert_int_eq(compaction_new(&compaction, catalog, user, CATALOG_MIN, false, now_ms), 0);
        ck_assert_int_eq(compaction_copy(compaction), 0);
        ck_assert_int_eq(compaction_finish(compaction, catalog), 0);
        compaction_free(compaction);
        ck_assert_uint_eq(kit_files("catalog", NULL), 1);
}

START_TEST(test_compaction_keeps_what_counts)
{
        struct compaction *compaction;
        struct catalog catalog;
        char message[256];

        begin();
        ck_assert_int_eq(catalog_create(&catalog, &shm), 0);
        append(&catalog, RECORD_COMMIT, "a", 1, 1000);
        append(&catalog, RECORD_COMMIT, "b", 2, 2000);
        append(&catalog, RECORD_COMMIT, "a", 3, 3000);
        append(&catalog, RECORD_DELETE, "b", 4, 4000);
        append(&catalog, RECORD_DELETE, "never", 0, 4000);
        append(&catalog, RECORD_COMMIT, "c", 5, 5000);
        append(&catalog, RECORD_COMMIT, "ab", 0, 5000);

        ck_assert_int_eq(compaction_new(&compaction, &catalog, user, CATALOG_MIN, false,
                                        2500 + TD_OUTCOME_MS),
                         0);
        ck_assert_int_eq(compaction_copy(compaction), 0);
        /* Meanwhile: */
        append(&catalog, RECORD_COMMIT, "d", 6, 6000);
        append(&catalog, RECORD_DELETE, "c", 7, 6000);
        ck_assert_int_eq(compaction_finish(compaction, &catalog), 0);
        compaction_free(compaction);
        ck_assert_str_eq(read_all(&catalog).text, "Ca3 O4 Cc5 Cab0 Cd6 Dc7 ");
        catalog_close(&catalog);

        ck_assert_int_eq(catalog_open(&catalog, &shm, message), 0);
        ck_assert_str_eq(read_all(&catalog).text, "Ca3 O4 Cc5 Cab0 Cd6 Dc7 ");
        compact(&catalog, 5500 + TD_OUTCOME_MS);
        ck_assert_str_eq(read_all(&catalog).text, "Ca3 Cab0 Cd6 O7 ");
        compact(&catalog, 9000 + TD_OUTCOME_MS);
        ck_assert_str_eq(read_all(&catalog).text, "Ca3 Cab0 Cd6 ");
        append(&catalog, RECORD_COMMIT, "e", 8, 9000);
        ck_assert_str_eq(read_all(&catalog).text, "Ca3 Cab0 Cd6 Ce8 ");
        catalog_close(&catalog);
        end();
}
END_TEST

START_TEST(test_compaction_can_be_dropped)
{
        struct compaction *first, *second;
        struct catalog catalog;

        begin();
        ck_assert_int_eq(catalog_create(&catalog, &shm), 0);
        append(&catalog, RECORD_COMMIT, "a", 1, 1000);
        ck_assert_int_eq(compaction_new(&first, &catalog, user, CATALOG_MIN, false, 1), 0);
        ck_assert_uint_eq(users.totals[RESOURCE_BYTES].n, CATALOG_MIN);
        /*
         * A second one overtakes it; the first still reads what it began with, and changes nothing
         * any more.
         */
        ck_assert_int_eq(compaction_new(&second, &catalog, user, 2 * CATALOG_MIN, false, 1), 0);
        ck_assert_int_eq(compaction_copy(second), 0);
        ck_assert_int_eq(compaction_finish(second, &catalog), 0);
        compaction_free(second);
        append(&catalog, RECORD_COMMIT, "b", 2, 1000);
        ck_assert_int_eq(compaction_copy(first), 0);
        ck_assert_int_ne(compaction_finish(first, &catalog), 0);
        compaction_free(first);
        ck_assert_str_eq(read_all(&catalog).text, "Ca1 Cb2 ");
        ck_assert_uint_eq(kit_files("catalog", NULL), 1);
        ck_assert_uint_eq(catalog.file->n_bytes, 2 * CATALOG_MIN);
        ck_assert_uint_eq(users.totals[RESOURCE_BYTES].n, 2 * CATALOG_MIN);

        ck_assert_int_eq(compaction_new(&first, &catalog, user, 128 * KIT_MIB, false, 1),
                         CATALOG_E_LIMIT);
        ck_assert_int_eq(compaction_new(&first, &catalog, user, CATALOG_MAX + 1, false, 1),
                         CATALOG_E_FULL);
        catalog_close(&catalog);
        end();
}
END_TEST

START_TEST(test_too_small_a_copy)
{
        struct compaction *compaction;
        struct catalog catalog;
        char name[16];

        begin();
        ck_assert_int_eq(catalog_create(&catalog, &shm), 0);
        ck_assert_int_eq(compaction_new(&compaction, &catalog, user, CATALOG_MIN, false, 1), 0);
        ck_assert_int_eq(compaction_copy(compaction), 0);
        for (unsigned i = 0; !catalog_has_room(&catalog, 200); i++) {
                snprintf(name, sizeof(name), "%u", i);
                append(&catalog, RECORD_COMMIT, name, 0, 1000);
        }
        compaction->to->n_bytes -= 4096;                    /* as if less had been asked for, */
        compaction->to->n_mapped = compaction->to->n_bytes; /* and it could not grow */
        ck_assert_int_eq(compaction_finish(compaction, &catalog), CATALOG_E_FULL);
        compaction->to->n_bytes += 4096;
        compaction->to->n_mapped = 16 * compaction->to->n_bytes;
        compaction_free(compaction);
        ck_assert_uint_eq(kit_files("catalog", NULL), 1);
        compact(&catalog, 1);
        catalog_close(&catalog);
        end();
}
END_TEST

START_TEST(test_cut_under_us)
{
        struct record record = say(RECORD_COMMIT, "a", 1, 1);
        struct catalog catalog;

        begin();
        ck_assert_int_eq(catalog_create(&catalog, &shm), 0);
        ck_assert_int_eq(ftruncate(catalog.file->fd, 0), 0);
        catalog_stage(&catalog, &record);
        ck_assert_int_eq(catalog_publish(&catalog), -EIO);
        ck_assert_uint_eq(catalog.end, catalog.tail);
        catalog_close(&catalog);
        end();
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("catalog");
        TCase *tcase = tcase_create("catalog");

        tcase_set_timeout(tcase, 60);
        tcase_add_test(tcase, test_made_written_found_again);
        tcase_add_test(tcase, test_staged_is_not_there);
        tcase_add_test(tcase, test_damage_is_refused);
        tcase_add_test(tcase, test_grown_is_adopted);
        tcase_add_test(tcase, test_it_cannot_grow);
        tcase_add_test(tcase, test_compaction_keeps_what_counts);
        tcase_add_test(tcase, test_compaction_can_be_dropped);
        tcase_add_test(tcase, test_too_small_a_copy);
        tcase_add_test(tcase, test_appending_is_no_system_call);
        if (!KIT_SANITIZED)
                tcase_add_test(tcase, test_cut_under_us);
        suite_add_tcase(suite, tcase);
        return kit_run(suite);
}
