/* SPDX-License-Identifier: MIT */
#include "service/failure.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void failure_set(struct failure *failure, enum td_error_code code, const char *format, ...)
{
        va_list args;

        *failure = (struct failure){ .code = code, .node = -1 };
        va_start(args, format);
        vsnprintf(failure->message, sizeof(failure->message), format, args);
        va_end(args);
}

void failure_append(struct failure *failure, const char *more)
{
        size_t n = strlen(failure->message);

        snprintf(failure->message + n, sizeof(failure->message) - n, "%s", more);
}

void failure_from_refusal(struct failure *failure, const struct td_refusal *refusal)
{
        failure_set(failure, refusal->code, "%s", refusal->message);
        failure->node = refusal->node;
}

static void failure_add_figures(struct failure *failure, struct store *store, uint64_t asked,
                                bool is_full)
{
        struct store_figures figures;

        store_figures(store, &figures);
        if (asked == 0) /* it is the catalog or the ledger that lacked room */
                asked = figures.refused;
        failure->has_figures = true;
        failure->asked = asked;
        failure->used = figures.used;
        failure->limit = figures.limit;
        if (is_full)
                snprintf(failure->message, sizeof(failure->message),
                         "shared memory is full: asked for %" PRIu64 " bytes, %" PRIu64
                         " are free in the file system, "
                         "the daemon uses %" PRIu64 " of its limit of %" PRIu64,
                         asked, figures.shm_free, figures.used, figures.limit);
        else
                snprintf(failure->message, sizeof(failure->message),
                         "memory limit reached: asked for %" PRIu64 " bytes, %" PRIu64
                         " are used, the limit is %" PRIu64,
                         asked, figures.used, figures.limit);
}

void failure_from_charge(struct failure *failure, const struct users *users)
{
        const struct charge_refusal *refusal = &users->refusal;
        const char *what = resource_name(refusal->resource);
        bool is_memory = refusal->resource == RESOURCE_BYTES;

        if (refusal->is_whole)
                failure_set(failure, is_memory ? TD_E_MEMORY_LIMIT : TD_E_TOO_MANY,
                            "%s: asked for %" PRIu64 ", the daemon's users have %" PRIu64
                            " in all, the limit is %" PRIu64,
                            what, refusal->asked, refusal->used, refusal->limit);
        else
                failure_set(failure, is_memory ? TD_E_QUOTA : TD_E_TOO_MANY,
                            "%s: asked for %" PRIu64 ", uid %u has %" PRIu64
                            " and may have %" PRIu64 " now, as much as is free and others have",
                            what, refusal->asked, (unsigned)refusal->uid, refusal->used,
                            refusal->limit);
        failure->has_figures = true;
        failure->what = is_memory ? NULL : what;
        failure->asked = refusal->asked;
        failure->used = refusal->used;
        failure->limit = refusal->limit;
}

void failure_from_store(struct failure *failure, int r, struct store *store, const char *what,
                        uint64_t asked)
{
        switch (r) {
        case STORE_E_NOT_FOUND:
                failure_set(failure, TD_E_NOT_FOUND, "there is no tensor named '%s'", what);
                return;
        case STORE_E_LOST:
                failure_set(failure, TD_E_LOST,
                            "the memory of '%s' was missing or different when the daemon started, "
                            "or wanted it back from a file; delete or replace it",
                            what);
                return;
        case STORE_E_TAKEN:
                failure_set(failure, TD_E_NAME_TAKEN,
                            "the name '%s' is in use, or reserved by a write under way", what);
                return;
        case STORE_E_POISONED:
                failure_set(failure, TD_E_POISONED,
                            "the memory of %s was truncated or resized by a process that could "
                            "write it",
                            what);
                return;
        case STORE_E_QUOTA:
                failure_from_charge(failure, store_users(store));
                return;
        case STORE_E_LIMIT:
        case STORE_E_TRIMMING:
                failure_set(failure, TD_E_MEMORY_LIMIT, " ");
                failure_add_figures(failure, store, asked, false);
                return;
        case STORE_E_FULL:
                failure_set(failure, TD_E_SHM_FULL, " ");
                failure_add_figures(failure, store, asked, true);
                return;
        default:
                failure_set(failure, TD_E_INTERNAL, "the daemon failed: %s",
                            r < 0 ? strerror(-r) : "unexpected outcome");
                return;
        }
}

void failure_write(const struct failure *failure, struct reply *reply, uint32_t msgid)
{
        uint32_t n_data = (failure->has_figures ? 3u : 0u) + (failure->what ? 1u : 0u) +
                          (failure->node >= 0 ? 1u : 0u);

        reply_begin_error(reply, msgid, failure->code, failure->message, n_data);
        if (failure->has_figures) {
                reply_key_uint(reply, "asked", failure->asked);
                reply_key_uint(reply, "used", failure->used);
                reply_key_uint(reply, "limit", failure->limit);
        }
        if (failure->what) {
                reply_key(reply, "what");
                reply_str(reply, failure->what);
        }
        if (failure->node >= 0) {
                reply_key_uint(reply, "node", (uint64_t)failure->node);
        }
}
