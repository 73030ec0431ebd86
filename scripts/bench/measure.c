/* Runs a command and prints, on the file descriptor 3: microseconds of wall time, the largest resident set in KiB of the
 * command or any process it waited for, and microseconds of processor time (user and system) of all of them.
 *
 *   measure COMMAND [ARGUMENT…] 3>figures */
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static long micros(struct timeval time) {
    return time.tv_sec * 1000000L + time.tv_usec;
}

int main(int argc, char **argv) {
    struct timespec begin, end;
    struct rusage usage;
    int status;
    if (argc < 2) return 2;
    clock_gettime(CLOCK_MONOTONIC, &begin);
    pid_t pid = fork();
    if (pid < 0) return 125;
    if (pid == 0) {
        close(3);
        execvp(argv[1], argv + 1);
        perror(argv[1]);
        _exit(127);
    }
    if (wait4(pid, &status, 0, &usage) != pid) return 125;
    clock_gettime(CLOCK_MONOTONIC, &end);
    dprintf(3, "%ld %ld %ld\n", (end.tv_sec - begin.tv_sec) * 1000000L + (end.tv_nsec - begin.tv_nsec) / 1000,
            usage.ru_maxrss, micros(usage.ru_utime) + micros(usage.ru_stime));
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
