/* SPDX-License-Identifier: MIT */
#include "service/donate.h"

#include <stdlib.h>

#include "service/core.h"
#include "service/run_state.h"

static bool may_take(const struct call *call, const struct pin *pin)
{
        const struct promise *promise = pin->wait.promise;

        /* the table's reference and this pin's; a tensor that another input is too has one more */
        return promise->table && promise->n_refs == 2 && promise->state == PROMISE_READY &&
               pin->tensor->state == TENSOR_SEALED &&
               tensor_may_take(pin->tensor, 1, &call->client->holder);
}

void donate_take(struct call *call)
{
        for (uint32_t i = 0; i < call->n_pins; i++) {
                struct pin *pin = &call->pins[i];

                if (!call->request->inputs[i].donate || call_names_something(call) ||
                    !may_take(call, pin))
                        continue;
                pin->is_taken = true;
                pin->tensor->is_taken = true;
                pin->wait.promise->state = PROMISE_PENDING;
        }
}

/* Was its memory an output's, and written? */
static bool is_over(const struct call *call, uint32_t i)
{
        if (!call->run || !call->run->is_over)
                return false;
        for (uint32_t k = 0; k < call->n_results; k++)
                if (run_taken(call, k) == (int32_t)i)
                        return true;
        return false;
}

void donate_end(struct call *call, bool is_success)
{
        for (uint32_t i = 0; request_is_run(call->request) && i < call->n_pins; i++) {
                struct pin *pin = &call->pins[i];
                struct promise *promise = pin->wait.promise;
                bool is_gone = is_success;

                if (!call->request->inputs[i].donate || !promise)
                        continue;
                if (pin->is_taken) {
                        pin->is_taken = false;
                        pin->tensor->is_taken = false;
                        is_gone = is_success || is_over(call, i);
                        promise->state = is_gone ? PROMISE_FAILED : PROMISE_READY;
                        if (is_gone)
                                promise->failure = malloc(sizeof(*promise->failure));
                        if (promise->failure)
                                failure_set(promise->failure, TD_E_NOT_FOUND,
                                            "handle %llu was donated",
                                            (unsigned long long)promise->handle);
                        call_settle(promise);
                }
                if (is_gone && promise->table)
                        promise_unlink(promise);
        }
}
