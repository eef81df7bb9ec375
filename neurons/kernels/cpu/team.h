// Threads of the OpenMP pool that torch has loaded, so that no second pool spins beside it.
#pragma once

#include "call.h"

// The functions of that pool's library; all null where there is none. Set by cpu_backend.py.
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

// Run work(team) on every thread of a team.
template <class F> void in_parallel(long threads, F &work) {
    if (threads <= 1 || !srnn_pool.parallel) return work(Team());
    srnn_pool.parallel(
        [](void *data) {
            Team team;
            team.thread = srnn_pool.thread();
            team.threads = srnn_pool.threads();
            (*static_cast<F *>(data))(team);
        },
        &work, unsigned(threads), 0);
}

}  // namespace
