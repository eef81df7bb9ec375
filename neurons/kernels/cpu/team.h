// Threads of the OpenMP pool that torch has loaded, so that no second pool spins beside it.
#pragma once

#include "call.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

// The functions of that pool's library; all null where there is none. Set by library.py.
struct Pool {
    void (*parallel)(void (*)(void *), void *, unsigned, unsigned);
    int (*thread)();
    int (*threads)();
    void (*barrier)();
};
extern "C" Pool srnn_pool;

namespace {

// Which of how many threads this is.
struct Team {
    long thread = 0, threads = 1;
    void barrier() const {
        if (threads > 1) srnn_pool.barrier();
    }
    // This thread's part of n equal tasks.
    long begin(long n) const { return n * thread / threads; }
    long end(long n) const { return n * (thread + 1) / threads; }
};

// While this lives, numbers too small to be normal (below 1.2e-38, or 2.2e-308) count as zero on its
// thread. What decays ends among them, an efficacy or a gradient, and each is as slow as hundreds of
// others.
class Flushing {
#if defined(__x86_64__)
    const unsigned before = _mm_getcsr();

  public:
    Flushing() { _mm_setcsr(before | 1u << 15 | 1u << 6); }     // results, and operands
    ~Flushing() { _mm_setcsr(before); }
#elif defined(__aarch64__)
    uint64_t before;

  public:
    Flushing() {
        asm volatile("mrs %0, fpcr" : "=r"(before));
        asm volatile("msr fpcr, %0" : : "r"(before | 1ull << 24) : "memory");
    }
    ~Flushing() { asm volatile("msr fpcr, %0" : : "r"(before) : "memory"); }
#else
  public:
    Flushing() {}   // GCC would warn of a variable that is not used
#endif
    Flushing(const Flushing &) = delete;
};

// Run work(team) on every thread of a team.
template <class F> void in_parallel(long threads, F &work) {
    if (threads <= 1 || !srnn_pool.parallel) {
        const Flushing here;
        return work(Team());
    }
    srnn_pool.parallel(
        [](void *data) {
            const Flushing here;
            Team team;
            team.thread = srnn_pool.thread();
            team.threads = srnn_pool.threads();
            (*static_cast<F *>(data))(team);
        },
        &work, unsigned(threads), 0);
}

}  // namespace
