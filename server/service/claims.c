/* SPDX-License-Identifier: MIT */
#include "service/claims.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "service/core.h"
#include "service/describe.h"
#include "service/dispatch.h"
#include "service/input.h"
#include "tensor/overlap.h"

#define APART_MAX 64  /* inputs whose parts are told apart */
#define EXPIRE_MAX 64 /* leases of an earlier daemon that end at a time: a few us each */

/* ---- one claim ---- */

static void claim_keep(struct service *service, struct claim *claim)
{
        claim->call = NULL;
        list_unlink(&claim->returning);
        list_push_back(&service->returning, &claim->returning);
}

static struct claim *claim_new(struct call *call)
{
        struct claim *claim = calloc(1, sizeof(*claim));

        if (claim) {
                claim->call = call;
                list_init(&claim->returning);
        }
        return claim;
}

struct claim *claim_free(struct claim *claim)
{
        if (!claim)
                return NULL;
        if (claim->until_ms > 0 && claim->call) {
                /* Who asked for it did not get it after all. */
                claim_keep(claim->call->service, claim);
                return NULL;
        }
        list_unlink(&claim->returning);
        if (claim->client)
                HASH_DEL(claim->client->claims, claim);
        if (claim->lease.tensor && claim->lease.tensor->mutable->reader == claim->call)
                claim->lease.tensor->mutable->reader = NULL;
        lease_end(&claim->lease);
        charge_drop(&claim->charge);
        free(claim);
        return NULL;
}

static void on_granted(struct lease *lease)
{
        struct call *call = container_of(lease, struct claim, lease)->call;

        if (call)
                call_unblock(call);
}

static const char *region_text(char text[256], const struct desc *region)
{
        int n = snprintf(text, 256, "shape %s, offset %lld, strides (",
                         td_type_text(&region->type).s, (long long)region->offset);

        for (unsigned i = 0; i < region->type.ndim && n < 256; i++)
                n += snprintf(text + n, 256 - (size_t)n, "%s%lld", i ? ", " : "",
                              (long long)region->strides[i]);
        if (n < 256)
                snprintf(text + n, 256 - (size_t)n, ")");
        return text;
}

static void set_conflict(struct call *call, const struct lease *lease, const char *what)
{
        const struct lease *blocker = lease_blocker(lease);
        const struct claim *claim = container_of(blocker, struct claim, lease);
        const struct client *client = claim->client ? claim->client
                                      : claim->call ? claim->call->client
                                                    : NULL;
        const char *does = blocker->is_write ? "writes" : "reads";
        char text[256];

        if (claim->until_ms)
                failure_set(&call->failure, TD_E_LEASE_CONFLICT,
                            "%s: %s: a connection to the daemon before this one writes %s; its "
                            "lease is kept for %d ms",
                            method_name(call->request->method), what,
                            region_text(text, &blocker->region), TD_LEASE_RETURN_MS);
        else if (claim->client)
                failure_set(&call->failure, TD_E_LEASE_CONFLICT,
                            "%s: %s: connection %llu (%s) %s %s, under its lease %llu",
                            method_name(call->request->method), what,
                            (unsigned long long)client->number, client->name, does,
                            region_text(text, &blocker->region),
                            (unsigned long long)claim->number);
        else
                failure_set(&call->failure, TD_E_LEASE_CONFLICT,
                            "%s: %s: a request of connection %llu (%s) that came before %s %s",
                            method_name(call->request->method), what,
                            client ? (unsigned long long)client->number : 0,
                            client ? client->name : "ended", does,
                            region_text(text, &blocker->region));
}

/* 0, or -1 and the call's failure is set. */
static int check_region(struct call *call, uint32_t i, const struct tensor *tensor,
                        const struct desc *region)
{
        if (call->request->inputs[i].is_written && !overlap_is_distinct(region)) {
                failure_set(&call->failure, TD_E_BAD_VIEW,
                            "%s: input %u is written, but elements of the view may be one",
                            method_name(call->request->method), i);
                return -1;
        }
        if (tensor->mutable->n_leases >= TD_TENSOR_LEASES_MAX) {
                failure_set(&call->failure, TD_E_TOO_MANY,
                            "%s: the tensor has %d leases, held and waited for, the limit",
                            method_name(call->request->method), TD_TENSOR_LEASES_MAX);
                return -1;
        }
        return 0;
}

/* Each claim is compared with each of the tensor's: a request does not make as many as it likes. */
static bool is_read_whole(const struct call *call, uint32_t i)
{
        return call->n_pins > APART_MAX && !call->request->inputs[i].is_written;
}

/* Was this very lease granted by an earlier daemon? Then it is the call's now. */
static struct claim *claim_return(struct call *call, const struct tensor *tensor,
                                  const struct desc *region)
{
        struct lease *lease;

        if (!call->request->has_nonce)
                return NULL;
        /* of the tensor at most TD_TENSOR_LEASES_MAX, of all there may be very many */
        list_for_each (lease, &tensor->mutable->leases, link) {
                struct claim *claim = container_of(lease, struct claim, lease);

                if (list_is_empty(&claim->returning) || !desc_is_same(&lease->region, region) ||
                    memcmp(claim->nonce, call->request->nonce, sizeof(claim->nonce)) != 0)
                        continue;
                list_unlink(&claim->returning);
                claim->call = call;
                lease->holder = call->client;
                return claim;
        }
        return NULL;
}

static int claim_input(struct call *call, uint32_t i, struct tensor *tensor)
{
        bool is_lease = call->request->method == METHOD_LEASE;
        struct pin *pin = &call->pins[i];
        struct charge charge = { 0 };
        struct desc region;

        if (input_desc(call, i, tensor, &region))
                return -1;
        if (is_read_whole(call, i)) {
                pin->is_covered = tensor->mutable->reader == call;
                if (pin->is_covered)
                        return 0;
                region = tensor->desc;
        }
        if (check_region(call, i, tensor, &region))
                return -1;
        pin->claim = claim_return(call, tensor, &region);
        if (pin->claim)
                return 0;
        if (call->request->again) {
                failure_set(&call->failure, TD_E_LEASE_LOST,
                            "lease: nobody keeps a lease of that nonce and view: it ended with its "
                            "connection, or was not asked for in %d ms",
                            TD_LEASE_RETURN_MS);
                return -1;
        }
        if (charge_take(&charge, call->user, RESOURCE_LEASES, 1)) {
                failure_from_charge(&call->failure, call->user->users);
                return -1;
        }
        pin->claim = claim_new(call);
        if (!pin->claim) {
                charge_drop(&charge);
                failure_set(&call->failure, TD_E_INTERNAL, "the daemon has no memory");
                return -1;
        }
        charge_move(&pin->claim->charge, &charge);
        pin->claim->lease = (struct lease){ .owner = is_lease ? NULL : call,
                                            .is_lasting = is_lease,
                                            .holder = call->client,
                                            .granted = on_granted };
        lease_begin(&pin->claim->lease, tensor, &region, call->request->inputs[i].is_written);
        if (is_read_whole(call, i))
                tensor->mutable->reader = call;
        if (pin->claim->lease.n_blockers == 0)
                return 0;
        if (pin->claim->lease.may_last &&
            (!call->request->wait_ms || clock_now_ms() >= call->blocked_until_ms)) {
                set_conflict(call, &pin->claim->lease, "in use");
                return -1;
        }
        call->n_pending++;
        call_set_timer(call, call_due_ms(call));
        return 0;
}

/* ---- those of a call ---- */

/* NULL: it is not known yet, or will never be. */
static struct tensor *known_tensor(const struct pin *pin)
{
        const struct promise *promise = pin->wait.promise;

        if (!promise)
                return pin->tensor;
        return promise->state == PROMISE_READY ? promise->tensor : NULL;
}

int claim_known(struct call *call)
{
        if (!request_is_run(call->request) && call->request->method != METHOD_LEASE)
                return 0;
        for (uint32_t i = 0; i < call->n_pins; i++) {
                struct tensor *tensor = known_tensor(&call->pins[i]);

                if (tensor && tensor->state == TENSOR_MUTABLE && !call->pins[i].claim &&
                    !call->pins[i].is_covered && claim_input(call, i, tensor))
                        return -1;
        }
        return 0;
}

int claim_promised(struct call *call)
{
        assert(call->n_pending == 0);
        if (claim_known(call))
                return -1;
        for (uint32_t i = 0; i < call->n_pins && call->n_pending > 0; i++) {
                const struct claim *claim = call->pins[i].claim;

                if (claim && claim->lease.n_blockers > 0) {
                        set_conflict(call, &claim->lease, "in use by now");
                        return -1;
                }
        }
        return 0;
}

/* Is the value of an input used, or only what is written into it? */
static bool is_value_read(const struct td_program *program, uint32_t value)
{
        for (uint32_t i = 0; i < program->block.n_nodes; i++)
                for (uint32_t k = 0; k < program->block.nodes[i].n_args; k++)
                        if (program->block.nodes[i].args[k] == value)
                                return true;
        for (uint32_t i = 0; i < program->n_outputs; i++)
                if (program->outputs[i] == value)
                        return true;
        return false;
}

int claim_check(struct call *call)
{
        for (uint32_t i = 0; i < call->n_pins; i++) {
                const struct claim *claim = call->pins[i].claim;
                const struct desc *torn;
                char text[256];

                if (!claim || call->request->torn)
                        continue;
                torn = tensor_torn(claim->lease.tensor, &claim->lease.region);
                if (!torn || (claim->lease.is_write && !is_value_read(&call->request->program, i)))
                        continue;
                failure_set(&call->failure, TD_E_TORN,
                            "%s: input %u: whoever wrote %s vanished before it was done",
                            method_name(call->request->method), i, region_text(text, torn));
                return -1;
        }
        return 0;
}

bool claim_may_last(const struct call *call)
{
        for (uint32_t i = 0; i < call->n_pins; i++) {
                const struct claim *claim = call->pins[i].claim;

                if (claim && claim->lease.n_blockers > 0 && claim->lease.may_last)
                        return true;
        }
        return false;
}

/* A claim of the call that others are in the way of; NULL: none. */
static const struct claim *claim_blocked(const struct call *call)
{
        for (uint32_t i = 0; i < call->n_pins; i++) {
                const struct claim *claim = call->pins[i].claim;

                if (claim && claim->lease.n_blockers > 0)
                        return claim;
        }
        return NULL;
}

bool claim_is_blocked(const struct call *call)
{
        return claim_blocked(call) != NULL;
}

void claim_set_blocked(struct call *call)
{
        const struct claim *claim = claim_blocked(call);
        char what[64];

        assert(claim);
        snprintf(what, sizeof(what), "still in use after %llu ms",
                 (unsigned long long)call->request->wait_ms);
        set_conflict(call, &claim->lease, what);
}

/* ---- those of a client ---- */

void claims_end(struct client *client)
{
        struct claim *claim, *next;

        HASH_ITER (hh, client->claims, claim, next) {
                if (claim->lease.is_write && client->service->is_stopping)
                        lease_leave(&claim->lease);
                else if (claim->lease.is_write)
                        lease_abandon(&claim->lease);
                claim_free(claim);
        }
}

/* ---- those of an earlier daemon ---- */

int claims_recover(struct service *service)
{
        uint64_t until_ms = clock_now_ms() + TD_LEASE_RETURN_MS;
        struct recovered *recovered;

        while ((recovered = store_next_recovered(service->store))) {
                struct claim *claim = claim_new(NULL);

                if (!claim) {
                        recovered_free(recovered);
                        return -ENOMEM;
                }
                claim->until_ms = until_ms;
                memcpy(claim->nonce, recovered->nonce, sizeof(claim->nonce));
                claim->lease = (struct lease){ .is_lasting = true, .granted = on_granted };
                lease_resume(&claim->lease, recovered);
                charge_adopt(&claim->charge, claim->lease.tensor->user, RESOURCE_LEASES, 1);
                list_push_back(&service->returning, &claim->returning);
                recovered_free(recovered);
        }
        return 0;
}

uint64_t claims_expire_at_ms(const struct service *service)
{
        const struct claim *claim = list_first(&service->returning, struct claim, returning);

        return claim ? claim->until_ms : UINT64_MAX;
}

void claims_expire(struct service *service, uint64_t now_ms)
{
        struct claim *claim;

        for (unsigned n = 0; n < EXPIRE_MAX &&
                             (claim = list_first(&service->returning, struct claim, returning)) &&
                             now_ms >= claim->until_ms;
             n++) {
                claim->until_ms = 0;
                lease_abandon(&claim->lease);
                claim_free(claim);
        }
}

void claims_leave(struct service *service)
{
        struct claim *claim;

        while ((claim = list_first(&service->returning, struct claim, returning))) {
                lease_leave(&claim->lease);
                claim_free(claim);
        }
}

static struct claim *claim_find(const struct client *client, uint64_t number)
{
        struct claim *claim;

        HASH_FIND(hh, client->claims, &number, sizeof(number), claim);
        return claim;
}

bool claim_may_write(const struct client *client, const struct tensor *tensor)
{
        const struct claim *claim;

        for (claim = client->claims; claim; claim = claim->hh.next)
                if (claim->lease.is_write && claim->lease.tensor == tensor)
                        return true;
        return false;
}

/* One to write is in the ledger before anybody hears of it. -1: the call was refused. */
static int lease_keep(struct call *call, struct claim *claim)
{
        int r;

        if (!claim->lease.is_write)
                return 0;
        r = lease_record(&claim->lease, call->request->has_nonce ? call->request->nonce : NULL);
        if (r) {
                call_fail_store(call, r, "the ledger of leases", 0);
                return -1;
        }
        if (!call->request->has_nonce)
                lease_touch(&claim->lease);
        return 0;
}

/* It could not be told of. */
static void claim_withdraw(struct claim *claim, bool is_back)
{
        if (is_back)
                lease_abandon(&claim->lease);
        claim_free(claim);
}

void handle_lease(struct call *call)
{
        struct client *client = call->client;
        struct tensor *tensor = call->pins[0].tensor;
        struct claim *claim;
        bool is_back;

        if (!call->pins[0].claim) {
                if (tensor->state == TENSOR_SEALED)
                        call_refuse(call, TD_E_NOT_MUTABLE,
                                    "lease: the tensor is sealed; it is read without a lease");
                else
                        call_visible_tensor(call);
                return;
        }
        if (!client) {
                call_set_stopped(call, CALL_STOPS_GONE);
                call_fail(call);
                return;
        }
        if (claim_find(client, call->request->lease)) {
                call_refuse(call, TD_E_HANDLE_TAKEN, "lease %llu is in use on this connection",
                            (unsigned long long)call->request->lease);
                return;
        }
        if (HASH_COUNT(client->claims) >= TD_LEASES_MAX) {
                call_refuse(call, TD_E_TOO_MANY,
                            "this connection has %d leases, the limit; give some back",
                            TD_LEASES_MAX);
                return;
        }
        if (lease_keep(call, call->pins[0].claim))
                return;
        claim = steal_ptr(&call->pins[0].claim);
        is_back = claim->until_ms > 0;
        claim->call = NULL;
        claim->until_ms = 0;
        claim->number = call->request->lease;
        HASH_ADD(hh, client->claims, number, sizeof(claim->number), claim);
        if (!table_has(claim)) {
                call_fail_store(call, error_origin(-ENOMEM), "lease", 0);
                claim_withdraw(claim, is_back);
                return;
        }
        claim->client = client;
        if (describe_and_finish(call, tensor, DESCRIBE_MAP, call->request->writable))
                claim_withdraw(claim, is_back);
}

void handle_unlease(struct call *call)
{
        int r = 0;

        for (uint32_t i = 0; i < call->request->n_ids; i++) {
                struct claim *claim = claim_find(call->client, call->request->ids[i]);

                if (!claim)
                        continue;
                if (claim->lease.is_write) {
                        int audit = tensor_audit(claim->lease.tensor);

                        r = r ? r : audit;
                        lease_written(&claim->lease);
                }
                claim_free(claim);
        }
        if (r)
                call_fail_store(call, r, "a tensor that was leased", 0);
        else
                call_done_nil(call);
}
