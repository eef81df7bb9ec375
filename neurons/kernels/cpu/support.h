// The product of the backward pass where psi has compact support: for those neurons alone where it
// is not 0, since it multiplies what arrives there.
//
// Only this product can be left out. G_c itself is dense, for the membrane's decay hands it on, and
// so are the gradients that are made of it.
#pragma once

#include "adjoint.h"

namespace {

// Above this part of the neurons the dense product is cheaper: measured on Zen 4, from 128 to 512
// neurons, with both products as fast as each other at .23 and .36.
constexpr double FEW = 0.2;

template <class T> struct Support {
    const T *columns = nullptr;     // of g W_rec, each contiguous: [padded, padded]
    long padded = 0;

    static Support of(Arena &arena, const T *W, const T *gain, long H, long padded) {
        Support s;
        T *out = arena.zeros<T>(padded * padded);
        s.columns = out, s.padded = padded;
        for (long k = 0; out && k < H; k++)
            for (long n = 0; n < H; n++) out[n * padded + k] = gain[k] * W[k * H + n];
        return s;
    }

    // Whether psi is 0 for most neurons of n rows, given their membranes and adaptations (or null),
    // [n, padded]; `psi` is room for as many. Only a choice hangs on it: resets are disregarded.
    bool few(const T *membranes, const T *adaptations, long n, const Parameters<T> &p,
             const Surrogates<T> &surrogate, T *psi) const {
        long count = 0;
        for (long i = 0; i < n * padded; i += L<T>) {
            Vec<T> threshold = load(p.threshold + i % padded);
            if (adaptations) threshold += load(p.strength + i % padded) * load(adaptations + i);
            store(psi + i, load(membranes + i) - threshold);
        }
        surrogate.replace(psi, n * padded);
        for (long i = 0; i < n * padded; i++) count += psi[i] != 0;
        return count <= FEW * n * padded;
    }

    // The entries of psi [n, padded] within a panel that are not 0, by row * PW + column; rows that
    // are cut off want none. The last is repeated up to a multiple of MAX_ROWS. Returns how many
    // there are with these.
    static long list(const Row<T> *rows, const T *psi, long n, long column, long padded,
                     uint32_t *entries) {
        const Vec<T> zero = {};
        long count = 0;
        for (long i = 0; i < n; i++) {
            if (rows[i].cut) continue;
            uint32_t bits = 0;
            for (int j = 0; j < PANEL; j++)
                bits |= bits_of(load(psi + i * padded + column + j * L<T>) != zero) << j * L<T>;
            for (; bits; bits &= bits - 1)
                entries[count++] = uint32_t(i * PW<T> + __builtin_ctz(bits));
        }
        for (; count % MAX_ROWS; count++) entries[count] = entries[count - 1];
        return count;
    }

    // The panel of out[n, padded] = A W for the entries listed, 0 elsewhere; A is [n, padded].
    void multiply(T *out, const T *A, long n, long column, const uint32_t *entries,
                  long count) const {
        for (long i = 0; i < n; i++) memset(out + i * padded + column, 0, PW<T> * sizeof(T));
        for (long e = 0; e < count; e += MAX_ROWS) {
            Vec<T> acc[MAX_ROWS] = {};
            const T *row[MAX_ROWS], *w[MAX_ROWS];
            for (int i = 0; i < MAX_ROWS; i++) {
                row[i] = A + entries[e + i] / PW<T> * padded;
                w[i] = columns + (column + entries[e + i] % PW<T>) * padded;
            }
            for (long k = 0; k < padded; k += L<T>)
                for (int i = 0; i < MAX_ROWS; i++) acc[i] += load(row[i] + k) * load(w[i] + k);
            for (int i = 0; i < MAX_ROWS; i++)
                out[entries[e + i] / PW<T> * padded + column + entries[e + i] % PW<T>] =
                    total<T>(acc[i]);
        }
    }
};

}  // namespace
