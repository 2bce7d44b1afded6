/* layer: service */
/* SPDX-License-Identifier: MIT */
/*
 * Request sequences
 *
 * The service without sockets: requests of up to four connections of two users, written by
 * sequence_rows.h, which meet each other in few handles, names and ids; works that are done when
 * the input says so (fake_workers); a clock that the input moves; clients that write, truncate and
 * keep what they map, read late, and go.
 *
 * Every request of a connection that stays is answered once. A name means what the last answer said
 * that gave it a meaning, with the bytes that were put, until another answer says otherwise, or, if
 * it is evictable, it was evicted; and after a new start. When all connections are gone only what
 * is named is left, the figures are those of the directory, and every charge came back.
 */
#include <sys/random.h>
#include <time.h>

#include "base/log.h"
#include "dump.h"
#include "fake_workers.h"
#include "message.h"
#include "scene.h"
#include "service/core.h"
#include "sequence_rows.h"
#include "store/segment.h"
#include "wire/scan.h"

enum { N_PEERS = 4, N_UIDS = 2, N_PENDING = 64, N_STEPS = 80, N_HOLDS = 4 };

/* A request that is not answered yet. */
struct asked {
        bool is_open;
        bool has_written; /* it may give names a meaning, or take it */
        bool is_put;      /* of its own, not a repeat: these bytes */
        const char *method;
        unsigned name_mask, name;
        const struct td_type *type;
        uint8_t fill;
};

struct peer {
        struct client client;
        struct reply_sink sink;
        unsigned uid_index;
        bool is_there;
        bool is_read;
        struct asked asked[N_PENDING];
};

/* What a name means by the answers so far. */
struct known {
        enum { KNOWN_NOT, KNOWN_NOTHING, KNOWN_TENSOR } kind;
        uint8_t id[16];
        uint64_t sum;   /* of the bytes of a small one */
        bool is_evictable; /* it may be gone at any time */
        bool is_unsure; /* one whose connection is gone may still be at it */
};

static struct service *service;
static struct peer peers[N_PEERS];
static struct known knowns[N_UIDS][N_NAMES];
static uint64_t clock_ms, random_state;
static int holds[N_HOLDS];
static uint32_t next_msgid;
static uint64_t n_gone; /* evictable ones, since the service began */

static const uid_t peer_uids[N_UIDS] = { 1000, 1001 };

/* ---- time and chance are the input's; see CMakeLists.txt ---- */

int __real_clock_gettime(clockid_t id, struct timespec *now);
int __wrap_clock_gettime(clockid_t id, struct timespec *now);
ssize_t __wrap_getrandom(void *bytes, size_t n_bytes, unsigned flags);

int __wrap_clock_gettime(clockid_t id, struct timespec *now)
{
        if (id != CLOCK_BOOTTIME)
                return __real_clock_gettime(id, now);
        now->tv_sec = (time_t)(clock_ms / 1000);
        now->tv_nsec = (long)(clock_ms % 1000) * 1000000;
        return 0;
}

ssize_t __wrap_getrandom(void *bytes, size_t n_bytes, unsigned flags)
{
        uint8_t *p = bytes;

        (void)flags;
        for (size_t i = 0; i < n_bytes; i++) {
                random_state = random_state * 6364136223846793005u + 1442695040888963407u;
                p[i] = (uint8_t)(random_state >> 33);
        }
        return (ssize_t)n_bytes;
}

/* ---- names ---- */

static uint64_t sum_of(const struct tensor *tensor)
{
        return tensor->heap ? XXH3_64bits(tensor->heap, tensor_n_bytes(tensor))
                            : tensor_n_bytes(tensor);
}

/* Take over what the store says, as an answer just told. */
static void learn(unsigned uid_index, unsigned name_mask)
{
        for (unsigned i = 0; i < N_NAMES; i++) {
                struct known *known = &knowns[uid_index][i];
                struct tensor *tensor;

                if (!(name_mask & 1u << i))
                        continue;
                known->kind = KNOWN_NOTHING;
                if (store_find(service->store, peer_uids[uid_index], names[i], &tensor))
                        continue;
                known->kind = KNOWN_TENSOR;
                memcpy(known->id, tensor->id, sizeof(known->id));
                known->sum = sum_of(tensor);
                known->is_evictable = tensor->is_evictable;
        }
}

static void check_names(void)
{
        struct store_figures figures;

        store_figures(service->store, &figures);
        for (unsigned i = 0; i < N_UIDS * N_NAMES; i++) {
                struct known *known = &knowns[i / N_NAMES][i % N_NAMES];
                struct tensor *tensor = NULL;
                int r = store_find(service->store, peer_uids[i / N_NAMES], names[i % N_NAMES],
                                   &tensor);

                must(r == 0 || r == STORE_E_NOT_FOUND);
                if (known->is_unsure || known->kind == KNOWN_NOT)
                        continue;
                if (r && known->kind == KNOWN_TENSOR && known->is_evictable) {
                        known->kind = KNOWN_NOTHING;
                        must(++n_gone <= figures.n_evicted, "user %u, %s is gone",
                             i / N_NAMES, names[i % N_NAMES]);
                }
                must((r == 0) == (known->kind == KNOWN_TENSOR), "user %u, %s", i / N_NAMES,
                     names[i % N_NAMES]);
                must(r || (memcmp(known->id, tensor->id, 16) == 0 &&
                           known->sum == sum_of(tensor) &&
                           known->is_evictable == tensor->is_evictable),
                     "user %u, %s is another", i / N_NAMES, names[i % N_NAMES]);
        }
}

/* ---- answers ---- */

static void note_seen(const struct reply *reply)
{
        static unsigned turn;
        const uint8_t *at = memmem(reply->bytes, reply->n_bytes, "\xa2id\xc4\x10", 5);
        struct message_head head;

        if (at && (size_t)(reply->bytes + reply->n_bytes - at) >= 21)
                memcpy(seen_ids[turn % N_IDS], at + 5, 16);
        at = memmem(reply->bytes, reply->n_bytes, "\xa7segment", 8);
        if (at && message_head(at + 8, 9, &head) == MESSAGE_WHOLE)
                seen_segments[turn % N_IDS] = head.n_raw
                                                      ? message_number(at + 9, (size_t)head.n_raw)
                                                      : at[8];
        turn++;
}

static void check_put(const struct peer *peer, const struct asked *asked)
{
        struct tensor *tensor;

        must(store_find(service->store, peer_uids[peer->uid_index], names[asked->name], &tensor) ==
             0);
        must(td_type_same(&tensor->desc.type, asked->type));
        for (uint64_t i = 0; i < tensor_n_bytes(tensor); i++)
                must(tensor->heap[i] == asked->fill, "not what was put");
}

static void take_answer(struct peer *peer, const uint8_t *bytes, size_t n_bytes)
{
        struct message_head head;
        struct asked *asked;
        uint32_t msgid;
        size_t at = 2;
        bool is_good;

        must(message_head(bytes + at, n_bytes - at, &head) == MESSAGE_WHOLE);
        msgid = head.n_raw ? (uint32_t)message_number(bytes + at + 1, (size_t)head.n_raw)
                           : bytes[at];
        at += head.n_head + (size_t)head.n_raw;
        is_good = bytes[at] == 0xc0;
        asked = &peer->asked[msgid % N_PENDING];
        must(asked->is_open, "%u: answered twice, or never asked", msgid);
        asked->is_open = false;
        if (!is_good || !asked->has_written)
                return;
        if (asked->is_put)
                check_put(peer, asked);
        learn(peer->uid_index, asked->name_mask);
}

static void on_send(struct reply_sink *sink, struct reply *reply)
{
        struct peer *peer = container_of(sink, struct peer, sink);

        must(message_n_bytes(reply->bytes, reply->n_bytes) == reply->n_bytes);
        must(reply->n_fds <= TD_FDS_MAX && (reply->bytes[0] == 0x94 || reply->bytes[0] == 0x93));
        note_seen(reply);
        if (reply->bytes[1] == 1)
                take_answer(peer, reply->bytes, reply->n_bytes);
        reply_free(reply);
}

static void on_lost(struct reply_sink *sink)
{
        (void)sink;
        must(false, "there is memory");
}

static bool is_read(struct reply_sink *sink)
{
        return container_of(sink, struct peer, sink)->is_read;
}

/* ---- steps ---- */

static void attach(struct peer *peer)
{
        const unsigned i = (unsigned)(peer - peers);

        *peer = (struct peer){ .sink = { .send = on_send, .lost = on_lost, .is_read = is_read },
                               .uid_index = i % N_UIDS,
                               .is_there = true,
                               .is_read = true };
        must(client_init(&peer->client, service, peer_uids[peer->uid_index], &peer->sink, NULL) ==
             0);
}

static void detach(struct peer *peer)
{
        for (unsigned i = 0; i < N_PENDING; i++)
                for (unsigned k = 0; k < N_NAMES && peer->asked[i].is_open; k++)
                        if (peer->asked[i].has_written && peer->asked[i].name_mask & 1u << k)
                                knowns[peer->uid_index][k].is_unsure = true;
        peer->is_there = false;
        client_deinit(&peer->client);
}

/* Seal names what its create was told; that may be any. */
static bool may_write(const char *method)
{
        static const char *const readers[] = {
                "open",  "lease",  "list",  "stat", "map",  "ping",
                "hello", "define", "share", "wait", "lend", "holders"
        };

        for (size_t i = 0; i < sizeof(readers) / sizeof(readers[0]); i++)
                if (strcmp(method, readers[i]) == 0)
                        return false;
        return true;
}

static void ask(struct draw *draw, struct peer *peer)
{
        struct making making = { .draw = draw, .message = reply_new() };
        uint32_t msgid = next_msgid++ % N_PENDING;
        struct td_refusal refusal = { .message = "" };
        struct asked *asked = &peer->asked[msgid];
        struct request *request = NULL;
        struct scan scan;
        bool is_notification;
        int r;

        if (asked->is_open) { /* its number is in use */
                reply_free(making.message);
                return;
        }
        is_notification = write_request(&making, msgid);
        must(reply_finish(making.message) == 0);
        scan_init(&scan);
        must(scan_run(&scan, making.message->bytes, making.message->n_bytes) == 0);
        *asked = (struct asked){ .is_open = !is_notification,
                                 .has_written = may_write(making.method),
                                 .is_put = strcmp(making.method, "put") == 0 && making.has_name &&
                                           !making.has_op_id,
                                 .method = making.method,
                                 .name_mask = making.name_mask,
                                 .name = making.name,
                                 .type = making.type,
                                 .fill = making.fill };
        if (strcmp(making.method, "seal") == 0)
                asked->name_mask = (1u << N_NAMES) - 1;
        r = request_read(&request, making.message->bytes, making.message->n_bytes,
                         service_nodes_cache(service), &refusal);
        reply_free(making.message);
        if (r == 0) {
                service_request(&peer->client, request);
                return;
        }
        must(r == REQUEST_E_REFUSED, "%s", refusal.message);
        if (!is_notification)
                service_refuse(&peer->client, request, &refusal);
        request_free(request);
}

/* What a client does to memory that it created and did not seal yet, or holds a lease of. */
static void write_memory(struct draw *draw, struct peer *peer)
{
        struct promise *promise = promise_find(peer->client.promises,
                                               1 + draw_below(draw, N_HANDLES));
        unsigned how = draw_byte(draw);
        struct segment *segment;
        int fd;

        if (!promise || promise->state != PROMISE_READY || !promise->tensor->segment ||
            promise->tensor->state != TENSOR_UNSEALED)
                return;
        segment = promise->tensor->segment;
        if (how < 32) {
                fd = segment_open(segment, true);
                if (fd < 0)
                        return;
                must(ftruncate(fd, how < 16 ? 0 : 1 << 20) == 0);
                close(fd);
        } else if (segment_pin(segment) == 0) {
                memset(segment_data(segment), how, segment_n_bytes(segment));
                segment_unpin(segment);
        }
}

/* Somebody keeps a descriptor of a segment open that no connection is known to map, or lets go. */
static void hold(struct draw *draw, struct peer *peer)
{
        struct promise *promise = promise_find(peer->client.promises,
                                               1 + draw_below(draw, N_HANDLES));
        int *fdp = &holds[draw_below(draw, N_HOLDS)];

        if (*fdp >= 0)
                close(*fdp);
        *fdp = -1;
        if (promise && promise->state == PROMISE_READY && promise->tensor->segment)
                *fdp = segment_open(promise->tensor->segment, draw_bool(draw));
}

/* A little more is wanted than is free: what is idle goes, or else what is evictable. */
static void press(struct draw *draw, struct peer *peer)
{
        struct store_figures figures;

        store_figures(service->store, &figures);
        if (figures.used < figures.limit)
                store_make_room(service->store, peer->client.user,
                                figures.limit - figures.used + figures.idle + 1 +
                                        figures.evictable * draw_byte(draw) / 256);
}

static void step(struct draw *draw)
{
        static const uint16_t waits[] = { 1, 20, 150, 1200 };
        unsigned what = draw_below(draw, 24);
        struct peer *peer = &peers[draw_below(draw, N_PEERS)];
        struct store_figures figures;

        if (!peer->is_there)
                attach(peer);
        switch (what) {
        case 0:
                detach(peer);
                break;
        case 1:
        case 2:
                fake_workers_run(service->workers, draw_byte(draw));
                break;
        case 3:
                service_reap(service);
                break;
        case 4:
                service_end_turn(service);
                break;
        case 5:
                service_tick(service);
                break;
        case 6:
                clock_ms += waits[draw_below(draw, 4)];
                break;
        case 7:
                write_memory(draw, peer);
                break;
        case 8:
                hold(draw, peer);
                break;
        case 9:
                peer->is_read = !peer->is_read;
                break;
        case 10:
        case 11:
                press(draw, peer);
                break;
        default:
                ask(draw, peer);
                break;
        }
        store_figures(service->store, &figures); /* asserts that they add up */
        must(figures.used <= figures.limit || figures.used <= figures.catalog + figures.held);
        check_names();
}

/* ---- the end ---- */

static bool is_idle(void)
{
        for (unsigned i = 0; i < N_PEERS; i++)
                for (unsigned k = 0; k < N_PENDING && peers[i].is_there; k++)
                        if (peers[i].asked[k].is_open)
                                return false;
        return !service_is_busy(service) && !service_is_behind(service) && !service->kept;
}

/* All that waits is done, or its time is over. */
static void settle(void)
{
        for (unsigned i = 0; i < N_PEERS; i++)
                peers[i].is_read = true;
        for (unsigned turn = 0; turn < 40 && !is_idle(); turn++) {
                while (fake_workers_run(service->workers, 0))
                        service_reap(service);
                service_reap(service);
                service_end_turn(service);
                clock_ms += 200;
                service_tick(service);
        }
        for (unsigned i = 0; i < N_PEERS; i++)
                for (unsigned k = 0; k < N_PENDING && peers[i].is_there; k++)
                        must(!peers[i].asked[k].is_open, "%s is never answered",
                             peers[i].asked[k].method);
        must(is_idle());
        check_names();
}

static void add_bytes(const char *name, const struct stat *st, void *ctx)
{
        (void)name;
        *(uint64_t *)ctx += (uint64_t)st->st_size;
}

/* Only what is named is left. */
static void check_left(void)
{
        struct store_figures figures;
        uint64_t n_bytes = 0;

        store_figures(service->store, &figures);
        scene_each(add_bytes, &n_bytes);
        must(figures.n_tensors == figures.n_names, "%" PRIu64 " tensors", figures.n_tensors);
        must(figures.parked == 0 && figures.held == 0 && service->n_jobs == 0);
        must(figures.used == n_bytes + figures.heap, "%" PRIu64 " of %" PRIu64, figures.used,
             n_bytes);
}

static void begin(uint64_t limit)
{
        struct service_config config = { .prefix = SCENE_PREFIX,
                                         .directory = scene_directory,
                                         .memory_limit = limit,
                                         .n_threads = 2,
                                         .blas_core = "fuzz",
                                         .kernels = "fuzz",
                                         .cpu = "fuzz" };
        char message[256] = "";

        must(service_new(&service, &config, message) == 0, "%s", message);
        n_gone = 0;
}

static void delete_all(void)
{
        for (unsigned i = 0; i < N_UIDS * N_NAMES; i++)
                store_delete(service->store, peer_uids[i / N_NAMES], names[i % N_NAMES], NULL);
}

static void finish(uint64_t limit)
{
        settle();
        for (unsigned i = 0; i < N_PEERS; i++)
                if (peers[i].is_there)
                        detach(&peers[i]);
        for (unsigned i = 0; i < N_HOLDS; i++)
                if (holds[i] >= 0)
                        close(holds[i]);
        settle();
        clock_ms += TD_LEND_MS; /* what was lent lives so long by itself */
        service_tick(service);
        settle();
        check_left();
        service_free(service);

        begin(limit);
        check_names();
        check_left();
        delete_all();
        service_free(service);
        must(scene_each(NULL, NULL) == 0, "a file is left");
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n_bytes)
{
        static const uint64_t limits[] = { UINT64_C(1) << 26, UINT64_C(1) << 20, 256 * 1024 };
        struct draw draw = { bytes, n_bytes };
        uint64_t limit;

        scene_begin();
        log_init(LOG_LEVEL_ERROR - 1, false);
        clock_ms = 1000000;
        random_state = 1;
        next_msgid = 0;
        memset(peers, 0, sizeof(peers));
        memset(knowns, 0, sizeof(knowns));
        memset(seen_ids, 0, sizeof(seen_ids));
        memset(seen_segments, 0, sizeof(seen_segments));
        for (unsigned i = 0; i < N_HOLDS; i++)
                holds[i] = -1;
        limit = limits[draw_below(&draw, 3)];
        begin(limit);
        for (unsigned i = 0; i < N_STEPS && draw.n_left > 0; i++)
                step(&draw);
        finish(limit);
        return 0;
}
