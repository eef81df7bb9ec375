// How often each column of a dense input is 1, for the meters.

#include <algorithm>

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

}  // namespace LEVEL
