/* SPDX-License-Identifier: MIT */
/*
 * Requests
 *
 * One row per method says which keys it wants and which it allows; one function per key turns the
 * value into the request's field. Two keys mean different things to different methods: handle and
 * name refer to a tensor that exists, or are given to one that comes to be; a row's refs are those
 * that refer.
 *
 * The decoder's objects live only as long as request_read(); what the request keeps is copied into
 * its own zone.
 */
#include "wire/request.h"

#include <errno.h>
#include <inttypes.h>
#include <msgpack.h>
#include <string.h>

#include "wire/decode.h"
#include "wire/utf8.h"

/* Chunks of a request's memory: as large as the allocator's quickest path takes. */
#define REQUEST_CHUNK 1000

#define REFS (KEY_BIT(HANDLE) | KEY_BIT(NAME) | KEY_BIT(ID))
#define ANYONES (REFS | KEY_BIT(OWNER))
#define OPENED (KEY_BIT(NAME) | KEY_BIT(ID) | KEY_BIT(OWNER))
#define NAMED (KEY_BIT(NAME) | KEY_BIT(REPLACE) | KEY_BIT(EVICTABLE))
#define ONCE (KEY_BIT(OP_ID) | KEY_BIT(RETRY_MS))
#define JOB (KEY_BIT(DEADLINE_MS) | KEY_BIT(THREADS) | KEY_BIT(PROGRESS_MS) | KEY_BIT(WAIT_MS))

struct method {
        const char *name;
        key_set required;
        key_set optional;
        key_set refs;    /* keys that refer to a tensor; of those not required, at most one may be
                            there */
        key_set one_of; /* at least one of them must be there */
        bool is_notification; /* may be one */
};

static const struct method methods[N_METHODS] = {
        [METHOD_HELLO] = { "hello", KEY_BIT(VERSION), KEY_BIT(CLIENT), 0, 0, false },
        [METHOD_PING] = { "ping", 0, 0, 0, 0, false },
        [METHOD_OPS] = { "ops", 0, 0, 0, 0, false },
        [METHOD_CREATE] = { "create", KEY_BIT(HANDLE) | KEY_BIT(DTYPE) | KEY_BIT(SHAPE),
                            KEY_BIT(ORDER) | NAMED | KEY_BIT(MUTABLE) | KEY_BIT(WAIT_MS) | ONCE,
                            0, 0, false },
        [METHOD_SEAL] = { "seal", 0, REFS, REFS, REFS, false },
        [METHOD_PUT] = { "put", KEY_BIT(DTYPE) | KEY_BIT(SHAPE) | KEY_BIT(DATA),
                         KEY_BIT(ORDER) | KEY_BIT(HANDLE) | NAMED | KEY_BIT(WAIT_MS) | ONCE,
                         0, KEY_BIT(HANDLE) | KEY_BIT(NAME), false },
        [METHOD_OPEN] = { "open", KEY_BIT(HANDLE), OPENED | KEY_BIT(MAP), OPENED,
                          KEY_BIT(NAME) | KEY_BIT(ID), false },
        [METHOD_MAP] = { "map", KEY_BIT(HANDLE), KEY_BIT(WRITABLE), KEY_BIT(HANDLE), 0, false },
        [METHOD_UNMAP] = { "unmap", KEY_BIT(SEGMENTS), 0, 0, 0, true },
        [METHOD_RELEASE] = { "release", KEY_BIT(HANDLES), 0, 0, 0, true },
        [METHOD_NAME] = { "name", KEY_BIT(HANDLE) | KEY_BIT(NAME), KEY_BIT(EVICTABLE) | ONCE,
                          KEY_BIT(HANDLE), 0, false },
        [METHOD_REPLACE] = { "replace", KEY_BIT(HANDLE) | KEY_BIT(NAME), KEY_BIT(EVICTABLE) | ONCE,
                             KEY_BIT(HANDLE), 0, false },
        [METHOD_DELETE] = { "delete", KEY_BIT(NAME), KEY_BIT(OWNER) | ONCE, 0, 0, false },
        [METHOD_LEASE] = { "lease", KEY_BIT(LEASE),
                           REFS | KEY_BIT(VIEW) | KEY_BIT(WRITABLE) | KEY_BIT(TORN) |
                                   KEY_BIT(WAIT_MS) | KEY_BIT(NONCE) | KEY_BIT(AGAIN),
                           REFS, REFS, false },
        [METHOD_UNLEASE] = { "unlease", KEY_BIT(LEASES), 0, 0, 0, true },
        [METHOD_SHARE] = { "share", KEY_BIT(NAME), KEY_BIT(SHARED), KEY_BIT(NAME), 0, false },
        [METHOD_SNAPSHOT] = { "snapshot", 0,
                              ANYONES | KEY_BIT(RESULT) | KEY_BIT(AS) | KEY_BIT(REPLACE) |
                                      KEY_BIT(EVICTABLE) | KEY_BIT(MAP) | KEY_BIT(WAIT_MS) | ONCE,
                              ANYONES, REFS, false },
        [METHOD_LEND] = { "lend", KEY_BIT(HANDLES), 0, 0, 0, false },
        [METHOD_WAIT] = { "wait", KEY_BIT(NAME) | KEY_BIT(WAIT_MS),
                          KEY_BIT(OWNER) | KEY_BIT(HANDLE) | KEY_BIT(MAP),
                          KEY_BIT(NAME) | KEY_BIT(OWNER), 0, false },
        [METHOD_HOLDERS] = { "holders", 0, ANYONES | KEY_BIT(AFTER) | KEY_BIT(LIMIT), ANYONES, 0,
                             false },
        [METHOD_LIST] = { "list", 0,
                          KEY_BIT(PREFIX) | KEY_BIT(AFTER) | KEY_BIT(LIMIT) | KEY_BIT(OWNER) |
                                  KEY_BIT(LOST),
                          0, 0, false },
        [METHOD_STAT] = { "stat", 0, ANYONES, ANYONES, 0, false },
        [METHOD_INFER] = { "infer", KEY_BIT(NAME) | KEY_BIT(INPUTS), 0, 0, 0, false },
        [METHOD_RUN] = { "run", KEY_BIT(INPUTS) | KEY_BIT(NODES) | KEY_BIT(OUTPUTS), ONCE | JOB, 0,
                         0, false },
        [METHOD_DEFINE] = { "define",
                            KEY_BIT(DEFINITION) | KEY_BIT(INPUTS) | KEY_BIT(NODES) |
                                    KEY_BIT(OUTPUTS),
                            0, 0, 0, false },
        [METHOD_CALL] = { "call", KEY_BIT(DEFINITION) | KEY_BIT(INPUTS) | KEY_BIT(OUTPUTS),
                          ONCE | JOB, 0, 0, false },
        [METHOD_UNDEFINE] = { "undefine", KEY_BIT(DEFINITIONS), 0, 0, 0, true },
        [METHOD_CANCEL] = { "cancel", 0, KEY_BIT(MSGID) | KEY_BIT(HANDLE) | KEY_BIT(REQUEST), 0,
                            KEY_BIT(MSGID) | KEY_BIT(HANDLE) | KEY_BIT(REQUEST), true },
};

const char *method_name(enum td_method method)
{
        return (unsigned)method < N_METHODS ? methods[method].name : "no method";
}

/* ---- parameters ---- */

/* list's prefix and after: a name, or the beginning of one, or nothing */
static int read_name_part(struct decode *decode, const char *key, const msgpack_object *object,
                          const char **valuep)
{
        if (object->type == MSGPACK_OBJECT_STR && object->via.str.size == 0)
                return 0;
        return decode_name(decode, key, object, valuep);
}

/* Which rows of how many. */
static int read_page(struct decode *decode, enum wire_key key, const msgpack_object *object,
                     struct request *request)
{
        uint64_t limit;
        int r;

        if (key == KEY_PREFIX)
                return read_name_part(decode, "prefix", object, &request->prefix);
        if (key == KEY_AFTER && request->method == METHOD_HOLDERS)
                return decode_uint(decode, "after", object, 0, UINT64_MAX, &request->after_number);
        if (key == KEY_AFTER)
                return read_name_part(decode, "after", object, &request->after);
        r = decode_uint(decode, "limit", object, 1, TD_LIST_MAX, &limit);
        if (!r)
                request->limit = (uint32_t)limit;
        return r;
}

static int read_threads(struct decode *decode, const msgpack_object *object, uint32_t *n_threadsp)
{
        uint64_t n_threads;
        int r;

        r = decode_uint(decode, "threads", object, 1, UINT32_MAX, &n_threads);
        if (!r)
                *n_threadsp = (uint32_t)n_threads;
        return r;
}

/* The field of a bool, NULL: it is none. */
static bool *flag_of(struct request *request, enum wire_key key)
{
        switch (key) {
        case KEY_REPLACE:
                return &request->replace;
        case KEY_MAP:
                return &request->map;
        case KEY_WRITABLE:
                return &request->writable;
        case KEY_MUTABLE:
                return &request->mutable;
        case KEY_EVICTABLE:
                return &request->evictable;
        case KEY_TORN:
                return &request->torn;
        case KEY_AGAIN:
                return &request->again;
        case KEY_SHARED:
                return &request->shared;
        case KEY_LOST:
                return &request->lost;
        default:
                return NULL;
        }
}

/* Keys of lease alone, and those that are none of these functions'. */
static int read_lease_param(struct decode *decode, enum wire_key key, const msgpack_object *object,
                            struct request *request)
{
        switch (key) {
        case KEY_LEASE:
                return decode_uint(decode, "lease", object, 1, UINT64_MAX, &request->lease);
        case KEY_NONCE:
                request->has_nonce = true;
                return decode_id(decode, "nonce", object, request->nonce);
        default:
                return 0; /* of a program, see decode_program() */
        }
}

static int read_param(struct decode *decode, enum wire_key key, const msgpack_object *object,
                      struct request *request)
{
        bool *flag = flag_of(request, key);

        if (flag)
                return decode_bool(decode, key_name(key), object, flag);
        switch (key) {
        case KEY_HANDLE:
                return decode_uint(decode, "handle", object, 1, UINT64_MAX,
                                   request->method == METHOD_CANCEL ? &request->of_handle
                                                                    : &request->handle);
        case KEY_NAME:
        case KEY_AS:
                return decode_name(decode, key_name(key), object, &request->name);
        case KEY_DTYPE:
                return decode_dtype(decode, object, &request->type.dtype);
        case KEY_SHAPE: /* dtype is read before it, as the keys are numbered */
                return decode_shape(decode, object, &request->type);
        case KEY_ORDER:
                request->has_order = true;
                return decode_order(decode, object, &request->type, request->order);
        case KEY_DATA:
                request->n_data = object->type == MSGPACK_OBJECT_BIN ? object->via.bin.size : 0;
                return decode_data(decode, object, &request->type, &request->data);
        case KEY_OP_ID:
                request->has_op_id = true;
                return decode_id(decode, "op_id", object, request->op_id);
        case KEY_RETRY_MS:
                request->is_retry = true;
                return decode_uint(decode, "retry_ms", object, 0, UINT64_MAX, &request->retry_ms);
        case KEY_OWNER:
                request->has_owner = true;
                return decode_owner(decode, object, &request->owner);
        case KEY_WAIT_MS:
                return decode_uint(decode, "wait_ms", object, 0, UINT64_MAX, &request->wait_ms);
        case KEY_LEASES:
        case KEY_SEGMENTS:
        case KEY_DEFINITIONS:
        case KEY_HANDLES:
                return decode_uint64s(decode, key_name(key), object, 0, REQUEST_IDS_MAX,
                                      &request->n_ids, &request->ids);
        case KEY_VERSION:
                return decode_int(decode, "version", object, &request->version);
        case KEY_CLIENT:
                return decode_str(decode, "client", object, TD_NAME_MAX, &request->client);
        case KEY_RESULT:
                return decode_uint(decode, "result", object, 1, UINT64_MAX, &request->handle);
        case KEY_PREFIX:
        case KEY_AFTER:
        case KEY_LIMIT:
                return read_page(decode, key, object, request);
        case KEY_MSGID:
                request->has_of_msgid = true;
                return decode_uint(decode, "msgid", object, 0, UINT32_MAX, &request->of_msgid);
        case KEY_REQUEST:
                return decode_uint(decode, "request", object, 1, UINT64_MAX, &request->of_request);
        case KEY_DEADLINE_MS:
                request->has_deadline = true;
                return decode_uint(decode, "deadline_ms", object, 0, UINT64_MAX,
                                   &request->deadline_ms);
        case KEY_THREADS:
                return read_threads(decode, object, &request->n_threads);
        case KEY_PROGRESS_MS:
                return decode_uint(decode, "progress_ms", object, TD_PROGRESS_MS_MIN, UINT32_MAX,
                                   &request->progress_ms);
        default:
                return read_lease_param(decode, key, object, request);
        }
}

static_assert(KEY_DTYPE < KEY_SHAPE && KEY_SHAPE < KEY_DATA,
              "a type is read before what is checked against it");

/* params: an array of no element, or of one map */
static int read_params_map(struct decode *decode, const msgpack_object *params,
                           const struct method *method, struct decode_map *map)
{
        static const msgpack_object nothing = { .type = MSGPACK_OBJECT_MAP };

        if (params->type != MSGPACK_OBJECT_ARRAY || params->via.array.size > 1)
                return decode_refuse(decode, TD_E_BAD_ARGUMENTS,
                                     "params is an array of nothing or of one map");
        return decode_map(decode, params->via.array.size ? &params->via.array.ptr[0] : &nothing,
                          method->required, method->optional, map);
}

/* As long as it waits counts, whatever for. */
static int read_wait(struct decode *decode, struct request *request)
{
        if (request->map && !request->handle)
                return decode_refuse(decode, TD_E_BAD_ARGUMENTS,
                                     "map wants a handle to hold what is mapped");
        request->has_deadline = request->wait_ms > 0;
        request->deadline_ms = request->wait_ms;
        request->wait_ms = 0;
        return 0;
}

static int check_evictable(struct decode *decode, const struct request *request)
{
        if (request->evictable && !request->name)
                return decode_refuse(decode, TD_E_BAD_ARGUMENTS,
                                     "evictable is what has a name, and none is given");
        if (request->evictable && request->mutable)
                return decode_refuse(decode, TD_E_BAD_ARGUMENTS,
                                     "a mutable tensor is not evictable");
        return 0;
}

/* What several keys say together. */
static int read_operands(struct decode *decode, const struct decode_map *map,
                         struct request *request)
{
        switch (request->method) {
        case METHOD_LEASE:
                return decode_region(decode, map->values[KEY_VIEW], request);
        case METHOD_INFER:
                return decode_types(decode, map->values[KEY_INPUTS], request);
        case METHOD_WAIT:
                return read_wait(decode, request);
        case METHOD_SNAPSHOT:
                return decode_snapshot(decode, request);
        default:
                return map->given & KEY_BIT(INPUTS) ? decode_program(decode, map, request) : 0;
        }
}

static int read_params(struct decode *decode, const msgpack_object *params, struct request *request)
{
        const struct method *method = &methods[request->method];
        struct decode_map map;
        int r;

        if (request->is_notification && !method->is_notification)
                return decode_refuse(decode, TD_E_BAD_ARGUMENTS,
                                     "is a request, not a notification");
        r = read_params_map(decode, params, method, &map);
        if (r)
                return r;
        if (method->one_of && !(map.given & method->one_of))
                return decode_refuse(decode, TD_E_BAD_ARGUMENTS, "wants one of%s%s%s%s",
                                     method->one_of & KEY_BIT(HANDLE) ? " handle" : "",
                                     method->one_of & KEY_BIT(NAME) ? " name" : "",
                                     method->one_of & KEY_BIT(ID) ? " id" : "",
                                     method->one_of & KEY_BIT(MSGID) ? " msgid request" : "");
        r = decode_ref(decode, &map, method->refs, &request->ref);
        if (r)
                return r;
        for (key_set left = map.given & ~method->refs; left; left &= left - 1) {
                enum wire_key key = key_first(left);

                r = read_param(decode, key, map.values[key], request);
                if (r)
                        return r;
        }
        if (request->is_retry && !request->has_op_id)
                return decode_refuse(decode, TD_E_BAD_ARGUMENTS,
                                     "retry_ms wants the op_id that was sent first");
        if ((request->has_nonce && !request->writable) || (request->again && !request->has_nonce))
                return decode_refuse(decode, TD_E_BAD_ARGUMENTS,
                                     "%s", request->again && !request->has_nonce
                                                   ? "again wants the nonce that was sent first"
                                                   : "nonce is of a lease to write");
        r = check_evictable(decode, request);
        return r ? r : read_operands(decode, &map, request);
}

/* ---- messages ---- */

static bool is_uint(const msgpack_object *object, uint64_t max)
{
        return object->type == MSGPACK_OBJECT_POSITIVE_INTEGER && object->via.u64 <= max;
}

/* [0, msgid, method, params] or [2, method, params]; *methodp is followed by the parameters. */
static int read_envelope(const msgpack_object *object, struct request *request,
                         const msgpack_object **methodp)
{
        const msgpack_object *elements = object->via.array.ptr;

        if (object->type != MSGPACK_OBJECT_ARRAY || object->via.array.size < 3 ||
            !is_uint(&elements[0], 2))
                return REQUEST_E_MALFORMED;
        if (elements[0].via.u64 == 0) {
                if (object->via.array.size != 4 || !is_uint(&elements[1], UINT32_MAX))
                        return REQUEST_E_MALFORMED;
                request->msgid = (uint32_t)elements[1].via.u64;
                *methodp = &elements[2];
        } else {
                if (elements[0].via.u64 != 2 || object->via.array.size != 3)
                        return REQUEST_E_MALFORMED;
                request->is_notification = true;
                *methodp = &elements[1];
        }
        return (*methodp)->type == MSGPACK_OBJECT_STR ? 0 : REQUEST_E_MALFORMED;
}

static int read_method(const msgpack_object *object, enum td_method *methodp,
                       struct td_refusal *refusal)
{
        const char *name = object->via.str.ptr;
        const uint32_t n = object->via.str.size;
        char text[64];

        for (unsigned i = 0; i < N_METHODS; i++) {
                if (n > 0 && name[0] == methods[i].name[0] &&
                    td_is_name(methods[i].name, name, n)) {
                        *methodp = (enum td_method)i;
                        return 0;
                }
        }
        utf8_printable(text, sizeof(text), name, n);
        td_refuse(refusal, TD_E_UNKNOWN_METHOD, "there is no method \"%s\"", text);
        return REQUEST_E_REFUSED;
}

static int request_new(struct request **requestp)
{
        struct msgpack_zone *zone;
        struct request *request;

        zone = msgpack_zone_new(REQUEST_CHUNK);
        if (!zone)
                return -ENOMEM;
        request = msgpack_zone_malloc(zone, sizeof(*request));
        if (!request) {
                msgpack_zone_free(zone);
                return -ENOMEM;
        }
        *request = (struct request){ .method = N_METHODS,
                                     .prefix = "",
                                     .after = "",
                                     .limit = TD_LIST_MAX,
                                     .shared = true,
                                     .memory = zone };
        *requestp = request;
        return 0;
}

struct request *request_free(struct request *request)
{
        if (!request)
                return NULL;
        nodes_unref(request->nodes);
        msgpack_zone_free(request->memory); /* the request itself lies in it */
        return NULL;
}

static int read_object(struct request **requestp, const msgpack_object *object,
                       const struct nodes_source *source, struct td_refusal *refusal)
{
        _cleanup_(request_freep) struct request *request = NULL;
        const msgpack_object *method;
        struct decode decode;
        int r;

        r = request_new(&request);
        if (r)
                return r;
        r = read_envelope(object, request, &method);
        if (r) {
                td_refuse(refusal, TD_E_MALFORMED,
                          "neither [0, msgid, method, params] nor [2, method, params]");
                return r;
        }
        r = read_method(method, &request->method, refusal);
        if (!r) {
                decode = (struct decode){ .zone = request->memory,
                                          .refusal = refusal,
                                          .method = method_name(request->method),
                                          .source = source };
                r = read_params(&decode, method + 1, request);
                request->n_bytes = decode.n_bytes;
        }
        if (r == 0 || r == REQUEST_E_REFUSED)
                *requestp = steal_ptr(&request);
        return r;
}

/* ---- reading ---- */

/*
 * Where the decoder's objects lie; cleared after each message but for its first chunk, so that
 * small messages cost no allocation of it. msgpack_unpack() takes it, unlike its successor, which
 * makes a zone for each message.
 */
static _Thread_local msgpack_zone *scratch;

/* Of what the scan accepted, nothing but memory can be missing. */
static int unpack(const uint8_t *bytes, size_t n_bytes, msgpack_object *object)
{
        size_t n_read = 0;

        return msgpack_unpack((const char *)bytes, n_bytes, &n_read, scratch, object) ==
                               MSGPACK_UNPACK_SUCCESS
                       ? 0
                       : -ENOMEM;
}

/*
 * The node list is taken out of the message, nil in its place: it is decoded by itself, and only if
 * its bytes are new.
 */
static int unpack_around(const struct nodes_source *source, const uint8_t *bytes, size_t n_bytes,
                         msgpack_object *object)
{
        size_t n_before = (size_t)(source->bytes - bytes);
        size_t n_after = n_bytes - n_before - source->n_bytes;
        uint8_t *rest = msgpack_zone_malloc(scratch, n_before + 1 + n_after);

        if (!rest)
                return -ENOMEM;
        memcpy(rest, bytes, n_before);
        rest[n_before] = 0xc0;
        memcpy(rest + n_before + 1, source->bytes + source->n_bytes, n_after);
        return unpack(rest, n_before + 1 + n_after, object);
}

static int unpack_nodes(const struct nodes_source *source, msgpack_object *object)
{
        return unpack(source->bytes, source->n_bytes, object);
}

/* Its envelope alone is decoded, so that it can be answered. */
static int refuse_dense(struct request **requestp, const uint8_t *bytes, size_t n_bytes,
                        struct td_refusal *refusal)
{
        _cleanup_(request_freep) struct request *request = NULL;
        size_t n_before = message_find_params(bytes, n_bytes);
        const msgpack_object *method;
        msgpack_object object;
        uint8_t *envelope;
        int r;

        td_refuse(refusal, TD_E_MALFORMED,
                  "neither [0, msgid, method, params] nor [2, method, params]");
        if (!n_before)
                return REQUEST_E_MALFORMED;
        envelope = msgpack_zone_malloc(scratch, n_before + 1);
        if (!envelope)
                return -ENOMEM;
        memcpy(envelope, bytes, n_before);
        envelope[n_before] = 0xc0;
        r = unpack(envelope, n_before + 1, &object);
        if (!r)
                r = request_new(&request);
        if (!r)
                r = read_envelope(&object, request, &method);
        if (r)
                return r;
        td_refuse(refusal, TD_E_TOO_MANY, "the message has more than %d values, the limit",
                  REQUEST_VALUES_MAX);
        *requestp = steal_ptr(&request);
        return REQUEST_E_REFUSED;
}

int request_read(struct request **requestp, const uint8_t *bytes, size_t n_bytes,
                 struct nodes_cache *cache, struct td_refusal *refusal)
{
        struct nodes_source source = { .cache = cache, .unpack = unpack_nodes };
        msgpack_object object;
        int r;

        *requestp = NULL;
        if (!scratch)
                scratch = msgpack_zone_new(MSGPACK_ZONE_CHUNK_SIZE);
        if (!scratch)
                return -ENOMEM;
        if (n_bytes > REQUEST_VALUES_MAX &&
            !message_is_within(bytes, n_bytes, REQUEST_VALUES_MAX)) {
                r = refuse_dense(requestp, bytes, n_bytes, refusal);
                msgpack_zone_clear(scratch);
                return r;
        }
        if (nodes_find(bytes, n_bytes, &source))
                r = unpack_around(&source, bytes, n_bytes, &object);
        else
                r = unpack(bytes, n_bytes, &object);
        if (!r)
                r = read_object(requestp, &object, &source, refusal);
        msgpack_zone_clear(scratch);
        return r;
}
