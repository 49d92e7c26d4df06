// What the peers of ../net.rs share: their arguments, and the clock around what they do.
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

/// From this length on a message is long: it is sent from where it is, if the library can.
constexpr size_t LONG = 64 << 10;

struct Task {
    bool tcp, trips;
    std::string address;
    size_t len;
    uint64_t count;

    Task(int argc, char **argv) {
        if (argc != 6) exit(2);
        tcp = !strcmp(argv[1], "tcp");
        address = argv[2];
        trips = !strcmp(argv[3], "trips");
        len = strtoull(argv[4], nullptr, 10);
        count = strtoull(argv[5], nullptr, 10);
    }

    template <class Near> void clock(Near near) const {
        auto begun = std::chrono::steady_clock::now();
        near();
        std::chrono::duration<double> took = std::chrono::steady_clock::now() - begun;
        printf("%.12f\n", took.count() / double(count));
    }

    /// `echo` in one thread, `trip` in the other.
    template <class Echo, class Trip> void run_trips(Echo echo, Trip trip) const {
        const uint64_t before = 100;
        std::thread other([&] {
            for (uint64_t n = 0; n < before + count; n++) echo();
        });
        for (uint64_t n = 0; n < before; n++) trip();
        clock([&] {
            for (uint64_t n = 0; n < count; n++) trip();
        });
        other.join();
    }

    /// `give` in one thread, `take` in the other; the end is when all was taken.
    template <class Take, class Give> void run_flow(Take take, Give give) const {
        const uint64_t before = 10;
        std::atomic<uint64_t> taken{0};
        std::thread other([&] {
            for (uint64_t n = 0; n < before + count; n++) take(), taken = n + 1;
        });
        for (uint64_t n = 0; n < before; n++) give();
        while (taken < before) std::this_thread::yield();
        clock([&] {
            for (uint64_t n = 0; n < count; n++) give();
            other.join();
        });
    }
};
