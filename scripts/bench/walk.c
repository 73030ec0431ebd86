/* The floor of looking at a context: one statx for each file below a directory, one thread, nothing kept.
 *
 *   walk DIRECTORY
 *
 * Prints how many there are. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void die(const char *what) {
    fprintf(stderr, "walk: %s: %s\n", what, strerror(errno));
    exit(1);
}

static long walk(int parent, const char *name) {
    int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) die(name);
    DIR *directory = fdopendir(fd);
    if (!directory) die(name);
    long files = 0;
    struct dirent *entry;
    while ((entry = readdir(directory))) {
        struct statx found;
        if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, "..")) continue;
        if (statx(fd, entry->d_name, AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS, &found)) die(entry->d_name);
        files += S_ISDIR(found.stx_mode) ? walk(fd, entry->d_name) : 1;
    }
    closedir(directory);
    return files;
}

int main(int argc, char **argv) {
    if (argc != 2) {
        fprintf(stderr, "usage: walk DIRECTORY\n");
        return 2;
    }
    printf("%ld\n", walk(AT_FDCWD, argv[1]));
    return 0;
}
