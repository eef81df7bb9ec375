// The plain C interface of the Hebbian kernel: one struct, filled by hebbian_library.py.
//
// The equations and the symbols are those of plasticity/hebbian.py and, without noise and levels, of
// plasticity/memristive.py, whose lambda stands as Lambda; with h = tanh(I). All floating-point
// arrays are float or double, as the function called says; an array that is not given, or not
// wanted, is null. Arrays marked [M] have their lines padded: the inputs to `recurrent`, a multiple
// of PADDING, then the neurons to M = `lines`, another; the padding of what is given is zero. All
// others are as the caller has them, N = inputs + neurons.
#pragma once

#include <cstdint>

constexpr long PADDING = 16;

enum class Normalisation : int64_t { BEFORE, AFTER, NONE, INPUT };

struct Hebbian {
    int64_t steps, batch, neurons, inputs, recurrent, lines;
    int64_t tile;       // sequences that advance together through time
    int64_t chunk;      // steps between two checkpoints of F
    int64_t threads;
    Normalisation normalisation;
    int64_t fresh;      // whether h_t, not h_{t-1}, counts as presynaptic
    int64_t of_sum;     // whether the bounds are those of W + F, not of F
    double low, high;   // bounds
    double threshold;   // changes of F up to this size are left out
    // the problem
    const void *x, *h, *F;                      // [T, B, I], [B, H], [B, H, N]
    const uint8_t *begin;                       // [T, B]
    const void *W, *Lambda, *Gamma, *bias;      // three of [H, M]; [H]
    // the solution
    void *out_h, *out_F;                        // [T, B, H], [B, H, N]
    // what is kept: norms of W + F_t, currents without the bias, norms that F was divided by after
    // it had learned, [T, B, H]; F at the start of every chunk but the first, [chunks - 1, B, H, M]
    void *norms, *currents, *divisors, *checkpoints;
    // the cotangents
    const void *g_h, *g_F;                      // [T, B, H], [B, H, N]
    void *history;                              // [chunk, tile, H, M], to work in
    // the gradients, of which the four of the parameters come as zeros
    void *d_x, *d_h, *d_F, *d_W, *d_Lambda, *d_Gamma, *d_bias;
};
