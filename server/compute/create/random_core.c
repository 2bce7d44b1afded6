/* SPDX-License-Identifier: MIT */
/*
 * What random numbers are made of
 *
 * Words of Philox, and normal variates from them by the method of Box and Muller. Logarithm, sine
 * and cosine are polynomials of our own (the coefficients are those of fdlibm), made of additions,
 * multiplications, divisions and square roots only, which IEEE 754 fixes to the bit: so are the
 * variates, on every processor and at every place.
 */
#include "compute/create/random_core.h"

#include <math.h>
#include <string.h>

void philox_words(const struct philox *philox, uint64_t block, struct philox_words *words)
{
        for (unsigned i = 0; i < PHILOX_BLOCKS; i++) {
                uint32_t c[4] = { (uint32_t)(block + i), (uint32_t)((block + i) >> 32),
                                  philox->high[0], philox->high[1] };

                philox_block(c, philox->key);
                words->w[0][i] = c[0];
                words->w[1][i] = c[1];
                words->w[2][i] = c[2];
                words->w[3][i] = c[3];
        }
}

void random_uniforms(const struct philox_words *words, double *out)
{
        for (unsigned i = 0; i < PHILOX_BLOCKS; i++) {
                uint64_t a = words->w[0][i] | (uint64_t)words->w[1][i] << 32;
                uint64_t b = words->w[2][i] | (uint64_t)words->w[3][i] << 32;

                out[2 * i] = (double)(int64_t)(a >> 11) * 0x1p-53;
                out[2 * i + 1] = (double)(int64_t)(b >> 11) * 0x1p-53;
        }
}

void random_uniforms_32(const struct philox_words *words, float *out)
{
        for (unsigned i = 0; i < PHILOX_BLOCKS; i++)
                for (unsigned j = 0; j < 4; j++)
                        out[4 * i + j] = (float)(int32_t)(words->w[j][i] >> 8) * 0x1p-24F;
}

/* Of x in (0, 1], not subnormal. With x = m * 2^k, m from sqrt(1/2) to sqrt(2), and s = f / (2 + f)
 * for f = m - 1: log(m) = f - f^2/2 + s * (f^2/2 + R(s^2)). */
static inline double log_of(double x)
{
        const uint64_t half = 0x3fe6a09e667f3bcd; /* sqrt(1/2) */
        uint64_t bits, shifted;
        double m, k, f, s, z, r, h;

        memcpy(&bits, &x, sizeof(bits));
        shifted = bits - half;
        k = (double)(int32_t)((int64_t)shifted >> 52);
        bits -= shifted & UINT64_C(0xfff0000000000000);
        memcpy(&m, &bits, sizeof(m));
        f = m - 1;
        s = f / (2 + f);
        z = s * s;
        r = 1.479819860511658591e-01;
        r = 1.531383769920937332e-01 + z * r;
        r = 1.818357216161805012e-01 + z * r;
        r = 2.222219843214978396e-01 + z * r;
        r = 2.857142874366239149e-01 + z * r;
        r = 3.999999999940941908e-01 + z * r;
        r = 6.666666666666735130e-01 + z * r;
        r = z * r;
        h = 0.5 * f * f;
        return k * 6.93147180369123816490e-01 -
               ((h - (s * (h + r) + k * 1.90821492927058770002e-10)) - f);
}

/* Sine and cosine of 2 pi u, u in [0, 1): the quarter turn nearest, and the rest, which is exact.
 */
static inline void turn(double u, double *sinp, double *cosp)
{
        double t = 4 * u, x, z, s, c, sine, cosine;
        int32_t q = (int32_t)(t + 0.5);

        x = (t - q) * 1.57079632679489661923;
        z = x * x;
        s = 1.58969099521155010221e-10;
        s = -2.50507602534068634195e-08 + z * s;
        s = 2.75573137070700676789e-06 + z * s;
        s = -1.98412698298579493134e-04 + z * s;
        s = 8.33333333332248946124e-03 + z * s;
        s = -1.66666666666666324348e-01 + z * s;
        s = x + x * z * s;
        c = -1.13596475577881948265e-11;
        c = 2.08757232129817482790e-09 + z * c;
        c = -2.75573143513906633035e-07 + z * c;
        c = 2.48015872894767294178e-05 + z * c;
        c = -1.38888888888741095749e-03 + z * c;
        c = 4.16666666666666019037e-02 + z * c;
        c = 1 - (0.5 * z - z * z * c);
        sine = q & 1 ? c : s;
        cosine = q & 1 ? s : c;
        *sinp = q & 2 ? -sine : sine;
        *cosp = (q + 1) & 2 ? -cosine : cosine;
}

void random_normals(const struct philox_words *words, double *out)
{
        double u[2 * PHILOX_BLOCKS];

        random_uniforms(words, u);
        for (unsigned i = 0; i < PHILOX_BLOCKS; i++) {
                double radius = sqrt(-2 * log_of(1 - u[2 * i])), sine, cosine;

                turn(u[2 * i + 1], &sine, &cosine);
                out[2 * i] = radius * cosine;
                out[2 * i + 1] = radius * sine;
        }
}
