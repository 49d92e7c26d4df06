// Prints the text in the System V segment of (shmfile, 65); with `remove` removes the segment instead.
#include <cstdio>
#include <cstring>
#include <sys/ipc.h>
#include <sys/shm.h>

int main(int argc, char **argv) {
    key_t key = ftok("shmfile", 65);
    if (argc > 1 && std::strcmp(argv[1], "remove") == 0) {
        int id = shmget(key, 0, 0);
        return key != -1 && id >= 0 ? shmctl(id, IPC_RMID, nullptr) : 1;
    }
    int id = shmget(key, 1024, 0666 | IPC_CREAT);
    if (id < 0) { std::perror("shmget"); return 1; }
    char *text = static_cast<char *>(shmat(id, nullptr, 0));
    if (text == reinterpret_cast<char *>(-1)) { std::perror("shmat"); return 1; }
    std::printf("Data read from memory: %s\n", text);
    shmdt(text);
    return 0;
}
