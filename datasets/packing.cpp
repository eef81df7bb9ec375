// Binned events to bits, varied on the way: what datasets/augment.py and datasets/packed.py do with
// arrays of NumPy, in one sweep and to the last bit. Called by datasets/packing.py.

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <exception>
#include <vector>

namespace {

using u128 = unsigned __int128;

// O'Neill's PCG64 (XSL-RR, 2014), as numpy.random.PCG64 and numpy.random.Generator draw from it.
class Pcg64 {
public:
    Pcg64(u128 state, u128 increment) : state_(state), increment_(increment) {}

    // Leave draws out, in a number of steps that goes as its logarithm (Brown, 1994).
    void advance(u128 draws) {
        u128 times = 1, plus = 0, each_times = MULTIPLIER, each_plus = increment_;
        for (; draws; draws >>= 1) {
            if (draws & 1) {
                times *= each_times;
                plus = plus * each_times + each_plus;
            }
            each_plus *= each_times + 1;
            each_times *= each_times;
        }
        state_ = times * state_ + plus;
        halved_ = false;
    }

    double uniform() { return static_cast<double>(next() >> 11) * 0x1p-53; }

    // Numbers as Generator.random(dtype=float32) fills an array with: one from the lower half of a
    // draw, one from its upper half.
    void fill(float *numbers, int64_t count) {
        if (!count) return;
        int64_t i = 0;
        if (halved_) numbers[i++] = scaled(kept_);
        halved_ = (count - i) % 2 == 1;
        for (; i + 1 < count; i += 2) {
            const uint64_t drawn = next();
            numbers[i] = scaled(static_cast<uint32_t>(drawn));
            numbers[i + 1] = scaled(static_cast<uint32_t>(drawn >> 32));
        }
        if (halved_) {
            const uint64_t drawn = next();
            numbers[i] = scaled(static_cast<uint32_t>(drawn));
            kept_ = static_cast<uint32_t>(drawn >> 32);
        }
    }

private:
    static constexpr u128 MULTIPLIER =
        (static_cast<u128>(0x2360ED051FC65DA4) << 64) | 0x4385DF649FCCF645;

    uint64_t next() {
        state_ = state_ * MULTIPLIER + increment_;
        const uint64_t mixed = static_cast<uint64_t>(state_ >> 64) ^ static_cast<uint64_t>(state_);
        const unsigned by = static_cast<unsigned>(state_ >> 122);
        return (mixed >> by) | (mixed << (-by & 63));
    }

    static float scaled(uint32_t bits) { return static_cast<float>(bits >> 8) * 0x1p-24f; }

    u128 state_, increment_;
    bool halved_ = false;
    uint32_t kept_ = 0;
};

}  // namespace

// Fields as in packing.py.
struct Batch {
    // Channels of all recordings' events, 16 or 32 bits wide; where each recording begins in them;
    // how many there are in each of its steps; the recordings of this batch.
    const void *events;
    const int64_t *offsets;
    const uint32_t *per_step;
    const int64_t *chosen;
    int64_t wide, sequences, steps, channels;
    // The stream of the epoch, from which a recording draws after its number times `jump` draws;
    // upper and lower halves.
    uint64_t state[2], increment[2], jump[2];
    // As in augment.py; no stream is needed where all are zero.
    int64_t shift;
    double stretch, drop;
    // [steps, sequences, ceil(channels / 64)]
    uint64_t *words;
};

namespace {

u128 joined(const uint64_t *halves) {
    return (static_cast<u128>(halves[0]) << 64) | halves[1];
}

// Bits of 64 bytes that are 0 or 1, the first byte's lowest.
uint64_t bits(const uint8_t *bytes) {
    uint64_t word = 0;
    for (int i = 0; i < 8; i++) {
        uint64_t eight;
        std::memcpy(&eight, bytes + 8 * i, 8);
        // Moves bit 8 k to bit 56 + k, and others where they do not reach so far.
        word |= (eight * 0x0102040810204080) >> 56 << 8 * i;
    }
    return word;
}

// A sequence at a time, as bytes, which need not be read to be set, as bits would; those of a cochlea
// stay in the cache.
template <class Channel> void pack(const Batch &b) {
    // Copies, since a byte that is written might be one of theirs.
    const bool stretched = b.stretch > 0, dropped = b.drop > 0;
    const uint32_t channels = static_cast<uint32_t>(b.channels);
    const int64_t steps = b.steps, row = (b.channels + 63) / 64, width = 64 * row;
    const float drop = static_cast<float>(b.drop), end = static_cast<float>(steps);
    // What is lost goes to the byte behind the last.
    const int64_t lost = steps * width;
    std::vector<uint8_t> spikes(lost + 1);
    std::vector<float> within, luck;
    for (int64_t i = 0; i < b.sequences; i++) {
        const int64_t chosen = b.chosen[i], first = b.offsets[chosen];
        const int64_t events = b.offsets[chosen + 1] - first;
        const Channel *event = static_cast<const Channel *>(b.events) + first;
        const uint32_t *per_step = b.per_step + chosen * steps;
        uint32_t shift = 0;  // modulo 2**32, so that what is negative lies beyond all channels
        float speed = 1;
        if (b.shift || stretched || dropped) {
            Pcg64 random(joined(b.state), joined(b.increment));
            random.advance(static_cast<u128>(chosen) * joined(b.jump));
            // No place is below zero: a cast rounds it down.
            shift = static_cast<uint32_t>(
                static_cast<int64_t>(random.uniform() * (2 * b.shift + 1)) - b.shift);
            speed = static_cast<float>(1 + b.stretch * (2 * random.uniform() - 1));
            within.resize(stretched ? events : 0);
            random.fill(within.data(), within.size());
            luck.resize(dropped ? events : 0);
            random.fill(luck.data(), luck.size());
        }
        const float *u = within.data(), *l = luck.data();
        uint8_t *spike = spikes.data();
        std::memset(spike, 0, lost);
        int64_t e = 0;
        for (int64_t step = 0; step < steps; step++) {
            for (const int64_t next = std::min<int64_t>(e + per_step[step], events); e < next; e++) {
                const uint32_t channel = static_cast<uint32_t>(event[e]) + shift;
                int32_t to = static_cast<int32_t>(step);
                bool kept = channel < channels;
                if (stretched) {
                    const float moved = (u[e] + static_cast<float>(step)) * speed;
                    kept &= moved < end;
                    to = static_cast<int32_t>(moved);
                }
                if (dropped) kept &= l[e] >= drop;
                spike[kept ? to * width + channel : lost] = 1;
            }
        }
        for (int64_t step = 0; step < steps; step++)
            for (int64_t w = 0; w < row; w++)
                b.words[(step * b.sequences + i) * row + w] = bits(spike + step * width + 64 * w);
    }
}

}  // namespace

extern "C" {

__attribute__((visibility("default"))) int64_t srnn_packing_size() { return sizeof(Batch); }

// Numbers of a stream, to be compared with NumPy's own.
__attribute__((visibility("default"))) void srnn_packing_draws(const uint64_t *state,
                                                               const uint64_t *increment,
                                                               float *numbers, int64_t count) {
    Pcg64({joined(state), joined(increment)}).fill(numbers, count);
}

// Returns whether memory sufficed.
__attribute__((visibility("default"))) int srnn_packing(const Batch *batch) {
    try {
        batch->wide == 2 ? pack<uint16_t>(*batch) : pack<uint32_t>(*batch);
    } catch (const std::exception &) {
        return 0;
    }
    return 1;
}
}
