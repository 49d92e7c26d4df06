// Accepts one connection, reads once, replies, keeps the connection until the client closes: tcp_server PORT
#include <arpa/inet.h>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <sys/socket.h>
#include <unistd.h>

int main(int argc, char **argv) {
    int port = argc > 1 ? std::atoi(argv[1]) : 8080;
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    int yes = 1;
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = INADDR_ANY;
    address.sin_port = htons(static_cast<uint16_t>(port));
    if (bind(listener, reinterpret_cast<sockaddr *>(&address), sizeof address) != 0) { std::perror("bind"); return 1; }
    if (listen(listener, 3) != 0) { std::perror("listen"); return 1; }
    int fd = accept(listener, nullptr, nullptr);
    if (fd < 0) { std::perror("accept"); return 1; }
    char buffer[1024] = {0};
    ssize_t length = read(fd, buffer, sizeof buffer - 1);
    std::printf("%zd: %s\n", length, buffer);
    const char *hello = "Hello from server";
    send(fd, hello, std::strlen(hello), 0);
    while (read(fd, buffer, sizeof buffer) > 0) {}
    close(fd);
    close(listener);
    return 0;
}
