// What happens to the synapses of one neuron in one step, in one sweep over them, and its reverse.
//
// A row is the M padded lines of one neuron: F in one sequence, or W, Lambda and Gamma. LIMITED says
// whether F has limits: testing for them takes as many instructions as all else.
#pragma once

#include <cmath>
#include <limits>

#include "hebbian.h"
#include <type_traits>

#include "vector.h"

namespace {

template <class T> constexpr T EPSILON = T(1e-16);     // what is added to a norm

template <class T> struct Synapses {
    const T *W, *Lambda, *Gamma;
    T *d_W, *d_Lambda, *d_Gamma;
};

// What F can be: F + share W stays between the bounds, and small changes are not made.
template <class T> struct Limits {
    T low, high, share, threshold;
    bool any() const {
        constexpr T NONE = std::numeric_limits<T>::infinity();
        return low > -NONE || high < NONE || threshold > 0;
    }
    INLINE Vec<T> least(Vec<T> W) const { return low - share * W; }
    INLINE Vec<T> most(Vec<T> W) const { return high - share * W; }
};

// One step of a neuron, as it was learned from.
template <class T> struct Lesson {
    T kept;             // 1 / n_t where F is normalised before the update, else 1
    T h;
    const T *p;
    Limits<T> limits;
};

// What the reading of a row gives, before and without its bias.
template <class T> struct Reading { T squares, product; };

template <int N, class T> INLINE T sum_of(const T *lanes) {
    if constexpr (N == 1) return *lanes;
    else {
        T halves[N / 2];
        for (int i = 0; i < N / 2; i++) halves[i] = lanes[i] + lanes[i + N / 2];
        return sum_of<N / 2>(halves);
    }
}
template <class T> INLINE T sum(Vec<T> v) {
    T lanes[L<T>];
    memcpy(lanes, &v, sizeof v);
    return sum_of<L<T>>(lanes);
}

template <bool LIMITED, class T>
INLINE Vec<T> grown(const Lesson<T> &s, Vec<T> Lambda, Vec<T> F, Vec<T> Gamma, Vec<T> p) {
    Vec<T> change = Gamma * (s.h * p);
    if (LIMITED) {
        const Vec<T> size = change < Vec<T>{} ? -change : change;
        change = select<T>(size <= fill(s.limits.threshold), Vec<T>{}, change);
    }
    return s.kept * Lambda * F + change;
}
template <bool LIMITED, class T>
INLINE Vec<T> clipped(Vec<T> F, Vec<T> W, const Limits<T> &limits) {
    if (!LIMITED) return F;
    const Vec<T> low = limits.least(W), high = limits.most(W);
    F = select<T>(F > high, high, F);
    return select<T>(F < low, low, F);
}

// F of the next step from F of this one, in place or not, and its reading by z.
template <bool LIMITED, class T>
INLINE Reading<T> learn(T *to, const T *from, const Synapses<T> &row, const Lesson<T> &s,
                        const T *z, long lines) {
    Vec<T> squares = {}, product = {};
    for (long j = 0; j < lines; j += L<T>) {
        const Vec<T> W = load(row.W + j);
        Vec<T> F = clipped<LIMITED>(grown<LIMITED>(s, load(row.Lambda + j), load(from + j),
                                                   load(row.Gamma + j), load(s.p + j)),
                                    W, s.limits);
        Vec<T> G = W + F;
        store(to + j, F);
        squares += G * G;
        product += G * load(z + j);
    }
    return {sum<T>(squares), sum<T>(product)};
}

// Divide F by n, and read it by z.
template <class T>
INLINE Reading<T> read(T *F, const T *W, T n, const T *z, long lines) {
    Vec<T> squares = {}, product = {};
    const T factor = 1 / n;
    for (long j = 0; j < lines; j += L<T>) {
        Vec<T> scaled = load(F + j) * factor, G = load(W + j) + scaled;
        store(F + j, scaled);
        squares += G * G;
        product += G * load(z + j);
    }
    return {sum<T>(squares), sum<T>(product)};
}

// What learning sends back to a neuron's activity, and to the factor `kept`.
template <class T> struct Answer { T of_h, of_kept; };

// The reverse of learn(), and, with AFTER, of the division by `norm` that follows it.
//
// On entry D is the gradient of the next step's F, on return that of this step's as far as it comes
// from learning. That of p is added to `of_p`, but only from column `first`. A change that was left
// out has the gradient that it would have had.
template <bool AFTER, bool LIMITED, class T>
INLINE Answer<T> unlearn(T *D, const T *F, const Synapses<T> &row, const Lesson<T> &s, T norm,
                         T *of_p, long first, long lines) {
    const T factor = AFTER ? 1 / (norm + EPSILON<T>) : T(1);
    T pull = 0;
    if (AFTER && norm > 0) {
        Vec<T> along = {};
        for (long j = 0; j < lines; j += L<T>)
            along += load(D + j) *
                     clipped<LIMITED>(grown<LIMITED>(s, load(row.Lambda + j), load(F + j),
                                                     load(row.Gamma + j), load(s.p + j)),
                                      load(row.W + j), s.limits);
        pull = sum<T>(along) * factor * factor / norm;
    }
    Vec<T> of_h = {}, of_kept = {};
    auto sweep = [&](auto with_lines, long from, long to) {
        const Limits<T> &limits = s.limits;
        for (long j = from; j < to; j += L<T>) {
            const Vec<T> W = AFTER || LIMITED ? load(row.W + j) : Vec<T>{};
            Vec<T> Lambda = load(row.Lambda + j), Gamma = load(row.Gamma + j);
            Vec<T> here = load(F + j), p = load(s.p + j), E = load(D + j);
            Vec<T> free = grown<LIMITED>(s, Lambda, here, Gamma, p);
            if (AFTER) {
                Vec<T> back = pull * (W + clipped<LIMITED>(free, W, limits));
                store(row.d_W + j, load(row.d_W + j) - back);
                E = E * factor - back;
            }
            if (LIMITED) {
                const auto outside = (free > limits.most(W)) | (free < limits.least(W));
                if (limits.share != 0)
                    store(row.d_W + j, load(row.d_W + j) -
                                           limits.share * select<T>(outside, E, Vec<T>{}));
                E = select<T>(outside, Vec<T>{}, E);
            }
            Vec<T> of_product = E * Gamma, of_decayed = E * Lambda;
            of_h += of_product * p;
            of_kept += of_decayed * here;
            store(row.d_Lambda + j, load(row.d_Lambda + j) + s.kept * E * here);
            store(row.d_Gamma + j, load(row.d_Gamma + j) + s.h * E * p);
            if (with_lines.value) store(of_p + j, load(of_p + j) + s.h * of_product);
            store(D + j, s.kept * of_decayed);
        }
    };
    sweep(std::false_type(), 0, first);
    sweep(std::true_type(), first, lines);
    return {sum<T>(of_h), sum<T>(of_kept)};
}

// The reverse of reading: `along_z` and `along_G` are the gradient of G in terms of z and of G.
template <class T>
INLINE void unread(T *D, const T *F, const Synapses<T> &row, T along_z, T along_G, const T *z,
                   T *of_z, long first, long lines) {
    auto sweep = [&](auto with_lines, long from, long to) {
        for (long j = from; j < to; j += L<T>) {
            Vec<T> G = load(row.W + j) + load(F + j);
            Vec<T> of_G = along_z * load(z + j) + along_G * G;
            store(row.d_W + j, load(row.d_W + j) + of_G);
            store(D + j, load(D + j) + of_G);
            if (with_lines.value) store(of_z + j, load(of_z + j) + along_z * G);
        }
    };
    sweep(std::false_type(), 0, first);
    sweep(std::true_type(), first, lines);
}

}  // namespace
