/* SPDX-License-Identifier: MIT */
/*
 * Lists of names, a page at a time until there are no more.
 */
#include "client.h"

#include <stdlib.h>
#include <string.h>

struct row {
        char name[TD_NAME_MAX + 1];
        char lost[32];
        uint8_t id[16];
};

struct td_list {
        td_list_row *rows;
        struct row *texts; /* what the rows point to */
        size_t n_rows;
        size_t n_allocated;
};

static bool list_grow(td_list *list)
{
        size_t n = list->n_allocated ? 2 * list->n_allocated : 64;
        td_list_row *rows = realloc(list->rows, n * sizeof(*rows));
        struct row *texts;

        if (!rows)
                return false;
        list->rows = rows;
        texts = realloc(list->texts, n * sizeof(*texts));
        if (!texts)
                return false;
        list->texts = texts;
        list->n_allocated = n;
        return true;
}

static int list_add(td_list *list, const struct description *d, td_error *error)
{
        struct row *text;

        if (!d->name || d->n_name > TD_NAME_MAX)
                return error_set(error, TD_E_MALFORMED, "a row of the daemon's list has no name");
        if (d->lost && (d->n_lost == 0 || d->n_lost >= sizeof(text->lost)))
                return error_set(error, TD_E_MALFORMED,
                                 "a row of the daemon's list does not say how it was lost");
        if (list->n_rows == list->n_allocated && !list_grow(list))
                return fail_no_memory(error);
        text = &list->texts[list->n_rows];
        memcpy(text->name, d->name, d->n_name);
        text->name[d->n_name] = '\0';
        memset(text->lost, 0, sizeof(text->lost));
        if (d->lost)
                memcpy(text->lost, d->lost, d->n_lost);
        memcpy(text->id, d->id, sizeof(text->id));
        list->rows[list->n_rows++] = (td_list_row){ .type = d->type,
                                                    .n_bytes = d->n_bytes,
                                                    .is_evictable = d->is_evictable,
                                                    .is_spilled = d->is_spilled };
        return TD_OK;
}

static int list_read_rows(td_list *list, struct reader *result, td_error *error)
{
        uint32_t n_rows = reader_array(result);
        int r = TD_OK;

        for (uint32_t i = 0; i < n_rows && r == TD_OK; i++) {
                struct description d;

                r = read_row(result, &d) ? list_add(list, &d, error)
                                         : error_set(error, TD_E_MALFORMED,
                                                     "a row of the daemon's list cannot be read");
        }
        return r;
}

struct page {
        bool more;
        uint64_t n_lost; /* names on whichever page; 0: there are none, or it was not said */
};

static int list_read_page(td_list *list, struct reader *result, struct page *page, td_error *error)
{
        uint32_t n_keys = reader_map(result);
        int r = TD_OK;

        *page = (struct page){ .more = false };
        for (uint32_t i = 0; i < n_keys && !result->has_failed && r == TD_OK; i++) {
                size_t n_key;
                const char *key = reader_str(result, &n_key);

                if (text_is(key, n_key, "tensors"))
                        r = list_read_rows(list, result, error);
                else if (text_is(key, n_key, "more"))
                        page->more = reader_bool(result);
                else if (text_is(key, n_key, "lost"))
                        page->n_lost = reader_uint(result);
                else
                        reader_skip(result);
        }
        if (r)
                return r;
        return result->has_failed
                       ? error_set(error, TD_E_MALFORMED, "the daemon's list cannot be read")
                       : TD_OK;
}

/*
 * All pages, from the first one on; *n_lostp: as the last one has it. is_asking: only as far as to
 * know that there are lost names.
 */
static int list_read(td_list *list, td_client *client, const struct ask *first, bool is_asking,
                     uint64_t *n_lostp, td_error *error)
{
        struct ask ask = *first;
        char after[TD_NAME_MAX + 1];
        struct page page = { .more = true };
        int r = TD_OK;

        while (page.more && r == TD_OK) {
                size_t n_before = list->n_rows;
                struct reader result;
                struct call call;

                call_init(&call);
                r = client_ask(client, &ask, NULL, 0, &call, &result, error);
                if (r == TD_OK)
                        r = list_read_page(list, &result, &page, error);
                call_deinit(&call);
                if (list->n_rows == n_before || (is_asking && page.n_lost > 0))
                        break;
                memcpy(after, list->texts[list->n_rows - 1].name, sizeof(after));
                ask.after = after;
        }
        *n_lostp = page.n_lost;
        return r;
}

static int list_new(td_client *client, int64_t owner, const char *prefix, bool with_lost,
                    td_list **listp, td_error *error)
{
        td_list *list = calloc(1, sizeof(*list));
        struct ask ask = { .method = METHOD_LIST,
                           .has_owner = owner >= 0,
                           .owner = (uint32_t)owner,
                           .prefix = prefix,
                           .limit = TD_LIST_MAX };
        uint64_t n_lost = 0;
        int r;

        if (!list)
                return fail_no_memory(error);
        r = list_read(list, client, &ask, with_lost, &n_lost, error);
        if (r == TD_OK && with_lost && n_lost > 0) {
                /* Not asked at once: an earlier daemon, which says no number, refuses the key. */
                list->n_rows = 0;
                ask.lost = true;
                r = list_read(list, client, &ask, false, &n_lost, error);
        }
        if (r) {
                td_list_free(list);
                return r;
        }
        for (size_t i = 0; i < list->n_rows; i++) {
                td_list_row *row = &list->rows[i];
                struct row *text = &list->texts[i];

                row->name = text->name;
                row->id = *text->lost ? NULL : text->id;
                row->lost = *text->lost ? text->lost : NULL;
        }
        *listp = list;
        return TD_OK;
}

int td_list_names(td_client *client, const char *prefix, td_list **listp, td_error *error)
{
        return list_new(client, -1, prefix, false, listp, error);
}

int td_list_names_of(td_client *client, int64_t owner, const char *prefix, td_list **listp,
                     td_error *error)
{
        return list_new(client, owner, prefix, false, listp, error);
}

int td_list_with_lost(td_client *client, int64_t owner, const char *prefix, td_list **listp,
                      td_error *error)
{
        return list_new(client, owner, prefix, true, listp, error);
}

size_t td_list_size(const td_list *list)
{
        return list->n_rows;
}

const td_list_row *td_list_at(const td_list *list, size_t i)
{
        return i < list->n_rows ? &list->rows[i] : NULL;
}

void td_list_free(td_list *list)
{
        if (!list)
                return;
        free(list->rows);
        free(list->texts);
        free(list);
}
