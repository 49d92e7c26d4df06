// nng as ../net.rs measures it: nng unix|tcp ADDRESS trips|flow LEN COUNT; prints seconds for one operation.
// Round trips between pair0 sockets, one way from push0 to pull0; two threads, as in ../net.rs.
#include <nng/nng.h>
#include <nng/protocol/pair0/pair.h>
#include <nng/protocol/pipeline0/pull.h>
#include <nng/protocol/pipeline0/push.h>
#include "peer.hpp"

static void check(int error, const char *what) {
    if (error == 0) return;
    fprintf(stderr, "nng: %s: %s\n", what, nng_strerror(error));
    exit(1);
}

int main(int argc, char **argv) {
    Task task(argc, argv);
    nng_socket near, far;
    check(task.trips ? nng_pair0_open(&near) : nng_push0_open(&near), "open");
    check(task.trips ? nng_pair0_open(&far) : nng_pull0_open(&far), "open");
    for (nng_socket socket : {near, far}) {
        nng_socket_set_size(socket, NNG_OPT_RECVMAXSZ, 0);
        // Where the protocol has queues, longer ones than it has by itself.
        nng_socket_set_int(socket, NNG_OPT_SENDBUF, 1024);
        nng_socket_set_int(socket, NNG_OPT_RECVBUF, 1024);
    }
    std::string url = task.tcp ? "tcp://127.0.0.1:" + task.address : "ipc://" + task.address;
    check(nng_listen(far, url.c_str(), nullptr, 0), "listen");
    check(nng_dial(near, url.c_str(), nullptr, 0), "dial");
    std::vector<char> out(task.len, 1);
    auto there = [&](nng_socket socket, std::vector<char> &bytes) {
        check(nng_send(socket, bytes.data(), task.len, 0), "send");
    };
    auto taken = [&](nng_socket socket, std::vector<char> *copy) {
        nng_msg *message;
        check(nng_recvmsg(socket, &message, 0), "receive");
        check(nng_msg_len(message) == task.len ? 0 : NNG_EPROTO, "length");
        if (copy) memcpy(copy->data(), nng_msg_body(message), task.len);
        nng_msg_free(message);
    };
    if (task.trips) {
        std::vector<char> bytes(task.len);
        task.run_trips([&] { taken(far, &bytes), there(far, bytes); }, [&] { there(near, out), taken(near, nullptr); });
    } else {
        task.run_flow([&] { taken(far, nullptr); }, [&] { there(near, out); });
    }
    nng_close(near);
    nng_close(far);
}
