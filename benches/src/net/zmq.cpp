// ZeroMQ as ../net.rs measures it: zmq unix|tcp ADDRESS trips|flow LEN COUNT; prints seconds for one operation.
// Round trips between PAIR sockets (the cheapest: no envelope), one way from PUSH to PULL; two threads, as in ../net.rs.
#include <zmq.h>
#include "peer.hpp"

static void check(bool good, const char *what) {
    if (good) return;
    fprintf(stderr, "zmq: %s: %s\n", what, zmq_strerror(zmq_errno()));
    exit(1);
}

int main(int argc, char **argv) {
    Task task(argc, argv);
    void *context = zmq_ctx_new();
    void *near = zmq_socket(context, task.trips ? ZMQ_PAIR : ZMQ_PUSH);
    void *far = zmq_socket(context, task.trips ? ZMQ_PAIR : ZMQ_PULL);
    std::string url = task.tcp ? "tcp://127.0.0.1:" + task.address : "ipc://" + task.address;
    check(zmq_bind(far, url.c_str()) == 0, "bind");
    check(zmq_connect(near, url.c_str()) == 0, "connect");
    std::vector<char> out(task.len, 1), in(task.len);
    auto there = [&](void *socket, const std::vector<char> &bytes) {
        if (task.len < LONG) {
            check(zmq_send(socket, bytes.data(), task.len, 0) == int(task.len), "send");
            return;
        }
        // Without a copy, as a long message is sent best.
        zmq_msg_t message;
        zmq_msg_init_data(&message, const_cast<char *>(bytes.data()), task.len, [](void *, void *) {}, nullptr);
        check(zmq_msg_send(&message, socket, 0) == int(task.len), "send");
    };
    auto taken = [&](void *socket, std::vector<char> *copy) {
        zmq_msg_t message;
        zmq_msg_init(&message);
        check(zmq_msg_recv(&message, socket, 0) == int(task.len), "receive");
        if (copy) memcpy(copy->data(), zmq_msg_data(&message), task.len);
        zmq_msg_close(&message);
    };
    if (task.trips) {
        std::vector<char> bytes(task.len);
        task.run_trips([&] { taken(far, &bytes), there(far, bytes); }, [&] { there(near, out), taken(near, nullptr); });
    } else {
        task.run_flow([&] { taken(far, nullptr); }, [&] { there(near, out); });
    }
    int linger = 0;
    for (void *socket : {near, far}) zmq_setsockopt(socket, ZMQ_LINGER, &linger, sizeof linger), zmq_close(socket);
    zmq_ctx_term(context);
}
