/* SPDX-License-Identifier: MIT */
/*
 * Loans
 *
 * A tensor that was lent lives for TD_LEND_MS more, even if nobody refers to it: so that its id can
 * be sent to another process, which presents it when it gets there. Lending it again begins anew.
 *
 * Loop thread only.
 */
#pragma once

#include "base/table.h"
#include "store/store.h"

/* Of one uid at a time: as many as one connection has handles. */
#define LOANS_MAX TD_HANDLES_MAX

struct loan {
        struct tensor *tensor; /* owned reference */
        uint64_t until_ms;
        struct list link;
        UT_hash_handle hh; /* by tensor */
};

struct loans {
        struct loan *by_tensor;
        struct list soonest; /* to end, first */
};

void loans_init(struct loans *loans);
/* All end. */
void loans_deinit(struct loans *loans);
enum { LOAN_E_LIMIT = 1 };
/* 0, LOAN_E_LIMIT or -ENOMEM. */
int loan_begin(struct loans *loans, struct tensor *tensor, uint64_t now_ms);
/* Those whose time is over end. */
void loans_expire(struct loans *loans, uint64_t now_ms);
/* When the first does, UINT64_MAX: there is none. */
uint64_t loans_next_ms(const struct loans *loans);
