// Products of matrices whose left factor is sparse (gather) or dense (panel), in registers.
//
// Both add up in ascending order of k from zero, so that a sum of spikes has the same last bit
// whichever of the two computes it.
#pragma once

#include <cstdlib>

#include "vector.h"

namespace {

template <int N> struct Size { static constexpr int value = N; };

constexpr int PANEL = 2;                                // vectors
template <class T> constexpr int PW = PANEL * L<T>;     // columns of a panel
template <class T> constexpr int SW = MAX_VECTORS * L<T>;   // columns of a slice

// Memory of one call, or of one of its threads. It grows by use, for a size known beforehand.
struct Arena {
    void *memory[48];
    int used = 0;
    bool failed = false;
    template <class T> T *take(long n) {
        void *p = aligned_alloc(64, (n * sizeof(T) + 127) / 64 * 64);
        if (!p) failed = true;
        else memory[used++] = p;
        return static_cast<T *>(p);
    }
    template <class T> T *zeros(long n) {
        T *p = take<T>(n);
        if (p) memset(p, 0, n * sizeof(T));
        return p;
    }
    ~Arena() { while (used) free(memory[--used]); }
};

// acc += sum of rows list[0..n) of P, each N vectors, maybe weighted.
template <class T, int N, bool WEIGHTED>
INLINE void gather(Vec<T> *acc, const uint32_t *list, const T *weights, long n, const T *P,
                   long stride) {
    for (long e = 0; e < n; e++) {
        const T *row = P + list[e] * stride;
        for (int j = 0; j < N; j++) {
            if (WEIGHTED) acc[j] += weights[e] * load(row + j * L<T>);
            else acc[j] += load(row + j * L<T>);
        }
    }
}

// acc[r] += sum over k of A[r * row + k * next] * P[k * stride ...], two vectors wide.
template <class T, int R>
INLINE void panel(Vec<T> (*acc)[PANEL], const T *A, long row, long next, const T *P, long stride,
                  long K) {
    for (long k = 0; k < K; k++, A += next, P += stride) {
        Vec<T> p0 = load(P), p1 = load(P + L<T>);
        for (int r = 0; r < R; r++) {
            Vec<T> a = fill(A[r * row]);
            acc[r][0] += a * p0;
            acc[r][1] += a * p1;
        }
    }
}

// Call f(Size<R>, first) for groups of rows that fit the registers.
template <class F> INLINE void for_rows(long n, F f) {
    long r = 0;
    for (; r + MAX_ROWS <= n; r += MAX_ROWS) f(Size<MAX_ROWS>(), r);
    if (MAX_ROWS > 4 && r + 4 <= n) f(Size<4>(), r), r += 4;
    if (r + 2 <= n) f(Size<2>(), r), r += 2;
    if (r < n) f(Size<1>(), r);
}

// Call f(Size<N>, first column) for slices of columns; `padded` is a multiple of a panel.
template <class T, class F> INLINE void for_slices(long padded, F f) {
    long c = 0;
    for (; c + SW<T> <= padded; c += SW<T>) f(Size<MAX_VECTORS>(), c);
    long left = (padded - c) / L<T>;
    if (MAX_VECTORS > 6 && left >= 6) f(Size<6>(), c);
    else if (MAX_VECTORS > 4 && left >= 4) f(Size<4>(), c);
    else if (left >= 2) f(Size<2>(), c);
}

// A matrix [K, N] cut into column strips `width` wide, each contiguous: strip, k, column. The last
// may be narrower. Strips of a slice's width serve `gather`, of a panel's the dense products.
template <class T> struct Strips {
    const T *data = nullptr;
    long K = 0, padded = 0, width = 0;
    long stride(long column) const {
        long left = padded - column / width * width;
        return left < width ? left : width;
    }
    const T *at(long column) const {
        return data + column / width * width * K + column % width;
    }
};

// Some of the rows of a matrix, in ascending order; or all, without a list.
struct Rows {
    const uint32_t *list;
    long n;
    long operator[](long i) const { return list ? list[i] : i; }
};

// Strips of scale[k] * M[k, n] from a matrix M [K, N], or from its transpose [N, K]. Rows k that
// are not asked for stay zero.
template <class T>
Strips<T> strips(Arena &arena, const T *M, bool transposed, long K, long N, long padded, long width,
                 const T *scale, Rows asked) {
    Strips<T> s;
    T *out = arena.zeros<T>(K * padded);
    s.data = out, s.K = K, s.padded = padded, s.width = width;
    if (!out) return s;
    for (long n0 = 0; n0 < N; n0 += 8) {
        long n1 = n0 + 8 < N ? n0 + 8 : N;
        T *strip = out + n0 / width * width * K + n0 % width;
        long stride = s.stride(n0);
        for (long i = 0; i < asked.n; i++) {
            const long k = asked[i];
            T factor = scale ? scale[k] : T(1);
            for (long n = n0; n < n1; n++)
                strip[k * stride + n - n0] = factor * (transposed ? M[n * K + k] : M[k * N + n]);
        }
    }
    return s;
}

// A vector of parameters, padded; `missing` where it is not given.
template <class T>
T *padded_copy(Arena &arena, const void *given, long n, long padded, T missing, T beyond) {
    T *out = arena.take<T>(padded);
    if (!out) return out;
    const T *p = static_cast<const T *>(given);
    for (long i = 0; i < padded; i++) out[i] = i >= n ? beyond : p ? p[i] : missing;
    return out;
}

// What `name` calls each of the bits that are set, in ascending order; `out` has room for EIGHT more.
// They are taken eight at a time, whether there are as many or not, and bit 63 of the word in their
// place: where the bits of a word end is not to be foreseen.
constexpr long EIGHT = 8;
template <class Name>
INLINE long list_bits(const uint64_t *words, long n, uint32_t *out, Name name) {
    long count = 0;
    for (long w = 0; w < n; w++) {
        uint32_t *next = out + count;
        for (uint64_t bits = words[w]; bits; next += EIGHT)
            for (int i = 0; i < EIGHT; i++, bits &= bits - 1)
                next[i] = name(w * 64 + __builtin_ctzll(bits | uint64_t(1) << 63));
        count += __builtin_popcountll(words[w]);
    }
    return count;
}
INLINE long list_bits(const uint64_t *words, long n, uint32_t *out) {
    return list_bits(words, n, out, [](long bit) { return uint32_t(bit); });
}

// Turn a square of bits about its diagonal: bit c of word r becomes bit r of word c.
template <int HALF = 32> INLINE void transpose(uint64_t *square) {
    constexpr uint64_t low = ~uint64_t(0) / ((uint64_t(1) << HALF) + 1);
    for (long first = 0; first < 64; first += 2 * HALF)
        for (long r = first; r < first + HALF; r++) {
            const uint64_t swapped = (square[r] >> HALF ^ square[r + HALF]) & low;
            square[r] ^= swapped << HALF;
            square[r + HALF] ^= swapped;
        }
    if constexpr (HALF > 1) transpose<HALF / 2>(square);
}

}  // namespace
