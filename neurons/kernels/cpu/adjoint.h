// The adjoint of one time step, element by element, one row after the other.
//
// With G_x the gradient that reaches x, p = psi(u - B) G_S, z = S_{t-1} (0 where an episode begins),
// and, for the reset ZERO_AFTER, u = (1 - z) c with c the charged membrane (else c = u):
//
//     G_u = p + (from step t+1) + the trace's
//     G_c = G_u, or (1 - z) G_u                           ZERO_AFTER
//     G_b = rho G_b' - beta (p + z G_u)                   z G_u with SUBTRACT, unless detached
//     G_threshold = -sum(p + z G_u)                       z G_u with SUBTRACT
//     G_alpha = sum G_c m,  m = u_{t-1}, or (1 - z) u_{t-1}    ZERO
//     G_rho = sum G_b (b_{t-1} - z)
//     on u_{t-1}: alpha G_c, or alpha (1 - z) G_c         ZERO
//     on b_{t-1}: rho G_b
//     on S_{t-1}: W_rec^T g G_c + (1 - rho) G_b - B G_u   SUBTRACT
//                 - alpha u_{t-1} G_c                     ZERO
//                 - c G_u                                 ZERO_AFTER
//
// What goes back to step t-1 waits in `carried`; the product with W_rec is made there.
#pragma once

#include "parameters.h"
#include "surrogate.h"

namespace {

constexpr int SUMS = 4;     // of G_c, G_alpha, G_threshold, G_rho

// One row of one step.
template <class T> struct Row {
    const T *u, *before;                // membrane at t and t-1 (c with ZERO_AFTER), padded
    const T *b, *b_before;              // adaptation at t and t-1, padded
    const T *crossed;                   // S_{t-1} as numbers, or null and as bits
    const uint64_t *crossed_bits;
    const T *earlier;                   // S_{t-2} likewise, for ZERO_AFTER
    const uint64_t *earlier_bits;
    const T *g_spikes, *g_trace;        // cotangents, [neurons], or null
    T *membrane, *adaptation, *spikes;  // carried, padded
    T *out;                             // G_c, padded
    T *d_current;                       // [neurons], or null
    bool begins, cut;                   // whether an episode begins at t, at t+1
};

template <class T> INLINE Vec<T> spikes_of(const T *numbers, const uint64_t *bits, long c) {
    if (numbers) return load(numbers + c);
    return select<T>(mask_of<T>(bits, c), fill(T(1)), Vec<T>{});
}

// psi of one row, [padded]. Pointers come by value, here and below: vectors may alias anything, and
// what others see would be read again after every store.
template <class T, int RESET, bool ADAPTIVE>
INLINE void slopes(T *psi, Row<T> row, Parameters<T> p, long padded,
                   const Surrogates<T> &surrogate) {
    for (long c = 0; c < padded; c += L<T>) {
        Vec<T> u = load(row.u + c), B = load(p.threshold + c);
        if (ADAPTIVE) B += load(p.strength + c) * load(row.b + c);
        if (RESET == ZERO_AFTER) u = u - spikes_of(row.crossed, row.crossed_bits, c) * u;
        store(psi + c, u - B);
    }
    surrogate.replace(psi, padded);
}

// `psi` and `product`, G_c of step t+1 times W_rec, are of this row, [padded]; there is no product
// at the end. PLAIN: within an episode, with z as bits and no cotangent but that of the spikes.
template <class T, int RESET, bool ADAPTIVE, bool PLAIN>
INLINE void adjoint(Row<T> row, long neurons, const T *psi, const T *product, Parameters<T> p,
                    bool detached, T *sums, long padded) {
    using V = Vec<T>;
    const V zero = {};
    for (long c = 0; c < padded; c += L<T>) {
        const long left = neurons - c;
        const V threshold = load(p.threshold + c), strength = load(p.strength + c);
        V sum[SUMS];
        for (int k = 0; k < SUMS; k++) sum[k] = load(sums + k * padded + c);
        V G_S = load(row.spikes + c);
        if (PLAIN || product) G_S += load(product + c);
        if (PLAIN || row.g_spikes) G_S += load(row.g_spikes + c, left);
        const V from_spike = G_S * load(psi + c);
        V G_u = from_spike + load(row.membrane + c);
        if (!PLAIN && row.g_trace) G_u += load(row.g_trace + c, left);
        const bool begins = !PLAIN && row.begins;
        V z = zero, u_before = zero;
        if (!begins) {
            z = spikes_of(PLAIN ? nullptr : row.crossed, row.crossed_bits, c);
            u_before = load(row.before + c);
            if (RESET == ZERO_AFTER)
                u_before -= spikes_of(PLAIN ? nullptr : row.earlier, row.earlier_bits, c) * u_before;
        }
        const V G_c = RESET == ZERO_AFTER ? G_u - z * G_u : G_u;
        const V m = RESET == ZERO ? u_before - z * u_before : u_before;
        store(row.out + c, G_c);
        if (!PLAIN && row.d_current) store(row.d_current + c, load(p.gain + c) * G_c, left);
        V G_B = -from_spike, to_b = -from_spike, B = threshold, G_before = zero;
        if (RESET == SUBTRACT) {
            G_B -= z * G_u;
            if (!detached) to_b = G_B;
        }
        if (ADAPTIVE) {
            const V G_b = load(row.adaptation + c) + strength * to_b;
            const V b_before = load(row.b_before + c);
            B += strength * load(row.b + c);
            sum[3] += G_b * (b_before - z);
            store(row.adaptation + c, begins ? zero : load(p.rho + c) * G_b);
            G_before = load(p.leak + c) * G_b;
        }
        sum[0] += G_c;
        sum[1] += G_c * m;
        sum[2] += G_B;
        if (!detached) {
            if (RESET == SUBTRACT) G_before -= B * G_u;
            if (RESET == ZERO) G_before -= load(p.alpha + c) * u_before * G_c;
            if (RESET == ZERO_AFTER) G_before -= load(row.u + c) * G_u;
        }
        const V G_m = load(p.alpha + c) * (RESET == ZERO ? G_c - z * G_c : G_c);
        store(row.membrane + c, begins ? zero : G_m);
        store(row.spikes + c, begins ? zero : G_before);
        for (int k = 0; k < SUMS; k++) store(sums + k * padded + c, sum[k]);
    }
}

}  // namespace
