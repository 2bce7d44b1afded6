/* SPDX-License-Identifier: MIT */
/*
 * Decoding
 *
 * One MessagePack object in, one checked plain value out, or a refusal that says where it stood,
 * what was wanted and what came. Internal to wire.
 *
 * Functions return 0, REQUEST_E_REFUSED with the refusal filled in, or -ENOMEM. What they allocate
 * belongs to the request.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tensord/infer.h"
#include "wire/request.h"

struct msgpack_object;
struct msgpack_zone;

enum wire_key {
#define WIRE_KEY(sym, name) KEY_##sym,
#include "wire/keys.def"
#undef WIRE_KEY
        N_KEYS
};

/* A set of keys. */
typedef unsigned __int128 key_set;

static_assert(N_KEYS <= 128, "keys fit into a set");

#define KEY_BIT(sym) ((key_set)1 << KEY_##sym)

/* The first of a set that is not empty. */
static inline enum wire_key key_first(key_set keys)
{
        uint64_t low = (uint64_t)keys;

        return (enum wire_key)(low ? __builtin_ctzll(low)
                                   : 64 + __builtin_ctzll((uint64_t)(keys >> 64)));
}

/* Where the message has its node list, which is decoded apart from it. */
struct nodes_source {
        const uint8_t *bytes; /* NULL: nowhere */
        size_t n_bytes;
        struct nodes_cache *cache; /* may be NULL */
        int (*unpack)(const struct nodes_source *source, struct msgpack_object *object);
};

struct decode {
        struct msgpack_zone *zone; /* memory of the request, or of its nodes */
        struct td_refusal *refusal;
        const char *method;
        /* where we are, for the refusal's sentence */
        enum { AT_PARAMS, AT_INPUT, AT_NODE, AT_OUTPUT } place;
        uint32_t index; /* of input or output */
        unsigned depth; /* loops around the current node */
        struct {
                uint32_t index;
                const char *op; /* NULL: not known yet */
        } nodes[TD_LOOP_DEPTH_MAX + 1]; /* the current one's loops, and itself at depth */
        uint32_t n_values; /* inputs and nodes so far */
        size_t n_bytes;    /* allocated so far */
        const struct nodes_source *source;
};

/* A map's values by key; NULL where the key was not given. */
struct decode_map {
        key_set given;
        const struct msgpack_object *values[N_KEYS];
};

/* The sentence is preceded by the place. Returns REQUEST_E_REFUSED. */
int decode_refuse(struct decode *decode, enum td_error_code code, const char *format, ...)
        __attribute__((format(printf, 3, 4)));
/* The same for a value of the wrong type: "<key> is <wanted>, not <what came>". */
int decode_refuse_type(struct decode *decode, const char *key, const char *wanted,
                       const struct msgpack_object *object);

/* n zeroed elements; NULL for no memory. n = 0 gives a valid pointer too. */
void *decode_alloc(struct decode *decode, size_t n, size_t size);

const char *key_name(enum wire_key key);

/* A map with only the keys of the two masks, all of the required ones, none twice. */
int decode_map(struct decode *decode, const struct msgpack_object *object, key_set required,
               key_set optional, struct decode_map *mapp);
/* An array of at most max elements. */
int decode_array(struct decode *decode, const char *key, const struct msgpack_object *object,
                 uint32_t max, uint32_t *np, const struct msgpack_object **elementsp);

int decode_bool(struct decode *decode, const char *key, const struct msgpack_object *object,
                bool *valuep);
int decode_uint(struct decode *decode, const char *key, const struct msgpack_object *object,
                uint64_t min, uint64_t max, uint64_t *valuep);
/* A uid. */
int decode_owner(struct decode *decode, const struct msgpack_object *object, uint32_t *ownerp);
int decode_int(struct decode *decode, const char *key, const struct msgpack_object *object,
               int64_t *valuep);
int decode_number(struct decode *decode, const char *key, const struct msgpack_object *object,
                  struct td_number *valuep);
/* Valid UTF-8 of at most max bytes without NUL; copied and terminated. */
int decode_str(struct decode *decode, const char *key, const struct msgpack_object *object,
               size_t max, const char **valuep);
/* A tensor's name: TD_E_BAD_NAME where it is none. */
int decode_name(struct decode *decode, const char *key, const struct msgpack_object *object,
                const char **valuep);
/* 16 bytes */
int decode_id(struct decode *decode, const char *key, const struct msgpack_object *object,
              uint8_t id[16]);
int decode_dtype(struct decode *decode, const struct msgpack_object *object, uint8_t *dtypep);
/* Integers, one per axis, at most TD_NDIM_MAX (else TD_E_RANK_LIMIT). */
int decode_extents(struct decode *decode, const char *key, const struct msgpack_object *object,
                   uint8_t *np, int64_t extents[TD_NDIM_MAX]);
/* The shape of a type whose dtype is set; td_check_type() has passed. */
int decode_shape(struct decode *decode, const struct msgpack_object *object, struct td_type *type);
/* "C", "F", or all axes of the type, which is known, the slowest first. */
int decode_order(struct decode *decode, const struct msgpack_object *object,
                 const struct td_type *type, uint8_t order[TD_NDIM_MAX]);
/* Exactly the bytes of the type, at most TD_INLINE_MAX; copied, aligned for any dtype. */
int decode_data(struct decode *decode, const struct msgpack_object *object,
                const struct td_type *type, const uint8_t **datap);
/* At most max numbers from 0 to UINT32_MAX. */
int decode_uint32s(struct decode *decode, const char *key, const struct msgpack_object *object,
                   uint32_t max, uint32_t *np, uint32_t **valuesp);
int decode_uint64s(struct decode *decode, const char *key, const struct msgpack_object *object,
                   uint64_t min, uint32_t max_n, uint32_t *np, uint64_t **valuesp);
/* A reference to a tensor from those of handle, name (with or without owner) and id that the map
 * has; *ref stays REF_NONE if there are none, more than one is refused. */
int decode_ref(struct decode *decode, const struct decode_map *map, key_set keys, struct ref *ref);

/* So many values more: a refusal if there are too many. */
int decode_count_values(struct decode *decode, uint32_t n);
/* "inputs" and "outputs" of run, define and call. */
int decode_inputs(struct decode *decode, const struct msgpack_object *object,
                  struct request *request);
int decode_outputs(struct decode *decode, const struct msgpack_object *object,
                   struct request *request);
/* "inputs" of infer: types alone, at most TD_ARGS_MAX. */
int decode_types(struct decode *decode, const struct msgpack_object *object,
                 struct request *request);
/* "view" of lease, which may be NULL: its only input. */
int decode_region(struct decode *decode, const struct msgpack_object *object,
                  struct request *request);
/*
 * The node list of a run or a definition, in a message that the scan accepted; false if there is
 * none to be found.
 */
bool nodes_find(const uint8_t *bytes, size_t n_bytes, struct nodes_source *source);
/* Has such a message no more values than that? Looks at no more of them. */
bool message_is_within(const uint8_t *bytes, size_t n_bytes, uint64_t n_values);
/* How many bytes stand before its parameters; 0: something is there that is no envelope. */
size_t message_find_params(const uint8_t *bytes, size_t n_bytes);

/* The program of a snapshot: no nodes, and what the request refers to is input and output. */
int decode_snapshot(struct decode *decode, struct request *request);
/* "inputs", "nodes" and "outputs" of run and define, "inputs" and "outputs" of call. */
int decode_program(struct decode *decode, const struct decode_map *map, struct request *request);
