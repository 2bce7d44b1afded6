/* layer: store */
/* SPDX-License-Identifier: MIT */
/*
 * Catalogs that were cut, changed, or left half written, and the store that finds them
 *
 *   catalog_damage DIRECTORY flips N SEED     one byte of a 256 KiB catalog changed; N = 0: each
 *   catalog_damage DIRECTORY cuts N SEED      the catalog cut; N = 0: at each byte
 *   catalog_damage DIRECTORY prefixes         every byte of an append, a group, a replacement, a
 *                                             deletion and a new catalog, written or not
 *
 * Either the store starts with exactly what some whole catalog says, or it refuses and has changed
 * nothing. Prints what it counted; anything else ends it with 1.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/catalog.h"
#include "store/state.h"

#define UID 1000
#define PREFIX "tensord.damage"
#define LIMIT (UINT64_C(64) * 1024 * 1024)
#define N_BYTES (256 * 1024)
#define N_NAMES 1024
#define N_SEGMENTS 4
#define TAIL 2048 /* where the tail word stands */

static const char *directory;

_Noreturn static void fail(const char *format, ...)
{
        va_list args;

        va_start(args, format);
        vfprintf(stderr, format, args);
        va_end(args);
        fputc('\n', stderr);
        exit(1);
}

/* What a catalog says: values by number; 0: no such name. */
struct model {
        unsigned seeds[N_NAMES];
        unsigned n_names;
};

struct image {
        uint8_t bytes[N_BYTES];
        size_t n_bytes;
};

static uint64_t random_next(uint64_t *state)
{
        *state += UINT64_C(0x9e3779b97f4a7c15);
        uint64_t z = *state;

        z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
        z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
        return z ^ (z >> 31);
}

/* ---- files ---- */

static int catalog_fd(const char *suffix, int flags)
{
        char path[256];
        int fd;

        snprintf(path, sizeof(path), "%s/" PREFIX ".%s", directory, suffix);
        fd = open(path, flags | O_CLOEXEC, 0600);
        if (fd < 0)
                fail("%s: %m", path);
        return fd;
}

static void image_read(struct image *image)
{
        int fd = catalog_fd("catalog", O_RDONLY);
        ssize_t n = read(fd, image->bytes, N_BYTES);
        struct stat st;

        if (n < 0 || fstat(fd, &st) || st.st_size != n)
                fail("the catalog is not read");
        image->n_bytes = (size_t)n;
        close(fd);
}

/* Into a file of that size, all of it reserved. */
static void image_write(const struct image *image, const char *suffix)
{
        int fd = catalog_fd(suffix, O_RDWR | O_CREAT);
        struct stat st;

        if (fstat(fd, &st) ||
            (st.st_size != (off_t)image->n_bytes && ftruncate(fd, (off_t)image->n_bytes)))
                fail("the catalog is not of its size");
        if (pwrite(fd, image->bytes, image->n_bytes, 0) != (ssize_t)image->n_bytes)
                fail("the catalog is not written");
        close(fd);
}

static bool image_is_there(const struct image *image)
{
        static struct image now;

        image_read(&now);
        return now.n_bytes == image->n_bytes && !memcmp(now.bytes, image->bytes, image->n_bytes);
}

static unsigned n_files(void)
{
        DIR *dir = opendir(directory);
        struct dirent *entry;
        unsigned n = 0;

        if (!dir)
                fail("%s: %m", directory);
        while ((entry = readdir(dir)))
                n += entry->d_name[0] != '.';
        closedir(dir);
        return n;
}

/* ---- stores ---- */

static int store_begin(struct store **storep, char message[256])
{
        struct store_config config = { .prefix = PREFIX, .directory = directory, .limit = LIMIT };

        *storep = NULL;
        return store_new(storep, &config, message);
}

static struct store *store_must_begin(void)
{
        char message[256] = "";
        struct store *store;
        int r = store_begin(&store, message);

        if (r)
                fail("the store does not start: %d %s", r, message);
        return store;
}

/* Values of the first names lie in segments, others in the catalog. */
static size_t n_values(unsigned number, unsigned seed)
{
        return number < N_SEGMENTS ? 1024 : 8 + (number * 7 + seed) % 24;
}

static double value_of(unsigned number, unsigned seed, size_t i)
{
        return number * 1e6 + seed * 1e3 + (double)i;
}

static struct tensor *make(struct store *store, struct user *user, unsigned number, unsigned seed)
{
        struct td_type type = { .dtype = TD_FLOAT64, .ndim = 1 };
        size_t n = n_values(number, seed);
        struct segment *segment = NULL;
        double data[1024], *to = data;
        struct tensor *tensor;
        struct desc desc;
        bool is_ready;

        type.shape[0] = (int64_t)n;
        desc_init_c(&desc, &type);
        if (number < N_SEGMENTS) {
                if (store_reserve(store, user, NULL, n * 8, &segment, &is_ready) ||
                    (!is_ready && segment_allocate(segment)) || segment_pin(segment))
                        fail("no segment");
                to = (double *)segment_data(segment);
        }
        for (size_t i = 0; i < n; i++)
                to[i] = value_of(number, seed, i);
        if (segment)
                segment_unpin(segment);
        if (tensor_new(&tensor, store, user, &desc, segment, segment ? NULL : data, NULL) ||
            (segment && tensor_seal(tensor)))
                fail("no tensor");
        return tensor;
}

static const char *name_of(unsigned number, char name[16])
{
        snprintf(name, 16, "n%u", number);
        return name;
}

/* Name or replace so many, in one step. */
static void commit(struct store *store, struct model *model, const unsigned *numbers, unsigned n,
                   unsigned seed)
{
        struct commit commits[4] = { 0 };
        struct user *user;
        char name[16];

        if (user_get(store_users(store), UID, &user))
                fail("no user");
        for (unsigned i = 0; i < n; i++) {
                commits[i].tensor = make(store, user, numbers[i], seed);
                if (store_reserve_name(store, user, name_of(numbers[i], name), true,
                                       &commits[i].reservation))
                        fail("no name");
                model->n_names += !model->seeds[numbers[i]];
                model->seeds[numbers[i]] = seed;
        }
        if (store_commit(store, commits, n, NULL))
                fail("no commit");
        for (unsigned i = 0; i < n; i++) {
                reservation_free(commits[i].reservation);
                tensor_unref(commits[i].tensor);
        }
        user_unref(user);
}

static bool says(struct store *store, const struct model *model)
{
        struct store_figures figures;
        char name[16];

        store_figures(store, &figures);
        if (figures.n_names != model->n_names || figures.n_lost)
                return false;
        for (unsigned number = 0; number < N_NAMES; number++) {
                unsigned seed = model->seeds[number];
                size_t n = n_values(number, seed);
                struct tensor *tensor;
                const double *data;
                bool is_same = true;

                if (!seed)
                        continue;
                if (store_find(store, UID, name_of(number, name), &tensor) ||
                    tensor->desc.type.shape[0] != (int64_t)n)
                        return false;
                if (!tensor->heap && segment_pin(tensor->segment))
                        fail("a segment is not mapped");
                data = tensor->heap ? (const double *)(const void *)tensor->heap
                                    : (const double *)segment_data(tensor->segment);
                for (size_t i = 0; i < n; i++)
                        is_same = is_same && data[i] == value_of(number, seed, i);
                if (!tensor->heap)
                        segment_unpin(tensor->segment);
                if (!is_same)
                        return false;
        }
        return true;
}

enum verdict { REFUSED, FIRST, SECOND };

/* Start on what lies there, which image says: refused, or as the first or second model says. */
static enum verdict start(const struct image *image, const struct model *first,
                          const struct model *second)
{
        unsigned before = n_files();
        char message[256] = "";
        enum verdict verdict;
        struct store *store;
        int r;

        r = store_begin(&store, message);
        if (r) {
                if (r != STORE_E_CATALOG || !*message)
                        fail("refused with %d \"%s\"", r, message);
                if (n_files() != before || !image_is_there(image))
                        fail("refused, and something was changed");
                return REFUSED;
        }
        if (says(store, first))
                verdict = FIRST;
        else if (second && says(store, second))
                verdict = SECOND;
        else
                fail("started with something else");
        store_free(store);
        return verdict;
}

/* ---- changed, and cut ---- */

static void fill(struct model *model, struct image *image)
{
        struct store *store = store_must_begin();
        unsigned number;

        for (number = 0; number < N_SEGMENTS; number++)
                commit(store, model, &number, 1, 1);
        /* Up to what the catalog holds: the last 16 KiB say nothing. */
        while (store->catalog.file->n_bytes < N_BYTES ||
               N_BYTES - store->catalog.tail > 16 * 1024) {
                if (number == N_NAMES)
                        fail("names do not fill a catalog");
                commit(store, model, &number, 1, 1);
                number++;
        }
        store_free(store);
        image_read(image);
        if (image->n_bytes != N_BYTES)
                fail("a catalog of %zu bytes", image->n_bytes);
}

static void damage(bool is_cut, unsigned long n_wanted, uint64_t seed)
{
        static struct image good, bad;
        static struct model model;
        unsigned long n_done = 0, n_refused = 0;
        unsigned long n = n_wanted ? n_wanted : N_BYTES;

        fill(&model, &good);
        for (unsigned long i = 0; i < n; i++) {
                size_t at = n_wanted ? random_next(&seed) % N_BYTES : i;
                enum verdict verdict;

                bad = good;
                if (is_cut)
                        bad.n_bytes = at;
                else
                        bad.bytes[at] ^= (uint8_t)(1 + random_next(&seed) % 255);
                image_write(&bad, "catalog");
                verdict = start(&bad, &model, NULL);
                if (is_cut && verdict != REFUSED)
                        fail("started with a catalog cut at %zu", at);
                n_refused += verdict == REFUSED;
                n_done++;
        }
        image_write(&good, "catalog");
        if (start(&good, &model, NULL) != FIRST)
                fail("the good catalog is refused");
        printf("%lu %lu\n", n_done, n_refused);
}

/* ---- half written ---- */

struct counts {
        unsigned long n;
        unsigned long n_refused;
};

static void expect(struct counts *counts, const struct image *image, const struct model *old,
                   const struct model *new, bool is_whole, const char *what, size_t at)
{
        enum verdict verdict;

        image_write(image, "catalog");
        verdict = start(image, old, new);
        counts->n++;
        counts->n_refused += verdict == REFUSED;
        if (is_whole && verdict == REFUSED)
                fail("%s: refused at byte %zu", what, at);
}

/*
 * From one catalog to the next, which differ in records behind the old tail and in the tail word:
 * every prefix of the records, under the old tail and (as no machine would have it) under the new
 * one; and every mixture of the two tail words.
 */
static void append(struct counts *counts, const struct image *from, const struct image *to,
                   const struct model *old, const struct model *new, const char *what)
{
        uint64_t from_word, to_word;
        size_t begin, end;
        struct image image = *from;

        memcpy(&from_word, from->bytes + TAIL, 8);
        memcpy(&to_word, to->bytes + TAIL, 8);
        begin = (size_t)(from_word >> 16);
        end = (size_t)(to_word >> 16);
        if (begin >= end || from->n_bytes != to->n_bytes)
                fail("%s: nothing was appended", what);
        for (size_t at = begin; at <= end; at++) {
                memcpy(image.bytes + begin, to->bytes + begin, at - begin);
                memcpy(image.bytes + TAIL, &from_word, 8);
                expect(counts, &image, old, old, true, what, at);
                memcpy(image.bytes + TAIL, &to_word, 8);
                expect(counts, &image, new, new, at == end, what, at);
        }
        for (unsigned mask = 1; mask < 255; mask++) {
                for (unsigned i = 0; i < 8; i++)
                        image.bytes[TAIL + i] = (mask >> i & 1 ? to : from)->bytes[TAIL + i];
                expect(counts, &image, old, new, false, what, mask);
        }
        image_write(to, "catalog");
}

/* Every prefix of a new catalog beside the old one, and the new one in its place. */
static void replace(struct counts *counts, struct store *store, const struct model *model)
{
        struct image old, new, image;
        size_t end;
        uint64_t word;

        image_read(&old);
        if (store_compaction_begin(store) || store_compaction_copy(store) ||
            store_compaction_finish(store))
                fail("no new catalog");
        store_free(store);
        image_read(&new);
        memcpy(&word, new.bytes + TAIL, 8);
        end = (size_t)(word >> 16);
        image = new;
        for (size_t at = 0; at <= end + 1; at++) {
                memset(image.bytes, 0, image.n_bytes);
                memcpy(image.bytes, new.bytes, at <= end ? at : new.n_bytes);
                image_write(&old, "catalog");
                image_write(&image, "new.00112233445566778899aabbccddeeff");
                if (start(&old, model, NULL) != FIRST)
                        fail("half of a new catalog is taken for more, at byte %zu", at);
                counts->n++;
        }
        expect(counts, &new, model, model, true, "a new catalog", 0);
}

static void prefixes(void)
{
        static const unsigned one[] = { 10 }, group[] = { 20, 21, 22 };
        static struct image from, to;
        static struct model old, new;
        struct counts counts = { 0 };
        char name[16];

        for (unsigned step = 0; step < 4; step++) {
                static const char *const steps[] = { "first", "append", "group", "replace" };
                struct store *store = store_must_begin();

                old = new;
                if (step)
                        image_read(&from);
                commit(store, &new, step == 2 ? group : one, step == 2 ? 3 : 1, step + 1);
                if (step == 1) /* a name of its own, not that of the first step */
                        commit(store, &new, &(unsigned){ 11 }, 1, 2);
                store_free(store);
                image_read(&to);
                if (step > 1)
                        append(&counts, &from, &to, &old, &new, steps[step]);
        }
        for (unsigned step = 0; step < 2; step++) {
                struct store *store = store_must_begin();
                unsigned number = 30;

                old = new;
                image_read(&from);
                if (step == 0) {
                        commit(store, &new, &number, 1, 5);
                } else {
                        if (store_delete(store, UID, name_of(21, name), NULL))
                                fail("not deleted");
                        new.seeds[21] = 0;
                        new.n_names--;
                }
                store_free(store);
                image_read(&to);
                append(&counts, &from, &to, &old, &new, step ? "delete" : "append");
        }
        replace(&counts, store_must_begin(), &new);
        printf("%lu %lu\n", counts.n, counts.n_refused);
}

int main(int argc, char **argv)
{
        if (argc < 3)
                return 2;
        directory = argv[1];
        if (argc == 5 && (!strcmp(argv[2], "flips") || !strcmp(argv[2], "cuts")))
                damage(argv[2][0] == 'c', strtoul(argv[3], NULL, 10), strtoull(argv[4], NULL, 10));
        else if (argc == 3 && !strcmp(argv[2], "prefixes"))
                prefixes();
        else
                return 2;
        return 0;
}
