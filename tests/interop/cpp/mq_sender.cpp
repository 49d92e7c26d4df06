// Sends one message, without its terminator: mq_sender /NAME TEXT PRIORITY
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <mqueue.h>

int main(int argc, char **argv) {
    if (argc < 4) return 2;
    mq_attr attributes{};
    attributes.mq_maxmsg = 10;
    attributes.mq_msgsize = 1024;
    mqd_t queue = mq_open(argv[1], O_CREAT | O_WRONLY, 0644, &attributes);
    if (queue == static_cast<mqd_t>(-1)) { std::perror("mq_open"); return 1; }
    if (mq_send(queue, argv[2], std::strlen(argv[2]), std::atoi(argv[3])) != 0) { std::perror("mq_send"); return 1; }
    std::printf("sent %zu bytes\n", std::strlen(argv[2]));
    return mq_close(queue);
}
