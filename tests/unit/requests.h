/* SPDX-License-Identifier: MIT */
/*
 * Requests read, accepted or refused, and messages made by hand, for tests of the decoder.
 */
#pragma once

#include <check.h>
#include <string.h>

#include "frames.h"
#include "wire/reply.h"
#include "wire/request.h"
#include "wire/scan.h"

static struct td_refusal refusal;

static inline int read_bytes(const uint8_t *bytes, size_t n_bytes, struct request **requestp)
{
        struct scan scan;
        int r;

        memset(&refusal, 0, sizeof(refusal));
        scan_init(&scan);
        r = scan_run(&scan, bytes, n_bytes);
        ck_assert_int_eq(r, 0);
        ck_assert_uint_eq(scan.n_seen, n_bytes);
        return request_read(requestp, bytes, n_bytes, NULL, &refusal);
}

/* The request that outlives the bytes it was read from. */
static inline struct request *accepted(const char *file)
{
        struct frame frame = frame_read(file);
        struct request *request;
        int r = read_bytes(frame.bytes, frame.n_bytes, &request);

        ck_assert_msg(r == 0, "%s: %d: %s", file, r, refusal.message);
        memset(frame.bytes, 0xee, frame.n_bytes);
        free(frame.bytes);
        return request;
}

/* ---- messages made here: the reply's writer is a MessagePack encoder like any other ---- */

static inline struct reply *begin(const char *method)
{
        struct reply *w = reply_new();

        ck_assert_ptr_nonnull(w);
        reply_array(w, 4);
        reply_uint(w, 0);
        reply_uint(w, 42);
        reply_str(w, method);
        reply_array(w, 1);
        return w;
}

static inline int finish(struct reply *w, struct request **requestp)
{
        int r;

        ck_assert_int_eq(reply_finish(w), 0);
        r = read_bytes(w->bytes, w->n_bytes, requestp);
        reply_free(w);
        return r;
}

static inline void check_refused(struct reply *w, enum td_error_code code, const char *part)
{
        struct request *request;

        ck_assert_int_eq(finish(w, &request), REQUEST_E_REFUSED);
        ck_assert_ptr_nonnull(request);
        ck_assert_uint_eq(request->msgid, 42);
        ck_assert(!request->is_notification);
        ck_assert_str_eq(error_name(refusal.code), error_name(code));
        ck_assert_msg(strstr(refusal.message, part) != NULL, "\"%s\" is not in \"%s\"", part,
                      refusal.message);
        request_free(request);
}
