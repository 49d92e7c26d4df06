// System V semaphore of (shmfile, 65): sysv_semaphore create VALUE | post | wait | value | remove
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <sys/ipc.h>
#include <sys/sem.h>

union argument { int val; };

int main(int argc, char **argv) {
    if (argc < 2) return 2;
    const char *what = argv[1];
    key_t key = ftok("shmfile", 65);
    bool create = std::strcmp(what, "create") == 0;
    int id = semget(key, 1, create ? 0666 | IPC_CREAT : 0666);
    if (id < 0) { std::perror("semget"); return 1; }
    if (std::strcmp(what, "remove") == 0) return semctl(id, 0, IPC_RMID) == 0 ? 0 : 1;
    if (create) {
        argument value{std::atoi(argv[2])};
        if (semctl(id, 0, SETVAL, value) != 0) { std::perror("semctl"); return 1; }
    }
    if (std::strcmp(what, "post") == 0) {
        sembuf add{0, 1, 0};
        if (semop(id, &add, 1) != 0) { std::perror("semop"); return 1; }
    }
    if (std::strcmp(what, "wait") == 0) {
        std::puts("waiting");
        std::fflush(stdout);
        sembuf take{0, -1, 0};
        timespec limit{20, 0};
        if (semtimedop(id, &take, 1, &limit) != 0) { std::perror("semtimedop"); return 1; }
        std::puts("got it");
    }
    std::printf("%d\n", semctl(id, 0, GETVAL));
    return 0;
}
