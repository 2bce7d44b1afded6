/* SPDX-License-Identifier: MIT */
/*
 * Programs from the wire
 *
 * Form only: types, ranges, counts that limits.h states, loops nested no deeper than
 * TD_LOOP_DEPTH_MAX. Whether value numbers mean anything and attributes fit their operation is
 * infer.h's to say. Every array is as long as the struct says, and a node has a loop exactly if its
 * operation is one: inference may rely on that and on nothing else.
 */
#include <errno.h>
#include <inttypes.h>
#include <msgpack.h>

#include "wire/decode.h"
#include "wire/utf8.h"

#define KEYS_LOOP_REQUIRED (KEY_BIT(STEPS) | KEY_BIT(CAPTURES) | KEY_BIT(BODY) | KEY_BIT(RESULTS))
#define KEYS_WHILE (KEY_BIT(MAX_STEPS) | KEY_BIT(CAPTURES) | KEY_BIT(BODY) | KEY_BIT(RESULTS))
#define KEYS_LOOP_OPTIONAL (KEY_BIT(WATCH) | KEY_BIT(EVERY) | KEY_BIT(AT))

/* Chunks of a program's memory: as large as the allocator's quickest path takes. */
#define NODES_CHUNK 1000

int decode_count_values(struct decode *decode, uint32_t n)
{
        decode->n_values += n; /* n is bounded by the message: no overflow */
        if (decode->n_values > TD_VALUES_MAX)
                return decode_refuse(decode, TD_E_BAD_PROGRAM,
                                     "the program has more than %d inputs and nodes",
                                     TD_VALUES_MAX);
        return 0;
}

/* ---- attributes ---- */

static int decode_axes(struct decode *decode, const char *name, const msgpack_object *object,
                       uint8_t *np, int16_t *axes)
{
        const msgpack_object *elements;
        uint32_t n;
        int64_t axis;
        int r;

        r = decode_array(decode, name, object, UINT32_MAX, &n, &elements);
        if (r)
                return r;
        if (n > TD_NDIM_MAX)
                return decode_refuse(decode, TD_E_BAD_AXIS,
                                     "%s has %" PRIu32 " entries, at most %d are allowed", name, n,
                                     TD_NDIM_MAX);
        for (uint32_t i = 0; i < n; i++) {
                r = decode_int(decode, name, &elements[i], &axis);
                if (r)
                        return r;
                if (axis < INT16_MIN || axis > INT16_MAX)
                        return decode_refuse(decode, TD_E_BAD_AXIS,
                                             "axis %" PRId64 " is out of range", axis);
                axes[i] = (int16_t)axis;
        }
        *np = (uint8_t)n;
        return 0;
}

static int decode_range(struct decode *decode, const char *name, const msgpack_object *object,
                        struct td_number *range)
{
        const msgpack_object *elements;
        uint32_t n;
        int r;

        r = decode_array(decode, name, object, 3, &n, &elements);
        if (r)
                return r;
        if (n != 3)
                return decode_refuse(decode, TD_E_BAD_PROGRAM,
                                     "%s has %" PRIu32 " elements, start, stop and step are wanted",
                                     name, n);
        for (uint32_t i = 0; i < 3; i++) {
                r = decode_number(decode, name, &elements[i], &range[i]);
                if (r)
                        return r;
        }
        return 0;
}

/* Integers beside floats; a complex one is no float. */
static int decode_float(struct decode *decode, const char *name, const msgpack_object *object,
                        double *valuep)
{
        struct td_number number;
        int r;

        r = decode_number(decode, name, object, &number);
        if (r)
                return r;
        if (number.kind == TD_KIND_COMPLEX)
                return decode_refuse(decode, TD_E_BAD_PROGRAM, "%s is complex, a float is wanted",
                                     name);
        *valuep = number.kind == TD_KIND_FLOAT  ? number.d
                  : number.kind == TD_KIND_UINT ? (double)number.u
                                                : (double)number.i;
        return 0;
}

/* Extents may be negative (reshape has a -1): they are inference's to check. */
static int decode_attr(struct decode *decode, unsigned bit, const msgpack_object *object,
                       struct td_attrs *attrs)
{
        const struct td_attr_info *info = td_attr_info(bit);
        void *field = td_attr_field(attrs, bit);
        uint8_t *count = td_attr_count(attrs, bit);

        attrs->set |= 1u << bit;
        switch (info->form) {
        case TD_FORM_DTYPE:
                return decode_dtype(decode, object, field);
        case TD_FORM_EXTENTS:
                return decode_extents(decode, info->name, object, count, field);
        case TD_FORM_AXES:
                return decode_axes(decode, info->name, object, count, field);
        case TD_FORM_BOOL:
                return decode_bool(decode, info->name, object, field);
        case TD_FORM_INT:
                return decode_int(decode, info->name, object, field);
        case TD_FORM_FLOAT:
                return decode_float(decode, info->name, object, field);
        case TD_FORM_NUMBER:
                return decode_number(decode, info->name, object, field);
        case TD_FORM_RANGE:
        default: /* there is no other */
                return decode_range(decode, info->name, object, field);
        }
}

static int decode_attrs(struct decode *decode, const msgpack_object *object, struct td_attrs *attrs)
{
        static const enum wire_key keys[] = {
#define TD_ATTRIBUTE(sym, ...) KEY_##sym,
#include "tensord/attrs.def"
#undef TD_ATTRIBUTE
        };
        const key_set known =
#define TD_ATTRIBUTE(sym, ...) KEY_BIT(sym) |
#include "tensord/attrs.def"
#undef TD_ATTRIBUTE
                0;
        struct decode_map map;
        int r;

        r = decode_map(decode, object, 0, known, &map);
        for (unsigned bit = 0; map.given && bit < TD_N_ATTRS && !r; bit++)
                if (map.values[keys[bit]])
                        r = decode_attr(decode, bit, map.values[keys[bit]], attrs);
        return r;
}

/* ---- nodes ---- */

static int decode_nodes(struct decode *decode, const char *key, const msgpack_object *object,
                        unsigned depth, struct td_block *block);

static int decode_watch(struct decode *decode, const struct decode_map *map, struct td_loop *loop)
{
        bool has_every = map->values[KEY_EVERY], has_at = map->values[KEY_AT];
        uint64_t every;
        int r;

        if (!map->values[KEY_WATCH]) {
                if (has_every || has_at)
                        return decode_refuse(
                                decode, TD_E_BAD_PROGRAM,
                                "every and at say when to watch, but watch is missing");
                return 0;
        }
        if (has_every == has_at)
                return decode_refuse(decode, TD_E_BAD_PROGRAM, "watch wants either every or at");

        r = decode_uint32s(decode, "watch", map->values[KEY_WATCH], TD_RESULTS_MAX, &loop->n_watch,
                           &loop->watch);
        if (r)
                return r;
        if (has_every) {
                r = decode_uint(decode, "every", map->values[KEY_EVERY], 1, INT64_MAX, &every);
                loop->every = (int64_t)every;
        } else {
                uint64_t *steps;

                r = decode_uint64s(decode, "at", map->values[KEY_AT], 1, UINT32_MAX, &loop->n_at,
                                   &steps);
                if (r)
                        return r;
                for (uint32_t i = 0; i < loop->n_at; i++)
                        if (steps[i] > INT64_MAX)
                                return decode_refuse(decode, TD_E_BAD_PROGRAM,
                                                     "at names step %" PRIu64
                                                     ", more than an int64 holds",
                                                     steps[i]);
                loop->at = (int64_t *)steps;
        }
        return r;
}

static int decode_loop(struct decode *decode, const struct decode_map *map, struct td_node *node)
{
        const unsigned depth = decode->depth;
        struct td_loop *loop;
        uint64_t n_steps, n_captures;
        int r;

        if (depth == TD_LOOP_DEPTH_MAX)
                return decode_refuse(decode, TD_E_BAD_PROGRAM, "loops are nested at most %d deep",
                                     TD_LOOP_DEPTH_MAX);
        loop = decode_alloc(decode, 1, sizeof(*loop));
        if (!loop)
                return -ENOMEM;
        loop->is_while = node->op == TD_OP_WHILE;
        r = loop->is_while
                    ? decode_uint(decode, "max_steps", map->values[KEY_MAX_STEPS], 0, INT64_MAX,
                                  &n_steps)
                    : decode_uint(decode, "steps", map->values[KEY_STEPS], 0, INT64_MAX, &n_steps);
        if (r)
                return r;
        r = decode_uint(decode, "captures", map->values[KEY_CAPTURES], 0, node->n_args,
                        &n_captures);
        if (r)
                return r;
        r = decode_uint32s(decode, "results", map->values[KEY_RESULTS], TD_RESULTS_MAX,
                           &loop->n_results, &loop->results);
        if (r)
                return r;
        r = decode_watch(decode, map, loop);
        if (r)
                return r;

        loop->n_steps = (int64_t)n_steps;
        loop->n_captures = (uint32_t)n_captures;
        loop->body.n_inputs = node->n_args +
                              1; /* the captured ones, the step's number, the carried ones */
        node->attrs.set |= TD_ATTR_LOOP;
        node->loop = loop;

        r = decode_nodes(decode, "body", map->values[KEY_BODY], depth + 1, &loop->body);
        decode->depth = depth;
        return r;
}

/* "user.NAME": which kernel that is, if any, is for others to know. */
static int decode_user(struct decode *decode, const msgpack_object *object, size_t n_user,
                       struct td_node *node)
{
        const char *name;
        int r = decode_str(decode, "an operation", object, TD_NAME_MAX, &name);

        if (r)
                return r;
        node->name = name + n_user;
        node->op = TD_OP_USER;
        decode->nodes[decode->depth].op = td_op_name(TD_OP_USER);
        return 0;
}

static int decode_op(struct decode *decode, const msgpack_object *object, struct td_node *node)
{
        static const char user[] = "user.";
        const size_t n_user = sizeof(user) - 1;
        char text[64];
        int op;

        if (object->type != MSGPACK_OBJECT_STR)
                return decode_refuse_type(decode, "an operation", "a str", object);
        if (object->via.str.size > n_user && memcmp(object->via.str.ptr, user, n_user) == 0)
                return decode_user(decode, object, n_user, node);
        op = td_op_find(object->via.str.ptr, object->via.str.size);
        if (op < 0) {
                utf8_printable(text, sizeof(text), object->via.str.ptr, object->via.str.size);
                return decode_refuse(decode, TD_E_UNKNOWN_OP, "there is no operation \"%s\"", text);
        }
        node->op = (enum td_op)op;
        decode->nodes[decode->depth].op = td_op_name((unsigned)op);
        return 0;
}

static int decode_node(struct decode *decode, const msgpack_object *object, struct td_node *node)
{
        const msgpack_object *elements;
        struct decode_map map;
        uint32_t n;
        int r;

        r = decode_array(decode, "a node", object, 3, &n, &elements);
        if (r)
                return r;
        if (n != 3)
                return decode_refuse(decode, TD_E_BAD_PROGRAM,
                                     "a node is [operation, values, attributes]");
        r = decode_op(decode, &elements[0], node);
        if (r)
                return r;
        r = decode_uint32s(decode, "values", &elements[1], TD_ARGS_MAX, &node->n_args, &node->args);
        if (r)
                return r;

        if (!td_op_has_body(node->op))
                return decode_attrs(decode, &elements[2], &node->attrs);
        if (node->op == TD_OP_WHILE)
                r = decode_map(decode, &elements[2], KEYS_WHILE, 0, &map);
        else
                r = decode_map(decode, &elements[2], KEYS_LOOP_REQUIRED, KEYS_LOOP_OPTIONAL, &map);
        return r ? r : decode_loop(decode, &map, node);
}

static int decode_nodes(struct decode *decode, const char *key, const msgpack_object *object,
                        unsigned depth, struct td_block *block)
{
        const msgpack_object *elements;
        int r;

        r = decode_array(decode, key, object, UINT32_MAX, &block->n_nodes, &elements);
        if (r)
                return r;
        r = decode_count_values(decode, block->n_nodes);
        if (r)
                return r;
        block->nodes = decode_alloc(decode, block->n_nodes, sizeof(*block->nodes));
        if (!block->nodes)
                return -ENOMEM;
        for (uint32_t i = 0; i < block->n_nodes; i++) {
                decode->place = AT_NODE;
                decode->depth = depth;
                decode->nodes[depth].index = i;
                decode->nodes[depth].op = NULL;
                r = decode_node(decode, &elements[i], &block->nodes[i]);
                if (r)
                        return r;
        }
        if (depth == 0)
                decode->place = AT_PARAMS;
        return 0;
}

/* ---- programs ---- */

/* Decoded into memory of their own, so that they outlive the request. */
static int read_nodes(struct decode *decode, const msgpack_object *object, struct nodes **nodesp)
{
        msgpack_zone *zone = msgpack_zone_new(NODES_CHUNK), *outer_zone = decode->zone;
        size_t n_outer_bytes = decode->n_bytes;
        uint32_t n_outer_values = decode->n_values;
        struct td_block block = { .n_inputs = 0 };
        struct nodes *nodes;
        int r;

        if (!zone)
                return -ENOMEM;
        decode->zone = zone;
        r = decode_nodes(decode, "nodes", object, 0, &block);
        decode->zone = outer_zone;
        if (r) {
                msgpack_zone_free(zone);
                return r;
        }
        nodes = nodes_new(zone, decode->n_bytes - n_outer_bytes);
        if (!nodes)
                return -ENOMEM;
        nodes->n_nodes = block.n_nodes;
        nodes->nodes = block.nodes;
        nodes->n_values = decode->n_values - n_outer_values;
        *nodesp = nodes;
        return 0;
}

/* The nodes of a message: those decoded before from the same bytes, else new ones. */
static int find_nodes(struct decode *decode, const msgpack_object *object, struct request *request)
{
        const struct nodes_source *source = decode->source;
        msgpack_object unpacked;
        struct nodes *nodes = NULL;
        int r;

        if (source->bytes && source->cache)
                nodes = nodes_cache_find(source->cache, source->bytes, source->n_bytes);
        if (nodes) {
                request->nodes = nodes_ref(nodes);
                decode->n_bytes += nodes->n_bytes;
                return decode_count_values(decode, nodes->n_values);
        }
        if (source->bytes) {
                r = source->unpack(source, &unpacked);
                if (r)
                        return r;
                object = &unpacked;
        }
        r = read_nodes(decode, object, &request->nodes);
        if (!r && source->bytes && source->cache)
                nodes_cache_add(source->cache, request->nodes, source->bytes, source->n_bytes);
        return r;
}

static int decode_definition(struct decode *decode, const struct decode_map *map,
                             struct request *request)
{
        return decode_uint(decode, "definition", map->values[KEY_DEFINITION], 1, UINT64_MAX,
                           &request->definition);
}

int decode_program(struct decode *decode, const struct decode_map *map, struct request *request)
{
        struct td_block *block = &request->program.block;
        int r;

        if (map->values[KEY_DEFINITION]) {
                r = decode_definition(decode, map, request);
                if (r)
                        return r;
        }
        r = decode_inputs(decode, map->values[KEY_INPUTS], request);
        if (r)
                return r;
        if (map->values[KEY_NODES]) {
                r = find_nodes(decode, map->values[KEY_NODES], request);
                if (r)
                        return r;
                block->n_nodes = request->nodes->n_nodes;
                block->nodes = request->nodes->nodes;
        }
        return decode_outputs(decode, map->values[KEY_OUTPUTS], request);
}

int decode_snapshot(struct decode *decode, struct request *request)
{
        static const msgpack_object nothing = { .type = MSGPACK_OBJECT_ARRAY };
        struct td_program *program = &request->program;
        int r;

        if (!request->handle && !request->name)
                return decode_refuse(decode, TD_E_BAD_ARGUMENTS,
                                     "wants result (a handle), as (a name), or both");
        if (request->map && !request->handle)
                return decode_refuse(decode, TD_E_BAD_ARGUMENTS,
                                     "map wants a handle to hold what is mapped");
        request->inputs = decode_alloc(decode, 1, sizeof(*request->inputs));
        request->outputs = decode_alloc(decode, 1, sizeof(*request->outputs));
        program->outputs = decode_alloc(decode, 1, sizeof(*program->outputs));
        if (!request->inputs || !request->outputs || !program->outputs)
                return -ENOMEM;
        r = read_nodes(decode, &nothing, &request->nodes);
        if (r)
                return r;
        request->n_inputs = program->block.n_inputs = program->n_outputs = 1;
        request->inputs[0].ref = request->ref;
        request->outputs[0] = (struct request_output){ .handle = request->handle,
                                                       .name = request->name,
                                                       .replace = request->replace,
                                                       .evictable = request->evictable,
                                                       .map = request->map };
        return 0;
}
