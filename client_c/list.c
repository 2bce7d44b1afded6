/* SPDX-License-Identifier: MIT */
/*
 * Lists of names, a page at a time until there are no more.
 */
#include "client.h"

#include <stdlib.h>
#include <string.h>

struct row {
        char name[TD_NAME_MAX + 1];
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
        if (list->n_rows == list->n_allocated && !list_grow(list))
                return fail_no_memory(error);
        text = &list->texts[list->n_rows];
        memcpy(text->name, d->name, d->n_name);
        text->name[d->n_name] = '\0';
        memcpy(text->id, d->id, sizeof(text->id));
        list->rows[list->n_rows++] = (td_list_row){ .type = d->type,
                                                       .n_bytes = d->n_bytes,
                                                       .is_evictable = d->is_evictable,
                                                       .is_spilled = d->is_spilled };
        return TD_OK;
}

static int list_read_page(td_list *list, struct reader *result, bool *morep, td_error *error)
{
        uint32_t n_keys = reader_map(result);

        *morep = false;
        for (uint32_t i = 0; i < n_keys && !result->has_failed; i++) {
                size_t n_key;
                const char *key = reader_str(result, &n_key);
                bool is_rows = text_is(key, n_key, "tensors");
                uint32_t n_rows = is_rows ? reader_array(result) : 0;

                for (uint32_t k = 0; k < n_rows; k++) {
                        struct description d;
                        int r = read_description(result, &d) ? list_add(list, &d, error)
                                                             : TD_E_MALFORMED;

                        if (r == TD_E_MALFORMED)
                                return error_set(error, r,
                                                 "a row of the daemon's list cannot be read");
                        if (r)
                                return r;
                }
                if (text_is(key, n_key, "more"))
                        *morep = reader_bool(result);
                else if (!is_rows)
                        reader_skip(result);
        }
        return result->has_failed
                       ? error_set(error, TD_E_MALFORMED, "the daemon's list cannot be read")
                       : TD_OK;
}

int td_list_names(td_client *client, const char *prefix, td_list **listp, td_error *error)
{
        return td_list_names_of(client, -1, prefix, listp, error);
}

int td_list_names_of(td_client *client, int64_t owner, const char *prefix, td_list **listp,
                     td_error *error)
{
        td_list *list = calloc(1, sizeof(*list));
        char after[TD_NAME_MAX + 1] = "";
        bool more = true;
        int r = TD_OK;

        if (!list)
                return fail_no_memory(error);
        while (more && r == TD_OK) {
                struct ask ask = { .method = METHOD_LIST,
                                   .has_owner = owner >= 0,
                                   .owner = (uint32_t)owner,
                                   .prefix = prefix,
                                   .after = *after ? after : NULL,
                                   .limit = TD_LIST_MAX };
                size_t n_before = list->n_rows;
                struct reader result;
                struct call call;

                call_init(&call);
                r = client_ask(client, &ask, NULL, 0, &call, &result, error);
                if (r == TD_OK)
                        r = list_read_page(list, &result, &more, error);
                call_deinit(&call);
                if (list->n_rows == n_before)
                        more = false;
                else
                        memcpy(after, list->texts[list->n_rows - 1].name, sizeof(after));
        }
        if (r) {
                td_list_free(list);
                return r;
        }
        for (size_t i = 0; i < list->n_rows; i++) {
                list->rows[i].name = list->texts[i].name;
                list->rows[i].id = list->texts[i].id;
        }
        *listp = list;
        return TD_OK;
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
