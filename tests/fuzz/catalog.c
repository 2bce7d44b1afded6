/* layer: store */
/* SPDX-License-Identifier: MIT */
/*
 * Recovery of a catalog
 *
 * The input tells which segments lie in a directory and in what state, and which records a catalog
 * has: values, names of several uids, operation ids, in segments or not, some of them wild. Then
 * bytes of the catalog may change, with or without the checks being made right again.
 *
 * A store that starts on it refuses with STORE_E_CATALOG, and then no file, byte or page is other
 * than before; or adopts what is there, and starts again with the same, also behind a compaction.
 * Where the catalog is as it was written, what is adopted or lost is what a plain model says; where
 * a byte that a check covers was changed, it is refused. File bytes are what the figures say.
 */
#include "base/clock.h"
#include "base/log.h"
#include "dump.h"
#include "scene.h"
#include "store/state.h"

enum { N_FILES = 5, N_RECORDS = 10, N_NAMES = 4, N_UIDS = 3, FILE_BYTES = 8192 };

static const uid_t uids[N_UIDS] = { 1000, 1001, 4000000000 };
static const char *const names[N_NAMES] = { "a", "b", "b/c", "\xc3\xa9 and much more than that" };

/* A segment that the catalog may speak of. */
struct file {
        enum {
                FILE_ABSENT,
                FILE_WHOLE,
                FILE_CUT,
                FILE_HOLES,
                FILE_LINKED,
                FILE_SYMLINK,
                FILE_N_STATES
        } state;
        uid_t uid;
        uint8_t random[SHM_RANDOM];
        char name[SHM_NAME_MAX];
        ino_t inode;
};

struct plan {
        struct file files[N_FILES];
        struct record records[N_RECORDS];
        uint8_t data[N_RECORDS][64];
        unsigned n_records;
        unsigned n_published; /* of them */
        enum {
                CATALOG_THERE,
                CATALOG_MISSING,
                CATALOG_HOLES,
                CATALOG_SYMLINK,
                CATALOG_N_STATES
        } state;
        bool is_other_boot;
        bool has_twins;  /* tensors of one id */
        bool is_wild;    /* beyond what the model knows */
        bool is_damaged; /* a byte that a check covers was changed, and the check was not */
        uint8_t bytes[CATALOG_MIN];
        uint64_t tail;
};

static struct shm shm;

/* ---- the segments ---- */

static uint8_t pattern(unsigned i, uint64_t at)
{
        return (uint8_t)(31 * i + 7 * at + 1);
}

static void make_file(struct file *file, unsigned i)
{
        static uint8_t bytes[FILE_BYTES];
        char other[SHM_NAME_MAX + 8];
        struct stat st;
        int fd;

        shm_segment_name(&shm, file->uid, file->random, file->name);
        if (file->state == FILE_ABSENT)
                return;
        if (file->state == FILE_SYMLINK) {
                must(symlinkat("elsewhere", scene_fd, file->name) == 0);
                return;
        }
        fd = openat(scene_fd, file->name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        must(fd >= 0);
        for (unsigned k = 0; k < FILE_BYTES; k++)
                bytes[k] = pattern(i, k);
        if (file->state == FILE_HOLES)
                must(ftruncate(fd, FILE_BYTES) == 0);
        else
                must(pwrite(fd, bytes, file->state == FILE_CUT ? FILE_BYTES / 2 : FILE_BYTES, 0) >
                     0);
        must(fstat(fd, &st) == 0);
        file->inode = st.st_ino;
        close(fd);
        if (file->state == FILE_LINKED) {
                snprintf(other, sizeof(other), "another.%u", i);
                must(linkat(scene_fd, file->name, scene_fd, other, 0) == 0);
        }
}

static void draw_files(struct draw *draw, struct plan *plan)
{
        for (unsigned i = 0; i < N_FILES; i++) {
                struct file *file = &plan->files[i];
                unsigned state = draw_below(draw, 2 * FILE_N_STATES);

                file->state = state < FILE_N_STATES ? state : FILE_WHOLE;
                file->uid = uids[i % N_UIDS];
                memset(file->random, (int)i + 1, sizeof(file->random));
                make_file(file, i);
        }
}

/* ---- the records ---- */

static void draw_desc(struct draw *draw, struct record *record)
{
        struct td_type type = { .dtype = (uint8_t)draw_below(draw, TD_N_DTYPES),
                                .ndim = (uint8_t)draw_below(draw, 4) };

        for (unsigned i = 0; i < type.ndim; i++)
                type.shape[i] = draw_below(draw, 3);
        if (draw_bool(draw))
                desc_init_c(&record->desc, &type);
        else
                desc_init_f(&record->desc, &type);
        record->n_data = (uint64_t)desc_n_bytes(&record->desc);
}

/* Numbers that a store never writes: the checks are all that keeps them out. */
static void draw_wild_desc(struct draw *draw, struct record *record)
{
        struct td_type *type = &record->desc.type;
        uint64_t n = 1;

        for (unsigned i = 0; i < type->ndim; i++) {
                type->shape[i] = draw_wide(draw);
                record->desc.strides[i] = draw_bool(draw) ? draw_wide(draw) : 0;
        }
        for (unsigned i = 0; i < type->ndim; i++)
                n *= (uint64_t)type->shape[i];
        record->n_data = draw_bool(draw) ? n * (uint64_t)td_dtype_size(type->dtype)
                                         : (uint64_t)draw_wide(draw);
        if (!record->has_segment && record->n_data > 64)
                record->n_data = 64;
}

static void draw_place(struct draw *draw, struct plan *plan, struct record *record)
{
        const struct file *file = &plan->files[draw_below(draw, N_FILES)];
        unsigned how = draw_below(draw, 16);

        memcpy(record->random, file->random, sizeof(record->random));
        record->has_segment = true;
        record->data = NULL;
        if (how < 12 && record->op_index == 0)
                record->uid = file->uid;
        record->inode = how == 15 ? file->inode + 1 : file->inode;
        record->file_bytes = how == 14 ? 2 * FILE_BYTES : FILE_BYTES;
        record->is_mutable = how < 3 && !record->is_shared;
        record->is_evictable = how >= 10;
        if (how == 13) {
                plan->is_wild = true;
                record->file_bytes = (uint64_t)draw_wide(draw);
        }
}

static unsigned name_index(const struct record *record)
{
        unsigned i = 0;

        while (names[i] != record->name)
                i++;
        return i;
}

/* One of its own, none, or that of the group of names which the record before belongs to. */
static void draw_op(struct draw *draw, struct plan *plan, struct record *record)
{
        const struct record *before = record - 1;
        unsigned how = draw_below(draw, 16);

        record->op_id.is_set = how > 7 || record->type == RECORD_OUTCOME;
        if (!record->op_id.is_set)
                return;
        memset(record->op_id.bytes, (int)plan->n_records, 16);
        if (how < 12 && plan->n_records > 1 && before->op_id.is_set &&
            before->type == RECORD_COMMIT && record->type == RECORD_COMMIT &&
            before->op_index + 1 < N_NAMES) {
                /* in such a group no name is there twice */
                record->uid = before->uid;
                record->name = names[(name_index(before) + 1) % N_NAMES];
                record->n_name = (uint16_t)strlen(record->name);
                record->op_id = before->op_id;
                record->op_index = (uint16_t)(before->op_index + 1);
                record->time_ms = before->time_ms;
        } else if (how == 15) {
                plan->is_wild = true;
                memset(record->op_id.bytes, 1 + (int)draw_below(draw, N_RECORDS), 16);
                record->op_index = (uint16_t)draw_below(draw, 3);
        }
}

static void draw_record(struct draw *draw, struct plan *plan)
{
        static const enum record_type types[] = { RECORD_COMMIT, RECORD_COMMIT, RECORD_COMMIT,
                                                  RECORD_DELETE, RECORD_OUTCOME };
        static const uint64_t ages[] = { 0, 1000, 10 * TD_OUTCOME_MS };
        struct record *record = &plan->records[plan->n_records];
        uint8_t *data = plan->data[plan->n_records++];

        *record = (struct record){ .type = types[draw_below(draw, 5)],
                                   .uid = uids[draw_below(draw, N_UIDS)],
                                   .name = names[draw_below(draw, N_NAMES)],
                                   .time_ms = clock_now_ms() - ages[draw_below(draw, 3)] };
        record->n_name = (uint16_t)strlen(record->name);
        if (record->type == RECORD_OUTCOME)
                record->n_name = 0;
        draw_op(draw, plan, record);
        if (record->type == RECORD_DELETE)
                return;
        memset(record->tensor_id, (int)plan->n_records, 16);
        if (draw_below(draw, 8) == 7) { /* that of another, perhaps */
                memset(record->tensor_id, 1 + (int)draw_below(draw, N_RECORDS), 16);
                plan->has_twins = true;
        }
        if (record->type == RECORD_OUTCOME)
                return;
        draw_desc(draw, record);
        for (unsigned i = 0; i < 64; i++)
                data[i] = draw_byte(draw);
        record->data = data;
        record->is_shared = draw_below(draw, 4) == 3;
        if (draw_bool(draw) || record->n_data > 64)
                draw_place(draw, plan, record);
        if (draw_below(draw, 16) == 15) {
                plan->is_wild = true;
                draw_wild_desc(draw, record);
        }
}

/* ---- the catalog ---- */

enum { HEADER_BYTES = sizeof(struct catalog_header), TAIL_WORD = 2048 };

static void draw_catalog(struct draw *draw, struct plan *plan)
{
        unsigned state = draw_below(draw, 16), n_records = draw_below(draw, N_RECORDS + 1);
        uint64_t end = CATALOG_RECORDS, word;

        plan->state = state < CATALOG_N_STATES ? state : CATALOG_THERE;
        plan->is_other_boot = draw_below(draw, 16) == 15;
        plan->n_published = n_records;
        if (draw_below(draw, 8) == 7)
                plan->n_published = draw_below(draw, n_records + 1);
        catalog_header_write(plan->bytes, CATALOG_MIN,
                             plan->is_other_boot ? "another" : shm.boot_id);
        for (unsigned i = 0; i < n_records; i++) {
                if (i == plan->n_published)
                        plan->tail = end;
                draw_record(draw, plan);
                record_write(plan->bytes + end, end, &plan->records[i]);
                end += record_n_bytes(&plan->records[i]);
        }
        if (plan->n_published == n_records)
                plan->tail = end;
        word = catalog_tail_word(plan->tail);
        memcpy(plan->bytes + TAIL_WORD, &word, sizeof(word));
}

/* Make the checks right again, as far as one record follows another. */
static void mend(struct plan *plan)
{
        const size_t n_check = sizeof(uint64_t), at_check = HEADER_BYTES - n_check;
        uint64_t check = XXH3_64bits(plan->bytes, at_check), at = CATALOG_RECORDS;
        uint32_t n;

        memcpy(plan->bytes + at_check, &check, n_check);
        for (; at + 64 <= plan->tail; at += n) {
                memcpy(&n, plan->bytes + at + n_check, sizeof(n));
                if (n < 64 || n > plan->tail - at)
                        return;
                check = XXH3_64bits_withSeed(plan->bytes + at + n_check, n - n_check, at);
                memcpy(plan->bytes + at, &check, n_check);
        }
}

/* A field of a record becomes a little more or less, or anything. */
static void draw_field(struct draw *draw, struct plan *plan)
{
        /* see record.h: n_bytes type n_name flags op_index, n_data dtype ndim, two extents, the
         * name */
        static const struct {
                uint8_t at, n;
        } fields[] = { { 8, 4 },  { 12, 2 }, { 14, 2 }, { 20, 2 }, { 22, 2 }, { 64, 8 },
                       { 72, 1 }, { 73, 1 }, { 80, 8 }, { 88, 8 }, { 72, 8 } };
        unsigned i = draw_below(draw, sizeof(fields) / sizeof(fields[0]));
        uint64_t at = CATALOG_RECORDS, value = 0;

        for (unsigned n = draw_below(draw, plan->n_published); n > 0; n--)
                at += record_n_bytes(&plan->records[plan->n_published - n]);
        if (at + fields[i].at + fields[i].n > plan->tail)
                return;
        memcpy(&value, plan->bytes + at + fields[i].at, fields[i].n);
        if (draw_bool(draw))
                value += (uint64_t)((int64_t)draw_below(draw, 33) - 16);
        else
                value = (uint64_t)draw_wide(draw);
        memcpy(plan->bytes + at + fields[i].at, &value, fields[i].n);
}

static void draw_changes(struct draw *draw, struct plan *plan)
{
        static uint8_t before[CATALOG_MIN];
        unsigned n_changes = draw_below(draw, 8);
        uint64_t n_records = plan->tail - CATALOG_RECORDS;

        if (n_changes > 4)
                return;
        memcpy(before, plan->bytes, CATALOG_MIN);
        for (unsigned i = 0; i < n_changes; i++) {
                unsigned where = draw_byte(draw) % 8, at = draw_byte(draw);

                if (where < 4 && plan->n_published > 0) {
                        draw_field(draw, plan);
                        continue;
                }
                at = at << 8 | draw_byte(draw);
                if (where < 5 && n_records > 0)
                        at = CATALOG_RECORDS + at % (unsigned)n_records;
                else if (where == 5)
                        at = at % HEADER_BYTES;
                else if (where == 6)
                        at = TAIL_WORD + at % 8;
                plan->bytes[at] ^= draw_byte(draw);
        }
        plan->is_damaged = memcmp(before, plan->bytes, HEADER_BYTES) != 0 ||
                           memcmp(before + CATALOG_RECORDS, plan->bytes + CATALOG_RECORDS,
                                  n_records) != 0;
        plan->is_wild |= memcmp(before + TAIL_WORD, plan->bytes + TAIL_WORD, 8) != 0;
        if (plan->is_damaged && draw_bool(draw)) {
                mend(plan);
                plan->is_wild = true;
                plan->is_damaged = false;
        }
}

static void write_catalog(const struct plan *plan)
{
        static const char name[] = SCENE_PREFIX ".catalog";
        int fd;

        if (plan->state == CATALOG_MISSING)
                return;
        if (plan->state == CATALOG_SYMLINK) {
                must(symlinkat("elsewhere", scene_fd, name) == 0);
                return;
        }
        fd = openat(scene_fd, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        must(fd >= 0 && ftruncate(fd, CATALOG_MIN) == 0);
        must(pwrite(fd, plan->bytes, plan->state == CATALOG_HOLES ? 4 * CATALOG_PAGE : CATALOG_MIN,
                    0) > 0);
        close(fd);
}

/* Each record alone, in memory of its own length: it is read within it, or not taken. */
static void check_records(const struct plan *plan)
{
        uint64_t at = CATALOG_RECORDS;
        struct record record, again;
        uint32_t n, n_again;

        for (; at + 64 <= plan->tail; at += n) {
                uint8_t *copy, *copy_again;

                memcpy(&n, plan->bytes + at + 8, sizeof(n));
                n = n < 64 || n > plan->tail - at ? (uint32_t)(plan->tail - at) : n;
                copy = malloc(n);
                must(copy != NULL, "no memory");
                memcpy(copy, plan->bytes + at, n);
                if (record_read(copy, n, at, &record, &n_again)) {
                        free(copy);
                        return;
                }
                must(n_again == n && record_n_bytes(&record) == n);
                must((const uint8_t *)record.name >= copy &&
                     (const uint8_t *)record.name + record.n_name <= copy + n);
                must(!record.data ||
                     (record.data >= copy && record.data + record.n_data <= copy + n));
                must(record.type != RECORD_COMMIT ||
                     (td_check_type(&record.desc.type, NULL) == TD_OK &&
                      desc_check(&record.desc, record.n_data) == 0));

                copy_again = malloc(n);
                must(copy_again != NULL, "no memory");
                record_write(copy_again, at, &record);
                must(record_read(copy_again, n, at, &again, &n_again) == 0 && n_again == n);
                must(again.type == record.type && again.n_name == record.n_name &&
                     memcmp(again.name, record.name, again.n_name) == 0);
                free(copy_again);
                free(copy);
        }
}

/* ---- what it has to mean ---- */

static struct file *file_of(struct plan *plan, const struct record *record)
{
        for (unsigned i = 0; i < N_FILES; i++)
                if (memcmp(plan->files[i].random, record->random, SHM_RANDOM) == 0)
                        return &plan->files[i];
        return NULL;
}

static bool is_adopted(struct plan *plan, const struct record *record, bool claimed[N_FILES],
                       bool taken[256])
{
        struct file *file;

        if (taken[record->tensor_id[0]])
                return false;
        if (record->has_segment) {
                file = file_of(plan, record);
                if (!file || file->state != FILE_WHOLE || file->uid != record->uid ||
                    claimed[file - plan->files] || record->file_bytes != FILE_BYTES ||
                    record->inode != file->inode)
                        return false;
                claimed[file - plan->files] = true;
        }
        taken[record->tensor_id[0]] = true;
        return true;
}

static void check_tensor(struct tensor *tensor, const struct record *record, unsigned i_file)
{
        const uint8_t *bytes = tensor->heap;

        must(td_type_same(&tensor->desc.type, &record->desc.type));
        must(memcmp(tensor->id, record->tensor_id, 16) == 0);
        must(tensor_n_bytes(tensor) == record->n_data);
        must((tensor->state == TENSOR_MUTABLE) == record->is_mutable);
        must(tensor_is_shared(tensor) == record->is_shared);
        must(tensor->is_evictable == record->is_evictable);
        must((tensor->segment != NULL) == record->has_segment);
        if (!record->has_segment) {
                must(tensor_n_bytes(tensor) == 0 ||
                     memcmp(bytes, record->data, tensor_n_bytes(tensor)) == 0);
                return;
        }
        must(segment_pin(tensor->segment) == 0);
        bytes = segment_data(tensor->segment);
        for (uint64_t k = 0; k < tensor_n_bytes(tensor); k++)
                must(bytes[k] == pattern(i_file, TD_HEADER_BYTES + k), "byte %" PRIu64, k);
        segment_unpin(tensor->segment);
}

/* Of a catalog that is as it was written: names in their order, which is that of adoption. */
static void check_names(struct plan *plan, struct store *store)
{
        bool claimed[N_FILES] = { false }, taken[256] = { false };

        for (unsigned i = 0; i < N_UIDS * N_NAMES; i++) {
                const uid_t uid = uids[i / N_NAMES];
                const char *name = names[i % N_NAMES];
                const struct record *last = NULL;
                struct tensor *tensor, *shared = NULL;
                int r = store_find(store, uid, name, &tensor);
                int r_shared = store_find_shared(store, uid, name, &shared);

                for (unsigned k = 0; k < plan->n_published; k++)
                        if (plan->records[k].type != RECORD_OUTCOME &&
                            plan->records[k].uid == uid && plan->records[k].name == name)
                                last = &plan->records[k];
                if (!last || last->type == RECORD_DELETE) {
                        must(r == STORE_E_NOT_FOUND, "%u %s: %d", uid, name, r);
                } else if (is_adopted(plan, last, claimed, taken)) {
                        must(r == 0, "%u %s: %d", uid, name, r);
                        must((r_shared == 0) == last->is_shared && (r_shared || shared == tensor));
                        check_tensor(tensor, last,
                                     last->has_segment
                                             ? (unsigned)(file_of(plan, last) - plan->files)
                                             : 0);
                } else {
                        must(r == STORE_E_LOST, "%u %s: %d", uid, name, r);
                }
        }
}

/* May the store start (1), must it not (0), or either (-1)? */
static int may_start(const struct plan *plan)
{
        bool has_files = false;

        for (unsigned i = 0; i < N_FILES; i++)
                has_files = has_files || (plan->files[i].state != FILE_ABSENT &&
                                          plan->files[i].state != FILE_SYMLINK);
        if (plan->state == CATALOG_MISSING)
                return !has_files;
        if (plan->state != CATALOG_THERE || plan->is_damaged)
                return 0;
        if (plan->is_wild)
                return -1;
        if (plan->is_other_boot)
                return plan->n_published == 0 && !has_files;
        return 1;
}

/* ---- starting ---- */

static struct store *start(int *rp)
{
        struct store_config config = { .prefix = SCENE_PREFIX,
                                       .directory = scene_directory,
                                       .limit = UINT64_C(1) << 30 };
        struct store *store = NULL;
        char message[256];

        *rp = store_new(&store, &config, message);
        must(*rp == 0 || (*rp == STORE_E_CATALOG && strlen(message) > 20), "%d %s", *rp, message);
        return store;
}

static void add_bytes(const char *name, const struct stat *st, void *ctx)
{
        if (S_ISREG(st->st_mode) && strncmp(name, SCENE_PREFIX ".", 5) == 0)
                *(uint64_t *)ctx += (uint64_t)st->st_size;
}

/* All that the store knows; its figures are those of the directory. */
static void look(struct store *store, bool with_ops, struct dump *dump)
{
        struct store_figures figures;
        uint64_t n_bytes = 0;

        store_figures(store, &figures);
        scene_each(add_bytes, &n_bytes);
        must(figures.used == n_bytes + figures.heap, "%" PRIu64 " of %" PRIu64, figures.used,
             n_bytes);
        must(figures.used == figures.live + figures.idle + figures.parked + figures.held +
                                     figures.catalog + figures.heap);
        must(figures.idle == 0 && figures.parked == 0 && figures.held == 0);
        must(figures.n_tensors == figures.n_names);
        for (struct name *name = store->names.first[0]; name; name = name->next[0]) {
                const struct tensor *tensor = name->tensor;

                must((tensor != NULL) != (name->loss != NULL));
                dump_number(dump, name->user->uid);
                dump_text(dump, name_text(name));
                dump_number(dump, tensor != NULL);
                if (!tensor)
                        continue;
                must(tensor->name == name && tensor->user == name->user);
                dump_raw(dump, tensor->id, sizeof(tensor->id));
                dump_type(dump, &tensor->desc.type);
                dump_int64s(dump, tensor->desc.type.ndim, tensor->desc.strides);
                dump_number(dump, tensor->state);
                dump_number(dump, tensor_is_shared(tensor));
                dump_number(dump, tensor->segment ? segment_id(tensor->segment) : 0);
                if (tensor->heap)
                        dump_raw(dump, tensor->heap, tensor_n_bytes(tensor));
        }
        /* Where nothing is named a store leaves nothing, and what became of operations neither. */
        for (unsigned i = 0; i < N_UIDS * N_RECORDS && figures.n_names > 0 && with_ops; i++) {
                struct op_id op_id = { .is_set = true };
                struct tensor *tensor = NULL;

                memset(op_id.bytes, 1 + (int)(i % N_RECORDS), sizeof(op_id.bytes));
                dump_number(dump,
                            (uint64_t)store_recall(store, uids[i / N_RECORDS], &op_id, &tensor));
                dump_number(dump, tensor != NULL);
                if (tensor)
                        dump_raw(dump, tensor->id, sizeof(tensor->id));
        }
}

static void check_refused(uint64_t before)
{
        int r;

        must(scene_hash() == before, "a file was changed");
        must(!start(&r) && r == STORE_E_CATALOG, "%d", r);
        must(scene_hash() == before, "a file was changed by the second start");
}

/* Again, and again behind a compaction: the same. */
static void check_again(bool with_ops, const struct dump *wanted)
{
        for (unsigned i = 0; i < 2; i++) {
                struct dump dump = { .bytes = NULL };
                struct store *store;
                int r;

                store = start(&r);
                must(r == 0, "the %s start", i ? "third" : "second");
                look(store, with_ops, &dump);
                must(dump_same(wanted, &dump), "the %s start", i ? "third" : "second");
                if (i == 0) {
                        must(store_compaction_begin(store) == 0);
                        must(store_compaction_copy(store) == 0);
                        must(store_compaction_finish(store) == 0);
                }
                store_free(store);
                dump_free(&dump);
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n_bytes)
{
        static struct plan plan;
        struct draw draw = { bytes, n_bytes };
        struct dump dump = { .bytes = NULL };
        struct store *store;
        uint64_t before;
        int r, wanted;

        scene_begin();
        log_init(LOG_LEVEL_ERROR, false);
        if (shm.fd <= 0)
                must(shm_init(&shm, scene_directory, SCENE_PREFIX) == 0);
        scene_clear();
        memset(&plan, 0, sizeof(plan));
        draw_files(&draw, &plan);
        draw_catalog(&draw, &plan);
        draw_changes(&draw, &plan);
        check_records(&plan);
        write_catalog(&plan);
        before = scene_hash();
        wanted = may_start(&plan);

        store = start(&r);
        must(wanted < 0 || wanted == (r == 0), "%d", r);
        if (r) {
                check_refused(before);
        } else {
                look(store, !plan.is_wild && !plan.has_twins, &dump);
                if (wanted > 0 && plan.state == CATALOG_THERE && !plan.is_other_boot)
                        check_names(&plan, store);
                store_free(store);
                check_again(!plan.is_wild && !plan.has_twins, &dump);
        }
        dump_free(&dump);
        scene_clear();
        return 0;
}
