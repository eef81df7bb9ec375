// Vectors of the widest registers that this file is compiled for, by GCC's vector extensions.
//
// Everything lies in an unnamed namespace: the same source is compiled once for each level of
// instructions, and a function that the linker shared between them would run on the wrong machine.
#pragma once

#include <cstdint>
#include <cstring>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#define INLINE inline __attribute__((always_inline))

namespace {

#if defined(__AVX512F__)
constexpr int BYTES = 64, MAX_ROWS = 8, MAX_VECTORS = 8;
#elif defined(__AVX2__)
constexpr int BYTES = 32, MAX_ROWS = 4, MAX_VECTORS = 8;
#else
constexpr int BYTES = 32, MAX_ROWS = 4, MAX_VECTORS = 4;
#endif

template <class T> struct Lanes;
template <> struct Lanes<float> {
    typedef float V __attribute__((vector_size(BYTES)));
    typedef float U __attribute__((vector_size(BYTES), aligned(4), may_alias));
    typedef int32_t I __attribute__((vector_size(BYTES)));
    typedef int32_t Integer;
};
template <> struct Lanes<double> {
    typedef double V __attribute__((vector_size(BYTES)));
    typedef double U __attribute__((vector_size(BYTES), aligned(8), may_alias));
    typedef int64_t I __attribute__((vector_size(BYTES)));
    typedef int64_t Integer;
};
template <class T> using Vec = typename Lanes<T>::V;
template <class T> using Mask = typename Lanes<T>::I;
template <class T> constexpr int L = BYTES / sizeof(T);

template <class T> INLINE Vec<T> load(const T *p) {
    return (Vec<T>)*reinterpret_cast<const typename Lanes<T>::U *>(p);
}
template <class T> INLINE void store(T *p, Vec<T> v) {
    *reinterpret_cast<typename Lanes<T>::U *>(p) = v;
}
// The first n values, zeros after them; rows of the caller's arrays may end within a vector.
template <class T> INLINE Vec<T> load(const T *p, long n) {
    if (__builtin_expect(n >= L<T>, 1)) return load(p);
    Vec<T> v = {};
    if (n > 0) memcpy(&v, p, n * sizeof(T));
    return v;
}
template <class T> INLINE void store(T *p, Vec<T> v, long n) {
    if (__builtin_expect(n >= L<T>, 1)) return store(p, v);
    if (n > 0) memcpy(p, &v, n * sizeof(T));
}
// A loop that set each lane would not become one instruction.
template <class T> INLINE Vec<T> fill(T x) { return x - Vec<T>{}; }

template <class T> INLINE Vec<T> select(Mask<T> mask, Vec<T> yes, Vec<T> no) {
    return mask ? yes : no;
}

// The sum of the lanes, by halves.
template <class T> INLINE T total(Vec<T> v) {
#if defined(__AVX512F__)
    if constexpr (sizeof(T) == 4) return _mm512_reduce_add_ps((__m512)v);
    else return _mm512_reduce_add_pd((__m512d)v);
#else
    T lanes[L<T>];
    memcpy(lanes, &v, sizeof v);
    for (int half = L<T> / 2; half; half /= 2)
        for (int i = 0; i < half; i++) lanes[i] += lanes[i + half];
    return lanes[0];
#endif
}

// One bit for each lane, the lowest for the first.
INLINE uint32_t bits_of(Mask<float> mask) {
#if defined(__AVX512F__)
    return _mm512_movepi32_mask((__m512i)mask);
#elif defined(__AVX2__)
    return _mm256_movemask_ps((__m256)mask);
#else
    uint32_t bits = 0;
    for (int i = 0; i < L<float>; i++) bits |= uint32_t(mask[i] & 1) << i;
    return bits;
#endif
}
INLINE uint32_t bits_of(Mask<double> mask) {
#if defined(__AVX512F__)
    return _mm512_movepi64_mask((__m512i)mask);
#elif defined(__AVX2__)
    return _mm256_movemask_pd((__m256d)mask);
#else
    uint32_t bits = 0;
    for (int i = 0; i < L<double>; i++) bits |= uint32_t(mask[i] & 1) << i;
    return bits;
#endif
}

template <class T> INLINE Mask<T> lane_bits() {
    Mask<T> m = {};
    for (int i = 0; i < L<T>; i++) m[i] = typename Lanes<T>::Integer(1) << i;
    return m;
}
// The mask whose bits begin at column `column`, a multiple of the number of lanes.
template <class T> INLINE Mask<T> mask_of(const uint64_t *words, long column) {
    typename Lanes<T>::Integer bits = words[column >> 6] >> (column & 63);
    return (lane_bits<T>() & bits) != 0;
}

// exp(x) for x <= 0, as 2^n times a polynomial of what is left of x / ln 2, which was fitted to 2^r
// by its largest relative error, 2e-9. The result's is 2e-7 near 0 and grows to 1e-6 at -87 (5e-7 and
// 4e-6 without instructions that multiply and add at once), below which the result stays e^-87.
INLINE Vec<float> exponential(Vec<float> x) {
    const Vec<float> none = fill(-87.0f);
    x = select<float>(x < none, none, x);
    Vec<float> shifted = x * 1.44269504088896f + 12582912.0f;
    Vec<float> r = x * 1.44269504088896f - (shifted - 12582912.0f);
    Vec<float> p = fill(1.5345812055e-4f);
    p = p * r + 1.3399931268e-3f;
    p = p * r + 9.6184889573e-3f;
    p = p * r + 5.5503287768e-2f;
    p = p * r + 2.4022646891e-1f;
    p = p * r + 6.9314720574e-1f;
    p = p * r + 1.0f;
    return (Vec<float>)((Mask<float>)p + ((Mask<float>)shifted << 23));
}
// The same by the series of e^r, everywhere to the last bit or two; what underflows is 0.
INLINE Vec<double> exponential(Vec<double> x) {
    const Vec<double> none = fill(-708.0);
    Mask<double> under = x < none;
    x = select<double>(under, none, x);
    Vec<double> shifted = x * 1.4426950408889634 + 6755399441055744.0;
    Vec<double> n = shifted - 6755399441055744.0;
    Vec<double> r = x - n * 6.93145751953125e-1 - n * 1.42860682030941723212e-6;
    Vec<double> p = fill(1.0 / 6227020800.0);
    constexpr double inverse[] = {1.0 / 479001600, 1.0 / 39916800, 1.0 / 3628800, 1.0 / 362880,
                                  1.0 / 40320, 1.0 / 5040, 1.0 / 720, 1.0 / 120, 1.0 / 24,
                                  1.0 / 6, 0.5, 1.0, 1.0};
    for (double c : inverse) p = p * r + c;
    p = (Vec<double>)((Mask<double>)p + ((Mask<double>)shifted << 52));
    return select<double>(under, Vec<double>{}, p);
}

}  // namespace
