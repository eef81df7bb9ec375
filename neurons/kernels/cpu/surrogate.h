// psi(v) of every surrogate in surrogate.py, with v = u - B; see there for the formulas.
#pragma once

#include "call.h"
#include "vector.h"

namespace {

template <class T> struct Surrogates {
    Surrogate kind;
    T c[4];                 // the constants, then what follows from them
    T centre, wide, tails;

    explicit Surrogates(const Call &call) : kind(Surrogate(call.surrogate)) {
        for (int i = 0; i < 4; i++) c[i] = T(call.constants[i]);
        const double root = 2.5066282746310002;     // sqrt(2 pi)
        const double *k = call.constants;
        centre = wide = tails = 0;
        if (kind == GAUSSIAN) c[0] = T(k[0] / (root * k[1])), centre = T(-0.5 / (k[1] * k[1]));
        if (kind == MULTI_GAUSSIAN) {               // gamma, h, s, sigma
            const double S = k[2] * k[3];
            c[0] = T(k[0] * (1 + k[1]) / (root * k[3])), centre = T(-0.5 / (k[3] * k[3]));
            tails = T(k[0] * k[1] / (root * S)), wide = T(-0.5 / (S * S));
        }
        if (kind == TRIANGLE) c[1] = T(1 / k[1]);
        if (kind == BOXCAR) c[1] = T(k[1] / 2);
        if (kind == ATAN) c[0] = T(k[0] / 2), c[1] = T(1.5707963267948966 * k[0]);
    }

    // Whether psi is 0 beyond some distance from the threshold.
    bool compact() const { return kind == TRIANGLE || kind == BOXCAR || kind == NO_GRADIENT; }

    template <Surrogate KIND> INLINE Vec<T> value(Vec<T> v) const {
        using V = Vec<T>;
        const V size = v < V{} ? -v : v, zero = {};
        if (KIND == GAUSSIAN) return c[0] * exponential(v * v * centre);
        if (KIND == MULTI_GAUSSIAN) {
            V left = v + c[3], right = v - c[3];
            return c[0] * exponential(v * v * centre) -
                   tails * (exponential(left * left * wide) + exponential(right * right * wide));
        }
        if (KIND == SLAYER) return c[0] * exponential(-c[1] * size);
        if (KIND == TRIANGLE) {
            V height = 1 - size * c[1];
            return c[0] * select<T>(height > zero, height, zero);
        }
        if (KIND == FAST_SIGMOID) {
            V d = 1 + c[1] * size;
            return c[0] / (d * d);
        }
        if (KIND == BOXCAR) return select<T>(size <= fill(c[1]), fill(c[0]), zero);
        if (KIND == ATAN) return c[0] / (1 + v * v * (c[1] * c[1]));
        return zero;
    }

    template <Surrogate KIND> void replace_by(T *v, long n) const {
        for (long i = 0; i < n; i += L<T>) store(v + i, value<KIND>(load(v + i)));
    }

    // Put psi in the place of v; n is a multiple of the number of lanes.
    void replace(T *v, long n) const {
        switch (kind) {
        case NO_GRADIENT: return replace_by<NO_GRADIENT>(v, n);
        case GAUSSIAN: return replace_by<GAUSSIAN>(v, n);
        case MULTI_GAUSSIAN: return replace_by<MULTI_GAUSSIAN>(v, n);
        case SLAYER: return replace_by<SLAYER>(v, n);
        case TRIANGLE: return replace_by<TRIANGLE>(v, n);
        case FAST_SIGMOID: return replace_by<FAST_SIGMOID>(v, n);
        case BOXCAR: return replace_by<BOXCAR>(v, n);
        case ATAN: return replace_by<ATAN>(v, n);
        }
    }
};

}  // namespace
