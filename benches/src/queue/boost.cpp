// Boost.Interprocess message_queue in the roles of ../queue.rs: boost ROLE NAME COUNT LEN PRIORITIES FIRST FILE
#include <boost/interprocess/ipc/message_queue.hpp>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>
#include <time.h>

using boost::interprocess::message_queue;

static uint64_t now() {
    timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return uint64_t(t.tv_sec) * 1000000000u + uint64_t(t.tv_nsec);
}

int main(int argc, char **argv) {
    if (argc < 8) return 2;
    std::string role = argv[1], name = argv[2];
    uint64_t count = strtoull(argv[3], nullptr, 10), len = strtoull(argv[4], nullptr, 10);
    uint64_t priorities = strtoull(argv[5], nullptr, 10), first = strtoull(argv[6], nullptr, 10);
    std::vector<unsigned char> buffer(len);
    boost::interprocess::message_queue::size_type got;
    unsigned priority;
    if (role == "create") {
        message_queue::remove(name.c_str());
        message_queue(boost::interprocess::create_only, name.c_str(), count, len);
        return 0;
    }
    if (role == "remove") return message_queue::remove(name.c_str()) ? 0 : 1;
    message_queue queue(boost::interprocess::open_only, name.c_str());
    if (role == "send") {
        uint64_t begun = now();
        for (uint64_t n = 0; n < count; n++) {
            uint64_t id = first + n;
            memcpy(buffer.data(), &id, 8);
            queue.send(buffer.data(), len, unsigned(n % priorities));
        }
        printf("%llu\n", (unsigned long long)begun);
    } else if (role == "stop") {
        uint64_t id = ~0ull;
        memcpy(buffer.data(), &id, 8);
        for (uint64_t n = 0; n < count; n++) queue.send(buffer.data(), len, 0);
    } else if (role == "recv") {
        printf("ready\n");
        fflush(stdout);
        std::vector<uint64_t> ids;
        ids.reserve(count);
        uint64_t last = 0, sum = 0;
        for (;;) {
            queue.receive(buffer.data(), len, got, priority);
            uint64_t id;
            memcpy(&id, buffer.data(), 8);
            if (id == ~0ull) break;
            for (uint64_t at = 0; at + 8 <= got; at += 8) {
                uint64_t word;
                memcpy(&word, buffer.data() + at, 8);
                sum += word;
            }
            ids.push_back(id);
            if (ids.size() == count) break;
        }
        last = now();
        FILE *file = fopen(argv[7], "wb");
        fwrite(ids.data(), 8, ids.size(), file);
        fclose(file);
        printf("%llu %llu\n", (unsigned long long)last, (unsigned long long)sum);
    } else if (role == "echo" || role == "ping") {
        message_queue other(boost::interprocess::open_only, (name + "-back").c_str());
        uint64_t begun = now();
        if (role == "echo") {
            printf("ready\n");
            fflush(stdout);
        }
        for (uint64_t n = 0; n < count; n++) {
            if (role == "ping") queue.send(buffer.data(), len, 0);
            (role == "ping" ? other : queue).receive(buffer.data(), len, got, priority);
            if (role == "echo") other.send(buffer.data(), len, 0);
        }
        if (role == "ping") printf("%llu\n", (unsigned long long)((now() - begun) / count / 2));
    }
    return 0;
}
