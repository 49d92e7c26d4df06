// POSIX shared memory: posix_shm write /NAME TEXT | read /NAME | remove /NAME
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

int main(int argc, char **argv) {
    if (argc < 3) return 2;
    if (std::strcmp(argv[1], "remove") == 0) return shm_unlink(argv[2]) == 0 ? 0 : 1;
    bool write = std::strcmp(argv[1], "write") == 0;
    int fd = shm_open(argv[2], write ? O_CREAT | O_RDWR : O_RDONLY, 0666);
    if (fd < 0) { std::perror("shm_open"); return 1; }
    if (write && ftruncate(fd, 4096) != 0) { std::perror("ftruncate"); return 1; }
    void *memory = mmap(nullptr, 4096, write ? PROT_READ | PROT_WRITE : PROT_READ, MAP_SHARED, fd, 0);
    if (memory == MAP_FAILED) { std::perror("mmap"); return 1; }
    close(fd);
    if (write) {
        std::strcpy(static_cast<char *>(memory), argv[3]);
    } else {
        std::printf("%s\n", static_cast<const char *>(memory));
    }
    return munmap(memory, 4096);
}
