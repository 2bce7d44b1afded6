/* SPDX-License-Identifier: MIT */
#include "wire/decode.h"

#include <errno.h>
#include <inttypes.h>
#include <msgpack.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "wire/utf8.h"

static const char *const key_names[N_KEYS] = {
#define WIRE_KEY(sym, name) [KEY_##sym] = name,
#include "wire/keys.def"
#undef WIRE_KEY
};

/* By the length of their names. */
static key_set keys_of_size[UINT8_MAX + 1];

__attribute__((constructor)) static void keys_sort(void)
{
        for (unsigned key = 0; key < N_KEYS; key++)
                keys_of_size[(uint8_t)strlen(key_names[key])] |= (key_set)1 << key;
}

const char *key_name(enum wire_key key)
{
        return key_names[key];
}

/* ---- refusals ---- */

/* "node 3 (loop): node 2 of its body (add): " */
static int write_nodes(const struct decode *decode, char *out, size_t n_out)
{
        int n = 0;

        for (unsigned i = 0; i <= decode->depth; i++) {
                const char *op = decode->nodes[i].op;

                n += snprintf(out + n, n_out - (size_t)n,
                              "node %" PRIu32 "%s%s%s%s: ", decode->nodes[i].index,
                              i ? " of its body" : "", op ? " (" : "", op ? op : "", op ? ")" : "");
        }
        return n;
}

static size_t write_place(const struct decode *decode, char *out, size_t n_out)
{
        int n = snprintf(out, n_out, "%s: ", decode->method);

        out += n;
        n_out -= (size_t)n;
        if (decode->place == AT_NODE)
                n += write_nodes(decode, out, n_out);
        else if (decode->place != AT_PARAMS)
                n += snprintf(out, n_out, "%s %" PRIu32 ": ",
                              decode->place == AT_INPUT ? "input" : "output", decode->index);
        return (size_t)n;
}

int decode_refuse(struct decode *decode, enum td_error_code code, const char *format, ...)
{
        struct td_refusal *refusal = decode->refusal;
        size_t n = write_place(decode, refusal->message, sizeof(refusal->message));
        va_list args;

        refusal->code = code;
        refusal->node = decode->place == AT_NODE ? (int32_t)decode->nodes[0].index : -1;
        va_start(args, format);
        vsnprintf(refusal->message + n, sizeof(refusal->message) - n, format, args);
        va_end(args);
        return REQUEST_E_REFUSED;
}

static const char *type_name(const msgpack_object *object)
{
        switch (object->type) {
        case MSGPACK_OBJECT_NIL: return "nil";
        case MSGPACK_OBJECT_BOOLEAN: return "a bool";
        case MSGPACK_OBJECT_POSITIVE_INTEGER:
        case MSGPACK_OBJECT_NEGATIVE_INTEGER: return "an integer";
        case MSGPACK_OBJECT_FLOAT32:
        case MSGPACK_OBJECT_FLOAT64: return "a float";
        case MSGPACK_OBJECT_STR: return "a str";
        case MSGPACK_OBJECT_ARRAY: return "an array";
        case MSGPACK_OBJECT_MAP: return "a map";
        case MSGPACK_OBJECT_BIN:
        default: return "a bin"; /* the scan lets no other through */
        }
}

/* What a wrong form is called: within a program it is a wrong program. */
static enum td_error_code form_code(const struct decode *decode)
{
        return decode->place == AT_NODE ? TD_E_BAD_PROGRAM : TD_E_BAD_ARGUMENTS;
}

int decode_refuse_type(struct decode *decode, const char *key, const char *wanted,
                       const msgpack_object *object)
{
        return decode_refuse(decode, form_code(decode), "%s is %s, not %s", key, wanted,
                             type_name(object));
}

void *decode_alloc(struct decode *decode, size_t n, size_t size)
{
        size_t n_bytes = n * size; /* n is bounded by the message, size by our structs */
        void *memory = msgpack_zone_malloc(decode->zone, n_bytes ? n_bytes : 1);

        if (memory)
                memset(memory, 0, n_bytes);
        decode->n_bytes += n_bytes;
        return memory;
}

/* ---- containers ---- */

static int refuse_key(struct decode *decode, const msgpack_object *key)
{
        char text[64];

        if (key->type != MSGPACK_OBJECT_STR)
                return decode_refuse_type(decode, "a key", "a str", key);
        utf8_printable(text, sizeof(text), key->via.str.ptr, key->via.str.size);
        return decode_refuse(decode, form_code(decode), "there is no key \"%s\" here", text);
}

static int missing_key(struct decode *decode, key_set missing)
{
        return decode_refuse(decode, form_code(decode), "\"%s\" is missing",
                             key_name(key_first(missing)));
}

int decode_map(struct decode *decode, const msgpack_object *object, key_set required,
               key_set optional, struct decode_map *map)
{
        key_set allowed = required | optional;

        *map = (struct decode_map){ .given = 0 };
        if (object->type != MSGPACK_OBJECT_MAP)
                return decode_refuse(decode, form_code(decode), "a map is wanted here, not %s",
                                     type_name(object));

        for (uint32_t i = 0; i < object->via.map.size; i++) {
                const msgpack_object_kv *pair = &object->via.map.ptr[i];
                const uint32_t n_key = pair->key.via.str.size;
                key_set left;
                enum wire_key key;

                if (pair->key.type != MSGPACK_OBJECT_STR || n_key > UINT8_MAX)
                        return refuse_key(decode, &pair->key);
                for (left = allowed & keys_of_size[n_key]; left; left &= left - 1) {
                        key = key_first(left);
                        if (!memcmp(pair->key.via.str.ptr, key_names[key], n_key))
                                break;
                }
                if (!left)
                        return refuse_key(decode, &pair->key);
                if (map->values[key])
                        return decode_refuse(decode, form_code(decode), "\"%s\" is given twice",
                                             key_names[key]);
                map->values[key] = &pair->val;
                map->given |= (key_set)1 << key;
        }

        if (required & ~map->given)
                return missing_key(decode, required & ~map->given);
        return 0;
}

int decode_array(struct decode *decode, const char *key, const msgpack_object *object, uint32_t max,
                 uint32_t *np, const msgpack_object **elementsp)
{
        if (object->type != MSGPACK_OBJECT_ARRAY)
                return decode_refuse_type(decode, key, "an array", object);
        if (object->via.array.size > max)
                return decode_refuse(decode, form_code(decode),
                                     "%s has %" PRIu32 " elements, at most %" PRIu32 " are allowed",
                                     key, object->via.array.size, max);
        *np = object->via.array.size;
        *elementsp = object->via.array.ptr;
        return 0;
}

/* ---- scalars ---- */

int decode_bool(struct decode *decode, const char *key, const msgpack_object *object, bool *valuep)
{
        if (object->type != MSGPACK_OBJECT_BOOLEAN)
                return decode_refuse_type(decode, key, "a bool", object);
        *valuep = object->via.boolean;
        return 0;
}

int decode_uint(struct decode *decode, const char *key, const msgpack_object *object, uint64_t min,
                uint64_t max, uint64_t *valuep)
{
        if (object->type == MSGPACK_OBJECT_NEGATIVE_INTEGER)
                return decode_refuse(decode, form_code(decode),
                                     "%s is %" PRId64 ", from %" PRIu64 " to %" PRIu64 " is wanted",
                                     key, object->via.i64, min, max);
        if (object->type != MSGPACK_OBJECT_POSITIVE_INTEGER)
                return decode_refuse_type(decode, key, "an integer", object);
        if (object->via.u64 < min || object->via.u64 > max)
                return decode_refuse(decode, form_code(decode),
                                     "%s is %" PRIu64 ", from %" PRIu64 " to %" PRIu64 " is wanted",
                                     key, object->via.u64, min, max);
        *valuep = object->via.u64;
        return 0;
}

int decode_owner(struct decode *decode, const msgpack_object *object, uint32_t *ownerp)
{
        uint64_t owner;
        int r;

        /* (uid_t)-1 is nobody's */
        r = decode_uint(decode, "owner", object, 0, UINT32_MAX - 1, &owner);
        if (!r)
                *ownerp = (uint32_t)owner;
        return r;
}

int decode_int(struct decode *decode, const char *key, const msgpack_object *object,
               int64_t *valuep)
{
        if (object->type == MSGPACK_OBJECT_NEGATIVE_INTEGER) {
                *valuep = object->via.i64;
                return 0;
        }
        if (object->type != MSGPACK_OBJECT_POSITIVE_INTEGER)
                return decode_refuse_type(decode, key, "an integer", object);
        if (object->via.u64 > INT64_MAX)
                return decode_refuse(decode, form_code(decode),
                                     "%s is %" PRIu64 ", more than an int64 holds", key,
                                     object->via.u64);
        *valuep = (int64_t)object->via.u64;
        return 0;
}

/* [real, imaginary], floats or integers */
static int decode_complex(struct decode *decode, const char *key, const msgpack_object *object,
                          struct td_number *valuep)
{
        struct td_number part;

        if (object->via.array.size != 2)
                return decode_refuse_type(decode, key, "[real, imaginary]", object);
        valuep->kind = TD_KIND_COMPLEX;
        for (uint32_t i = 0; i < 2; i++) {
                int r;

                if (object->via.array.ptr[i].type == MSGPACK_OBJECT_ARRAY)
                        return decode_refuse_type(decode, key, "a part that is a float",
                                                  &object->via.array.ptr[i]);
                r = decode_number(decode, key, &object->via.array.ptr[i], &part);
                if (r)
                        return r;
                valuep->z[i] = part.kind == TD_KIND_FLOAT  ? part.d
                               : part.kind == TD_KIND_UINT ? (double)part.u
                                                           : (double)part.i;
        }
        return 0;
}

int decode_number(struct decode *decode, const char *key, const msgpack_object *object,
                  struct td_number *valuep)
{
        *valuep = (struct td_number){ .kind = TD_KIND_INT };
        switch (object->type) {
        case MSGPACK_OBJECT_FLOAT32:
        case MSGPACK_OBJECT_FLOAT64:
                valuep->kind = TD_KIND_FLOAT;
                valuep->d = object->via.f64;
                return 0;
        case MSGPACK_OBJECT_POSITIVE_INTEGER:
                if (object->via.u64 > INT64_MAX)
                        valuep->kind = TD_KIND_UINT;
                valuep->u = object->via.u64;
                return 0;
        case MSGPACK_OBJECT_NEGATIVE_INTEGER: valuep->i = object->via.i64; return 0;
        case MSGPACK_OBJECT_ARRAY: return decode_complex(decode, key, object, valuep);
        default:
                return decode_refuse_type(decode, key, "an integer, a float or [real, imaginary]",
                                          object);
        }
}

int decode_str(struct decode *decode, const char *key, const msgpack_object *object, size_t max,
               const char **valuep)
{
        const char *bytes = object->via.str.ptr;
        size_t n_bytes = object->via.str.size;
        char *copy;

        if (object->type != MSGPACK_OBJECT_STR)
                return decode_refuse_type(decode, key, "a str", object);
        if (n_bytes > max)
                return decode_refuse(decode, form_code(decode),
                                     "%s has %zu bytes, at most %zu are allowed", key, n_bytes,
                                     max);
        if (memchr(bytes, '\0', n_bytes) || utf8_valid_prefix(bytes, n_bytes) < n_bytes)
                return decode_refuse(decode, form_code(decode), "%s is not UTF-8 without NUL", key);

        copy = decode_alloc(decode, n_bytes + 1, 1);
        if (!copy)
                return -ENOMEM;
        memcpy(copy, bytes, n_bytes);
        *valuep = copy;
        return 0;
}

int decode_name(struct decode *decode, const char *key, const msgpack_object *object,
                const char **valuep)
{
        const char *bytes = object->via.str.ptr;
        size_t n_bytes = object->via.str.size;

        if (object->type != MSGPACK_OBJECT_STR)
                return decode_refuse_type(decode, key, "a str", object);
        if (n_bytes < 1 || n_bytes > TD_NAME_MAX)
                return decode_refuse(decode, TD_E_BAD_NAME, "%s has %zu bytes, 1 to %d are allowed",
                                     key, n_bytes, TD_NAME_MAX);
        if (utf8_valid_prefix(bytes, n_bytes) < n_bytes)
                return decode_refuse(decode, TD_E_BAD_NAME, "%s is not UTF-8", key);
        if (utf8_has_control(bytes, n_bytes)) {
                char text[64];

                utf8_printable(text, sizeof(text), bytes, n_bytes);
                return decode_refuse(decode, TD_E_BAD_NAME, "%s \"%s\" has control characters", key,
                                     text);
        }
        return decode_str(decode, key, object, TD_NAME_MAX, valuep);
}

int decode_id(struct decode *decode, const char *key, const msgpack_object *object, uint8_t id[16])
{
        if (object->type != MSGPACK_OBJECT_BIN)
                return decode_refuse_type(decode, key, "a bin of 16 bytes", object);
        if (object->via.bin.size != 16)
                return decode_refuse(decode, form_code(decode),
                                     "%s has %" PRIu32 " bytes, 16 are wanted", key,
                                     object->via.bin.size);
        memcpy(id, object->via.bin.ptr, 16);
        return 0;
}

/* ---- dtypes, shapes, data ---- */

int decode_dtype(struct decode *decode, const msgpack_object *object, uint8_t *dtypep)
{
        static const char supported[] = ""
#define TD_DTYPE(sym, name, kind, ctype, size, npy) " " name
#include "tensord/dtypes.def"
#undef TD_DTYPE
                ;
        char text[64];
        int dtype;

        if (object->type != MSGPACK_OBJECT_STR)
                return decode_refuse_type(decode, "dtype", "a str", object);
        dtype = td_dtype_find(object->via.str.ptr, object->via.str.size);
        if (dtype < 0) {
                utf8_printable(text, sizeof(text), object->via.str.ptr, object->via.str.size);
                return decode_refuse(decode, TD_E_UNSUPPORTED_DTYPE,
                                     "dtype \"%s\" is not supported; these are:%s", text,
                                     supported);
        }
        *dtypep = (uint8_t)dtype;
        return 0;
}

int decode_extents(struct decode *decode, const char *key, const msgpack_object *object,
                   uint8_t *np, int64_t extents[TD_NDIM_MAX])
{
        const msgpack_object *elements;
        uint32_t n;
        int r;

        r = decode_array(decode, key, object, UINT32_MAX, &n, &elements);
        if (r)
                return r;
        if (n > TD_NDIM_MAX)
                return decode_refuse(decode, TD_E_RANK_LIMIT,
                                     "%s has %" PRIu32
                                     " entries, at most %d dimensions are allowed",
                                     key, n, TD_NDIM_MAX);
        for (uint32_t i = 0; i < n; i++) {
                r = decode_int(decode, key, &elements[i], &extents[i]);
                if (r)
                        return r;
        }
        *np = (uint8_t)n;
        return 0;
}

int decode_shape(struct decode *decode, const msgpack_object *object, struct td_type *type)
{
        struct td_refusal refusal;
        int r;

        r = decode_extents(decode, "shape", object, &type->ndim, type->shape);
        if (r)
                return r;
        r = td_check_type(type, &refusal);
        if (r)
                return decode_refuse(decode, refusal.code, "%s", refusal.message);
        return 0;
}

static bool is_text(const msgpack_object *object, const char *text)
{
        return object->type == MSGPACK_OBJECT_STR &&
               td_is_name(text, object->via.str.ptr, object->via.str.size);
}

int decode_order(struct decode *decode, const msgpack_object *object, const struct td_type *type,
                 uint8_t order[TD_NDIM_MAX])
{
        const unsigned ndim = type->ndim;
        const bool is_f = is_text(object, "F");
        int64_t axes[TD_NDIM_MAX];
        uint32_t seen = 0;
        uint8_t n = 0;
        int r;

        for (unsigned d = 0; d < ndim; d++)
                order[d] = (uint8_t)(is_f ? ndim - 1 - d : d);
        if (is_f || is_text(object, "C"))
                return 0;
        if (object->type != MSGPACK_OBJECT_ARRAY)
                return decode_refuse(decode, TD_E_BAD_ARGUMENTS,
                                     "order is \"C\", \"F\" or an array of axes");
        r = decode_extents(decode, "order", object, &n, axes);
        if (r)
                return r;
        for (unsigned i = 0; i < n && n == ndim; i++) {
                if (axes[i] < 0 || axes[i] >= ndim)
                        break;
                seen |= 1u << axes[i];
                order[i] = (uint8_t)axes[i];
        }
        if (n != ndim || seen != (1u << ndim) - 1)
                return decode_refuse(decode, TD_E_BAD_AXIS,
                                     "order names each axis of shape %s once",
                                     td_type_text(type).s);
        return 0;
}

int decode_data(struct decode *decode, const msgpack_object *object, const struct td_type *type,
                const uint8_t **datap)
{
        uint64_t n_wanted = (uint64_t)td_type_n_bytes(type);
        uint8_t *copy;

        if (object->type != MSGPACK_OBJECT_BIN)
                return decode_refuse_type(decode, "data", "a bin", object);
        if (n_wanted > TD_INLINE_MAX)
                return decode_refuse(
                        decode, TD_E_TOO_LARGE_INLINE,
                        "shape %s of %s has %" PRIu64
                        " bytes, at most %d travel in a message; create, write, seal instead",
                        td_type_text(type).s, td_dtype_name(type->dtype), n_wanted, TD_INLINE_MAX);
        if (object->via.bin.size != n_wanted)
                return decode_refuse(decode, TD_E_BAD_ARGUMENTS,
                                     "data has %" PRIu32 " bytes, shape %s of %s wants %" PRIu64,
                                     object->via.bin.size, td_type_text(type).s,
                                     td_dtype_name(type->dtype), n_wanted);
        copy = decode_alloc(decode, n_wanted, 1);
        if (!copy)
                return -ENOMEM;
        if (n_wanted)
                memcpy(copy, object->via.bin.ptr, n_wanted);
        *datap = copy;
        return 0;
}

/* ---- lists of numbers ---- */

int decode_uint32s(struct decode *decode, const char *key, const msgpack_object *object,
                   uint32_t max, uint32_t *np, uint32_t **valuesp)
{
        const msgpack_object *elements;
        uint32_t *values;
        uint64_t value;
        int r;

        r = decode_array(decode, key, object, max, np, &elements);
        if (r)
                return r;
        values = decode_alloc(decode, *np, sizeof(*values));
        if (!values)
                return -ENOMEM;
        for (uint32_t i = 0; i < *np; i++) {
                r = decode_uint(decode, key, &elements[i], 0, UINT32_MAX, &value);
                if (r)
                        return r;
                values[i] = (uint32_t)value;
        }
        *valuesp = values;
        return 0;
}

int decode_uint64s(struct decode *decode, const char *key, const msgpack_object *object,
                   uint64_t min, uint32_t max_n, uint32_t *np, uint64_t **valuesp)
{
        const msgpack_object *elements;
        uint64_t *values;
        int r;

        r = decode_array(decode, key, object, max_n, np, &elements);
        if (r)
                return r;
        values = decode_alloc(decode, *np, sizeof(*values));
        if (!values)
                return -ENOMEM;
        for (uint32_t i = 0; i < *np; i++) {
                r = decode_uint(decode, key, &elements[i], min, UINT64_MAX, &values[i]);
                if (r)
                        return r;
        }
        *valuesp = values;
        return 0;
}

/* ---- references ---- */

int decode_ref(struct decode *decode, const struct decode_map *map, key_set keys, struct ref *ref)
{
        key_set given = map->given & keys & ~KEY_BIT(OWNER);

        *ref = (struct ref){ .kind = REF_NONE };
        ref->has_owner = map->given & keys & KEY_BIT(OWNER);
        if (ref->has_owner && given != KEY_BIT(NAME))
                return decode_refuse(decode, form_code(decode),
                                     "owner wants the name that is owned");
        if (ref->has_owner && decode_owner(decode, map->values[KEY_OWNER], &ref->owner))
                return REQUEST_E_REFUSED;
        if (!given)
                return 0;
        if (given & (given - 1))
                return decode_refuse(decode, form_code(decode),
                                     "only one of handle, name and id may say which tensor");

        if (given == KEY_BIT(HANDLE)) {
                ref->kind = REF_HANDLE;
                return decode_uint(decode, "handle", map->values[KEY_HANDLE], 1, UINT64_MAX,
                                   &ref->handle);
        }
        if (given == KEY_BIT(NAME)) {
                ref->kind = REF_NAME;
                return decode_name(decode, "name", map->values[KEY_NAME], &ref->name);
        }
        ref->kind = REF_ID;
        return decode_id(decode, "id", map->values[KEY_ID], ref->id);
}
