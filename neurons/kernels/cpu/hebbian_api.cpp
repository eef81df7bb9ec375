// What hebbian_library.py calls: the two passes, for each level of instructions.

#include "hebbian.h"

#define DECLARE(level)                      \
    namespace level {                       \
    int hebbian_forward32(const Hebbian *);  \
    int hebbian_forward64(const Hebbian *);  \
    int hebbian_backward32(const Hebbian *); \
    int hebbian_backward64(const Hebbian *); \
    }
#define OFFERS(level)                                        \
    {                                                        \
        {level::hebbian_forward32, level::hebbian_forward64}, \
        {level::hebbian_backward32, level::hebbian_backward64} \
    }

DECLARE(base)
#if defined(__x86_64__)
DECLARE(avx2)
DECLARE(avx512)
#endif

// By level, direction and type; each returns 0, or 1 where memory ran out.
static int (*const PASSES[][2][2])(const Hebbian *) = {
    OFFERS(base),
#if defined(__x86_64__)
    OFFERS(avx2),
    OFFERS(avx512),
#endif
};

#define EXPORT extern "C" __attribute__((visibility("default")))

EXPORT int64_t srnn_hebbian_size() { return sizeof(Hebbian); }

EXPORT int srnn_hebbian(const Hebbian *call, int is_backward, int is_double, int level) {
    return PASSES[level][is_backward][is_double](call);
}
