/* SPDX-License-Identifier: MIT */
/*
 * What goes into a program, and what becomes of its results
 *
 * Form only, as of the program itself: whether a view lies inside of its tensor, or a tensor can be
 * written into, is for others to say.
 */
#include <errno.h>
#include <inttypes.h>
#include <msgpack.h>

#include "wire/decode.h"

/* ---- inputs ---- */

static int decode_view(struct decode *decode, const msgpack_object *object,
                       struct request_input *input)
{
        struct decode_map map;
        uint8_t n_strides;
        int r;

        r = decode_map(decode, object, KEY_BIT(SHAPE) | KEY_BIT(STRIDES) | KEY_BIT(OFFSET), 0,
                       &map);
        if (r)
                return r;
        r = decode_shape(decode, map.values[KEY_SHAPE], &input->type);
        if (r)
                return r;
        r = decode_extents(decode, "strides", map.values[KEY_STRIDES], &n_strides, input->strides);
        if (r)
                return r;
        if (n_strides != input->type.ndim)
                return decode_refuse(decode, TD_E_BAD_VIEW, "the view has %u strides for shape %s",
                                     n_strides, td_type_text(&input->type).s);
        input->has_view = true;
        return decode_int(decode, "offset", map.values[KEY_OFFSET], &input->offset);
}

static int decode_immediate(struct decode *decode, const struct decode_map *map,
                            struct request_input *input)
{
        int r;

        r = decode_dtype(decode, map->values[KEY_DTYPE], &input->type.dtype);
        if (r)
                return r;
        r = decode_shape(decode, map->values[KEY_SHAPE], &input->type);
        if (r)
                return r;
        if (map->values[KEY_ORDER]) {
                input->has_order = true;
                r = decode_order(decode, map->values[KEY_ORDER], &input->type, input->order);
                if (r)
                        return r;
        }
        return decode_data(decode, map->values[KEY_DATA], &input->type, &input->data);
}

/* Of a definition: what its calls will bring. */
static int decode_input_type(struct decode *decode, const msgpack_object *object,
                             struct request_input *input)
{
        struct decode_map map;
        int r;

        r = decode_map(decode, object, KEY_BIT(DTYPE) | KEY_BIT(SHAPE), 0, &map);
        if (r)
                return r;
        r = decode_dtype(decode, map.values[KEY_DTYPE], &input->type.dtype);
        return r ? r : decode_shape(decode, map.values[KEY_SHAPE], &input->type);
}

static int decode_input(struct decode *decode, const msgpack_object *object,
                        struct request_input *input)
{
        const key_set refs = KEY_BIT(HANDLE) | KEY_BIT(NAME) | KEY_BIT(ID) | KEY_BIT(OWNER);
        const key_set immediates = KEY_BIT(DTYPE) | KEY_BIT(SHAPE) | KEY_BIT(DATA);
        struct decode_map map;
        int r;

        r = decode_map(decode, object, 0,
                       refs | immediates | KEY_BIT(ORDER) | KEY_BIT(VIEW) | KEY_BIT(DONATE), &map);
        if (r)
                return r;
        if ((map.given & ~KEY_BIT(ORDER)) == immediates)
                return decode_immediate(decode, &map, input);
        if (!(map.given & refs) || (map.given & (immediates | KEY_BIT(ORDER))))
                return decode_refuse(decode, TD_E_BAD_ARGUMENTS,
                                     "an input has handle, name (and perhaps owner) or id, and "
                                     "perhaps view and donate; "
                                     "or dtype, shape and data, and perhaps order");
        r = decode_ref(decode, &map, refs, &input->ref);
        if (r)
                return r;
        if (map.values[KEY_DONATE]) {
                r = decode_bool(decode, "donate", map.values[KEY_DONATE], &input->donate);
                if (r)
                        return r;
                if (input->donate && input->ref.kind != REF_HANDLE)
                        return decode_refuse(decode, TD_E_BAD_ARGUMENTS,
                                             "donate is for a handle, which ends by it; a name or "
                                             "an id is not given away");
        }
        return map.values[KEY_VIEW] ? decode_view(decode, map.values[KEY_VIEW], input) : 0;
}

int decode_region(struct decode *decode, const msgpack_object *object, struct request *request)
{
        request->inputs = decode_alloc(decode, 1, sizeof(*request->inputs));
        if (!request->inputs)
                return -ENOMEM;
        request->n_inputs = 1;
        request->inputs[0].ref = request->ref;
        request->inputs[0].is_written = request->writable;
        return object ? decode_view(decode, object, request->inputs) : 0;
}

int decode_types(struct decode *decode, const msgpack_object *object, struct request *request)
{
        const msgpack_object *elements;
        int r;

        r = decode_array(decode, "inputs", object, TD_ARGS_MAX, &request->n_inputs, &elements);
        if (r)
                return r;
        request->inputs = decode_alloc(decode, request->n_inputs, sizeof(*request->inputs));
        if (!request->inputs)
                return -ENOMEM;
        for (uint32_t i = 0; i < request->n_inputs && !r; i++) {
                struct td_type *type = &request->inputs[i].type;
                struct decode_map map;

                r = decode_map(decode, &elements[i], KEY_BIT(DTYPE) | KEY_BIT(SHAPE), 0, &map);
                if (!r)
                        r = decode_dtype(decode, map.values[KEY_DTYPE], &type->dtype);
                if (!r)
                        r = decode_shape(decode, map.values[KEY_SHAPE], type);
        }
        return r;
}

int decode_inputs(struct decode *decode, const msgpack_object *object, struct request *request)
{
        const msgpack_object *elements;
        int r;

        r = decode_array(decode, "inputs", object, UINT32_MAX, &request->n_inputs, &elements);
        if (r)
                return r;
        r = decode_count_values(decode, request->n_inputs);
        if (r)
                return r;
        request->inputs = decode_alloc(decode, request->n_inputs, sizeof(*request->inputs));
        if (!request->inputs)
                return -ENOMEM;

        decode->place = AT_INPUT;
        for (uint32_t i = 0; i < request->n_inputs; i++) {
                decode->index = i;
                r = request->method == METHOD_DEFINE
                            ? decode_input_type(decode, &elements[i], &request->inputs[i])
                            : decode_input(decode, &elements[i], &request->inputs[i]);
                if (r)
                        return r;
        }
        decode->place = AT_PARAMS;
        request->program.block.n_inputs = request->n_inputs;
        return 0;
}

/* ---- outputs ---- */

/* Which value it is, a definition says, and what becomes of it, a call; a run says both. */
static int decode_into(struct decode *decode, const msgpack_object *object,
                       struct request_output *output)
{
        uint64_t into;
        int r;

        if (output->handle || output->name || output->replace)
                return decode_refuse(decode, TD_E_BAD_ARGUMENTS,
                                     "into is for a result without handle and name");
        output->has_into = true;
        r = decode_uint(decode, "into", object, 0, UINT32_MAX, &into);
        output->into = (uint32_t)into;
        return r;
}

static int decode_output(struct decode *decode, const msgpack_object *object, enum td_method method,
                         struct request_output *output, uint32_t *valuep)
{
        const key_set fates = KEY_BIT(HANDLE) | KEY_BIT(NAME) | KEY_BIT(REPLACE) | KEY_BIT(MAP) |
                              KEY_BIT(INTO) | KEY_BIT(EVICTABLE);
        struct decode_map map;
        uint64_t value = 0;
        int r;

        r = decode_map(decode, object, method == METHOD_CALL ? 0 : KEY_BIT(VALUE),
                       method == METHOD_DEFINE ? 0 : fates, &map);
        if (r)
                return r;
        if (map.values[KEY_VALUE]) {
                r = decode_uint(decode, "value", map.values[KEY_VALUE], 0, UINT32_MAX, &value);
                if (r)
                        return r;
        }
        *valuep = (uint32_t)value;
        if (map.values[KEY_HANDLE]) {
                r = decode_uint(decode, "handle", map.values[KEY_HANDLE], 1, UINT64_MAX,
                                &output->handle);
                if (r)
                        return r;
        }
        if (map.values[KEY_NAME]) {
                r = decode_name(decode, "name", map.values[KEY_NAME], &output->name);
                if (r)
                        return r;
        }
        if (map.values[KEY_REPLACE]) {
                r = decode_bool(decode, "replace", map.values[KEY_REPLACE], &output->replace);
                if (r)
                        return r;
        }
        if (map.values[KEY_EVICTABLE]) {
                r = decode_bool(decode, "evictable", map.values[KEY_EVICTABLE], &output->evictable);
                if (r)
                        return r;
        }
        if (output->evictable && !output->name)
                return decode_refuse(decode, TD_E_BAD_ARGUMENTS,
                                     "evictable is what has a name, and none is given");
        if (map.values[KEY_MAP]) {
                r = decode_bool(decode, "map", map.values[KEY_MAP], &output->map);
                if (r)
                        return r;
        }
        if (output->map && !output->handle)
                return decode_refuse(decode, TD_E_BAD_ARGUMENTS,
                                     "map wants a handle to hold what is mapped");
        return map.values[KEY_INTO] ? decode_into(decode, map.values[KEY_INTO], output) : 0;
}

/* One output an input, which is not immediate; it stays what it is otherwise. */
static int mark_written(struct decode *decode, const struct request_output *output,
                        struct request *request)
{
        struct request_input *input;

        if (!output->has_into)
                return 0;
        if (output->into >= request->n_inputs)
                return decode_refuse(decode, TD_E_BAD_ARGUMENTS,
                                     "into names input %" PRIu32 ", there are %" PRIu32,
                                     output->into, request->n_inputs);
        input = &request->inputs[output->into];
        if (input->ref.kind == REF_NONE || input->donate || input->is_written)
                return decode_refuse(decode, TD_E_BAD_ARGUMENTS,
                                     "into names input %" PRIu32 ", which is %s", output->into,
                                     input->donate       ? "donated"
                                     : input->is_written ? "written by another output"
                                                         : "no tensor of the daemon");
        input->is_written = true;
        return 0;
}

int decode_outputs(struct decode *decode, const msgpack_object *object, struct request *request)
{
        const msgpack_object *elements;
        bool has_into = false, has_name = false;
        uint32_t n;
        int r;

        r = decode_array(decode, "outputs", object, TD_OUTPUTS_MAX, &n, &elements);
        if (r)
                return r;
        request->outputs = decode_alloc(decode, n, sizeof(*request->outputs));
        request->program.outputs = decode_alloc(decode, n, sizeof(*request->program.outputs));
        if (!request->outputs || !request->program.outputs)
                return -ENOMEM;

        decode->place = AT_OUTPUT;
        for (uint32_t i = 0; i < n; i++) {
                decode->index = i;
                r = decode_output(decode, &elements[i], request->method, &request->outputs[i],
                                  &request->program.outputs[i]);
                if (!r)
                        r = mark_written(decode, &request->outputs[i], request);
                if (r)
                        return r;
        }
        decode->place = AT_PARAMS;
        request->program.n_outputs = n;
        for (uint32_t i = 0; i < n; i++) {
                has_into |= request->outputs[i].has_into;
                has_name |= request->outputs[i].name != NULL;
        }
        if (has_into && has_name)
                return decode_refuse(decode, TD_E_BAD_ARGUMENTS,
                                     "names are committed all at once or not at all, so no other "
                                     "result goes into a tensor");
        return 0;
}
