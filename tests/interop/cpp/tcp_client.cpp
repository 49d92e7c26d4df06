// Connects, sends once, reads once: tcp_client PORT
#include <arpa/inet.h>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <sys/socket.h>
#include <unistd.h>

int main(int argc, char **argv) {
    int port = argc > 1 ? std::atoi(argv[1]) : 8080;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<uint16_t>(port));
    inet_pton(AF_INET, "127.0.0.1", &address.sin_addr);
    if (connect(fd, reinterpret_cast<sockaddr *>(&address), sizeof address) != 0) { std::perror("connect"); return 1; }
    const char *hello = "Hello from client";
    send(fd, hello, std::strlen(hello), 0);
    char buffer[1024] = {0};
    ssize_t length = read(fd, buffer, sizeof buffer - 1);
    std::printf("%zd: %s\n", length, buffer);
    close(fd);
    return length > 0 ? 0 : 1;
}
