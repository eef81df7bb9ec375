// The plain C interface of the compiled kernel: one struct, filled by cpu_backend.py.
//
// All floating-point arrays are float or double, as the function called says. Shapes are those of
// problem.py, all contiguous; an array that is not given, or not wanted, is null. What this kernel
// keeps for itself is padded: `padded` is the number of neurons rounded up to 32.
#pragma once

#include <cstdint>

enum Reset : int64_t { SUBTRACT, NONE, ZERO, ZERO_AFTER };

enum Surrogate : int64_t {
    NO_GRADIENT, GAUSSIAN, MULTI_GAUSSIAN, SLAYER, TRIANGLE, FAST_SIGMOID, BOXCAR, ATAN
};

struct Call {
    int64_t steps, batch, neurons, channels, padded;
    int64_t rows;       // sequences that advance together through time, a tile
    int64_t block;      // steps between two checkpoints of the adaptation
    int64_t words;      // 64-bit words in one row of `bits`
    int64_t threads;
    int64_t surrogate, reset, detach_reset;
    double constants[4];
    double initial_adaptation;
    // the problem
    const void *current, *inputs;
    const int64_t *offsets;         // sparse input, as lists ...
    const int32_t *indices;
    const void *values;
    const uint64_t *input_bits;     // ... or as bits; whose values are in `inputs` if weighted
    int64_t weighted;
    const void *projection, *projection_bias, *recurrent, *recurrent_bias;
    const void *alpha, *gain, *threshold, *rho, *strength;
    const void *spikes, *crossed, *membrane, *adaptation;
    const uint8_t *begin;
    // the solution; `kept` is u of every step, padded, before a reset of the kind ZERO_AFTER
    void *out_spikes, *out_membrane, *out_adaptation, *out_trace, *out_counts;
    uint64_t *bits;
    void *kept, *checkpoints;
    // the cotangents
    const void *g_spikes, *g_membrane, *g_adaptation, *g_trace;
    // the gradients; d_bias is that of both biases
    void *d_current, *d_inputs, *d_projection, *d_recurrent, *d_bias;
    void *d_alpha, *d_gain, *d_threshold, *d_rho;
    void *d_spikes, *d_crossed, *d_membrane, *d_adaptation;
};

// See scan.cpp.
typedef int64_t Scan(const void *x, int64_t rows, int64_t n, uint64_t *bits, uint64_t *apart,
                     int64_t threads, int64_t *others);
// See count.cpp.
typedef int64_t Count(const void *x, int64_t rows, int64_t n, double *ones);
typedef void CountBits(const uint64_t *words, int64_t rows, int64_t n, double *ones);
typedef void Sort(const void *x, const uint64_t *bits, int64_t rows, int64_t n, double *sums);

// What one level of instructions offers; a pass returns 0, or 1 where memory ran out.
struct Level {
    int (*forward32)(const Call *);
    int (*forward64)(const Call *);
    int (*backward32)(const Call *);
    int (*backward64)(const Call *);
    Scan *scan32, *scan64;
    Count *count32, *count64;
    CountBits *count_bits;
    Sort *sort32, *sort64;
};
