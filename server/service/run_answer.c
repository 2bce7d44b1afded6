/* SPDX-License-Identifier: MIT */
/*
 * The answer of a run
 *
 * What was computed took effect: names mean it, handles too. So nothing that is done for the answer
 * may be refused. Its grants were paid for before (run_charge()); where there is no memory for
 * them, there is none for the answer, and the connection ends. Loop thread.
 */
#include "service/describe.h"
#include "service/run_state.h"

/* An output whose bytes are all that there is of it. */
static void describe_output(struct reply *reply, const struct call *call, uint32_t i)
{
        struct tensor value = { .state = TENSOR_SEALED,
                                .user = call->user,
                                .heap = call->run->areas[i].data };

        run_output_desc(call->run, i, &value.desc);
        describe(reply, call->user, &value, DESCRIBE_DATA, false, false);
}

static void run_describe(struct reply *reply, struct call *call, struct tensor **tensors)
{
        const struct request_output *outputs = call->request->outputs;

        if (call->request->method == METHOD_SNAPSHOT) {
                describe(reply, call->user, tensors[0],
                         outputs[0].map ? DESCRIBE_MAP : DESCRIBE_DATA, false, true);
                return;
        }
        reply_map(reply, 2);
        reply_key(reply, "outputs");
        reply_array(reply, call->n_results);
        for (uint32_t i = 0; i < call->n_results; i++) {
                if (outputs[i].has_into)
                        describe(reply, call->user, call->pins[outputs[i].into].tensor,
                                 DESCRIBE_BRIEF, false, false);
                else if (tensors[i])
                        describe(reply, call->user, tensors[i],
                                 outputs[i].map ? DESCRIBE_MAP : DESCRIBE_DATA, false, false);
                else
                        describe_output(reply, call, i);
        }
        reply_key(reply, "fds");
        describe_fds(reply);
}

void run_answer(struct call *call, struct tensor **tensors)
{
        _cleanup_(reply_freep) struct reply *reply = call_begin_reply(call);

        if (reply) {
                for (uint32_t i = 0; i < call->n_results; i++) {
                        int r = call->request->outputs[i].map
                                        ? describe_grant(call, reply, tensors[i], false,
                                                         &call->run->grants)
                                        : 0;

                        /* What took effect is not said to have failed. */
                        if (r) {
                                call_done(call, NULL);
                                return;
                        }
                }
                run_describe(reply, call, tensors);
        }
        call_done(call, steal_ptr(&reply));
}
