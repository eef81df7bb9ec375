// The scan of a dense input for what is sparse in it.

#include "team.h"
#include "vector.h"

namespace LEVEL {

// One word of bits for up to 64 values: which are not zero. `odd` collects those that are not 1,
// of which `apart` gets a word too.
template <class T, bool APART>
static INLINE uint64_t word(const T *x, long n, Mask<T> &odd, uint64_t *apart) {
    const Vec<T> zero = {}, one = fill(T(1));
    uint64_t bits = 0, others = 0;
    for (long i = 0; i < n; i += L<T>) {
        Vec<T> v = load(x + i, n - i);
        Mask<T> set = v != zero, other = set & (v != one);
        odd |= other;
        bits |= uint64_t(bits_of(set)) << i;
        if (APART) others |= uint64_t(bits_of(other)) << i;
    }
    if (APART) *apart = others;
    return bits;
}

template <class T, bool APART>
static int64_t scan_all(const T *x, int64_t rows, int64_t n, uint64_t *bits, uint64_t *apart,
                    int64_t threads, int64_t *others) {
    int64_t total = 0, any = 0;
    auto work = [&](const Team &team) {
        int64_t here = 0;
        const int64_t words = (n + 63) / 64;
        Mask<T> odd = {};
        for (int64_t r = team.begin(rows); r < team.end(rows); r++) {
            const T *row = x + r * n;
            for (int64_t w = 0; w < words; w++) {
                const int64_t left = n - w * 64, at = r * words + w;
                const T *from = row + w * 64;
                __builtin_prefetch(from + 2048 / sizeof(T));
                const uint64_t set = left >= 64 ? word<T, APART>(from, 64, odd, apart + at)
                                                : word<T, APART>(from, left, odd, apart + at);
                bits[at] = set;
                here += __builtin_popcountll(set);
            }
        }
        __atomic_fetch_add(&total, here, __ATOMIC_RELAXED);
        __atomic_fetch_or(&any, int64_t(bits_of(odd) != 0), __ATOMIC_RELAXED);
    };
    in_parallel(threads, work);
    *others = any;
    return total;
}

// Mark what is not zero in x [rows, n] in bits [rows, ceil(n / 64)], and count it; `others` gets
// whether there is anything but 0 and 1, which is marked in `apart`, of the same shape, if given.
template <class T>
static int64_t scan(const T *x, int64_t rows, int64_t n, uint64_t *bits, uint64_t *apart,
                    int64_t threads, int64_t *others) {
    return apart ? scan_all<T, true>(x, rows, n, bits, apart, threads, others)
                 : scan_all<T, false>(x, rows, n, bits, bits, threads, others);
}

int64_t scan32(const void *x, int64_t rows, int64_t n, uint64_t *bits, uint64_t *apart,
               int64_t threads, int64_t *others) {
    return scan(static_cast<const float *>(x), rows, n, bits, apart, threads, others);
}
int64_t scan64(const void *x, int64_t rows, int64_t n, uint64_t *bits, uint64_t *apart,
               int64_t threads, int64_t *others) {
    return scan(static_cast<const double *>(x), rows, n, bits, apart, threads, others);
}

}  // namespace LEVEL
