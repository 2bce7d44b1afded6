/* SPDX-License-Identifier: MIT */
#include "net/output.h"

#include <assert.h>
#include <errno.h>
#include <linux/sockios.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "base/error.h"
#include "service/service.h"

/* So much may wait of any connection: it goes with that, and is no part of what users share. */
#define OUTPUT_FREE_BYTES 4096

/* Replies that one sendmsg takes. */
#define OUTPUT_IOV 16

/*
 * With descriptors unread for so long, all output waits until they are read: then SIOCOUTQ reaches
 * 0 for any peer that reads at all, and only one that does not is taken for such.
 */
#define OUTPUT_HOLD_MS (TD_OUTPUT_MS / 4)

/* ---- the budget ---- */

void fd_budget_init(struct fd_budget *budget, uint64_t n_max)
{
        /* One reply must always be possible when nothing is in flight. */
        if (n_max < 4 * TD_FDS_MAX)
                n_max = 4 * TD_FDS_MAX;
        *budget = (struct fd_budget){ .n_max = n_max, .n_max_user = n_max / 4 };
        list_init(&budget->outputs);
}

void fd_budget_deinit(struct fd_budget *budget)
{
        assert(list_is_empty(&budget->outputs));
        assert(budget->n_unread == 0);
}

static void count_fds(struct output *output, unsigned n, uint64_t now_ms)
{
        if (output->n_fds_unread == 0) {
                output->fds_since_ms = now_ms;
                list_push_back(&output->budget->outputs, &output->link);
        }
        output->n_fds_unread += n;
        output->budget->n_unread += n;
        output->user->n_fds_unread += n;
}

static void uncount_fds(struct output *output)
{
        assert(output->budget->n_unread >= output->n_fds_unread);
        assert(output->user->n_fds_unread >= output->n_fds_unread);
        output->budget->n_unread -= output->n_fds_unread;
        output->user->n_fds_unread -= output->n_fds_unread;
        output->n_fds_unread = 0;
        list_unlink(&output->link);
}

bool output_is_read(struct output *output)
{
        int n_queued = 0;

        if (output->n_fds_unread == 0)
                return true;
        if (ioctl(output->fd, SIOCOUTQ, &n_queued) || n_queued != 0)
                return false;
        uncount_fds(output);
        return true;
}

bool output_is_drained(const struct output *output)
{
        int n_queued = 0;

        return output_is_empty(output) && ioctl(output->fd, SIOCOUTQ, &n_queued) == 0 &&
               n_queued == 0;
}

static bool budget_has_room(const struct output *output, unsigned n)
{
        const struct fd_budget *budget = output->budget;

        return output->n_fds_unread + n <= TD_FDS_UNREAD_MAX &&
               budget->n_unread + n <= budget->n_max &&
               output->user->n_fds_unread + n <= budget->n_max_user;
}

/* May so many descriptors go out? Counts may be stale: before it says no, it asks the kernel. */
static bool may_send_fds(struct output *output, unsigned n)
{
        struct output *other;

        if (budget_has_room(output, n))
                return true;
        output_is_read(output);
        if (output->n_fds_unread + n > TD_FDS_UNREAD_MAX)
                return false;
        if (budget_has_room(output, n))
                return true;
        list_for_each (other, &output->budget->outputs, link)
                output_is_read(other);
        return budget_has_room(output, n);
}

/* ---- the queue ---- */

/* What a reply takes of memory, so that many small ones are not taken for little. */
static size_t reply_cost(const struct reply *reply)
{
        return sizeof(*reply) + reply->n_allocated;
}

void output_init(struct output *output, int fd, struct fd_budget *budget, struct user *user)
{
        *output = (struct output){ .fd = fd, .budget = budget, .user = user_ref(user) };
        charge_adopt(&output->charge, user, RESOURCE_WORKSPACE, 0);
        list_init(&output->queue);
        list_init(&output->link);
}

void output_deinit(struct output *output)
{
        output_drop(output);
        if (output->n_fds_unread)
                uncount_fds(output);
        charge_drop(&output->charge);
        output->user = user_unref(output->user);
}

static void output_count(struct output *output)
{
        uint64_t n = output->n_bytes > OUTPUT_FREE_BYTES ? output->n_bytes - OUTPUT_FREE_BYTES : 0;

        if (n == 0)
                output->is_over = false;
        if (n > output->charge.n) {
                n -= output->charge.n;
                if (user_may_take(output->user, RESOURCE_WORKSPACE, n))
                        output->is_over = true;
                charge_adopt_more(&output->charge, n);
        } else {
                charge_shrink(&output->charge, output->charge.n - n);
        }
}

void output_push(struct output *output, struct reply *reply, uint64_t now_ms)
{
        if (output_is_empty(output))
                output->since_ms = now_ms;
        list_push_back(&output->queue, &reply->link);
        output->n_bytes += reply_cost(reply);
        output_count(output);
}

static void output_pop(struct output *output, struct reply *reply, uint64_t now_ms)
{
        output->n_bytes -= reply_cost(reply);
        output_count(output);
        output->since_ms = now_ms;
        reply_free(reply);
}

void output_drop(struct output *output)
{
        struct reply *reply;

        while ((reply = list_first(&output->queue, struct reply, link)))
                output_pop(output, reply, 0);
        assert(output->n_bytes == 0);
}

/* ---- sending ---- */

/* So many bytes were accepted, of the replies at the front. */
static void output_advance(struct output *output, size_t n, uint64_t now_ms)
{
        while (n > 0) {
                struct reply *reply = list_first(&output->queue, struct reply, link);
                size_t n_left = reply->n_bytes - reply->n_sent;

                if (n < n_left) {
                        reply->n_sent += n;
                        return;
                }
                n -= n_left;
                output_pop(output, reply, now_ms);
        }
}

static int output_sendmsg(struct output *output, const struct msghdr *msg, uint64_t now_ms)
{
        ssize_t n = sendmsg(output->fd, msg, MSG_DONTWAIT | MSG_NOSIGNAL);

        if (n < 0) {
                if (errno == EAGAIN || errno == EINTR)
                        return OUTPUT_E_FULL;
                return errno == ETOOMANYREFS || errno == ENOBUFS ? OUTPUT_E_LATER : -errno;
        }
        output_advance(output, (size_t)n, now_ms);
        return 0;
}

/* The first reply and those behind it, up to one that begins with descriptors. */
static int output_send_bytes(struct output *output, uint64_t now_ms)
{
        struct iovec iov[OUTPUT_IOV];
        struct msghdr msg = { .msg_iov = iov };
        struct reply *reply;

        list_for_each (reply, &output->queue, link) {
                if (msg.msg_iovlen == OUTPUT_IOV || (reply->n_fds > 0 && reply->n_sent == 0))
                        break;
                iov[msg.msg_iovlen].iov_base = reply->bytes + reply->n_sent;
                iov[msg.msg_iovlen++].iov_len = reply->n_bytes - reply->n_sent;
        }
        return output_sendmsg(output, &msg, now_ms);
}

/* A reply whose descriptors are still to go: they go with its first accepted byte, in a sendmsg of
 * its own. */
static int output_send_fds(struct output *output, struct reply *reply, uint64_t now_ms)
{
        union {
                struct cmsghdr align;
                char bytes[CMSG_SPACE(sizeof(int) * TD_FDS_MAX)];
        } control = { .bytes = { 0 } };
        struct iovec iov = { .iov_base = reply->bytes, .iov_len = reply->n_bytes };
        struct msghdr msg = { .msg_iov = &iov,
                              .msg_iovlen = 1,
                              .msg_control = control.bytes,
                              .msg_controllen = CMSG_SPACE(sizeof(int) * reply->n_fds) };
        struct cmsghdr *header = CMSG_FIRSTHDR(&msg);
        unsigned n_fds = reply->n_fds;
        int fds[TD_FDS_MAX], r;

        if (!may_send_fds(output, n_fds))
                return OUTPUT_E_LATER;
        r = service_open_fds(reply, fds);
        if (r)
                return r == -EMFILE || r == -ENFILE ? OUTPUT_E_LATER : r;
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(sizeof(int) * n_fds);
        memcpy(CMSG_DATA(header), fds, sizeof(int) * n_fds);

        r = output_sendmsg(output, &msg, now_ms);
        if (!r)
                count_fds(output, n_fds, now_ms);
        for (unsigned i = 0; i < n_fds; i++)
                close(fds[i]);
        return r;
}

int output_flush(struct output *output, uint64_t now_ms)
{
        struct reply *reply;
        int r = 0;

        while (!r && (reply = list_first(&output->queue, struct reply, link))) {
                if (output->n_fds_unread && now_ms - output->fds_since_ms >= OUTPUT_HOLD_MS &&
                    !output_is_read(output))
                        return OUTPUT_E_LATER;
                if (reply->n_fds > 0 && reply->n_sent == 0)
                        r = output_send_fds(output, reply, now_ms);
                else
                        r = output_send_bytes(output, now_ms);
        }
        return r;
}
