/* SPDX-License-Identifier: MIT */
/*
 * Asking until there is an answer
 *
 * A request that can be repeated is: where the connection breaks it is renewed, and the same
 * request sent again, a few times. A write carries its op_id, by which the daemon knows it again.
 */
#include "client.h"

/* a request during which so many connections broke is not sent again */
#define LOST_MAX 3

int client_lost(const struct call *call, td_client *client, unsigned n_lost, bool is_write,
                td_error *error)
{
        if (call->cause)
                return call->cause;
        if (n_lost < LOST_MAX)
                return TD_OK;
        if (is_write)
                return error_set(
                        error, TD_E_OUTCOME_UNKNOWN,
                        "the connection to %s broke %u times during the request; whether it "
                        "took effect is not known",
                        client->address, n_lost);
        return error_set(error, TD_E_CONNECTION_LOST,
                         "the connection to %s broke %u times during the request", client->address,
                         n_lost);
}

int client_unreachable(td_client *client, int r, bool is_write, td_error *error)
{
        if (!is_write || r == TD_E_CLOSED)
                return r;
        return error_set(
                error, TD_E_OUTCOME_UNKNOWN,
                "the connection to %s broke during the request; whether it took effect is not "
                "known",
                client->address);
}

struct asking {
        struct ask *ask;
        td_tensor *tensor;
};

uint64_t memory_wait_ms(const td_client *client)
{
        return client->memory_wait_ms > 0 ? (uint64_t)client->memory_wait_ms : 0;
}

static int encode_ask(td_client *client, struct frame *frame, uint32_t msgid, void *ctx,
                      td_error *error)
{
        struct asking *asking = ctx;

        (void)error;
        if (asking->tensor) {
                if (asking->tensor->epoch != client->epoch)
                        return EXCHANGE_STALE;
                asking->ask->handle = asking->tensor->handle;
        }
        frame_ask(frame, msgid, asking->ask);
        return TD_OK;
}

int client_repeat(td_client *client, encode_fn encode, void *ctx, bool may_repeat,
                  struct call *call, struct reader *result, td_error *error)
{
        unsigned n_lost = 0;
        int r;

        while ((r = exchange_begin(client, call, encode, ctx, error)) == TD_OK &&
               (r = exchange_finish(client, call, result, error)) == EXCHANGE_LOST) {
                r = client_lost(call, client, ++n_lost, !may_repeat, error);
                if (r == TD_OK && !may_repeat)
                        r = client_unreachable(client, TD_E_CONNECTION_LOST, true, error);
                if (r)
                        break;
                call_deinit(call);
                call_init(call);
        }
        return r;
}

int client_ask_once(td_client *client, struct ask *ask, td_tensor *tensor, struct call *call,
                    struct reader *result, td_error *error)
{
        struct asking asking = { ask, tensor };
        int r = exchange_begin(client, call, encode_ask, &asking, error);

        return r ? r : exchange_finish(client, call, result, error);
}

static uint64_t ms_until(int64_t until_ms)
{
        int64_t now = now_ms();

        return until_ms > now ? (uint64_t)(until_ms - now) : 0;
}

int client_ask(td_client *client, struct ask *ask, td_tensor *tensor, int64_t first_ms,
               struct call *call, struct reader *result, td_error *error)
{
        struct asking asking = { ask, tensor };
        bool is_write = ask->op_id != NULL;
        unsigned n_lost = 0;
        int r;

        if (ask->method == METHOD_CREATE || ask->method == METHOD_PUT ||
            (ask->method == METHOD_SNAPSHOT && !ask->wait_ms))
                ask->wait_ms = memory_wait_ms(client);
        for (;;) {
                ask->retry_ms = is_write && first_ms ? now_ms() - first_ms : -1;
                call->may_cancel = ask->method == METHOD_LEASE || ask->method == METHOD_WAIT ||
                                   ask->method == METHOD_SNAPSHOT || ask->wait_ms > 0;
                if (ask->method == METHOD_WAIT)
                        ask->wait_ms = ms_until(ask->until_ms);
                r = exchange_begin(client, call, encode_ask, &asking, error);
                if (r == EXCHANGE_STALE) {
                        r = tensor_renew(tensor, error);
                        if (r)
                                return r;
                        continue;
                }
                if (r)
                        return n_lost ? client_unreachable(client, r, is_write, error) : r;
                if (is_write && !first_ms)
                        first_ms = now_ms();
                r = exchange_finish(client, call, result, error);
                if (r != EXCHANGE_LOST)
                        return r;
                r = client_lost(call, client, ++n_lost, is_write, error);
                if (r)
                        return r;
                call_deinit(call);
                call_init(call);
        }
}
