// Writes a text into the System V segment of (shmfile, 65): shm_writer TEXT
#include <cstdio>
#include <cstring>
#include <sys/ipc.h>
#include <sys/shm.h>

int main(int argc, char **argv) {
    key_t key = ftok("shmfile", 65);
    int id = shmget(key, 1024, 0666 | IPC_CREAT);
    if (id < 0) { std::perror("shmget"); return 1; }
    char *text = static_cast<char *>(shmat(id, nullptr, 0));
    if (text == reinterpret_cast<char *>(-1)) { std::perror("shmat"); return 1; }
    std::strcpy(text, argc > 1 ? argv[1] : "Hello from C++");
    std::printf("Data written in memory: %s\n", text);
    shmdt(text);
    return 0;
}
