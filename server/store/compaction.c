/* SPDX-License-Identifier: MIT */
/*
 * Compaction
 *
 * A record counts if it is the last that was said of its name and names a tensor. Of the others,
 * those with a young operation id are replaced by an OUTCOME at the same place in the order, so
 * that a repeated request is still answered; one of each operation, the last: what it named may be
 * said again and again. The records up to the fixed tail never change any
 * more, which is why another thread may read them.
 */
#include "store/catalog.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/table.h"
#include "store/catalog_file.h"

#define REST_MAX (4 * 1024 * 1024) /* what is copied on the loop thread: some milliseconds */

int compaction_new(struct compaction **compactionp, const struct catalog *catalog,
                   struct user *user, uint64_t n_bytes, bool is_beyond, uint64_t now_ms)
{
        _cleanup_(compaction_freep) struct compaction *compaction = calloc(1, sizeof(*compaction));
        uint64_t n_rounded = (n_bytes + CATALOG_MIN - 1) / CATALOG_MIN * CATALOG_MIN;

        if (!compaction)
                return -ENOMEM;
        if (n_bytes > CATALOG_MAX)
                return CATALOG_E_FULL;
        if (is_beyond)
                charge_adopt(&compaction->charge, user, RESOURCE_BYTES, n_rounded);
        else if (charge_take_for_all(&compaction->charge, user, RESOURCE_BYTES, n_rounded))
                return CATALOG_E_LIMIT;
        compaction->shm = catalog->shm;
        compaction->n_bytes = n_rounded;
        compaction->from = catalog->file;
        compaction->from->n_refs++;
        compaction->from_tail = catalog->tail;
        compaction->to_end = CATALOG_RECORDS;
        compaction->now_ms = now_ms;
        *compactionp = steal_ptr(&compaction);
        return 0;
}

struct compaction *compaction_free(struct compaction *compaction)
{
        if (!compaction)
                return NULL;
        catalog_file_unref(compaction->to);
        catalog_file_unref(compaction->from);
        charge_drop(&compaction->charge);
        free(compaction);
        return NULL;
}

/* ---- which records count ---- */

struct entry {
        const uint8_t *bytes;
        uint32_t n_bytes;
        uint32_t n_name;
        const char *name;
        uid_t uid;
        enum record_type type;
        struct op_id op_id; /* set: it says what became of that */
        bool is_current;
        bool is_said_again; /* what became of it, later */
};

struct entries {
        struct entry *rows;
        size_t n;
        size_t n_room;
};

static int entries_add(void *ctx, const struct record *record, const uint8_t *bytes)
{
        struct entries *entries = ctx;

        if (entries->n == entries->n_room) {
                size_t n_room = entries->n_room ? entries->n_room * 2 : 256;
                struct entry *rows = reallocarray(entries->rows, n_room, sizeof(*rows));

                if (!rows)
                        return -ENOMEM;
                entries->rows = rows;
                entries->n_room = n_room;
        }
        entries->rows[entries->n++] = (struct entry){ .bytes = bytes,
                                                      .n_bytes = record_n_bytes(record),
                                                      .name = record->name,
                                                      .n_name = record->n_name,
                                                      .uid = record->uid,
                                                      .type = record->type };
        if (record->op_index == 0)
                entries->rows[entries->n - 1].op_id = record->op_id;
        return 0;
}

static bool is_same_name(const struct entry *a, const struct entry *b)
{
        return a->uid == b->uid && a->n_name == b->n_name &&
               memcmp(a->name, b->name, a->n_name) == 0;
}

static bool is_same_op(const struct entry *a, const struct entry *b)
{
        return a->uid == b->uid && memcmp(a->op_id.bytes, b->op_id.bytes, 16) == 0;
}

/* Is it the first that is met, of those that are the same? It begins at the slot of its hash. */
static bool entry_is_first(struct entry **met, size_t n_slots, struct entry *entry, uint64_t hash,
                           bool (*is_same)(const struct entry *a, const struct entry *b))
{
        size_t slot = (hash + entry->uid) % n_slots;

        while (met[slot] && !is_same(met[slot], entry))
                slot = (slot + 1) % n_slots;
        if (met[slot])
                return false;
        met[slot] = entry;
        return true;
}

/*
 * From the last to the first: of each name, and of each operation, the one that is met first was
 * said last.
 */
static int entries_mark(struct entries *entries)
{
        _cleanup_(freep) struct entry **met = NULL, **met_ops = NULL;
        size_t n_slots = 16;

        while (n_slots < 2 * entries->n)
                n_slots *= 2;
        met = calloc(n_slots, sizeof(struct entry *));
        met_ops = calloc(n_slots, sizeof(struct entry *));
        if (!met || !met_ops)
                return -ENOMEM;
        for (size_t i = entries->n; i-- > 0;) {
                struct entry *entry = &entries->rows[i];

                if (entry->type != RECORD_OUTCOME)
                        entry->is_current =
                                entry_is_first(met, n_slots, entry,
                                               table_hash(entry->name, entry->n_name),
                                               is_same_name) &&
                                entry->type == RECORD_COMMIT;
                if (entry->op_id.is_set)
                        entry->is_said_again =
                                !entry_is_first(met_ops, n_slots, entry,
                                                table_hash(entry->op_id.bytes, 16), is_same_op);
        }
        return 0;
}

/* ---- copying ---- */

static int compaction_put(struct compaction *compaction, const struct entry *entry)
{
        struct catalog_file *to = compaction->to;
        uint64_t at = compaction->to_end;
        struct record record, outcome;
        uint32_t n_bytes;

        if (entry->is_current) {
                if (entry->n_bytes > to->n_bytes - at)
                        return CATALOG_E_FULL;
                record_move(to->map + at, at, entry->bytes, entry->n_bytes);
                compaction->to_end = at + entry->n_bytes;
                return 0;
        }
        if (entry->is_said_again)
                return 0;

        if (record_read(entry->bytes, entry->n_bytes,
                        (uint64_t)(entry->bytes - compaction->from->map), &record, &n_bytes))
                return error_origin(-EIO);
        if (!record.op_id.is_set || record.op_index > 0 ||
            (compaction->now_ms > record.time_ms &&
             compaction->now_ms - record.time_ms > TD_OUTCOME_MS))
                return 0;
        outcome = (struct record){ .type = RECORD_OUTCOME,
                                   .uid = record.uid,
                                   .name = "",
                                   .op_id = record.op_id,
                                   .time_ms = record.time_ms };
        memcpy(outcome.tensor_id, record.tensor_id, sizeof(outcome.tensor_id));
        n_bytes = record_n_bytes(&outcome);
        if (n_bytes > to->n_bytes - at)
                return CATALOG_E_FULL;
        record_write(to->map + at, at, &outcome);
        compaction->to_end = at + n_bytes;
        return 0;
}

int compaction_copy(struct compaction *compaction)
{
        struct entries entries = { 0 };
        _cleanup_(freep) struct entry *rows = NULL;
        uint64_t damaged_at;
        int r;

        /* Reserving its pages takes longer than anything else here. */
        r = catalog_file_create(&compaction->to, compaction->shm, compaction->n_bytes);
        if (r)
                return r;
        r = record_scan(compaction->from->map + CATALOG_RECORDS,
                        compaction->from_tail - CATALOG_RECORDS, CATALOG_RECORDS, entries_add,
                        &entries, &damaged_at);
        rows = entries.rows;
        if (r)
                return r < 0 ? r : error_origin(-EIO);
        r = entries_mark(&entries);
        for (size_t i = 0; i < entries.n && !r; i++)
                r = compaction_put(compaction, &entries.rows[i]);
        return r;
}

/*
 * Room for what was said since. Where little counts and much is said that is more than the copy has
 * room for, again and again.
 */
static int compaction_make_room(struct compaction *compaction, uint64_t n_rest)
{
        struct catalog_file *to = compaction->to;
        uint64_t n_left = to->n_bytes - compaction->to_end;
        uint64_t n_more = n_rest > n_left ? n_rest - n_left : 0;

        if (n_more == 0)
                return 0;
        if (n_more > REST_MAX)
                return CATALOG_E_FULL;
        n_more = (n_more + CATALOG_MIN - 1) / CATALOG_MIN * CATALOG_MIN;
        return catalog_file_grow(to, &compaction->charge, n_more, false);
}

int compaction_finish(struct compaction *compaction, struct catalog *catalog)
{
        struct catalog_file *to = compaction->to;
        uint64_t at = compaction->to_end;
        int r;

        if (compaction->from != catalog->file)
                return error_origin(-ESTALE);
        assert(catalog->end == catalog->tail);
        r = compaction_make_room(compaction, catalog->tail - compaction->from_tail);
        if (r)
                return r;
        for (uint64_t from = compaction->from_tail; from < catalog->tail;) {
                struct record record;
                uint32_t n_bytes;

                if (record_read(catalog->file->map + from, catalog->tail - from, from, &record,
                                &n_bytes))
                        return error_origin(-EIO);
                if (n_bytes > to->n_bytes - at)
                        return CATALOG_E_FULL;
                record_move(to->map + at, at, catalog->file->map + from, n_bytes);
                from += n_bytes;
                at += n_bytes;
        }
        catalog_file_publish(to, at);
        if (atomic_load(&to->is_poisoned))
                return error_origin(-EIO);
        r = catalog_file_install(to);
        if (r)
                return r;
        charge_move(&to->charge, &compaction->charge);
        catalog_file_unref(catalog->file);
        catalog->file = to;
        catalog->version = CATALOG_VERSION;
        catalog->tail = catalog->end = at;
        compaction->to = NULL;
        return 0;
}
