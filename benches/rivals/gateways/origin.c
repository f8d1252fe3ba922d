// `origin PORT`: answers every request of HTTP/1.1 with 200 and 13 bytes, or with as many as /b/<bytes> asks for. Request
// bodies with a length are read and forgotten. One thread that epolls, so that it costs less than what is measured.
#define _GNU_SOURCE
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

enum { LARGEST = 16 << 20 };

struct connection {
    int socket;
    int waits_to_write;
    size_t received; // of what is in `in`
    size_t to_skip;  // of a request body
    size_t head_length, head_sent;
    size_t body_length, body_sent;
    int answers; // whether an answer is due when the body has come
    char head[256];
    char in[16384];
};

static char *bytes;
static int events;

static void watch(struct connection *c, int writes) {
    if (c->waits_to_write == writes)
        return;
    struct epoll_event event = {.events = EPOLLIN | (writes ? EPOLLOUT : 0), .data.ptr = c};
    epoll_ctl(events, EPOLL_CTL_MOD, c->socket, &event);
    c->waits_to_write = writes;
}

// Sends what is due: 1 when all of it has gone, 0 when the rest must wait, -1 when the connection is broken.
static int flush(struct connection *c) {
    while (c->head_sent < c->head_length || c->body_sent < c->body_length) {
        struct iovec parts[2] = {
            {c->head + c->head_sent, c->head_length - c->head_sent},
            {bytes, c->body_length - c->body_sent},
        };
        ssize_t sent = writev(c->socket, parts, 2);
        if (sent < 0) {
            if (errno != EAGAIN)
                return -1;
            watch(c, 1);
            return 0;
        }
        size_t of_head = (size_t)sent < parts[0].iov_len ? (size_t)sent : parts[0].iov_len;
        c->head_sent += of_head;
        c->body_sent += sent - of_head;
    }
    watch(c, 0);
    return 1;
}

static void forget(struct connection *c, size_t length) {
    memmove(c->in, c->in + length, c->received - length);
    c->received -= length;
}

// Reads the head of a request: whether there is one.
static int take_head(struct connection *c) {
    char *end = memmem(c->in, c->received, "\r\n\r\n", 4);
    if (!end)
        return 0;
    size_t length = end + 4 - c->in, size = 13;
    end[2] = 0;
    char *path = strchr(c->in, '/');
    if (path && !strncmp(path, "/b/", 3))
        size = strtoul(path + 3, NULL, 10);
    char *field = strcasestr(c->in, "\ncontent-length:");
    c->to_skip = field ? strtoul(field + 16, NULL, 10) : 0;
    forget(c, length);
    c->body_length = size < LARGEST ? size : LARGEST;
    c->head_length = snprintf(c->head, sizeof c->head,
        "HTTP/1.1 200 OK\r\nServer: origin\r\nContent-Type: application/octet-stream\r\n"
        "ETag: \"abcdef0123456789\"\r\nx-amz-request-id: 4442587FB7D0A2F9\r\nContent-Length: %zu\r\n\r\n",
        c->body_length);
    c->head_sent = c->body_sent = 0;
    c->answers = 1;
    return 1;
}

// Goes as far as what has come allows: -1 when the connection is broken.
static int proceed(struct connection *c) {
    for (;;) {
        size_t skipped = c->to_skip < c->received ? c->to_skip : c->received;
        forget(c, skipped);
        c->to_skip -= skipped;
        if (c->to_skip)
            return 0;
        if (c->answers) {
            int flushed = flush(c);
            if (flushed < 1)
                return flushed;
            c->answers = 0;
        }
        if (!take_head(c))
            return 0;
    }
}

static int receive(struct connection *c) {
    static char scratch[65536];
    while (c->to_skip > c->received) {
        size_t wanted = c->to_skip < sizeof scratch ? c->to_skip : sizeof scratch;
        ssize_t got = read(c->socket, scratch, wanted);
        if (got <= 0)
            return got < 0 && errno == EAGAIN ? 0 : -1;
        c->to_skip -= got;
    }
    if (c->received < sizeof c->in && !c->answers) {
        ssize_t got = read(c->socket, c->in + c->received, sizeof c->in - c->received);
        if (got <= 0)
            return got < 0 && errno == EAGAIN ? 0 : -1;
        c->received += got;
    }
    return proceed(c);
}

static void take_connections(int listener) {
    int socket, one = 1;
    while ((socket = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
        setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        struct connection *c = calloc(1, sizeof *c);
        c->socket = socket;
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
        epoll_ctl(events, EPOLL_CTL_ADD, socket, &event);
    }
}

int main(int count, char **arguments) {
    int one = 1, listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    address.sin_port = htons(count > 1 ? atoi(arguments[1]) : 0);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, 4096)) {
        perror("origin");
        return 1;
    }
    signal(SIGPIPE, SIG_IGN);
    bytes = malloc(LARGEST);
    memset(bytes, 'x', LARGEST);
    events = epoll_create1(0);
    struct epoll_event event = {.events = EPOLLIN}, ready[256];
    epoll_ctl(events, EPOLL_CTL_ADD, listener, &event);
    for (;;) {
        int found = epoll_wait(events, ready, 256, -1);
        for (int i = 0; i < found; i++) {
            struct connection *c = ready[i].data.ptr;
            if (!c) {
                take_connections(listener);
                continue;
            }
            int broken = ready[i].events & EPOLLOUT ? proceed(c) < 0 : 0;
            if (!broken && ready[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR))
                broken = receive(c) < 0;
            if (broken) {
                close(c->socket);
                free(c);
            }
        }
    }
}
