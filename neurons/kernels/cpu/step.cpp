// One time step of one tile, in the order of evaluation of the reference: b, B, u, S.
//
// Compiled with -ffp-contract=off: a product and a sum that were contracted into one instruction
// would round once instead of twice, and a neuron near its threshold would spike another time.

#include "step.h"

#include "vector.h"

namespace LEVEL {

template <int VL> static INLINE void put_bits(uint8_t *row, long column, uint32_t bits) {
    if (VL >= 8) memcpy(row + column / 8, &bits, VL / 8);
    else row[column / 8] = column % 8 ? row[column / 8] | bits << column % 8 : bits;
}

template <class T, int RESET, bool ADAPTIVE> static void run(const Step<T> &given) {
    using V = Vec<T>;
    constexpr int VL = L<T>;
    const V one = fill(T(1)), zero = {};
    // Vectors may alias anything: a struct that others see would be read again after every store.
    const Step<T> s = given;
    for (long r = 0; r < s.rows; r++) {
        const T *x = s.current + r * s.stride;
        const T *recurrent = s.recurrent ? s.recurrent + r * s.padded : nullptr;
        const T *numbers = s.crossed ? s.crossed + r * s.padded : nullptr;
        const uint64_t *crossed = s.crossed ? nullptr : s.crossed_bits[r];
        const T *before = s.before[r];
        T *after = s.after[r], *unreset = s.unreset ? s.unreset + r * s.padded : nullptr;
        T *adaptation = s.adaptation + r * s.padded, *counts = s.counts + r * s.padded;
        T *spikes = s.spikes + r * s.neurons, *trace = s.trace ? s.trace + r * s.neurons : nullptr;
        uint8_t *bits = reinterpret_cast<uint8_t *>(s.bits + r * s.words);
        for (long c = 0; c < s.padded; c += VL) {
            Mask<T> fired = {};
            V z;
            if (crossed) {
                fired = mask_of<T>(crossed, c);
                z = select<T>(fired, one, zero);
            } else {
                z = load(numbers + c);
                fired = z != zero;
            }
            V B = load(s.threshold + c);
            if (ADAPTIVE) {
                V b = load(s.rho + c) * load(adaptation + c) + load(s.leak + c) * z;
                store(adaptation + c, b);
                B += load(s.strength + c) * b;
            }
            V I = load(x + c, s.width - c);
            if (recurrent) I += load(recurrent + c) + load(s.recurrent_bias + c);
            V u = load(before + c);
            if (RESET == ZERO) u = (one - z) * u;
            u = load(s.alpha + c) * u + load(s.gain + c) * I;
            if (RESET == ZERO_AFTER) {
                if (unreset) store(unreset + c, u);
                u = u - z * u;
            }
            // An infinite threshold times no spike is no number: subtract where there was one.
            if (RESET == SUBTRACT) u = select<T>(fired, u - z * B, u);
            store(after + c, u);
            Mask<T> spike = u > B;
            V S = select<T>(spike, one, zero);
            put_bits<VL>(bits, c, bits_of(spike));
            store(counts + c, load(counts + c) + S);
            store(spikes + c, S, s.neurons - c);
            if (trace) store(trace + c, u, s.neurons - c);
        }
    }
}

template <class T, int RESET> static void choose(const Step<T> &s) {
    if (s.adaptive) run<T, RESET, true>(s);
    else run<T, RESET, false>(s);
}

template <class T> void advance(const Step<T> &s) {
    switch (s.reset) {
    case SUBTRACT: return choose<T, SUBTRACT>(s);
    case NONE: return choose<T, NONE>(s);
    case ZERO: return choose<T, ZERO>(s);
    case ZERO_AFTER: return choose<T, ZERO_AFTER>(s);
    }
}

template void advance<float>(const Step<float> &);
template void advance<double>(const Step<double> &);

}  // namespace LEVEL
