/* A tiny HTTP service: every request is answered with a greeting. */
#include <arpa/inet.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define GREETING "hello from C, first edition"

static volatile sig_atomic_t stopping;

static void stop(int signal_number) {
    (void)signal_number;
    stopping = 1;
}

static int listener(int port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    int one = 1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(fd, (struct sockaddr *)&address, sizeof address) != 0 || listen(fd, 16) != 0) {
        perror("cannot listen");
        exit(1);
    }
    return fd;
}

static void answer(int client) {
    char request[4096], response[256];
    if (read(client, request, sizeof request) > 0) {
        int length = snprintf(response, sizeof response,
                              "HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %zu\r\n\r\n%s\n",
                              strlen(GREETING) + 1, GREETING);
        if (write(client, response, (size_t)length) != length) perror("cannot answer");
    }
    close(client);
}

int main(void) {
    /* PID 1 has no default handlers: without these, Ctrl-C would do nothing. */
    struct sigaction action = {.sa_handler = stop};
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    const char *port = getenv("PORT");
    int fd = listener(port ? atoi(port) : 8080);
    while (!stopping) {
        int client = accept(fd, NULL, NULL);
        if (client >= 0) answer(client);
    }
    return 0;
}
