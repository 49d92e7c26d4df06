// POSIX named semaphore: semaphore create /NAME VALUE | post /NAME | wait /NAME | value /NAME | remove /NAME
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <fcntl.h>
#include <semaphore.h>

int main(int argc, char **argv) {
    if (argc < 3) return 2;
    const char *what = argv[1];
    if (std::strcmp(what, "remove") == 0) return sem_unlink(argv[2]) == 0 ? 0 : 1;
    sem_t *semaphore = std::strcmp(what, "create") == 0
        ? sem_open(argv[2], O_CREAT | O_EXCL, 0600, static_cast<unsigned>(std::atoi(argv[3])))
        : sem_open(argv[2], 0);
    if (semaphore == SEM_FAILED) { std::perror("sem_open"); return 1; }
    if (std::strcmp(what, "post") == 0 && sem_post(semaphore) != 0) { std::perror("sem_post"); return 1; }
    if (std::strcmp(what, "wait") == 0) {
        std::puts("waiting");
        std::fflush(stdout);
        timespec end{};
        clock_gettime(CLOCK_REALTIME, &end);
        end.tv_sec += 20;
        if (sem_timedwait(semaphore, &end) != 0) { std::perror("sem_timedwait"); return 1; }
        std::puts("got it");
    }
    int value = 0;
    sem_getvalue(semaphore, &value);
    std::printf("%d\n", value);
    return sem_close(semaphore);
}
