// Gradients of weights: for every source, the sum of G_c over the rows in which it was active.
//
// Which sources were active comes by row, as bits or lists, and is turned into lists of rows by
// source, once for each tile and block of steps; then every source's sum takes what each tile
// gives, in registers, by one thread, in ascending order of tile and row: the same for any number
// of threads.
#pragma once

#include "parameters.h"
#include "team.h"

namespace {

template <class T> struct Sources {
    long n, tiles, capacity;    // sources; entries for one tile
    bool weighted;
    uint32_t *starts;           // [tiles, n + 1]
    uint32_t *rows;             // [tiles, capacity]
    T *weights;
    T *sums;                    // [n, padded], the gradient's transpose without the gain

    Sources(Arena &arena, long n, long tiles, long rows_of_tile, bool weighted, long padded)
        : n(n), tiles(tiles), capacity(rows_of_tile * n + EIGHT), weighted(weighted) {
        starts = arena.take<uint32_t>(tiles * (n + 1));
        rows = arena.take<uint32_t>(tiles * capacity);
        weights = arena.take<T>(weighted ? tiles * capacity : 1);
        sums = arena.zeros<T>(n * padded);
    }

    // Turn the bits of one tile around: `of(i)` gives those of the i-th of `count` rows, or null for
    // a row without any, and `names` what it is called, for a multiple of 64 rows. `values`, if they
    // are weighted, are by name and source; `masks` is room for the bits by source.
    template <class Of>
    void turn_bits(long tile, long count, Of of, const uint32_t *names, const T *values,
                   uint64_t *masks) {
        const long groups = (count + 63) / 64;
        for (long word = 0; word * 64 < n; word++)
            for (long group = 0; group < groups; group++) {
                uint64_t square[64] = {};
                for (long i = group * 64; i < count && i < group * 64 + 64; i++)
                    if (const uint64_t *row = of(i)) square[i % 64] = row[word];
                transpose(square);
                for (long k = 0; k < 64; k++) masks[(word * 64 + k) * groups + group] = square[k];
            }
        uint32_t *start = starts + tile * (n + 1), *out = rows + tile * capacity, total = 0;
        for (long k = 0; k < n; k++) {
            start[k] = total;
            total += list_bits(masks + k * groups, groups, out + total,
                               [&](long i) { return names[i]; });
            if (weighted)
                for (uint32_t e = start[k]; e < total; e++)
                    weights[tile * capacity + e] = values[long(out[e]) * n + k];
        }
        start[n] = total;
    }

    // The same from lists: `of(i)` gives the sources that were active in a row.
    template <class Of> void turn_lists(long tile, long count, Of of, const uint32_t *names) {
        uint32_t *start = starts + tile * (n + 1), *out = rows + tile * capacity;
        memset(start, 0, (n + 1) * sizeof(uint32_t));
        for (long i = 0; i < count; i++) {
            const Active<T> on = of(i);
            for (long e = 0; e < on.n; e++) start[on.channels[e]]++;
        }
        uint32_t total = 0;
        for (long k = 0; k <= n; k++) {
            uint32_t here = start[k];
            start[k] = total;
            total += here;
        }
        for (long i = 0; i < count; i++) {
            const Active<T> on = of(i);
            for (long e = 0; e < on.n; e++) {
                uint32_t at = start[on.channels[e]]++;
                out[at] = names[i];
                if (weighted) weights[tile * capacity + at] = on.values[e];
            }
        }
        // Each start has moved on to the next one's place.
        for (long k = n; k > 0; k--) start[k] = start[k - 1];
        start[0] = 0;
    }

    // Add what the block gave to the sums of this thread's sources; a slice of a tile's rows stays in
    // the first-level cache for all of them.
    void add(const Team &team, const T *G, long padded) {
        for_slices<T>(padded, [&](auto size, long c) {
            constexpr int N = decltype(size)::value;
            for (long tile = 0; tile < tiles; tile++)
                for (long k = team.begin(n); k < team.end(n); k++) {
                    const uint32_t *start = starts + tile * (n + 1) + k;
                    const uint32_t *list = rows + tile * capacity + start[0];
                    const long count = start[1] - start[0];
                    if (!count) continue;
                    T *sum = sums + k * padded + c;
                    Vec<T> acc[N];
                    for (int j = 0; j < N; j++) acc[j] = load(sum + j * L<T>);
                    if (weighted)
                        gather<T, N, true>(acc, list, weights + tile * capacity + start[0], count,
                                           G + c, padded);
                    else
                        gather<T, N, false>(acc, list, nullptr, count, G + c, padded);
                    for (int j = 0; j < N; j++) store(sum + j * L<T>, acc[j]);
                }
        });
    }
};

// sums[n, padded] += A^T G of dense A [rows, stride], n of whose columns count.
template <class T>
void add_dense(const Team &team, T *sums, const T *A, long stride, long n, long rows, const T *G,
               long padded) {
    const long panels = padded / PW<T>, groups = (n + MAX_ROWS - 1) / MAX_ROWS;
    for (long task = team.begin(panels * groups); task < team.end(panels * groups); task++) {
        const long c = task / groups * PW<T>, first = task % groups * MAX_ROWS;
        const long last = first + MAX_ROWS < n ? first + MAX_ROWS : n;
        for_rows(last - first, [&](auto size, long k) {
            constexpr int R = decltype(size)::value;
            Vec<T> acc[R][PANEL];
            T *sum = sums + (first + k) * padded + c;
            for (int i = 0; i < R; i++)
                for (int j = 0; j < PANEL; j++) acc[i][j] = load(sum + i * padded + j * L<T>);
            panel<T, R>(acc, A + first + k, 1, stride, G + c, padded, rows);
            for (int i = 0; i < R; i++)
                for (int j = 0; j < PANEL; j++) store(sum + i * padded + j * L<T>, acc[i][j]);
        });
    }
}

}  // namespace
