// One time step of one tile of sequences, element by element; see step.cpp.
#pragma once

#include "call.h"

namespace LEVEL {

template <class T> struct Step {
    long rows, neurons, padded;
    Reset reset;
    bool adaptive;
    const T *current;           // [rows, stride], of which `width` columns may be read
    long stride, width;
    const T *recurrent;         // W_rec S, [rows, padded], or null
    const T *alpha, *gain, *threshold, *rho, *leak, *strength, *recurrent_bias;
    const T *const *before;     // membrane before and after, one pointer a row
    T *const *after;
    T *unreset;                 // membrane before a reset ZERO_AFTER, [rows, padded], or null
    T *adaptation, *counts;     // [rows, padded]
    const T *crossed;           // S_{t-1} in the first step, [rows, padded]; else null and
    const uint64_t *const *crossed_bits;    // its bits, one pointer a row
    T *spikes, *trace;          // [rows, neurons]; the trace may be null
    uint64_t *bits;             // [rows, words]
    long words;
};

template <class T> void advance(const Step<T> &step);

}  // namespace LEVEL
