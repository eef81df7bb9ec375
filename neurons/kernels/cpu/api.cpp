// What is called by way of library.py: one table of functions for each level of instructions.

#include "team.h"

#define DECLARE(level)                     \
    namespace level {                      \
    int forward32(const Call *);           \
    int forward64(const Call *);           \
    int backward32(const Call *);          \
    int backward64(const Call *);          \
    Scan scan32, scan64;                   \
    Count count32, count64;                \
    CountBits count_bits;                  \
    Sort sort32, sort64;                   \
    }
#define OFFERS(level)                                                                \
    {level::forward32,  level::forward64, level::backward32, level::backward64,      \
     level::scan32,     level::scan64,    level::count32,    level::count64,         \
     level::count_bits, level::sort32,    level::sort64}

DECLARE(base)
#if defined(__x86_64__)
DECLARE(avx2)
DECLARE(avx512)
#endif

static const Level LEVELS[] = {
    OFFERS(base),
#if defined(__x86_64__)
    OFFERS(avx2),
    OFFERS(avx512),
#endif
};

#define EXPORT extern "C" __attribute__((visibility("default")))

extern "C" {
Pool srnn_pool = {};
}

EXPORT void srnn_use_pool(const Pool *pool) { srnn_pool = *pool; }

EXPORT int64_t srnn_size() { return sizeof(Call); }

// The highest level that this machine runs: 0 base, 1 AVX2, 2 AVX-512.
EXPORT int srnn_level() {
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (!(__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
          __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2") &&
          __builtin_cpu_supports("popcnt")))
        return 0;
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                   __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl")
               ? 2
               : 1;
#else
    return 0;
#endif
}

EXPORT int srnn_forward(const Call *call, int is_double, int level) {
    return (is_double ? LEVELS[level].forward64 : LEVELS[level].forward32)(call);
}

EXPORT int srnn_backward(const Call *call, int is_double, int level) {
    return (is_double ? LEVELS[level].backward64 : LEVELS[level].backward32)(call);
}

EXPORT int64_t srnn_scan(const void *x, int is_double, int64_t rows, int64_t n, uint64_t *bits,
                         uint64_t *apart, int64_t threads, int64_t *others, int level) {
    return (is_double ? LEVELS[level].scan64 : LEVELS[level].scan32)(x, rows, n, bits, apart,
                                                                     threads, others);
}

// Whether lists of events are well formed, as event_checks.py says what that is.
EXPORT int64_t srnn_lists_fit(const int64_t *offsets, int64_t rows, const int32_t *channels,
                              int64_t entries, int64_t width) {
    bool wrong = offsets[0] != 0 || offsets[rows] != entries;
    for (int64_t r = 0; r < rows; r++) wrong |= offsets[r + 1] < offsets[r];
    if (wrong) return 0;
    for (int64_t e = 0; e < entries; e++) wrong |= channels[e] < 0 || channels[e] >= width;
    // Channels may fall where a row begins, and nowhere else.
    int64_t falls = 0, at_beginnings = 0;
    for (int64_t e = 1; e < entries; e++) falls += channels[e] <= channels[e - 1];
    for (int64_t r = 1; r < rows; r++) {
        const int64_t e = offsets[r];
        if (e > offsets[r - 1] && e < entries) at_beginnings += channels[e] <= channels[e - 1];
    }
    return !wrong && falls == at_beginnings;
}

// Whether no bit of rows of words lies beyond the first `width`.
EXPORT int64_t srnn_bits_fit(const uint64_t *words, int64_t rows, int64_t width) {
    const int64_t n = (width + 63) / 64;
    uint64_t last = 0;
    for (int64_t r = 0; width % 64 && r < rows; r++) last |= words[r * n + n - 1];
    return width % 64 == 0 || last >> width % 64 == 0;
}

EXPORT int64_t srnn_count(const void *x, int is_double, int64_t rows, int64_t n, double *ones,
                          int level) {
    return (is_double ? LEVELS[level].count64 : LEVELS[level].count32)(x, rows, n, ones);
}

EXPORT void srnn_count_bits(const uint64_t *words, int64_t rows, int64_t n, double *ones,
                            int level) {
    LEVELS[level].count_bits(words, rows, n, ones);
}

EXPORT void srnn_sort(const void *x, int is_double, const uint64_t *bits, int64_t rows, int64_t n,
                      double *sums, int level) {
    (is_double ? LEVELS[level].sort64 : LEVELS[level].sort32)(x, bits, rows, n, sums);
}
