// Receives one message: mq_receiver /NAME. Prints its priority and length, a newline, then exactly its bytes.
// mq_receiver /NAME create makes the queue and leaves; mq_receiver /NAME unlink removes it.
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <mqueue.h>

int main(int argc, char **argv) {
    if (argc < 2) return 2;
    if (argc > 2 && std::strcmp(argv[2], "unlink") == 0) return mq_unlink(argv[1]) == 0 ? 0 : 1;
    mq_attr attributes{};
    attributes.mq_maxmsg = 10;
    attributes.mq_msgsize = 1024;
    mqd_t queue = mq_open(argv[1], O_CREAT | O_RDONLY, 0644, &attributes);
    if (queue == static_cast<mqd_t>(-1)) { std::perror("mq_open"); return 1; }
    if (argc > 2 && std::strcmp(argv[2], "create") == 0) return mq_close(queue);
    char message[1024];
    unsigned priority = 0;
    ssize_t length = mq_receive(queue, message, sizeof message, &priority);
    if (length < 0) { std::perror("mq_receive"); return 1; }
    std::printf("%u %zd\n", priority, length);
    std::fwrite(message, 1, static_cast<size_t>(length), stdout);
    return mq_close(queue);
}
