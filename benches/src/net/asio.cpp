// Boost.Asio as ../net.rs measures it: asio unix|tcp ADDRESS trips|flow LEN COUNT; prints seconds for one operation.
// Frames with a length of four bytes before them, over blocking sockets, many a read if they are there; two threads, as
// in ../net.rs.
#include <boost/asio.hpp>
#include "peer.hpp"

namespace asio = boost::asio;

/// A socket with the bytes that were read and not yet taken.
template <class Socket> struct Framed {
    Socket socket;
    std::vector<char> buffer;
    size_t begin = 0, end = 0;

    Framed(Socket &&socket) : socket(std::move(socket)), buffer(128 << 10) {}

    void send(const std::vector<char> &bytes) {
        uint32_t len = uint32_t(bytes.size());
        asio::write(socket, std::array<asio::const_buffer, 2>{asio::buffer(&len, 4), asio::buffer(bytes)});
    }

    void fill(size_t wanted) {
        while (end - begin < wanted) {
            if (begin) {
                memmove(buffer.data(), buffer.data() + begin, end - begin);
                end -= begin, begin = 0;
            }
            if (buffer.size() < wanted) buffer.resize(wanted);
            end += socket.read_some(asio::buffer(buffer.data() + end, buffer.size() - end));
        }
    }

    /// The next frame; it stays until the next call.
    std::pair<const char *, size_t> recv() {
        uint32_t len;
        fill(4);
        memcpy(&len, buffer.data() + begin, 4);
        fill(4 + size_t(len));
        const char *frame = buffer.data() + begin + 4;
        begin += 4 + size_t(len);
        if (begin == end) begin = end = 0;
        return {frame, len};
    }
};

template <class Protocol> static void run(Task &task, typename Protocol::endpoint where) {
    asio::io_context context;
    typename Protocol::acceptor acceptor(context, where);
    typename Protocol::socket connected(context), accepted(context);
    connected.connect(where);
    acceptor.accept(accepted);
    if (task.tcp) {
        const int one = 1;
        for (auto *socket : {&connected, &accepted})
            setsockopt(socket->native_handle(), IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    }
    Framed near(std::move(connected)), far(std::move(accepted));
    std::vector<char> out(task.len, 1);
    auto taken = [&](auto &framed, std::vector<char> *copy) {
        auto [frame, len] = framed.recv();
        if (len != task.len) exit(1);
        if (copy) memcpy(copy->data(), frame, len);
    };
    if (task.trips) {
        std::vector<char> bytes(task.len);
        task.run_trips([&] { taken(far, &bytes), far.send(bytes); }, [&] { near.send(out), taken(near, nullptr); });
    } else {
        task.run_flow([&] { taken(far, nullptr); }, [&] { near.send(out); });
    }
}

int main(int argc, char **argv) {
    Task task(argc, argv);
    if (task.tcp) {
        using asio::ip::tcp;
        run<tcp>(task, tcp::endpoint(asio::ip::address_v4::loopback(), uint16_t(std::stoi(task.address))));
    } else {
        using local = asio::local::stream_protocol;
        run<local>(task, local::endpoint(task.address));
    }
}
