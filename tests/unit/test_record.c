/* layer: store */
/* SPDX-License-Identifier: MIT */
#include "store_kit.h"

#include "store/record.h"

#define LOG_MAX 16384
#define LOG_BASE 8192

struct log {
        uint8_t bytes[LOG_MAX];
        uint64_t ends[32]; /* of the records, from the start */
        unsigned n_records;
        uint64_t n_bytes;
};

static void log_add(struct log *log, const struct record *record)
{
        record_write(log->bytes + log->n_bytes, LOG_BASE + log->n_bytes, record);
        log->n_bytes += record_n_bytes(record);
        log->ends[log->n_records++] = log->n_bytes;
}

static struct record record_commit(const char *name, struct td_type type, const void *data)
{
        struct record record = { .type = RECORD_COMMIT,
                                 .uid = 1000,
                                 .name = name,
                                 .n_name = (uint16_t)strlen(name),
                                 .time_ms = 77,
                                 .data = data };

        desc_init_c(&record.desc, &type);
        record.n_data = (uint64_t)desc_n_bytes(&record.desc);
        memset(record.tensor_id, 0x5a, sizeof(record.tensor_id));
        if (!data) {
                record.has_segment = true;
                memset(record.random, 0xa5, sizeof(record.random));
                record.file_bytes = TD_HEADER_BYTES + record.n_data;
                record.inode = 4711;
        }
        return record;
}

static void log_fill(struct log *log)
{
        static const uint8_t data[TD_INLINE_MAX] = { 1, 2, 3 };
        static char long_name[TD_NAME_MAX + 1];
        struct record record;

        memset(long_name, 'n', TD_NAME_MAX);
        record = record_commit("scalar", (struct td_type){ TD_FLOAT64, 0, { 0 } }, data);
        record.op_id.is_set = true;
        memset(record.op_id.bytes, 9, 16);
        log_add(log, &record);
        record = record_commit("large", (struct td_type){ TD_FLOAT32, 3, { 100, 200, 300 } }, NULL);
        record.op_index = 3;
        log_add(log, &record);
        record = record_commit(long_name, (struct td_type){ TD_INT64, 2, { 2, 256 } }, data);
        log_add(log, &record);
        record = (struct record){
                .type = RECORD_DELETE, .uid = 3, .name = "gone", .n_name = 4, .time_ms = 5
        };
        log_add(log, &record);
        record = (struct record){
                .type = RECORD_OUTCOME, .uid = 3, .name = "", .time_ms = 5, .op_id.is_set = true
        };
        log_add(log, &record);
        record = record_commit("empty", (struct td_type){ TD_BOOL, 2, { 0, 7 } }, data);
        log_add(log, &record);
        record = record_commit(
                "deep",
                (struct td_type){
                        TD_BOOL, TD_NDIM_MAX, { 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 3 } },
                data);
        log_add(log, &record);
}

static int count(void *ctx, const struct record *record, const uint8_t *bytes)
{
        (void)record;
        (void)bytes;
        ++*(unsigned *)ctx;
        return 0;
}

START_TEST(test_read_is_what_was_written)
{
        struct log log = { 0 };
        struct record record;
        uint32_t n_bytes;

        log_fill(&log);
        ck_assert_int_eq(record_read(log.bytes, log.n_bytes, LOG_BASE, &record, &n_bytes), 0);
        ck_assert_uint_eq(n_bytes, log.ends[0]);
        ck_assert_int_eq(record.type, RECORD_COMMIT);
        ck_assert_uint_eq(record.uid, 1000);
        ck_assert_mem_eq(record.name, "scalar", 6);
        ck_assert_uint_eq(record.n_name, 6);
        ck_assert(record.op_id.is_set);
        ck_assert_uint_eq(record.op_id.bytes[15], 9);
        ck_assert_uint_eq(record.n_data, 8);
        ck_assert_mem_eq(record.data, "\1\2\3\0\0\0\0\0", 8);
        ck_assert(!record.has_segment);
        ck_assert_uint_eq(record.tensor_id[0], 0x5a);
        ck_assert_uint_eq(record.time_ms, 77);

        ck_assert_int_eq(record_read(log.bytes + log.ends[0], log.n_bytes - log.ends[0],
                                     LOG_BASE + log.ends[0], &record, &n_bytes),
                         0);
        ck_assert(record.has_segment && !record.data && !record.op_id.is_set);
        ck_assert_uint_eq(record.op_index, 3);
        ck_assert_uint_eq(record.inode, 4711);
        ck_assert_uint_eq(record.file_bytes, TD_HEADER_BYTES + 24000000);
        ck_assert_int_eq(record.desc.type.shape[2], 300);
        ck_assert_int_eq(record.desc.strides[0], 240000);
        ck_assert_uint_eq(record.random[7], 0xa5);

        /* A record is whole only at its place. */
        ck_assert_int_eq(record_read(log.bytes, log.n_bytes, LOG_BASE + 8, &record, &n_bytes),
                         RECORD_E_DAMAGED);
        record_move(log.bytes, 64, log.bytes, (uint32_t)log.ends[0]);
        ck_assert_int_eq(record_read(log.bytes, log.n_bytes, 64, &record, &n_bytes), 0);
        ck_assert_int_eq(record_read(log.bytes, log.n_bytes, LOG_BASE, &record, &n_bytes),
                         RECORD_E_DAMAGED);
}
END_TEST

START_TEST(test_every_prefix)
{
        struct log log = { 0 };
        unsigned n_whole = 0;

        log_fill(&log);
        for (uint64_t n = 0; n <= log.n_bytes; n++) {
                uint8_t *bytes = malloc(n ? n : 1);
                uint64_t damaged_at = 0, whole = n_whole ? log.ends[n_whole - 1] : 0;
                unsigned n_seen = 0;
                int r;

                memcpy(bytes, log.bytes, n);
                if (n_whole < log.n_records && n == log.ends[n_whole])
                        whole = log.ends[n_whole++];
                r = record_scan(bytes, n, LOG_BASE, count, &n_seen, &damaged_at);
                if (n == whole) {
                        ck_assert_int_eq(r, 0);
                        ck_assert_uint_eq(n_seen, n_whole);
                } else {
                        ck_assert_int_eq(r, RECORD_E_DAMAGED);
                        ck_assert_uint_eq(n_seen, 0);
                        ck_assert_uint_eq(damaged_at, LOG_BASE + whole);
                }
                free(bytes);
        }
        ck_assert_uint_eq(n_whole, log.n_records);
}
END_TEST

START_TEST(test_every_flipped_bit)
{
        struct log log = { 0 };

        log_fill(&log);
        for (uint64_t bit = 0; bit < log.n_bytes * 8; bit++) {
                uint64_t damaged_at;
                unsigned n_seen = 0;

                log.bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
                ck_assert_int_eq(
                        record_scan(log.bytes, log.n_bytes, LOG_BASE, count, &n_seen, &damaged_at),
                        RECORD_E_DAMAGED);
                ck_assert_uint_eq(n_seen, 0);
                log.bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
        }
}
END_TEST

/* Bytes with a right checksum and wrong meaning: refused, or within bounds. */
START_TEST(test_forged_records)
{
        struct log log = { 0 };
        unsigned seed = 12345, n_accepted = 0;

        log_fill(&log);
        for (unsigned turn = 0; turn < 200000; turn++) {
                unsigned which = (unsigned)rand_r(&seed) % log.n_records;
                uint64_t begin = which ? log.ends[which - 1] : 0, n = log.ends[which] - begin;
                uint8_t *bytes = malloc(n);
                struct record record;
                uint32_t n_bytes, n_claimed;

                memcpy(bytes, log.bytes + begin, n);
                for (int flips = 1 + rand_r(&seed) % 3; flips > 0; flips--)
                        bytes[8 + (unsigned)rand_r(&seed) % (n < 160 ? n - 8 : 150)] ^=
                                (uint8_t)(1 << rand_r(&seed) % 8);
                memcpy(&n_claimed, bytes + 8, sizeof(n_claimed));
                if (n_claimed >= 64 && n_claimed <= n)
                        record_move(bytes, 64, bytes, n_claimed);
                if (record_read(bytes, n, 64, &record, &n_bytes) == 0) {
                        uint64_t sum = 0;

                        n_accepted++;
                        ck_assert_uint_le(n_bytes, n);
                        for (uint64_t i = 0; record.data && i < record.n_data; i++)
                                sum += record.data[i];
                        for (unsigned i = 0; i < record.n_name; i++)
                                sum += (uint8_t)record.name[i];
                        ck_assert(sum > 0 || record.n_name == 0);
                        if (record.type == RECORD_COMMIT) {
                                ck_assert_int_eq(desc_check(&record.desc, record.n_data), 0);
                                ck_assert_uint_eq((uint64_t)desc_n_bytes(&record.desc),
                                                  record.n_data);
                        }
                }
                free(bytes);
        }
        ck_assert_uint_gt(n_accepted, 1000);
        ck_assert_uint_lt(n_accepted, 190000);
}
END_TEST

/* Extents that multiply beyond what any type may have, behind or in front of a 0. */
START_TEST(test_shapes_that_overflow)
{
        static const int64_t shapes[][3] = { { 0, INT64_C(1) << 62, 4 },
                                             { INT64_C(1) << 62, 4, 0 },
                                             { 4, 0, INT64_MAX },
                                             { 0, 0, INT64_MAX } };
        struct log log = { 0 };
        struct record read,
                record = record_commit("empty", (struct td_type){ TD_INT64, 3, { 0, 1, 1 } },
                                       (uint8_t[1]){ 0 });
        uint32_t n_bytes;

        for (unsigned i = 0; i < 4; i++) {
                memcpy(record.desc.type.shape, shapes[i], sizeof(shapes[i]));
                log = (struct log){ 0 };
                log_add(&log, &record);
                ck_assert_int_eq(record_read(log.bytes, log.n_bytes, LOG_BASE, &read, &n_bytes),
                                 RECORD_E_DAMAGED);
        }
}
END_TEST

/* A record with each flag that is allowed with others, and each that is not. */
START_TEST(test_what_a_record_may_be)
{
        const struct td_type type = { TD_INT64, 2, { 2, 3 } };
        static const uint8_t data[48];
        struct log log = { 0 };
        struct record read, record;
        uint32_t n_bytes;

        /* 0: mutable, 1: shared, 2: mutable and shared, 3: mutable and not dense,
         * 4: mutable in the record, 5: the same without elements, 6: mutable and evictable,
         * 7: shared and evictable */
        for (unsigned i = 0; i < 8; i++) {
                const bool is_good = i < 2 || i == 5 || i == 7;

                record = record_commit("it", type, i < 4 || i > 5 ? NULL : data);
                record.is_mutable = i != 1 && i != 7;
                record.is_shared = i == 1 || i == 2 || i == 7;
                record.is_evictable = i > 5;
                if (i == 3)
                        record.desc.strides[0] = 0;
                if (i == 5) {
                        record.desc.type.shape[0] = 0;
                        record.n_data = 0;
                }
                log = (struct log){ 0 };
                log_add(&log, &record);
                ck_assert_int_eq(record_read(log.bytes, log.n_bytes, LOG_BASE, &read, &n_bytes),
                                 is_good ? 0 : RECORD_E_DAMAGED);
                ck_assert(!is_good || read.is_mutable == record.is_mutable);
                ck_assert(!is_good || read.is_shared == record.is_shared);
                ck_assert(!is_good || read.is_evictable == record.is_evictable);
        }
}
END_TEST

/* In a file: sealed, shared or not, of some elements, and just as many bytes behind the header. */
START_TEST(test_what_may_be_spilled)
{
        const struct td_type type = { TD_INT64, 2, { 20, 3 } };
        struct log log;
        struct record read, record;
        uint32_t n_bytes;

        /* 0: as it is, 1: shared, 2: in a segment, too, 3: mutable, 4: longer, 5: shorter,
         * 6: shorter than a header, 7: longer than any file, 8: without elements, 9: cut */
        for (unsigned i = 0; i < 10; i++) {
                record = record_commit("it", type, NULL);
                record.has_segment = i == 2;
                record.is_spilled = true;
                record.is_shared = i == 1;
                record.is_mutable = i == 3;
                record.check = UINT64_C(0x123456789abcdef0);
                if (i == 8) {
                        record.desc.type.shape[0] = 0;
                        record.n_data = 0;
                }
                record.file_bytes = TD_HEADER_BYTES + record.n_data;
                if (i == 4)
                        record.file_bytes++;
                else if (i == 5)
                        record.file_bytes--;
                else if (i == 6)
                        record.file_bytes = TD_HEADER_BYTES - 1;
                else if (i == 7)
                        record.file_bytes = (uint64_t)INT64_MAX + 1;
                log = (struct log){ 0 };
                log_add(&log, &record);
                if (i == 9) {
                        n_bytes = 64 + 16 + 2 * 16 + 24;
                        memcpy(log.bytes + 8, &n_bytes, sizeof(n_bytes));
                        record_move(log.bytes, LOG_BASE, log.bytes, n_bytes);
                }
                ck_assert_int_eq(record_read(log.bytes, log.n_bytes, LOG_BASE, &read, &n_bytes),
                                 i < 2 ? 0 : RECORD_E_DAMAGED);
                if (i > 1)
                        continue;
                ck_assert(read.is_spilled && !read.has_segment && !read.data);
                ck_assert(read.is_shared == (i == 1) && !read.is_mutable);
                ck_assert_uint_eq(read.check, record.check);
                ck_assert_uint_eq(read.file_bytes, TD_HEADER_BYTES + 480);
                ck_assert_uint_eq(read.random[3], 0xa5);
                ck_assert_uint_eq(n_bytes, log.n_bytes);
        }
}
END_TEST

START_TEST(test_names_are_bounded)
{
        static const uint8_t data[8];
        char name[TD_NAME_MAX + 2] = "";

        for (unsigned n = TD_NAME_MAX; n <= TD_NAME_MAX + 1; n++) {
                struct log log = { 0 };
                struct record read, record;
                uint32_t n_bytes;

                memset(name, 'n', n);
                record = record_commit(name, (struct td_type){ TD_INT64, 0, { 0 } }, data);
                log_add(&log, &record);
                ck_assert_int_eq(record_read(log.bytes, log.n_bytes, LOG_BASE, &read, &n_bytes),
                                 n <= TD_NAME_MAX ? 0 : RECORD_E_DAMAGED);
        }
}
END_TEST

/* A visit that fails ends the walk; a record that others change in between is told, too. */
static int stop_at_third(void *ctx, const struct record *record, const uint8_t *bytes)
{
        (void)record;
        (void)bytes;
        return ++*(unsigned *)ctx == 3 ? -ENOMEM : 0;
}

static int damage_third(void *ctx, const struct record *record, const uint8_t *bytes)
{
        struct log *log = ctx;

        (void)record;
        if (bytes == log->bytes)
                log->bytes[log->ends[1] + 20] ^= 1;
        return 0;
}

START_TEST(test_walk_ends)
{
        struct log log = { 0 };
        unsigned n_seen = 0;
        uint64_t at = 0;

        log_fill(&log);
        ck_assert_int_eq(record_scan(log.bytes, log.n_bytes, LOG_BASE, stop_at_third, &n_seen, &at),
                         -ENOMEM);
        ck_assert_uint_eq(n_seen, 3);
        ck_assert_int_eq(record_scan(log.bytes, log.n_bytes, LOG_BASE, damage_third, &log, &at),
                         RECORD_E_DAMAGED);
        ck_assert_uint_eq(at, LOG_BASE + log.ends[1]);
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("record");
        TCase *tcase = tcase_create("record");

        tcase_set_timeout(tcase, 60);
        tcase_add_test(tcase, test_read_is_what_was_written);
        tcase_add_test(tcase, test_every_prefix);
        tcase_add_test(tcase, test_every_flipped_bit);
        tcase_add_test(tcase, test_forged_records);
        tcase_add_test(tcase, test_shapes_that_overflow);
        tcase_add_test(tcase, test_what_a_record_may_be);
        tcase_add_test(tcase, test_what_may_be_spilled);
        tcase_add_test(tcase, test_names_are_bounded);
        tcase_add_test(tcase, test_walk_ends);
        suite_add_tcase(suite, tcase);
        return kit_run(suite);
}
