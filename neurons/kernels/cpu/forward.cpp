// The forward pass: each tile of sequences runs through all of time, apart from every other.

#include "parameters.h"
#include "step.h"
#include "team.h"

namespace LEVEL {

// Above this part of the neurons, spiking, a dense product is cheaper than one sum for each spike.
constexpr double DENSE = 0.3;

template <class T> struct Weights {
    Strips<T> projection, recurrent;
    const T *projection_bias, *recurrent_bias;
};

// out[R rows, padded] = A W, dense.
template <class T>
static void multiply(T *out, const T *A, long rows, long row, const Strips<T> &W) {
    for (long c = 0; c < W.padded; c += PW<T>)
        for_rows(rows, [&](auto size, long r) {
            constexpr int R = decltype(size)::value;
            Vec<T> acc[R][PANEL] = {};
            panel<T, R>(acc, A + r * row, row, 1, W.at(c), W.stride(c), W.K);
            for (int i = 0; i < R; i++)
                for (int j = 0; j < PANEL; j++)
                    store(out + (r + i) * W.padded + c + j * L<T>, acc[i][j]);
        });
}

// out[padded] (one slice at a time, which stays in the cache) = sum of rows of W for each list.
template <class T, class Of>
static void add_up(T *out, long rows, const Strips<T> &W, Of list_of) {
    for_slices<T>(W.padded, [&](auto size, long c) {
        constexpr int N = decltype(size)::value;
        for (long r = 0; r < rows; r++) {
            Active<T> on = list_of(r);
            Vec<T> acc[N] = {};
            if (on.values)
                gather<T, N, true>(acc, on.channels, on.values, on.n, W.at(c), W.stride(c));
            else
                gather<T, N, false>(acc, on.channels, nullptr, on.n, W.at(c), W.stride(c));
            for (int j = 0; j < N; j++) store(out + r * W.padded + c + j * L<T>, acc[j]);
        }
    });
}

// The projected input of a tile over a few steps.
template <class T> struct Projection {
    const Call &c;
    const Weights<T> &w;
    long steps;                     // at once
    T *out;
    uint32_t *list;
    T *values;
    Active<T> *lists;

    Projection(Arena &arena, const Call &call, const Weights<T> &weights) : c(call), w(weights) {
        long bytes = c.rows * c.padded * sizeof(T);
        steps = 131072 / bytes < 1 ? 1 : 131072 / bytes > 16 ? 16 : 131072 / bytes;
        bool lists_needed = sparse(c);
        out = arena.take<T>(c.current ? 1 : steps * c.rows * c.padded);
        list = arena.take<uint32_t>(lists_needed ? steps * c.rows * c.channels + EIGHT : 1);
        values = arena.take<T>(lists_needed && c.weighted ? steps * c.rows * c.channels : 1);
        lists = arena.take<Active<T>>(lists_needed ? steps * c.rows : 1);
    }

    // Steps [t0, t1) of rows [r0, r1), to out[t - t0, r - r0, padded].
    void run(long t0, long t1, long r0, long r1) {
        long rows = r1 - r0, n = rows * (t1 - t0);
        if (sparse(c)) {
            for (long i = 0; i < n; i++)
                lists[i] = active<T>(c, (t0 + i / rows) * c.batch + r0 + i % rows,
                                     list + i * c.channels,
                                     c.weighted ? values + i * c.channels : values);
            add_up(out, n, w.projection, [&](long i) { return lists[i]; });
        } else {
            const T *x = static_cast<const T *>(c.inputs);
            for (long t = t0; t < t1; t++)
                multiply(out + (t - t0) * rows * c.padded, x + (t * c.batch + r0) * c.channels,
                         rows, c.channels, w.projection);
        }
        if (!c.projection_bias) return;
        for (long i = 0; i < n; i++)
            for (long k = 0; k < c.padded; k += L<T>) {
                T *p = out + i * c.padded + k;
                store(p, load(p) + load(w.projection_bias + k));
            }
    }
};

// The spikes of the step before, times the recurrent weights.
template <class T> struct Recurrence {
    const Call &c;
    const Weights<T> &w;
    T *out, *dense;
    uint32_t *list;
    Active<T> *lists;

    Recurrence(Arena &arena, const Call &call, const Weights<T> &weights) : c(call), w(weights) {
        out = arena.take<T>(c.rows * c.padded);
        dense = arena.take<T>(c.rows * c.padded);
        list = arena.take<uint32_t>(c.rows * c.neurons + EIGHT);
        lists = arena.take<Active<T>>(c.rows);
    }

    const T *none() {
        memset(out, 0, c.rows * c.padded * sizeof(T));
        return out;
    }

    // From any values [rows, padded]; null if all are zero.
    const T *from(const T *spikes, long rows) {
        bool any = false;
        for (long i = 0; i < rows * c.padded; i++) any |= spikes[i] != 0;
        if (!any) return nullptr;
        multiply(out, spikes, rows, c.padded, w.recurrent);
        return out;
    }

    const T *from(const uint64_t *const *bits, long rows) {
        long total = 0, words = (c.neurons + 63) / 64;
        for (long r = 0; r < rows; r++) {
            uint32_t *first = list + r * c.neurons;
            lists[r] = {first, nullptr, list_bits(bits[r], words, first)};
            total += lists[r].n;
        }
        if (total == 0) return nullptr;
        if (total <= DENSE * rows * c.neurons) {
            add_up(out, rows, w.recurrent, [&](long r) { return lists[r]; });
            return out;
        }
        memset(dense, 0, rows * c.padded * sizeof(T));
        for (long r = 0; r < rows; r++)
            for (long e = 0; e < lists[r].n; e++) dense[r * c.padded + lists[r].channels[e]] = 1;
        multiply(out, dense, rows, c.padded, w.recurrent);
        return out;
    }
};

// All of time for rows [r0, r1).
template <class T>
static void run_tile(const Call &c, const Parameters<T> &p, const Weights<T> &w, Projection<T> &in,
                     Recurrence<T> &rec, Arena &arena, long r0, long r1) {
    const long rows = r1 - r0, P = c.padded, H = c.neurons, B = c.batch;
    const uint64_t *no_bits = arena.zeros<uint64_t>(c.words);
    const uint64_t *crossed_bits[rows];
    const T *before[rows];
    T *after[rows];
    T *membrane = arena.take<T>(rows * P), *adaptation = arena.take<T>(rows * P);
    T *first = arena.take<T>(rows * P), *spikes = arena.take<T>(rows * P);
    T *zeros = arena.zeros<T>(P), *counts = arena.zeros<T>(rows * P);
    if (arena.failed) return;
    padded_rows(membrane, c.membrane, r0, r1, H, P);
    padded_rows(adaptation, c.adaptation, r0, r1, H, P);
    padded_rows(first, c.crossed, r0, r1, H, P);
    padded_rows(spikes, c.spikes, r0, r1, H, P);
    T *kept = static_cast<T *>(c.kept), *checkpoints = static_cast<T *>(c.checkpoints);
    // The membrane lives in what is kept, unless that is another quantity or nothing is.
    const bool in_kept = kept && c.reset != ZERO_AFTER;

    Step<T> s = {};
    s.rows = rows, s.neurons = H, s.padded = P, s.reset = Reset(c.reset), s.adaptive = p.adaptive;
    s.alpha = p.alpha, s.gain = p.gain, s.threshold = p.threshold, s.rho = p.rho, s.leak = p.leak;
    s.strength = p.strength, s.recurrent_bias = w.recurrent_bias;
    s.before = before, s.after = after, s.adaptation = adaptation, s.counts = counts;
    s.crossed_bits = crossed_bits, s.words = c.words;
    for (long r = 0; r < rows; r++) before[r] = after[r] = membrane + r * P;
    for (long t = 0; t < c.steps; t++) {
        if (p.adaptive && kept && t % c.block == 0)
            memcpy(checkpoints + (t / c.block * B + r0) * P, adaptation, rows * P * sizeof(T));
        for (long r = 0; r < rows; r++) {
            if (t && in_kept) before[r] = kept + ((t - 1) * B + r0 + r) * P;
            if (in_kept) after[r] = kept + (t * B + r0 + r) * P;
            if (t) crossed_bits[r] = c.bits + ((t - 1) * B + r0 + r) * c.words;
            if (!begins(c, t, r0 + r)) {
                if (!in_kept) before[r] = membrane + r * P;
                continue;
            }
            before[r] = zeros;
            crossed_bits[r] = no_bits;
            if (t == 0) {
                memset(first + r * P, 0, P * sizeof(T));
                memset(spikes + r * P, 0, P * sizeof(T));
            }
            for (long i = 0; i < P; i++) adaptation[r * P + i] = T(c.initial_adaptation);
        }
        s.crossed = t ? nullptr : first;
        s.recurrent = !c.recurrent ? nullptr
                      : t          ? rec.from(crossed_bits, rows)
                                   : rec.from(spikes, rows);
        if (c.recurrent && !s.recurrent && c.recurrent_bias) s.recurrent = rec.none();
        const long at = t * B + r0;
        if (c.current) {
            s.current = static_cast<const T *>(c.current) + at * H, s.stride = s.width = H;
        } else {
            if (t % in.steps == 0)
                in.run(t, t + in.steps < c.steps ? t + in.steps : c.steps, r0, r1);
            s.current = in.out + t % in.steps * rows * P, s.stride = s.width = P;
        }
        s.spikes = static_cast<T *>(c.out_spikes) + at * H;
        s.trace = c.out_trace ? static_cast<T *>(c.out_trace) + at * H : nullptr;
        s.bits = c.bits + at * c.words;
        s.unreset = kept && !in_kept ? kept + at * P : nullptr;
        advance(s);
    }
    for (long r = 0; r < rows; r++)
        unpadded_rows(c.out_membrane, c.steps ? after[r] : before[r], r0 + r, r0 + r + 1, H, P);
    unpadded_rows(c.out_adaptation, adaptation, r0, r1, H, P);
    unpadded_rows(c.out_counts, counts, r0, r1, H, P);
}

// The channels that are active in some row: where there are few rows, as when a network is stepped,
// most of the weights are not touched, and setting them all up would cost more than all the rest.
static Rows active_channels(Arena &arena, const Call &c) {
    const long rows = c.steps * c.batch, words = (c.channels + 63) / 64;
    // With so many events, to look for a channel without any takes longer than it could save.
    if (!sparse(c) || (c.offsets && c.offsets[rows] > 4 * c.channels)) return {nullptr, c.channels};
    uint64_t *any = arena.zeros<uint64_t>(words);
    uint32_t *list = arena.take<uint32_t>(c.channels + EIGHT);
    if (arena.failed) return {nullptr, 0};
    if (c.offsets)
        for (long e = c.offsets[0]; e < c.offsets[rows]; e++)
            any[c.indices[e] / 64] |= uint64_t(1) << c.indices[e] % 64;
    else
        for (long r = 0; r < rows; r++)
            for (long w = 0; w < words; w++) any[w] |= c.input_bits[r * words + w];
    return {list, list_bits(any, words, list)};
}

template <class T> static int forward(const Call *call) {
    const Call &c = *call;
    Arena shared;
    Parameters<T> p(shared, c, T(__builtin_inf()));
    Weights<T> w;
    if (c.projection)
        w.projection = strips(shared, static_cast<const T *>(c.projection), true, c.channels,
                              c.neurons, c.padded, sparse(c) ? SW<T> : PW<T>, (const T *)nullptr,
                              active_channels(shared, c));
    if (c.recurrent)
        w.recurrent = strips(shared, static_cast<const T *>(c.recurrent), true, c.neurons,
                             c.neurons, c.padded, SW<T>, (const T *)nullptr,
                             Rows{nullptr, c.neurons});
    w.projection_bias = padded_copy<T>(shared, c.projection_bias, c.neurons, c.padded, 0, 0);
    w.recurrent_bias = padded_copy<T>(shared, c.recurrent_bias, c.neurons, c.padded, 0, 0);
    bool failed = shared.failed;
    auto work = [&](const Team &team) {
        Arena own;
        Projection<T> in(own, c, w);
        Recurrence<T> rec(own, c, w);
        bool lost = failed || own.failed;
        for (long i = team.thread; i < p.tiles && !lost; i += team.threads) {
            Arena tile;
            long r0 = i * c.rows, r1 = r0 + c.rows < c.batch ? r0 + c.rows : c.batch;
            run_tile(c, p, w, in, rec, tile, r0, r1);
            lost = tile.failed;
        }
        if (lost) __atomic_store_n(&failed, true, __ATOMIC_RELAXED);
    };
    in_parallel(c.threads, work);
    return failed;
}

int forward32(const Call *call) { return forward<float>(call); }
int forward64(const Call *call) { return forward<double>(call); }

}  // namespace LEVEL
