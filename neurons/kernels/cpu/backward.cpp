// The backward pass: blocks of time from the last to the first, each in two phases. First every
// tile of sequences runs back through the block; then the gradients of the weights take what the
// block's G_c gives them. G_c of the whole sequence is never stored.

#include "adjoint.h"
#include "sources.h"
#include "support.h"

namespace LEVEL {

template <class T> struct Backward {
    const Call &c;
    Arena arena;
    Parameters<T> p;
    Surrogates<T> surrogate;
    const long P, H, B;
    const bool want_recurrent, want_projection, dense_inputs;
    Strips<T> recurrent, projection;    // rows times the gain
    Support<T> support;
    Sources<T> spiking, active_inputs;
    T *G;                               // G_c, [block, batch, padded]
    T *later;                           // G_c of the step after the block, [batch, padded]
    T *membrane, *adaptation, *spikes;  // carried, [batch, padded]
    T *crossed, *first, *membrane0;     // what the sequence began with, [batch, padded]
    T *sums, *drive;                    // [tiles, SUMS, padded], [tiles, padded]
    T *rest;                            // b of a new episode, [padded]
    uint64_t *none;
    bool first_spikes = false;

    static long sources(bool wanted, long n) { return wanted ? n : 0; }

    explicit Backward(const Call &call)
        : c(call), p(arena, call, T(1e18)), surrogate(call), P(c.padded), H(c.neurons), B(c.batch),
          want_recurrent(c.recurrent && (c.d_recurrent || c.d_gain)),
          want_projection(c.projection && (c.d_projection || c.d_gain)), dense_inputs(!sparse(c)),
          spiking(arena, sources(want_recurrent, H), p.tiles, c.block * c.rows, false, P),
          active_inputs(arena, sources(want_projection, c.channels), p.tiles,
                        dense_inputs ? 0 : c.block * c.rows, c.weighted, P) {
        if (c.recurrent)
            recurrent = strips(arena, static_cast<const T *>(c.recurrent), false, H, H, P, PW<T>,
                               p.gain, Rows{nullptr, H});
        if (c.recurrent && surrogate.compact())
            support = Support<T>::of(arena, static_cast<const T *>(c.recurrent), p.gain, H, P);
        if (c.d_inputs)
            projection = strips(arena, static_cast<const T *>(c.projection), false, H, c.channels,
                                (c.channels + 31) / 32 * 32, PW<T>, p.gain, Rows{nullptr, H});
        G = arena.take<T>(c.block * B * P);
        T **rows[] = {&later, &membrane, &adaptation, &spikes, &crossed, &first, &membrane0};
        for (T **r : rows) *r = arena.take<T>(B * P);
        sums = arena.zeros<T>(p.tiles * SUMS * P);
        drive = arena.zeros<T>(p.tiles * P);
        rest = arena.take<T>(P);
        none = arena.zeros<uint64_t>(c.words);
        if (arena.failed) return;
        for (long i = 0; i < P; i++) rest[i] = T(c.initial_adaptation);
        padded_rows(membrane, c.g_membrane, 0, B, H, P);
        padded_rows(adaptation, c.g_adaptation, 0, B, H, P);
        padded_rows<T>(spikes, nullptr, 0, B, H, P);
        padded_rows(crossed, c.crossed, 0, B, H, P);
        padded_rows(membrane0, c.membrane, 0, B, H, P);
        padded_rows(first, c.spikes, 0, B, H, P);
        for (long r = 0; c.steps && r < B; r++)
            if (begins(c, 0, r)) memset(first + r * P, 0, P * sizeof(T));
        for (long i = 0; c.steps && i < B * P; i++) first_spikes |= first[i] != 0;
    }

    // Where S_{t-1} stands, as the step t of one row sees it.
    void seen(long t, long r, const T **numbers, const uint64_t **bits) const {
        *numbers = nullptr, *bits = none;
        if (t < 0 || begins(c, t, r)) return;
        if (t == 0) *numbers = crossed + r * P;
        else *bits = c.bits + ((t - 1) * B + r) * c.words;
    }

    // b of the steps [t0, t1) again, from the checkpoint: out[k] is b before step t0 + k.
    void adapt(T *out, long t0, long t1, long r0, long r1) const {
        const long n = (r1 - r0) * P;
        memcpy(out, static_cast<const T *>(c.checkpoints) + (t0 / c.block * B + r0) * P,
               n * sizeof(T));
        for (long t = t0; t < t1; t++, out += n)
            for (long r = r0; r < r1; r++) {
                const T *numbers, *b = begins(c, t, r) ? rest : out + (r - r0) * P;
                const uint64_t *bits;
                seen(t, r, &numbers, &bits);
                for (long i = 0; i < P; i += L<T>)
                    store(out + n + (r - r0) * P + i,
                          load(p.rho + i) * load(b + i) +
                              load(p.leak + i) * spikes_of(numbers, bits, i));
            }
    }

    // What one thread needs to run tiles back.
    struct Scratch {
        Arena arena;
        T *b, *psi, *product;
        Row<T> *rows;
        uint32_t *names, *entries;
        uint64_t *masks;
        bool few;       // whether psi is 0 for most neurons of the block at hand
        explicit Scratch(const Backward &w) {
            const Call &c = w.c;
            const long rows_of_tile = c.block * c.rows;
            const long widest = c.channels > c.neurons ? c.channels : c.neurons;
            b = arena.take<T>(w.p.adaptive ? (c.block + 1) * c.rows * c.padded : 1);
            rows = arena.take<Row<T>>(c.rows);
            names = arena.zeros<uint32_t>((rows_of_tile + 63) / 64 * 64);
            masks = arena.take<uint64_t>((widest + 63) / 64 * 64 * ((rows_of_tile + 63) / 64));
            psi = arena.take<T>(c.rows * c.padded);
            product = arena.take<T>(c.rows * c.padded);
            entries = arena.take<uint32_t>(c.rows * PW<T>);
        }
    };

    // What step t-1 will read of a row, while the product of step t keeps the machine busy: a
    // panel's piece of a row is too short for the hardware to see that more will follow. Inline, or
    // GCC takes it for a function without effect and drops it.
    INLINE void fetch_ahead(const Row<T> &row, long column) const {
        for (long at = column; at < column + PW<T>; at += 64 / long(sizeof(T))) {
            __builtin_prefetch(row.before - B * P + at, 0, 2);
            if (row.g_spikes) __builtin_prefetch(row.g_spikes - B * H + at, 0, 2);
        }
    }

    template <int RESET, bool ADAPTIVE>
    void step_back(long t, long t0, long tile, long r0, long r1, const Scratch &s) const {
        const long n = r1 - r0;
        const T *kept = static_cast<const T *>(c.kept);
        for (long r = r0; r < r1; r++) {
            const long at = t * B + r, i = r - r0;
            Row<T> &row = s.rows[i];
            row = {};
            row.u = kept + at * P;
            row.before = t ? row.u - B * P : membrane0 + r * P;
            row.begins = begins(c, t, r), row.cut = t + 1 < c.steps && begins(c, t + 1, r);
            if (ADAPTIVE) {
                row.b = s.b + ((t - t0 + 1) * n + i) * P;
                row.b_before = row.begins ? rest : row.b - n * P;
            }
            seen(t, r, &row.crossed, &row.crossed_bits);
            if (RESET == ZERO_AFTER) seen(t - 1, r, &row.earlier, &row.earlier_bits);
            const T *g = static_cast<const T *>(c.g_spikes), *h = static_cast<const T *>(c.g_trace);
            row.g_spikes = g ? g + at * H : nullptr, row.g_trace = h ? h + at * H : nullptr;
            row.membrane = membrane + r * P, row.adaptation = adaptation + r * P;
            row.spikes = spikes + r * P, row.out = G + ((t - t0) * B + r) * P;
            T *d = static_cast<T *>(c.d_current);
            row.d_current = d ? d + at * H : nullptr;
        }
        const bool product = c.recurrent && t + 1 < c.steps;
        for (long i = 0; i < n; i++)
            slopes<T, RESET, ADAPTIVE>(s.psi + i * P, s.rows[i], p, P, surrogate);
        if (product) multiply(t, t0, r0, n, s);
        for (long i = 0; i < n; i++) {
            const Row<T> &row = s.rows[i];
            const bool plain = product && row.g_spikes && !row.g_trace && !row.crossed &&
                               !row.earlier && !row.d_current && !row.begins && !row.cut;
            const auto back = plain ? adjoint<T, RESET, ADAPTIVE, true>
                                    : adjoint<T, RESET, ADAPTIVE, false>;
            back(row, H, s.psi + i * P, product && !row.cut ? s.product + i * P : nullptr, p,
                 c.detach_reset, sums + tile * SUMS * P, P);
        }
    }

    // G_c of step t+1 times W_rec, for n rows: all of it, or where psi is not 0.
    void multiply(long t, long t0, long r0, long n, const Scratch &s) const {
        const bool last_of_block = t + 1 == t0 + c.block;
        const T *after = (last_of_block ? later : G + (t + 1 - t0) * B * P) + r0 * P;
        for (long column = 0; column < P; column += PW<T>) {
            if (s.few) {
                for (long i = 0; i < n; i++) fetch_ahead(s.rows[i], column);
                const long entries = Support<T>::list(s.rows, s.psi, n, column, P, s.entries);
                support.multiply(s.product, after, n, column, s.entries, entries);
                continue;
            }
            for_rows(n, [&](auto size, long i) {
                constexpr int R = decltype(size)::value;
                Vec<T> acc[R][PANEL] = {};
                const T *A = after + i * P, *W = recurrent.at(column);
                const long stride = recurrent.stride(column);
                for (int k = 0; k < R; k++) {
                    const long from = H * k / R, to = H * (k + 1) / R;
                    fetch_ahead(s.rows[i + k], column);
                    panel<T, R>(acc, A + from, P, 1, W + from * stride, stride, to - from);
                }
                for (int k = 0; k < R; k++)
                    for (int j = 0; j < PANEL; j++)
                        store(s.product + (i + k) * P + column + j * L<T>, acc[k][j]);
            });
        }
    }

    void choose(long t, long t0, long tile, long r0, long r1, const Scratch &s) const {
        switch (c.reset * 2 + p.adaptive) {
        case SUBTRACT * 2: return step_back<SUBTRACT, false>(t, t0, tile, r0, r1, s);
        case SUBTRACT * 2 + 1: return step_back<SUBTRACT, true>(t, t0, tile, r0, r1, s);
        case NONE * 2: return step_back<NONE, false>(t, t0, tile, r0, r1, s);
        case NONE * 2 + 1: return step_back<NONE, true>(t, t0, tile, r0, r1, s);
        case ZERO * 2: return step_back<ZERO, false>(t, t0, tile, r0, r1, s);
        case ZERO * 2 + 1: return step_back<ZERO, true>(t, t0, tile, r0, r1, s);
        case ZERO_AFTER * 2: return step_back<ZERO_AFTER, false>(t, t0, tile, r0, r1, s);
        default: return step_back<ZERO_AFTER, true>(t, t0, tile, r0, r1, s);
        }
    }

    // One product of rows of G_c with W, the columns that exist; `skip(r)` leaves zeros.
    template <class Skip>
    void to_rows(T *out, const T *A, long rows, const Strips<T> &W, long n, Skip skip) const {
        for (long column = 0; column < W.padded; column += PW<T>)
            for_rows(rows, [&](auto size, long i) {
                constexpr int R = decltype(size)::value;
                Vec<T> acc[R][PANEL] = {};
                panel<T, R>(acc, A + i * P, P, 1, W.at(column), W.stride(column), H);
                for (int r = 0; r < R; r++)
                    for (int j = 0; j < PANEL; j++) {
                        const long at = column + j * L<T>;
                        store(out + (i + r) * n + at, skip(i + r) ? Vec<T>{} : acc[r][j], n - at);
                    }
            });
    }

    void run_tile(long tile, long t0, long t1, Scratch &s) {
        const long r0 = tile * c.rows, r1 = r0 + c.rows < B ? r0 + c.rows : B, n = r1 - r0;
        if (p.adaptive) adapt(s.b, t0, t1, r0, r1);
        s.few = support.columns &&
                support.few(static_cast<const T *>(c.kept) + ((t1 - 1) * B + r0) * P,
                            p.adaptive ? s.b + (t1 - t0) * n * P : nullptr, n, p, surrogate, s.psi);
        for (long t = t1 - 1; t >= t0; t--) {
            choose(t, t0, tile, r0, r1, s);
            const T *now = G + ((t - t0) * B + r0) * P;
            if (c.d_inputs)
                to_rows(static_cast<T *>(c.d_inputs) + (t * B + r0) * c.channels, now, n,
                        projection, c.channels, [](long) { return false; });
            if (c.current && c.d_gain) {
                const T *x = static_cast<const T *>(c.current) + (t * B + r0) * H;
                for (long r = 0; r < n; r++)
                    for (long i = 0; i < H; i++) drive[tile * P + i] += x[r * H + i] * now[r * P + i];
            }
        }
        memcpy(later + r0 * P, G + r0 * P, n * P * sizeof(T));
        // The i-th row of the block, step by step; its name is its place in G.
        const long count = (t1 - t0) * n;
        const auto row_of = [&](long i) { return (t0 + i / n) * B + r0 + i % n; };
        for (long i = 0; i < count; i++) s.names[i] = uint32_t(row_of(i) - t0 * B);
        if (want_recurrent)
            spiking.turn_bits(tile, count, [&](long i) {
                const long row = row_of(i), t = row / B;
                return t == 0 || begins(c, t, row % B) ? nullptr : c.bits + (row - B) * c.words;
            }, s.names, nullptr, s.masks);
        if (want_projection && c.offsets)
            active_inputs.turn_lists(tile, count, [&](long i) { return listed<T>(c, row_of(i)); },
                                     s.names);
        if (want_projection && c.input_bits) {
            const T *x = static_cast<const T *>(c.inputs);
            active_inputs.turn_bits(tile, count, [&](long i) {
                return c.input_bits + row_of(i) * ((c.channels + 63) / 64);
            }, s.names, c.weighted ? x + t0 * B * c.channels : nullptr, s.masks);
        }
    }

    void add_weights(const Team &team, long t0, long t1) {
        if (want_recurrent) spiking.add(team, G, P);
        if (!want_projection) return;
        if (!dense_inputs) return active_inputs.add(team, G, P);
        add_dense(team, active_inputs.sums,
                  static_cast<const T *>(c.inputs) + t0 * B * c.channels, c.channels, c.channels,
                  (t1 - t0) * B, G, P);
    }

    // The gradient of a matrix [H, n] for its rows [j0, j1), and its part of the gain's.
    void finish(T *out, double *gain, const void *matrix, const T *sum, long n, long j0,
                long j1) const {
        const T *W = static_cast<const T *>(matrix);
        for (long k = 0; k < n; k++)
            for (long j = j0; j < j1; j++) {
                if (out) out[j * n + k] = p.gain[j] * sum[k * P + j];
                gain[j - j0] += double(W[j * n + k]) * double(sum[k * P + j]);
            }
    }

    void finish_neurons(long j0, long j1) const {
        double gain[8] = {};
        if (want_recurrent)
            finish(static_cast<T *>(c.d_recurrent), gain, c.recurrent, spiking.sums, H, j0, j1);
        if (want_projection)
            finish(static_cast<T *>(c.d_projection), gain, c.projection, active_inputs.sums,
                   c.channels, j0, j1);
        const T *b_in = static_cast<const T *>(c.projection_bias);
        const T *b_rec = static_cast<const T *>(c.recurrent_bias);
        for (long j = j0; j < j1; j++) {
            double sum[SUMS] = {}, driven = gain[j - j0];
            for (long tile = 0; tile < p.tiles; tile++) {
                for (int k = 0; k < SUMS; k++) sum[k] += sums[(tile * SUMS + k) * P + j];
                driven += drive[tile * P + j];
            }
            driven += sum[0] * ((b_in ? b_in[j] : 0) + (b_rec ? b_rec[j] : 0));
            const double out[] = {sum[0] * p.gain[j], sum[1], sum[2], sum[3], driven};
            void *const to[] = {c.d_bias, c.d_alpha, c.d_threshold, c.d_rho, c.d_gain};
            for (int k = 0; k < 5; k++)
                if (to[k]) static_cast<T *>(to[k])[j] = T(out[k]);
        }
    }

    void finish_tile(long tile) const {
        const long r0 = tile * c.rows, r1 = r0 + c.rows < B ? r0 + c.rows : B;
        unpadded_rows(c.d_membrane, membrane + r0 * P, r0, r1, H, P);
        unpadded_rows(c.d_adaptation, adaptation + r0 * P, r0, r1, H, P);
        unpadded_rows(c.d_crossed, spikes + r0 * P, r0, r1, H, P);
        if (c.d_spikes && c.recurrent && c.steps)
            to_rows(static_cast<T *>(c.d_spikes) + r0 * H, later + r0 * P, r1 - r0, recurrent, H,
                    [&](long r) { return begins(c, 0, r0 + r); });
    }

    int run() {
        bool failed = arena.failed;
        auto work = [&](const Team &team) {
            Scratch scratch(*this);
            if (scratch.arena.failed) __atomic_store_n(&failed, true, __ATOMIC_RELAXED);
            team.barrier();
            if (__atomic_load_n(&failed, __ATOMIC_RELAXED)) return;
            for (long t0 = (c.steps - 1) / c.block * c.block; c.steps && t0 >= 0; t0 -= c.block) {
                const long t1 = t0 + c.block < c.steps ? t0 + c.block : c.steps;
                for (long i = team.thread; i < p.tiles; i += team.threads)
                    run_tile(i, t0, t1, scratch);
                team.barrier();
                add_weights(team, t0, t1);
                team.barrier();
            }
            if (want_recurrent && first_spikes) {
                add_dense(team, spiking.sums, first, P, H, B, G, P);
                team.barrier();
            }
            for (long i = team.thread; i < p.tiles; i += team.threads) finish_tile(i);
            const long groups = (H + 7) / 8;
            for (long g = team.begin(groups); g < team.end(groups); g++)
                finish_neurons(g * 8, g * 8 + 8 < H ? g * 8 + 8 : H);
        };
        if (!failed) in_parallel(c.threads, work);
        return failed;
    }
};

template <class T> static int backward(const Call *call) {
    Backward<T> work(*call);
    return work.run();
}

int backward32(const Call *call) { return backward<float>(call); }
int backward64(const Call *call) { return backward<double>(call); }

}  // namespace LEVEL
