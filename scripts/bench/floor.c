/* The floor of a build step: what the kernel asks for a RUN, and nothing else.
 *
 *   floor LOWER WORK COUNT COMMAND
 *
 * COUNT times, in the directory WORK: clone into new namespaces, mount a volatile overlay over LOWER, pivot
 * into it, run `sh -c COMMAND`, wait. Needs root. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static void die(const char *what) {
    fprintf(stderr, "floor: %s: %s\n", what, strerror(errno));
    _exit(125);
}

static char stack[1 << 18];

struct job {
    const char *lower, *work, *command;
};

static int child(void *argument) {
    struct job *job = argument;
    char options[16384], root[8192];
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL)) die("private mounts");
    snprintf(options, sizeof options, "lowerdir=%s,upperdir=%s/upper,workdir=%s/work,volatile,userxattr", job->lower,
             job->work, job->work);
    snprintf(root, sizeof root, "%s/root", job->work);
    if (mount("overlay", root, "overlay", 0, options)) die("overlay");
    if (chdir(root)) die("chdir");
    if (syscall(SYS_pivot_root, ".", ".")) die("pivot_root");
    if (umount2(".", MNT_DETACH)) die("umount");
    if (mount("proc", "/proc", "proc", 0, NULL)) die("proc");
    execl("/bin/sh", "sh", "-c", job->command, (char *)NULL);
    die("exec");
    return 125;
}

static void make(const char *work, const char *name) {
    char path[8192];
    snprintf(path, sizeof path, "%s/%s", work, name);
    if (mkdir(path, 0755)) die(path);
}

int main(int argc, char **argv) {
    if (argc != 5) {
        fprintf(stderr, "usage: floor LOWER WORK COUNT COMMAND\n");
        return 2;
    }
    int count = atoi(argv[3]);
    if (count < 1 || count > 100000) return 2;
    int flags = CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP | SIGCHLD;
    for (int i = 0; i < count; i++) {
        char work[8192 - 16];
        snprintf(work, sizeof work, "%s/%d", argv[2], i);
        struct job job = {argv[1], work, argv[4]};
        if (mkdir(work, 0755)) die(work);
        make(work, "upper");
        make(work, "work");
        make(work, "root");
        int status, pid = clone(child, stack + sizeof stack, flags, &job);
        if (pid < 0) die("clone");
        if (waitpid(pid, &status, 0) != pid || status != 0) die("the command failed");
    }
    return 0;
}
