// The parameters of a call as padded vectors, and what is known of its shapes.
#pragma once

#include "call.h"
#include "products.h"

namespace {

template <class T> struct Parameters {
    const T *alpha, *gain, *threshold, *rho, *leak, *strength;
    bool adaptive;
    long tiles;

    // `never`: what stands for the threshold of padding, and for an infinite one.
    Parameters(Arena &arena, const Call &c, T never) {
        auto vector = [&](const void *given, T missing, T beyond) {
            return padded_copy<T>(arena, given, c.neurons, c.padded, missing, beyond);
        };
        adaptive = c.rho != nullptr;
        alpha = vector(c.alpha, 0, 0);
        gain = vector(c.gain, 1, 0);
        rho = vector(c.rho, 0, 0);
        strength = vector(c.strength, 0, 0);
        T *B = vector(c.threshold, 0, never), *l = vector(c.rho, 0, 1);
        for (long i = 0; B && i < c.padded; i++)
            if (B[i] > never) B[i] = never;
        for (long i = 0; l && i < c.padded; i++) l[i] = 1 - l[i];
        threshold = B;
        leak = l;
        tiles = (c.batch + c.rows - 1) / c.rows;
    }
};

// Rows [first, last) of an array [batch, n] as rows of `padded` columns; zeros where not given.
template <class T>
void padded_rows(T *out, const void *given, long first, long last, long n, long padded) {
    memset(out, 0, (last - first) * padded * sizeof(T));
    if (!given) return;
    const T *p = static_cast<const T *>(given);
    for (long r = first; r < last; r++)
        memcpy(out + (r - first) * padded, p + r * n, n * sizeof(T));
}

// And back.
template <class T>
void unpadded_rows(void *out, const T *rows, long first, long last, long n, long padded) {
    if (!out) return;
    T *p = static_cast<T *>(out);
    for (long r = first; r < last; r++)
        memcpy(p + r * n, rows + (r - first) * padded, n * sizeof(T));
}

INLINE bool begins(const Call &c, long t, long row) {
    return c.begin && c.begin[t * c.batch + row];
}

INLINE bool sparse(const Call &c) { return c.input_bits || c.offsets; }

// The active channels of a row of a sparse input, and their values if they are not all 1.
template <class T> struct Active {
    const uint32_t *channels;
    const T *values;
    long n;
};
template <class T> INLINE Active<T> listed(const Call &c, long row) {
    const long first = c.offsets[row];
    const T *v = static_cast<const T *>(c.values);
    return {reinterpret_cast<const uint32_t *>(c.indices) + first, v ? v + first : nullptr,
            c.offsets[row + 1] - first};
}
template <class T> INLINE Active<T> active(const Call &c, long row, uint32_t *list, T *values) {
    if (c.offsets) return listed<T>(c, row);
    long words = (c.channels + 63) / 64, n = list_bits(c.input_bits + row * words, words, list);
    if (!c.weighted) return {list, nullptr, n};
    const T *x = static_cast<const T *>(c.inputs) + row * c.channels;
    for (long e = 0; e < n; e++) values[e] = x[list[e]];
    return {list, values, n};
}

}  // namespace
