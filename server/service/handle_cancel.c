/* SPDX-License-Identifier: MIT */
/*
 * cancel
 *
 * Ends what computes or waits: of this connection, or what a connection of the same user left,
 * which nobody else could end (`holders` tells its number). One that a worker is at stops between
 * two tiles or steps; it may also be done before it looks, and then succeeds. Only its own answer
 * says which: the answer to cancel says whether there was something to end.
 */
#include "service/core.h"
#include "service/dispatch.h"

static bool is_meant(const struct call *call, const struct request *cancel)
{
        if (!call_may_cancel(call))
                return false;
        if (cancel->has_of_msgid && call->request->msgid == cancel->of_msgid)
                return true;
        for (uint32_t i = 0; cancel->of_handle && i < call->n_results; i++)
                if (call->results[i] && call->results[i]->table &&
                    call->results[i]->handle == cancel->of_handle)
                        return true;
        return false;
}

/* One without a connection; of others only for who administers. NULL: there is none. */
static struct call *find_left(const struct call *call)
{
        struct call *other;

        list_for_each (other, &call->service->orphans, link)
                if (other->number == call->request->of_request && call_may_cancel(other) &&
                    (other->user == call->user || call_is_administrators(call)))
                        return other;
        return NULL;
}

void handle_cancel(struct call *call)
{
        struct call *other = find_left(call);
        struct reply *reply;
        bool was_there = other;

        if (other)
                call_stop(other, CALL_STOPS_CANCELLED);

        list_for_each (other, &call->client->calls, link) {
                if (!is_meant(other, call->request))
                        continue;
                was_there = true;
                call_stop(other, CALL_STOPS_CANCELLED);
        }
        reply = call_begin_reply(call);
        if (reply)
                reply_bool(reply, was_there);
        call_done(call, reply);
}
