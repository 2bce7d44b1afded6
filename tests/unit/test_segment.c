/* layer: store */
/* SPDX-License-Identifier: MIT */
#include "store_kit.h"

#include <signal.h>
#include <sys/socket.h>

#include "store/guard.h"
#include "store/npy.h"

static struct shm shm;
static struct warm warm;

static void begin(void)
{
        ck_assert_int_eq(shm_init(&shm, kit_directory, KIT_PREFIX), 0);
        warm_init(&warm);
        ck_assert_int_eq(guard_init(), 0);
        signal(SIGIO, SIG_IGN);
}

static void end(void)
{
        warm_deinit(&warm);
        shm_deinit(&shm);
        ck_assert_uint_eq(kit_files("", NULL), 0);
}

static struct segment *make(uint64_t n_bytes)
{
        uint8_t random[SHM_RANDOM];
        struct segment *segment;

        ck_assert_int_eq(shm_random(random, sizeof(random)), 0);
        ck_assert_int_eq(segment_new(&segment, &shm, &warm, 1000, random, segment_class(n_bytes)),
                         0);
        ck_assert_int_eq(segment_allocate(segment), 0);
        return segment;
}

static void unmake(struct segment *segment)
{
        segment_destroy(segment);
        segment_free(segment);
}

static int open_end(int r)
{
        ck_assert_int_ge(r, 0);
        return r;
}

START_TEST(test_classes)
{
        uint64_t before = 0;

        ck_assert_uint_eq(segment_class(1), 4096 + 4096);
        ck_assert_uint_eq(segment_class(4096), 4096 + 4096);
        ck_assert_uint_eq(segment_class(4097), 4096 + 8192);
        ck_assert_uint_eq(segment_class(15 * 4096), 4096 + 15 * 4096);
        ck_assert_uint_eq(segment_class(17 * 4096), 4096 + 18 * 4096);
        ck_assert_uint_eq(segment_class(UINT64_C(1) << 40), 4096 + (UINT64_C(1) << 40));
        for (uint64_t n_pages = 1; n_pages < 100000; n_pages += n_pages / 50 + 1) {
                uint64_t class = segment_class(n_pages * 4096) - 4096, lead = class / 4096;

                ck_assert_uint_ge(class, n_pages * 4096);
                ck_assert_uint_le(class - n_pages * 4096, n_pages * 4096 / 8);
                ck_assert_uint_ge(class, before);
                ck_assert_uint_eq(segment_class(class) - 4096, class);
                while (lead > 15) {
                        ck_assert_uint_eq(lead % 2, 0);
                        lead /= 2;
                }
                before = class;
        }
}
END_TEST

START_TEST(test_names_are_parsed_strictly)
{
        static const char *const bad[] = {
                KIT_PREFIX,
                KIT_PREFIX ".catalog",
                KIT_PREFIX ".lock",
                KIT_PREFIX ".7.",
                "tensord.ki.7.00112233445566778899aabbccddeeff",
                KIT_PREFIX ".7.00112233445566778899aabbccddeef",
                KIT_PREFIX ".7.00112233445566778899aabbccddeefff",
                KIT_PREFIX ".7.00112233445566778899AABBCCDDEEFF",
                KIT_PREFIX ".+7.00112233445566778899aabbccddeeff",
                KIT_PREFIX ".07.00112233445566778899aabbccddeeff",
                KIT_PREFIX ".4294967296.00112233445566778899aabbccddeeff",
                KIT_PREFIX ".7.0011223344556677 899aabbccddeeff",
                KIT_PREFIX "..00112233445566778899aabbccddeeff",
        };
        uint8_t random[SHM_RANDOM];
        char name[SHM_NAME_MAX];
        uid_t uid;

        begin();
        ck_assert(shm_parse_segment(&shm, KIT_PREFIX ".4294967295.00112233445566778899aabbccddeeff",
                                    &uid, random));
        ck_assert_uint_eq(uid, UINT32_MAX);
        ck_assert_uint_eq(random[15], 0xff);
        shm_segment_name(&shm, uid, random, name);
        ck_assert_str_eq(name, KIT_PREFIX ".4294967295.00112233445566778899aabbccddeeff");
        for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
                ck_assert_msg(!shm_parse_segment(&shm, bad[i], &uid, random), "%s", bad[i]);
        end();
}
END_TEST

START_TEST(test_reserved_as_a_whole)
{
        struct segment *segment;
        struct stat st;
        int fd, fl;

        begin();
        segment = make(100000);
        fd = open_end(segment_open(segment, true));
        ck_assert_int_eq(fstat(fd, &st), 0);
        ck_assert_uint_eq((uint64_t)st.st_size, segment_map_bytes(segment));
        ck_assert_uint_ge((uint64_t)st.st_blocks * 512, segment_map_bytes(segment));
        ck_assert_uint_eq(st.st_mode & 07777, 0600);
        ck_assert_uint_ge(segment_n_bytes(segment), 100000);
        ck_assert(fcntl(fd, F_GETFD) & FD_CLOEXEC);
        close(fd);
        fd = open_end(segment_open(segment, false));
        fl = fcntl(fd, F_GETFL);
        ck_assert_int_eq(fl & O_ACCMODE, O_RDONLY);
        close(fd);
        unmake(segment);
        end();
}
END_TEST

START_TEST(test_pins_keep_and_warm_mappings_are_bounded)
{
        struct segment *segments[WARM_MAX + 10], *pinned;
        void *data;

        begin();
        pinned = make(10);
        ck_assert_int_eq(segment_pin(pinned), 0);
        data = segment_data(pinned);
        memset(data, 42, 10);
        ck_assert_int_eq(segment_pin(pinned), 0);
        segment_unpin(pinned);
        for (unsigned i = 0; i < ARRAY_SIZE(segments); i++) {
                segments[i] = make(10);
                ck_assert_int_eq(segment_pin(segments[i]), 0);
                segment_unpin(segments[i]);
        }
        ck_assert_uint_eq(warm.n_segments, WARM_MAX);
        ck_assert_ptr_null(segments[9]->map);
        ck_assert_ptr_nonnull(segments[10]->map);
        ck_assert_ptr_eq(segment_data(pinned), data);
        ck_assert_int_eq(segment_pin(segments[20]), 0);
        ck_assert_uint_eq(warm.n_segments, WARM_MAX - 1);
        segment_unpin(segments[20]);
        segment_unpin(pinned);
        ck_assert_int_eq(segment_pin(pinned), 0);
        ck_assert_ptr_eq(segment_data(pinned), data);
        ck_assert_uint_eq(*(uint8_t *)data, 42);
        segment_unpin(pinned);
        for (unsigned i = 0; i < ARRAY_SIZE(segments); i++)
                unmake(segments[i]);
        unmake(pinned);
        end();
}
END_TEST

static void send_fd(int socket, int fd)
{
        char byte = 0, control[CMSG_SPACE(sizeof(int))] = { 0 };
        struct iovec iov = { &byte, 1 };
        struct msghdr message = { .msg_iov = &iov,
                                  .msg_iovlen = 1,
                                  .msg_control = control,
                                  .msg_controllen = sizeof(control) };
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);

        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(sizeof(fd));
        memcpy(CMSG_DATA(header), &fd, sizeof(fd));
        ck_assert_int_eq(sendmsg(socket, &message, 0), 1);
}

/* With our own mapping kept, and without one. */
START_TEST(test_holder_test_sees_everyone_else)
{
        struct segment *segment;
        struct kit_child child;
        int fd, sockets[2];
        void *map;

        begin();
        segment = make(8192);
        if (_i) {
                ck_assert_int_eq(segment_pin(segment), 0);
                segment_unpin(segment);
        }
        ck_assert_int_eq(segment_test(segment), 0);

        fd = open_end(segment_open(segment, false));
        ck_assert_int_eq(segment_test(segment), SEGMENT_E_HELD);
        map = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, fd, 0);
        close(fd);
        ck_assert_int_eq(segment_test(segment), SEGMENT_E_HELD);
        child = kit_child_begin();
        munmap(map, 4096);
        ck_assert_int_eq(segment_test(segment), SEGMENT_E_HELD);
        kit_child_end(&child);
        ck_assert_int_eq(segment_test(segment), 0);

        ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, sockets), 0);
        fd = open_end(segment_open(segment, true));
        send_fd(sockets[0], fd);
        close(fd);
        ck_assert_int_eq(segment_test(segment), SEGMENT_E_HELD);
        close(sockets[0]);
        close(sockets[1]);
        ck_assert_int_eq(segment_test(segment), 0);
        unmake(segment);
        ck_assert_uint_eq(kit_files("", NULL), 0);
        end();
}
END_TEST

START_TEST(test_changes_are_found)
{
        struct segment *segment;
        uint64_t n_bytes;
        struct stat st;
        int fd;

        begin();
        segment = make(40960);
        n_bytes = segment_map_bytes(segment);
        fd = open_end(segment_open(segment, true));
        ck_assert_int_eq(segment_verify(segment), 0);
        ck_assert_int_eq(ftruncate(fd, (off_t)n_bytes + 100000), 0);
        ck_assert_int_eq(segment_verify(segment), SEGMENT_E_CHANGED);
        ck_assert_int_eq(fstat(fd, &st), 0);
        ck_assert_uint_eq((uint64_t)st.st_size, n_bytes); /* cut back */
        ck_assert_int_eq(segment_verify(segment), 0);
        ck_assert_int_eq(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 8192, 4096), 0);
        ck_assert_int_eq(segment_verify(segment), SEGMENT_E_CHANGED);
        ck_assert_int_eq(posix_fallocate(fd, 0, (off_t)n_bytes), 0);
        ck_assert_int_eq(segment_verify(segment), 0);
        ck_assert_int_eq(ftruncate(fd, 4096), 0);
        ck_assert_int_eq(segment_verify(segment), SEGMENT_E_CHANGED);
        close(fd);
        unmake(segment);
        end();
}
END_TEST

START_TEST(test_truncated_under_us)
{
        struct segment *a, *b;
        uint8_t *data;
        int fd;

        begin();
        a = make(KIT_MIB);
        b = make(KIT_MIB);
        ck_assert_int_eq(segment_pin(a), 0);
        ck_assert_int_eq(segment_pin(b), 0);
        memset(segment_data(a), 1, KIT_MIB);
        memset(segment_data(b), 2, KIT_MIB);
        fd = open_end(segment_open(a, true));
        ck_assert_int_eq(ftruncate(fd, 0), 0);
        close(fd);
        data = segment_data(a);
        ck_assert_uint_eq(data[KIT_MIB - 1], 0);
        ck_assert(segment_is_poisoned(a));
        ck_assert(!segment_is_poisoned(b));
        data = segment_data(b);
        ck_assert_uint_eq(data[KIT_MIB - 1], 2);
        segment_unpin(a);
        ck_assert_ptr_null(a->map);
        segment_unpin(b);
        unmake(a);
        unmake(b);
        end();
}
END_TEST

START_TEST(test_full)
{
        uint8_t random[SHM_RANDOM];
        struct segment *segment;

        if (!kit_mount("size=1m"))
                return;
        begin();
        for (unsigned i = 0; i < 3; i++) {
                ck_assert_int_eq(shm_random(random, sizeof(random)), 0);
                ck_assert_int_eq(segment_new(&segment, &shm, &warm, 1000, random,
                                             segment_class(2 * KIT_MIB)),
                                 0);
                ck_assert_int_eq(segment_allocate(segment), STORE_E_FULL);
                segment_destroy(segment);
                segment_free(segment);
                ck_assert_uint_eq(kit_files("", NULL), 0);
                segment = make(KIT_MIB / 2);
                unmake(segment);
        }
        end();
        ck_assert_int_eq(umount2(kit_directory, MNT_DETACH), 0);
}
END_TEST

START_TEST(test_npy_headers)
{
        static const struct {
                struct td_type type;
                bool is_f;
                const char *text;
        } cases[] = {
                { { TD_FLOAT64, 2, { 3, 4 } },
                  false,
                  "{'descr': '<f8', 'fortran_order': False, 'shape': (3, 4), }" },
                { { TD_FLOAT32, 2, { 3, 4 } },
                  true,
                  "{'descr': '<f4', 'fortran_order': True, 'shape': (3, 4), }" },
                { { TD_INT64, 1, { 9 } },
                  false,
                  "{'descr': '<i8', 'fortran_order': False, 'shape': (9,), }" },
                { { TD_BOOL, 0, { 0 } },
                  false,
                  "{'descr': '|b1', 'fortran_order': False, 'shape': (), }" },
        };
        uint8_t header[TD_HEADER_BYTES];
        struct td_type big = { .dtype = TD_FLOAT64, .ndim = TD_NDIM_MAX };
        struct desc desc;

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                size_t n = strlen(cases[i].text);

                (cases[i].is_f ? desc_init_f : desc_init_c)(&desc, &cases[i].type);
                memset(header, 0xee, sizeof(header));
                npy_write(header, &desc);
                ck_assert_mem_eq(header, "\x93NUMPY\x01\x00\xf6\x0f", 10);
                ck_assert_mem_eq(header + 10, cases[i].text, n);
                for (size_t k = 10 + n; k < TD_HEADER_BYTES - 1; k++)
                        ck_assert_uint_eq(header[k], ' ');
                ck_assert_uint_eq(header[TD_HEADER_BYTES - 1], '\n');
        }

        /* Neither C nor Fortran order: a row of its elements. The longest text fits. */
        desc_init_c(&desc, &(struct td_type){ TD_FLOAT64, 3, { 2, 3, 4 } });
        desc.strides[0] = 8;
        desc.strides[1] = 64;
        desc.strides[2] = 16;
        npy_write(header, &desc);
        ck_assert_ptr_nonnull(memmem(header, 200, "'shape': (24,)", 14));
        for (unsigned i = 0; i < TD_NDIM_MAX; i++)
                big.shape[i] = i ? 0 : INT64_MAX / 8;
        desc_init_c(&desc, &big);
        npy_write(header, &desc);
        ck_assert_uint_eq(header[TD_HEADER_BYTES - 1], '\n');
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("segment");
        TCase *tcase = tcase_create("segment");

        tcase_set_timeout(tcase, 60);
        tcase_add_test(tcase, test_classes);
        tcase_add_test(tcase, test_names_are_parsed_strictly);
        tcase_add_test(tcase, test_reserved_as_a_whole);
        tcase_add_test(tcase, test_pins_keep_and_warm_mappings_are_bounded);
        tcase_add_loop_test(tcase, test_holder_test_sees_everyone_else, 0, 2);
        tcase_add_test(tcase, test_changes_are_found);
        if (!KIT_SANITIZED)
                tcase_add_test(tcase, test_truncated_under_us);
        tcase_add_test(tcase, test_full);
        tcase_add_test(tcase, test_npy_headers);
        suite_add_tcase(suite, tcase);
        return kit_run(suite);
}
