// How often each column of an input is 1, dense or as bits, and what else is in it; for the meters.

#include <algorithm>
#include <cmath>

#include "call.h"

namespace LEVEL {

// Count the ones of x [rows, n], rows < 2^31, in ones [n]; 0 where there is anything but 0 and 1.
template <class T> static int64_t count(const T *x, int64_t rows, int64_t n, double *ones) {
    const int64_t WIDE = 1024;  // whose counts stay in the first-level cache
    for (int64_t first = 0; first < n; first += WIDE) {
        const int64_t wide = std::min(WIDE, n - first);
        int32_t counted[WIDE] = {};
        for (int64_t r = 0; r < rows; r++) {
            const T *row = x + r * n + first;
            int32_t odd = 0;
            for (int64_t c = 0; c < wide; c++) {
                const int32_t one = row[c] == T(1);
                counted[c] += one;
                odd |= (row[c] != T(0)) ^ one;  // true of a NaN too
            }
            if (odd) return 0;
        }
        std::copy(counted, counted + wide, ones + first);
    }
    return 1;
}

int64_t count32(const void *x, int64_t rows, int64_t n, double *ones) {
    return count(static_cast<const float *>(x), rows, n, ones);
}
int64_t count64(const void *x, int64_t rows, int64_t n, double *ones) {
    return count(static_cast<const double *>(x), rows, n, ones);
}

// Count the ones of each bit of words [rows, n], in ones [64 n].
void count_bits(const uint64_t *words, int64_t rows, int64_t n, double *ones) {
    const int64_t DIGITS = 8, MOST = (1 << DIGITS) - 1;
    std::fill(ones, ones + 64 * n, 0.0);
    for (int64_t first = 0; first < rows; first += MOST)
        for (int64_t w = 0; w < n; w++) {
            // 64 counters in base 2, the d-th digits of all of them in one word.
            uint64_t digits[DIGITS] = {};
            for (int64_t r = first; r < std::min(first + MOST, rows); r++) {
                uint64_t carry = words[r * n + w];
                for (uint64_t &digit : digits) {
                    const uint64_t sum = digit ^ carry;
                    carry &= digit;
                    digit = sum;
                }
            }
            for (int64_t i = 0; i < 64; i++) {
                int64_t total = 0;
                for (int64_t d = 0; d < DIGITS; d++) total |= (digits[d] >> i & 1) << d;
                ones[64 * w + i] += total;
            }
        }
}

// Sort the numbers of x [rows, n] by column, in sums [3, n]: the sum of |k| over whole numbers k,
// how many of them are not 0, and how many other numbers there are. The bits say which are not 0;
// without them every number is looked at.
template <class T>
static void sort(const T *x, const uint64_t *bits, int64_t rows, int64_t n, double *sums) {
    std::fill(sums, sums + 3 * n, 0.0);
    const auto take = [&](int64_t c, T v) {
        const bool whole = v == std::trunc(v) && v - v == T(0);  // false of infinity and NaN
        sums[c] += whole ? std::fabs(v) : T(0);
        sums[(whole ? n : 2 * n) + c] += 1;
    };
    for (int64_t r = 0; r < rows; r++) {
        const T *row = x + r * n;
        if (bits) {
            for (int64_t w = 0; w < (n + 63) / 64; w++)
                for (uint64_t set = *bits++; set; set &= set - 1) {
                    const int64_t c = 64 * w + __builtin_ctzll(set);
                    take(c, row[c]);
                }
        } else {
            for (int64_t c = 0; c < n; c++)
                if (row[c] != T(0)) take(c, row[c]);
        }
    }
}

void sort32(const void *x, const uint64_t *bits, int64_t rows, int64_t n, double *sums) {
    sort(static_cast<const float *>(x), bits, rows, n, sums);
}
void sort64(const void *x, const uint64_t *bits, int64_t rows, int64_t n, double *sums) {
    sort(static_cast<const double *>(x), bits, rows, n, sums);
}

}  // namespace LEVEL
