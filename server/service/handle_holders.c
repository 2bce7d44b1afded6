/* SPDX-License-Identifier: MIT */
/*
 * holders
 *
 * Who holds what: of a tensor, by connection, the handles that mean it, whether its memory was
 * handed out, and the leases; of nothing, what each connection has, and what goes on without one.
 * Process numbers are those at the time of connecting, for people to read: nothing here depends on
 * them.
 */
#include "base/clock.h"
#include "service/claims.h"
#include "service/core.h"
#include "service/dispatch.h"

static void count_map(void *ctx, struct holder *holder)
{
        (void)ctx;
        container_of(holder, struct client, holder)->share.maps++;
}

/* Of connections, stakes (one of each) and leases: handles may be very many more. */
static void shares_fill(struct service *service, const struct tensor *tensor)
{
        struct client *client;
        struct stake *stake;
        struct lease *lease;

        list_for_each (client, &service->clients, link)
                client->share = (struct share){ 0 };
        /* some are of clients that left, which are not listed, and not told */
        list_for_each (stake, &tensor->stakes, link)
                stake->client->share.references += stake->n_promises;
        tensor_each_holder(tensor, count_map, NULL);
        if (!tensor->mutable)
                return;
        list_for_each (lease, &tensor->mutable->leases, link) {
                const struct claim *claim = container_of(lease, struct claim, lease);

                if (claim->client)
                        claim->client->share.leases++;
        }
}

/* The first keys of both kinds of rows. */
static void write_client(struct reply *reply, const struct client *client, uint32_t n_more)
{
        reply_map(reply, 4 + n_more);
        reply_key_uint(reply, "connection", client->number);
        reply_key_uint(reply, "uid", client->user->uid);
        reply_key_uint(reply, "pid", client->pid);
        reply_key(reply, "client");
        reply_str(reply, client->name);
}

static bool has_share(const struct client *client)
{
        return client->share.references || client->share.maps || client->share.leases;
}

static void write_share(struct reply *reply, const struct client *client)
{
        write_client(reply, client, 3);
        reply_key_uint(reply, "references", client->share.references);
        reply_key_uint(reply, "maps", client->share.maps);
        reply_key_uint(reply, "leases", client->share.leases);
}

/* The page of those after request->after_number: clients are listed in the order of numbers. */
static void write_shares(struct reply *reply, const struct call *call)
{
        const struct request *request = call->request;
        const struct client *client;
        uint32_t n = 0, n_left;

        list_for_each (client, &call->service->clients, link) {
                if (n > request->limit)
                        break;
                n += client->number > request->after_number && has_share(client);
        }
        n_left = n < request->limit ? n : request->limit;
        reply_key(reply, "more");
        reply_bool(reply, n > n_left);
        reply_key(reply, "holders");
        reply_array(reply, n_left);
        list_for_each (client, &call->service->clients, link) {
                if (n_left == 0)
                        break;
                if (client->number <= request->after_number || !has_share(client))
                        continue;
                write_share(reply, client);
                n_left--;
        }
}

static void holders_of_tensor(struct call *call)
{
        const struct tensor *tensor = call->pins[0].tensor;
        struct reply *reply = call_begin_reply(call);

        if (reply) {
                shares_fill(call->service, tensor);
                reply_map(reply, 3);
                write_shares(reply, call);
                reply_key(reply, "held");
                reply_bool(reply, tensor_is_held(tensor));
        }
        call_done(call, reply);
}

static bool is_listed(const struct call *call, const struct client *client)
{
        return client->number > call->request->after_number &&
               (client->user == call->user || call_is_administrators(call));
}

static bool is_left(const struct call *call, const struct call *other)
{
        return call_may_cancel(other) && atomic_load(&other->stop) == CALL_GOES_ON &&
               (other->user == call->user || call_is_administrators(call));
}

static void write_left(struct reply *reply, const struct call *other, uint64_t now_ms)
{
        const struct request *request = other->request;
        uint32_t n_names = 0;

        reply_map(reply, 5);
        reply_key_uint(reply, "request", other->number);
        reply_key_uint(reply, "uid", other->user->uid);
        reply_key(reply, "method");
        reply_str(reply, method_name(request->method));
        reply_key_uint(reply, "left_ms", now_ms - other->left_ms);
        for (uint32_t i = 0; i < request->program.n_outputs; i++)
                n_names += request->outputs[i].name != NULL;
        reply_key(reply, "names");
        reply_array(reply, n_names);
        for (uint32_t i = 0; i < request->program.n_outputs; i++)
                if (request->outputs[i].name)
                        reply_str(reply, request->outputs[i].name);
}

/* Requests whose connection ended: the first so many. */
static void write_lefts(struct reply *reply, const struct call *call)
{
        uint64_t now_ms = clock_now_ms();
        const struct call *other;
        uint32_t n = 0;

        list_for_each (other, &call->service->orphans, link)
                n += is_left(call, other);
        n = n < call->request->limit ? n : call->request->limit;
        reply_key(reply, "left");
        reply_array(reply, n);
        list_for_each (other, &call->service->orphans, link) {
                if (n == 0)
                        break;
                if (is_left(call, other)) {
                        write_left(reply, other, now_ms);
                        n--;
                }
        }
}

static void holders_of_all(struct call *call)
{
        struct service *service = call->service;
        struct reply *reply = call_begin_reply(call);
        struct store_figures figures;
        struct client *client;
        uint32_t n = 0, n_left;

        if (!reply) {
                call_done(call, reply);
                return;
        }
        store_figures(service->store, &figures);
        list_for_each (client, &service->clients, link)
                n += is_listed(call, client);
        n_left = n < call->request->limit ? n : call->request->limit;
        reply_map(reply, 4);
        write_lefts(reply, call);
        reply_key(reply, "more");
        reply_bool(reply, n > n_left);
        reply_key_uint(reply, "held",
                       call_is_administrators(call) ? figures.held : call->user->n_held);
        reply_key(reply, "connections");
        reply_array(reply, n_left);
        list_for_each (client, &service->clients, link) {
                if (n_left == 0)
                        break;
                if (!is_listed(call, client))
                        continue;
                n_left--;
                write_client(reply, client, 4);
                reply_key_uint(reply, "references", HASH_COUNT(client->promises));
                reply_key_uint(reply, "bytes", client->n_referred);
                reply_key_uint(reply, "leases", HASH_COUNT(client->claims));
                reply_key_uint(reply, "requests", client->n_calls);
        }
        call_done(call, reply);
}

void handle_holders(struct call *call)
{
        const struct tensor *tensor;

        if (call->n_pins == 0) {
                holders_of_all(call);
                return;
        }
        tensor = call->pins[0].tensor;
        if (tensor->user != call_viewer(call, tensor))
                call_refuse(call, TD_E_NOT_OWNER, "holders: the tensor is uid %u's",
                            (unsigned)tensor->user->uid);
        else
                holders_of_tensor(call);
}
