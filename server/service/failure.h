/* SPDX-License-Identifier: MIT */
/*
 * Failures
 *
 * Why a request is refused, as its client will read it: a code, a sentence, and figures where there
 * are some. The outcomes of store and engine become codes here and nowhere else.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "store/store.h"
#include "tensord/infer.h"
#include "wire/reply.h"

struct failure {
        enum td_error_code code; /* TD_OK: none */
        int32_t node;            /* of a program; -1: none to blame */
        bool has_figures;
        const char *what; /* of what the figures are; NULL: bytes */
        uint64_t asked, used, limit;
        char message[512];
};

void failure_set(struct failure *failure, enum td_error_code code, const char *format, ...)
        __attribute__((format(printf, 3, 4)));
/* The sentence goes on. */
void failure_append(struct failure *failure, const char *more);
void failure_from_refusal(struct failure *failure, const struct td_refusal *refusal);
/*
 * r: a store outcome or a negative errno; what: the name or thing that the request spoke of; asked:
 * bytes, or 0.
 */
void failure_from_store(struct failure *failure, int r, struct store *store, const char *what,
                        uint64_t asked);
/* Of what the last charge was refused for: users->refusal. */
void failure_from_charge(struct failure *failure, const struct users *users);
void failure_write(const struct failure *failure, struct reply *reply, uint32_t msgid);
