/* SPDX-License-Identifier: MIT */
/*
 * Order
 *
 * A signed integer becomes a key by turning its sign bit, a float also by turning all bits if it is
 * negative. A descending key is the complement. Keys of narrow dtypes are small numbers; both of a
 * complex64 are one.
 */
#include "compute/sort/order.h"

#include <assert.h>
#include <string.h>

#include "compute/sort/items.h"

#define SIGN(T) ((T)1 << (sizeof(T) * 8 - 1))

static inline uint64_t key_truth(uint8_t value)
{
        return value != 0;
}

static inline uint8_t value_truth(uint64_t key)
{
        return (uint8_t)key;
}

#define KEY_INTEGER(name, T, U, sign)                                                              \
        static inline uint64_t key_##name(T value)                                                 \
        {                                                                                          \
                return (U)((U)value ^ (sign));                                                     \
        }                                                                                          \
                                                                                                   \
        static inline T value_##name(uint64_t key)                                                 \
        {                                                                                          \
                return (T)((U)key ^ (sign));                                                       \
        }

KEY_INTEGER(int8, int8_t, uint8_t, SIGN(uint8_t))
KEY_INTEGER(int16, int16_t, uint16_t, SIGN(uint16_t))
KEY_INTEGER(int32, int32_t, uint32_t, SIGN(uint32_t))
KEY_INTEGER(int64, int64_t, uint64_t, SIGN(uint64_t))
KEY_INTEGER(uint8, uint8_t, uint8_t, 0)
KEY_INTEGER(uint16, uint16_t, uint16_t, 0)
KEY_INTEGER(uint32, uint32_t, uint32_t, 0)
KEY_INTEGER(uint64, uint64_t, uint64_t, 0)

/* Adding 0.0 makes -0.0 a 0.0, and nothing else another. */
#define KEY_FLOAT(name, T, U)                                                                      \
        static inline uint64_t key_##name(T value)                                                 \
        {                                                                                          \
                U bits;                                                                            \
                                                                                                   \
                value += 0;                                                                        \
                memcpy(&bits, &value, sizeof(bits));                                               \
                return (U)(bits ^ ((U)(0 - (bits >> (sizeof(U) * 8 - 1))) | SIGN(U)));             \
        }                                                                                          \
                                                                                                   \
        static inline T value_##name(uint64_t key)                                                 \
        {                                                                                          \
                U bits = (U)key;                                                                   \
                T value;                                                                           \
                                                                                                   \
                bits ^= (U)((bits >> (sizeof(U) * 8 - 1)) - 1) | SIGN(U);                          \
                memcpy(&value, &bits, sizeof(value));                                              \
                return value;                                                                      \
        }

KEY_FLOAT(float32, float, uint32_t)
KEY_FLOAT(float64, double, uint64_t)

#define MASK(size) (UINT64_MAX >> (64 - 8 * (size)))

/* flip: complement of keys that are descending. NaN: all bits. */
#define ORDER(name, way, T, size, flip, is_nan)                                                    \
        static void load_##name##way(size_t n, void *out, const void *in, ptrdiff_t stride)        \
        {                                                                                          \
                const char *p = in;                                                                \
                uint64_t *keys = out;                                                              \
                                                                                                   \
                for (size_t i = 0; i < n; i++, p += stride) {                                      \
                        uint64_t key;                                                              \
                        T value;                                                                   \
                                                                                                   \
                        memcpy(&value, p, sizeof(value));                                          \
                        key = key_##name(value) ^ (flip);                                          \
                        keys[i] = (is_nan) ? MASK(size) : key;                                     \
                }                                                                                  \
        }                                                                                          \
                                                                                                   \
        static void store_##name##way(size_t n, char *out, ptrdiff_t stride, const uint64_t *keys) \
        {                                                                                          \
                for (size_t i = 0; i < n; i++, out += stride) {                                    \
                        T value = value_##name(keys[i] ^ (flip));                                  \
                                                                                                   \
                        memcpy(out, &value, sizeof(value));                                        \
                }                                                                                  \
        }

#define BOTH_WAYS(name, T, size, is_nan)                                                           \
        ORDER(name, _up, T, size, UINT64_C(0), is_nan)                                             \
        ORDER(name, _down, T, size, MASK(size), is_nan)

BOTH_WAYS(int8, int8_t, 1, false)
BOTH_WAYS(int16, int16_t, 2, false)
BOTH_WAYS(int32, int32_t, 4, false)
BOTH_WAYS(int64, int64_t, 8, false)
BOTH_WAYS(uint8, uint8_t, 1, false)
BOTH_WAYS(uint16, uint16_t, 2, false)
BOTH_WAYS(uint32, uint32_t, 4, false)
BOTH_WAYS(uint64, uint64_t, 8, false)
BOTH_WAYS(float32, float, 4, value != value)
BOTH_WAYS(float64, double, 8, value != value)
ORDER(truth, _up, uint8_t, 1, UINT64_C(0), false)
ORDER(truth, _down, uint8_t, 1, UINT64_C(1), false)

/* key: of the parts of a complex number. */
#define LOAD_COMPLEX(name, T, key)                                                                 \
        static void load_##name(size_t n, void *out, const void *in, ptrdiff_t stride)             \
        {                                                                                          \
                const char *p = in;                                                                \
                uint64_t *keys = out;                                                              \
                                                                                                   \
                for (size_t i = 0; i < n; i++, p += stride) {                                      \
                        T re, im;                                                                  \
                                                                                                   \
                        memcpy(&re, p, sizeof(re));                                                \
                        memcpy(&im, p + sizeof(re), sizeof(im));                                   \
                        keys[i] = re != re || im != im ? UINT64_MAX : (key);                       \
                }                                                                                  \
        }

LOAD_COMPLEX(complex64, float, key_float32(re) << 32 | key_float32(im))
LOAD_COMPLEX(complex128, double, key_float64(re))
LOAD_COMPLEX(complex128_minor, double, key_float64(im))

#define ROW(name, way, size, nan_key, zero_key)                                                    \
        {                                                                                          \
                load_##name##way, NULL, store_##name##way, nan_key, zero_key, size                 \
        }
#define ROWS(name, size)                                                                           \
        {                                                                                          \
                ROW(name, _up, size, 0, 0), ROW(name, _down, size, 0, 0)                           \
        }
#define FLOAT_ROWS(name, size)                                                                     \
        {                                                                                          \
                ROW(name, _up, size, MASK(size), UINT64_C(1) << (8 * (size)-1)),                   \
                        ROW(name, _down, size, MASK(size), MASK(size) >> 1)                        \
        }

const struct order *order_of(unsigned dtype, bool is_descending)
{
        static const struct order rows[TD_N_DTYPES][2] = {
                [TD_BOOL] = ROWS(truth, 1),
                [TD_INT8] = ROWS(int8, 1),
                [TD_INT16] = ROWS(int16, 2),
                [TD_INT32] = ROWS(int32, 4),
                [TD_INT64] = ROWS(int64, 8),
                [TD_UINT8] = ROWS(uint8, 1),
                [TD_UINT16] = ROWS(uint16, 2),
                [TD_UINT32] = ROWS(uint32, 4),
                [TD_UINT64] = ROWS(uint64, 8),
                [TD_FLOAT32] = FLOAT_ROWS(float32, 4),
                [TD_FLOAT64] = FLOAT_ROWS(float64, 8),
                [TD_COMPLEX64] = { { load_complex64, NULL, NULL, UINT64_MAX, 0, 8 } },
                [TD_COMPLEX128] = { { load_complex128, load_complex128_minor, NULL, UINT64_MAX, 0,
                                      16 } },
        };

        assert(rows[dtype][is_descending].load);
        return &rows[dtype][is_descending];
}

void order_restore(const struct source *source, const struct order_restore *to)
{
        enum { TILE = 512 };
        const struct order *order = source->order;
        const size_t size = order->item_size;
        kernel_load *copy = items_copy(size == 8 ? TD_FLOAT64 : TD_FLOAT32);
        int64_t n_zeros = 0, n_nans = 0;
        uint64_t keys[TILE];
        char items[TILE * 8];

        for (int64_t i = 0; i < source->space->n; i += TILE) {
                size_t n = (size_t)(source->space->n - i < TILE ? source->space->n - i : TILE);

                if (n_zeros == to->n_zeros && n_nans == to->n_nans)
                        return;
                space_load(source->space, 0, copy, size, source->base, i, n, items);
                order->load(n, keys, items, (ptrdiff_t)size);
                for (size_t k = 0; k < n; k++) {
                        if (keys[k] == order->zero && n_zeros < to->n_zeros)
                                memcpy(to->zeros + n_zeros++ * to->stride, items + k * size, size);
                        else if (keys[k] == order->nan && n_nans < to->n_nans)
                                memcpy(to->nans + n_nans++ * to->stride, items + k * size, size);
                }
        }
}
