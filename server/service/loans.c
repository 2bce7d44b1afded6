/* SPDX-License-Identifier: MIT */
#include "service/loans.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "tensord/limits.h"

void loans_init(struct loans *loans)
{
        *loans = (struct loans){ .by_tensor = NULL };
        list_init(&loans->soonest);
}

static void loan_end(struct loans *loans, struct loan *loan)
{
        loan->tensor->user->n_loans--;
        HASH_DEL(loans->by_tensor, loan);
        list_unlink(&loan->link);
        tensor_unref(loan->tensor);
        free(loan);
}

void loans_deinit(struct loans *loans)
{
        struct loan *loan;

        while ((loan = list_first(&loans->soonest, struct loan, link)))
                loan_end(loans, loan);
        assert(!loans->by_tensor);
}

int loan_begin(struct loans *loans, struct tensor *tensor, uint64_t now_ms)
{
        struct loan *loan;

        HASH_FIND_PTR(loans->by_tensor, &tensor, loan);
        if (!loan) {
                if (tensor->user->n_loans >= LOANS_MAX)
                        return LOAN_E_LIMIT;
                loan = calloc(1, sizeof(*loan));
                if (!loan)
                        return -ENOMEM;
                list_init(&loan->link);
                loan->tensor = tensor;
                HASH_ADD_PTR(loans->by_tensor, tensor, loan);
                if (!table_has(loan)) {
                        free(loan);
                        return -ENOMEM;
                }
                tensor_ref(tensor);
                tensor->user->n_loans++;
        }
        loan->until_ms = now_ms + TD_LEND_MS;
        /* All last as long: the latest ends last. */
        list_unlink(&loan->link);
        list_push_back(&loans->soonest, &loan->link);
        return 0;
}

void loans_expire(struct loans *loans, uint64_t now_ms)
{
        struct loan *loan;

        while (loans_next_ms(loans) <= now_ms) {
                loan = list_first(&loans->soonest, struct loan, link);
                loan_end(loans, loan);
        }
}

uint64_t loans_next_ms(const struct loans *loans)
{
        const struct list *link = loans->soonest.next;

        return link == &loans->soonest ? UINT64_MAX
                                       : list_entry(link, const struct loan, link)->until_ms;
}
