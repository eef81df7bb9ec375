// Sequences of tanh units with Hebbian synapses: the passes forward and backward through time.
//
// A neuron's rows belong to one thread, and what neurons send to each other meets in sums of a
// fixed order, so that the result is the same for any number of threads. The state is batch x H x M
// and outgrows every cache but the last: a step sweeps once over it, learning from one step and
// reading for the next. The backward pass takes h from what was sent out, computes F of one chunk
// after the other again, the last first, and then needs no other product than the forward pass.

#include <algorithm>

#include "hebbian_rows.h"
#include "hyperbolic.h"
#include "products.h"
#include "team.h"

namespace LEVEL {

constexpr long GROUP = 4;   // neurons that add what they send back to one sum
template <class T> constexpr T SHORTEST = T(1e-12);     // norm that activity is divided by, at least

template <class T> class Network {
    const Hebbian &c;
    const long H, I, M, B, groups;
    const Limits<T> limits;
    const bool before, after, unit, fresh, limited;
    const long from;    // first column of what is sent back
    Arena arena;
    // Presynaptic activity, [.., tile, M]: p is what is learned from, z what is read.
    T *z, *p;
    T *work;            // F of a tile, or its gradient, [tile, H, M]
    T *kept;            // 1 / n_t, or 1, [tile, H]
    T *sent, *carry;    // gradients of h_t and of h_{t-1}, [tile, H], [tile, M - recurrent]
    T *of_kept;         // [tile, H]
    T *sums;            // gradients of presynaptic activity, [groups, tile, M]
    T *lengths;         // what the presynaptic activity was divided by, [chunk, tile]

    static const T *in(const void *given) { return static_cast<const T *>(given); }
    static T *out(void *given) { return static_cast<T *>(given); }
    long at(long t, long b, long i) const { return (t * B + b) * H + i; }
    bool begins(long t, long b) const { return c.begin && c.begin[t * B + b]; }
    long first(const Team &team) const { return team.begin(groups) * GROUP; }
    long last(const Team &team) const { return std::min(H, team.end(groups) * GROUP); }

    Synapses<T> synapses(long i) const {
        auto of = [&](void *d) { return d ? out(d) + i * M : nullptr; };
        return {in(c.W) + i * M,  in(c.Lambda) + i * M, in(c.Gamma) + i * M,
                of(c.d_W),        of(c.d_Lambda),       of(c.d_Gamma)};
    }
    Lesson<T> lesson(T factor, long t, long b, long i, const T *lines) const {
        return {factor, in(c.out_h)[at(t, b, i)], lines, limits};
    }
    Reading<T> taught(T *to, const T *from, const Synapses<T> &row, const Lesson<T> &s,
                      const T *z) const {
        return limited ? learn<true>(to, from, row, s, z, M) : learn<false>(to, from, row, s, z, M);
    }
    template <bool AFTER>
    Answer<T> untaught(T *D, const T *F, const Synapses<T> &row, const Lesson<T> &s, T norm,
                       T *sum) const {
        return limited ? unlearn<AFTER, true>(D, F, row, s, norm, sum, from, M)
                       : unlearn<AFTER, false>(D, F, row, s, norm, sum, from, M);
    }
    // n_t, that the reading is divided by.
    T divisor(T norm) const { return before || after ? norm + EPSILON<T> : T(1); }

    // A row from and to the caller's [B, H, N]; zeros where nothing is given.
    void take(T *row, const void *given, long b, long i) const {
        memset(row, 0, M * sizeof(T));
        if (!given) return;
        const T *from = in(given) + (b * H + i) * (I + H);
        memcpy(row, from, I * sizeof(T));
        memcpy(row + c.recurrent, from + I, H * sizeof(T));
    }
    void hand_over(void *taker, const T *row, long b, long i) const {
        if (!taker) return;
        T *to = out(taker) + (b * H + i) * (I + H);
        memcpy(to, row, I * sizeof(T));
        memcpy(to + I, row + c.recurrent, H * sizeof(T));
    }

    // What is sent in step t: x_t, and the activity of the step before; with INPUT, divided by
    // their norm, which is returned.
    T send(T *lines, long t, long b) const {
        memcpy(lines, in(c.x) + (t * B + b) * I, I * sizeof(T));
        const T *h = t ? in(c.out_h) + at(t - 1, b, 0) : in(c.h) + b * H;
        if (begins(t, b)) memset(lines + c.recurrent, 0, H * sizeof(T));
        else memcpy(lines + c.recurrent, h, H * sizeof(T));
        if (!unit) return T(1);
        const T length = std::max(std::sqrt(along(lines, lines)), SHORTEST<T>);
        for (long j = 0; j < M; j += L<T>) store(lines + j, load(lines + j) / length);
        return length;
    }
    T along(const T *a, const T *b) const {
        Vec<T> product = {};
        for (long j = 0; j < M; j += L<T>) product += load(a + j) * load(b + j);
        return sum<T>(product);
    }
    // What is learned from in step t, where that is h_t.
    void renew(T *lines, const T *sent_lines, long t, long b) const {
        memcpy(lines, sent_lines, c.recurrent * sizeof(T));
        memcpy(lines + c.recurrent, in(c.out_h) + at(t, b, 0), H * sizeof(T));
    }

    // The current of step t; respond() makes h_t of it.
    void deliver(const Reading<T> &reading, long t, long b, long r, long i) {
        const T norm = std::sqrt(reading.squares), n = divisor(norm);
        const T current = reading.product / n;
        out(c.out_h)[at(t, b, i)] = current;
        kept[r * H + i] = before ? 1 / n : T(1);
        if (c.norms) {
            out(c.norms)[at(t, b, i)] = norm;
            out(c.currents)[at(t, b, i)] = current;
        }
    }

    void respond(long t, long b) const {
        T *h = out(c.out_h) + at(t, b, 0);
        for (long i = 0; i < H; i += L<T>) {
            Vec<T> current = load(h + i, H - i);
            if (c.bias) current += load(in(c.bias) + i, H - i);
            store(h + i, hyperbolic_tangent<T>(current), H - i);
        }
    }

    // From the current of step t, and h_t, to the current of the next.
    void advance(long t, long b, long r, long i) {
        T *F = work + (r * H + i) * M;
        const T *next = z + ((t + 1) % 2 * c.tile + r) * M;
        const Synapses<T> row = synapses(i);
        const T *lines = fresh ? p + r * M : z + (t % 2 * c.tile + r) * M;
        Reading<T> reading = taught(F, F, row, lesson(kept[r * H + i], t, b, i, lines), next);
        if (after) {
            const T norm = std::sqrt(reading.squares);
            if (c.divisors) out(c.divisors)[at(t, b, i)] = norm;
            reading = read(F, row.W, norm + EPSILON<T>, next, M);
        }
        if (t + 1 == c.steps) return hand_over(c.out_F, F, b, i);
        if (begins(t + 1, b)) {
            memset(F, 0, M * sizeof(T));
            reading = read(F, row.W, T(1), next, M);
        }
        deliver(reading, t + 1, b, r, i);
        if (c.checkpoints && (t + 1) % c.chunk == 0)
            memcpy(out(c.checkpoints) + ((((t + 1) / c.chunk - 1) * B + b) * H + i) * M, F,
                   M * sizeof(T));
    }

    // F of all steps of a chunk, [step, tile, H, M].
    void repeat(long begin, long end, long b, long r, long i) const {
        T *F = out(c.history) + (r * H + i) * M;
        if (!begin) take(F, begins(0, b) ? nullptr : c.F, b, i);
        else memcpy(F, in(c.checkpoints) + (((begin / c.chunk - 1) * B + b) * H + i) * M,
                    M * sizeof(T));
        const Synapses<T> row = synapses(i);
        for (long t = begin; t + 1 < end; t++) {
            T *next = F + c.tile * H * M;
            const T *lines = p + ((t - begin) * c.tile + r) * M;
            const T n = divisor(in(c.norms)[at(t, b, i)]);
            taught(next, F, row, lesson(before ? 1 / n : T(1), t, b, i, lines), lines);
            if (after)
                read(next, row.W, in(c.divisors)[at(t, b, i)] + EPSILON<T>, lines, M);
            if (begins(t + 1, b)) memset(next, 0, M * sizeof(T));
            F = next;
        }
    }

    // The reverse of learning from step t; k counts from the start of the chunk.
    void undo_learning(long t, long k, long b, long r, long i, T *sum) {
        T *D = work + (r * H + i) * M;
        const T *F = out(c.history) + ((k * c.tile + r) * H + i) * M;
        const T n = divisor(in(c.norms)[at(t, b, i)]);
        const Lesson<T> s =
            lesson(before ? 1 / n : T(1), t, b, i, p + (k * c.tile + r) * M);
        const Synapses<T> row = synapses(i);
        const Answer<T> a =
            after ? untaught<true>(D, F, row, s, in(c.divisors)[at(t, b, i)], sum)
                  : untaught<false>(D, F, row, s, T(0), sum);
        sent[r * H + i] =
            (c.g_h ? in(c.g_h)[at(t, b, i)] : T(0)) + carry[r * (M - c.recurrent) + i] + a.of_h;
        of_kept[r * H + i] = a.of_kept;
    }

    // The reverse of the reading in step t, and of the response to it.
    void undo_reading(long t, long k, long b, long r, long i, T *sum) {
        T *D = work + (r * H + i) * M;
        const T *F = out(c.history) + ((k * c.tile + r) * H + i) * M;
        const T h = in(c.out_h)[at(t, b, i)], norm = in(c.norms)[at(t, b, i)], n = divisor(norm);
        const T of_current = sent[r * H + i] * (1 - h * h), along_z = of_current / n;
        T of_n = -along_z * in(c.currents)[at(t, b, i)];
        if (before) of_n -= of_kept[r * H + i] / (n * n);
        const T along_G = (before || after) && norm > 0 ? of_n / norm : T(0);
        unread(D, F, synapses(i), along_z, along_G, z + (k * c.tile + r) * M, sum, from, M);
        if (c.d_bias) out(c.d_bias)[i] += of_current;
        if (begins(t, b)) memset(D, 0, M * sizeof(T));
    }

    // Hand the sums of what was sent back in step t to x and to h of the step before.
    void collect(const Team &team, long t, long k, long start, long rows) {
        const long n = (M - from) / L<T>;
        auto columns = [&](auto &&act) {
            for (long v = team.begin(n); v < team.end(n); v++) act(from + v * L<T>);
        };
        for (long r = 0; r < rows; r++)
            columns([&](long j) {
                Vec<T> total = {};
                for (long g = 0; g < groups; g++) total += load(sums + (g * c.tile + r) * M + j);
                store(sums + r * M + j, total);
            });
        if (unit) team.barrier();
        for (long r = 0; r < rows; r++) {
            const T *total = sums + r * M, *sent_lines = z + (k * c.tile + r) * M;
            const T length = unit ? lengths[k * c.tile + r] : T(1);
            const T pull = unit && length > SHORTEST<T> ? along(total, sent_lines) : T(0);
            columns([&](long j) {
                Vec<T> back = load(total + j);
                if (unit) back = (back - pull * load(sent_lines + j)) / length;
                if (j >= c.recurrent)
                    store(carry + r * (M - c.recurrent) + j - c.recurrent,
                          begins(t, start + r) ? Vec<T>{} : back);
                else if (c.d_x)
                    store(out(c.d_x) + (t * B + start + r) * I + j, back, I - j);
            });
        }
    }

    // The reverse of step t, in all rows of a tile.
    void undo(const Team &team, long t, long k, long start, long rows) {
        auto each = [&](auto &&act) {
            for (long g = team.begin(groups); g < team.end(groups); g++)
                for (long r = 0; r < rows; r++)
                    act(g, r, sums + (g * c.tile + r) * M);
        };
        auto neurons = [&](long g, auto &&act) {
            for (long i = g * GROUP; i < std::min(H, (g + 1) * GROUP); i++) act(i);
        };
        each([&](long g, long r, T *sum) {
            memset(sum, 0, M * sizeof(T));
            neurons(g, [&](long i) {
                undo_learning(t, k, start + r, r, i, sum);
                if (!fresh) undo_reading(t, k, start + r, r, i, sum);
            });
        });
        if (fresh) {    // all have learned from h_t: only now is its gradient complete
            team.barrier();
            each([&](long g, long r, T *) {
                neurons(g, [&](long i) {
                    for (long other = 0; other < groups; other++)
                        sent[r * H + i] += sums[(other * c.tile + r) * M + c.recurrent + i];
                });
            });
            team.barrier();
            each([&](long g, long r, T *sum) {
                memset(sum + c.recurrent, 0, (M - c.recurrent) * sizeof(T));
                neurons(g, [&](long i) { undo_reading(t, k, start + r, r, i, sum); });
            });
        }
        team.barrier();
        collect(team, t, k, start, rows);
        team.barrier();
    }

    void forward_tile(const Team &team, long start, long rows) {
        auto each = [&](auto &&act) {
            for (long i = first(team); i < last(team); i++)
                for (long r = 0; r < rows; r++) act(start + r, r, i);
        };
        for (long r = team.begin(rows); r < team.end(rows); r++) send(z + r * M, 0, start + r);
        team.barrier();
        each([&](long b, long r, long i) {
            T *F = work + (r * H + i) * M;
            take(F, begins(0, b) ? nullptr : c.F, b, i);
            deliver(read(F, in(c.W) + i * M, T(1), z + r * M, M), 0, b, r, i);
        });
        for (long t = 0; t < c.steps; t++) {
            team.barrier();
            for (long r = team.begin(rows); r < team.end(rows); r++) {
                respond(t, start + r);
                if (fresh) renew(p + r * M, z + (t % 2 * c.tile + r) * M, t, start + r);
                if (t + 1 < c.steps) send(z + ((t + 1) % 2 * c.tile + r) * M, t + 1, start + r);
            }
            team.barrier();
            each([&](long b, long r, long i) { advance(t, b, r, i); });
        }
        team.barrier();
    }

    void backward_tile(const Team &team, long start, long rows) {
        for (long i = first(team); i < last(team); i++)
            for (long r = 0; r < rows; r++) {
                take(work + (r * H + i) * M, c.g_F, start + r, i);
                carry[r * (M - c.recurrent) + i] = 0;
            }
        for (long begin = (c.steps - 1) / c.chunk * c.chunk; begin >= 0; begin -= c.chunk) {
            const long end = std::min<long>(c.steps, begin + c.chunk);
            for (long r = team.begin(rows); r < team.end(rows); r++)
                for (long t = begin; t < end; t++) {
                    const long line = (t - begin) * c.tile + r;
                    lengths[line] = send(z + line * M, t, start + r);
                    if (fresh) renew(p + line * M, z + line * M, t, start + r);
                }
            team.barrier();
            for (long i = first(team); i < last(team); i++)
                for (long r = 0; r < rows; r++) repeat(begin, end, start + r, r, i);
            for (long t = end - 1; t >= begin; t--) undo(team, t, t - begin, start, rows);
        }
        for (long i = first(team); i < last(team); i++)
            for (long r = 0; r < rows; r++) {
                hand_over(c.d_F, work + (r * H + i) * M, start + r, i);
                if (c.d_h) out(c.d_h)[(start + r) * H + i] = carry[r * (M - c.recurrent) + i];
            }
        team.barrier();
    }

  public:
    Network(const Hebbian &call, bool backward)
        : c(call), H(c.neurons), I(c.inputs), M(c.lines), B(c.batch),
          groups((H + GROUP - 1) / GROUP),
          limits{T(c.low), T(c.high), T(c.of_sum), T(c.threshold)}, before(c.normalisation == Normalisation::BEFORE),
          after(c.normalisation == Normalisation::AFTER),
          unit(c.normalisation == Normalisation::INPUT), fresh(c.fresh), limited(limits.any()),
          from(c.d_x || unit ? 0 : c.recurrent) {
        const long steps = backward ? c.chunk : 1;
        z = arena.zeros<T>((backward ? steps : 2) * c.tile * M);
        p = fresh ? arena.zeros<T>(steps * c.tile * M) : z;
        work = arena.take<T>(c.tile * H * M);
        kept = arena.take<T>(c.tile * H);
        if (!backward) return;
        sent = arena.take<T>(c.tile * H);
        of_kept = arena.take<T>(c.tile * H);
        carry = arena.zeros<T>(c.tile * (M - c.recurrent));
        sums = arena.take<T>(groups * c.tile * M);
        lengths = arena.take<T>(steps * c.tile);
    }

    int run(bool backward) {
        if (arena.failed) return 1;
        auto task = [&](const Team &team) {
            for (long start = 0; start < B; start += c.tile) {
                const long rows = std::min<long>(c.tile, B - start);
                backward ? backward_tile(team, start, rows) : forward_tile(team, start, rows);
            }
        };
        in_parallel(c.threads, task);
        return 0;
    }
};

int hebbian_forward32(const Hebbian *c) { return Network<float>(*c, false).run(false); }
int hebbian_forward64(const Hebbian *c) { return Network<double>(*c, false).run(false); }
int hebbian_backward32(const Hebbian *c) { return Network<float>(*c, true).run(true); }
int hebbian_backward64(const Hebbian *c) { return Network<double>(*c, true).run(true); }

}  // namespace LEVEL
