/* Both ends of a proxy in one thread: the upstream that answers it, and the clients that ask it.

   Every text delta of an answer has one '~' in it and nothing else has, whatever dialect it is in by then; so counting
   that byte counts events, and since both ends are here, the delay of each event is known.

     burst    the whole answer at once; a client asks again when it has it
     each     an event leaves when the client has the one before
     paced    clients are opened over some seconds; then events leave one by one at a fixed rate over all of them
     body     an answer with a content-length, no stream

   Prints one JSON object. CPU and memory are those of the process --pid. */

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define MARK '~'
#define ID_DIGITS 5
#define READ_SIZE (256 * 1024)
#define MAX_HEAD 8192

enum mode { BURST, EACH, PACED, BODY };
static const char *const MODES[] = {"burst", "each", "paced", "body"};

struct client {
    int fd;
    int open;           /* connected, asking */
    long seen;          /* events of this answer */
    int64_t asked;      /* when it was sent, ns; 0 after its first byte */
    int in_body;
    char head[MAX_HEAD];
    int head_length;
    long length;        /* what is left of the body; -1 if chunked */
    char tail[7];
    struct upstream *upstream;
    int64_t *sent_at;   /* by event */
    char *request;
};

struct upstream {
    int fd;
    char *in;
    size_t in_length;
    struct client *client;
    long next;          /* unit to be sent */
    const char *out;    /* what the socket did not take */
    size_t out_length;
};

struct unit { char *data; size_t length; };

static enum mode mode;
static int connections = 1, client_port, upstream_port, pid, pace = 10000;
static double seconds = 3, warm = 0.5, ramp = 3;
static const char *path = "/";

static char *request_body; static size_t request_length;
static struct unit *units; static long unit_count;
static char *whole; static size_t whole_length;
static const char RESPONSE_HEAD[] =
    "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\ntransfer-encoding: chunked\r\n\r\n";

static int epoll, listener;
static struct client *clients;
static int measuring;
static long events, requests, errors, bytes;
static int64_t *delays, *firsts; static long delay_count, first_count, delay_room, first_room;

static void die(const char *what) { fprintf(stderr, "peers: %s: %s\n", what, strerror(errno)); exit(1); }

static int64_t now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static int64_t cpu_of(int of) {
    clockid_t clock;
    struct timespec t;
    if (clock_getcpuclockid(of, &clock) || clock_gettime(clock, &t)) return 0;
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static long memory_of(int of) { /* resident bytes */
    char name[64];
    long size, resident = 0;
    snprintf(name, sizeof name, "/proc/%d/statm", of);
    FILE *file = fopen(name, "r");
    if (!file) return 0;
    if (fscanf(file, "%ld %ld", &size, &resident) != 2) resident = 0;
    fclose(file);
    return resident * sysconf(_SC_PAGESIZE);
}

static void record(int64_t **values, long *count, long *room, int64_t value) {
    if (*count == *room) {
        *room = *room ? 2 * *room : 65536;
        *values = realloc(*values, *room * sizeof **values);
        if (!*values) die("memory");
    }
    (*values)[(*count)++] = value;
}

static char *read_file(const char *name, size_t *length) {
    FILE *file = fopen(name, "rb");
    if (!file) die(name);
    fseek(file, 0, SEEK_END);
    *length = ftell(file);
    rewind(file);
    char *data = malloc(*length + 1);
    if (fread(data, 1, *length, file) != *length) die(name);
    data[*length] = 0;
    fclose(file);
    return data;
}

static char *chunk(char *out, const char *data, size_t length) {
    out += sprintf(out, "%zx\r\n", length);
    memcpy(out, data, length);
    memcpy(out + length, "\r\n", 2);
    return out + length + 2;
}

/* A unit is what one event brings: the frame with the mark, with what stands before the first and after the last.
   Each frame is a chunk of its own, as servers send them. */
static void cut(const char *name) {
    size_t length;
    char *data = read_file(name, &length), *end = data + length, *at = data;
    if (mode == BODY) {
        whole = malloc(length + 256);
        whole_length = sprintf(whole, "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %zu\r\n\r\n", length);
        memcpy(whole + whole_length, data, length);
        whole_length += length;
        unit_count = 1;
        return;
    }
    for (char *c = data; c < end; c++) unit_count += *c == MARK;
    units = calloc(unit_count, sizeof *units);
    whole = malloc(20 * length + 1024); /* a chunk's frame is at most 20 bytes for each of ours */
    char *out = whole + sprintf(whole, "%s", RESPONSE_HEAD);
    long unit = 0;
    units[0].data = whole;
    while (at < end) {
        char *stop = memmem(at, end - at, "\n\n", 2);
        stop = stop ? stop + 2 : end;
        int marked = memchr(at, MARK, stop - at) != NULL;
        out = chunk(out, at, stop - at);
        at = stop;
        if (marked && unit + 1 < unit_count) {
            units[unit].length = out - units[unit].data;
            units[++unit].data = out;
        }
    }
    memcpy(out, "0\r\n\r\n", 5);
    out += 5;
    units[unit].length = out - units[unit].data;
    whole_length = out - whole;
}

static void watch(int fd, void *of, int is_client, uint32_t what, int operation) {
    struct epoll_event event = {.events = what, .data.u64 = (uintptr_t)of | (is_client ? 1 : 0)};
    if (epoll_ctl(epoll, operation, fd, &event)) die("epoll_ctl");
}

static void prepare(int fd) {
    int one = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    fcntl(fd, F_SETFL, O_NONBLOCK);
}

/* The upstream. */

static void up_send(struct upstream *up, const char *data, size_t length) {
    if (up->out_length) return; /* the one before waits; a paced event is then skipped, which the delays show */
    ssize_t sent = send(up->fd, data, length, MSG_NOSIGNAL);
    if (sent < 0) sent = 0;
    if ((size_t)sent < length) {
        up->out = data + sent;
        up->out_length = length - sent;
        watch(up->fd, up, 0, EPOLLIN | EPOLLOUT, EPOLL_CTL_MOD);
    }
}

static void up_next(struct upstream *up) {
    if (up->out_length || up->next >= unit_count) return;
    struct unit *unit = &units[up->next];
    up->client->sent_at[up->next++] = now();
    up_send(up, unit->data, unit->length);
}

static void up_close(struct upstream *up) {
    if (up->client && up->client->upstream == up) up->client->upstream = NULL;
    close(up->fd);
    free(up->in);
    free(up);
}

static void up_asked(struct upstream *up) {
    char *id = memmem(up->in, up->in_length, "bench-", 6);
    long number = id ? strtol(id + 6, NULL, 10) : -1;
    if (number < 0 || number >= connections) { errors++; return; }
    up->client = &clients[number];
    up->client->upstream = up;
    up->next = 0;
    if (mode == BURST || mode == BODY) up_send(up, whole, whole_length);
    else if (mode == EACH) up_next(up);
}

static int up_readable(struct upstream *up) {
    for (;;) {
        up->in = realloc(up->in, up->in_length + 65536 + 1);
        ssize_t got = recv(up->fd, up->in + up->in_length, 65536, 0);
        if (got == 0) return 0;
        if (got < 0) { if (errno == EAGAIN) return 1; return 0; }
        up->in_length += got;
        up->in[up->in_length] = 0;
        char *end = memmem(up->in, up->in_length, "\r\n\r\n", 4);
        if (!end) continue;
        char *length = strcasestr(up->in, "content-length:");
        size_t total = end + 4 - up->in + (length && length < end ? strtoul(length + 15, NULL, 10) : 0);
        if (up->in_length < total) continue;
        up_asked(up);
        up->in_length = 0;
    }
}

static void up_writable(struct upstream *up) {
    ssize_t sent = send(up->fd, up->out, up->out_length, MSG_NOSIGNAL);
    if (sent > 0) { up->out += sent; up->out_length -= sent; }
    if (!up->out_length) watch(up->fd, up, 0, EPOLLIN, EPOLL_CTL_MOD);
}

static void up_accept(void) {
    int fd;
    while ((fd = accept(listener, NULL, NULL)) >= 0) {
        struct upstream *up = calloc(1, sizeof *up);
        up->fd = fd;
        prepare(fd);
        watch(fd, up, 0, EPOLLIN, EPOLL_CTL_ADD);
    }
}

/* The clients. */

static void ask(struct client *c) {
    c->seen = 0;
    c->in_body = 0;
    c->head_length = 0;
    memset(c->tail, 0, sizeof c->tail);
    c->asked = now();
    size_t length = strlen(c->request);
    if (send(c->fd, c->request, length, MSG_NOSIGNAL) != (ssize_t)length) errors++;
}

static void open_client(struct client *c) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(client_port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    c->fd = socket(AF_INET, SOCK_STREAM, 0);
    if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&address, sizeof address)) die("connect");
    prepare(c->fd);
    c->open = 1;
    watch(c->fd, c, 1, EPOLLIN, EPOLL_CTL_ADD);
    ask(c);
}

static void answered(struct client *c) {
    if (measuring) requests++;
    ask(c);
}

/* Gives how much of the data was the head. */
static size_t take_head(struct client *c, const char *data, size_t length) {
    size_t room = MAX_HEAD - 1 - c->head_length, take = length < room ? length : room;
    int before = c->head_length;
    memcpy(c->head + before, data, take);
    c->head[before + take] = 0;
    char *end = strstr(c->head, "\r\n\r\n");
    if (!end) { c->head_length += take; return take; }
    if (strncmp(c->head, "HTTP/1.1 200", 12)) { if (!errors++) fprintf(stderr, "peers: %.300s\n", c->head); }
    char *given = strcasestr(c->head, "content-length:");
    c->length = given && given < end ? strtol(given + 15, NULL, 10) : -1;
    c->in_body = 1;
    return end + 4 - c->head - before;
}

static void body(struct client *c, const char *data, size_t length) {
    int64_t time = 0;
    long before = c->seen;
    for (const char *at = data, *end = data + length; (at = memchr(at, MARK, end - at)); at++) {
        if (c->seen >= unit_count) break; /* some dialects say the text once more at the end */
        if (!time) time = now();
        if (measuring && mode != BURST && mode != BODY) record(&delays, &delay_count, &delay_room, time - c->sent_at[c->seen]);
        c->seen++;
    }
    if (measuring) { events += c->seen - before; bytes += length; }
    if (c->length >= 0) {
        c->length -= length;
        if (c->length <= 0) answered(c);
        return;
    }
    if (length >= 7) memcpy(c->tail, data + length - 7, 7);
    else { memmove(c->tail, c->tail + length, 7 - length); memcpy(c->tail + 7 - length, data, length); }
    if (!memcmp(c->tail, "\r\n0\r\n\r\n", 7)) {
        if (c->seen < unit_count) errors++;
        answered(c);
    } else if (mode == EACH && c->seen > before && c->upstream && c->upstream->next == c->seen) up_next(c->upstream);
}

static void client_readable(struct client *c) {
    static char buffer[READ_SIZE];
    ssize_t got = recv(c->fd, buffer, sizeof buffer, 0);
    if (got < 0 && errno == EAGAIN) return;
    if (got <= 0) { errors++; close(c->fd); c->open = 0; return; }
    if (c->asked) {
        if (measuring) record(&firsts, &first_count, &first_room, now() - c->asked);
        c->asked = 0;
    }
    size_t used = c->in_body ? 0 : take_head(c, buffer, got);
    if (c->in_body && (size_t)got > used) body(c, buffer + used, got - used);
}

/* Paced: the k-th event over all is due k intervals after the beginning, and is the next of stream k mod connections. */
static void send_due(int64_t began, int64_t *ticks) {
    int64_t due = (int64_t)((now() - began) * (pace / 1e9));
    for (; *ticks < due; (*ticks)++) {
        struct client *c = &clients[*ticks % connections];
        if (c->open && c->upstream) up_next(c->upstream);
    }
}

static void loop(int64_t until, int64_t began, int64_t *ticks) {
    struct epoll_event ready[512];
    while (now() < until) {
        if (ticks) send_due(began, ticks);
        int count = epoll_wait(epoll, ready, 512, ticks ? 1 : 20);
        for (int i = 0; i < count; i++) {
            uint64_t of = ready[i].data.u64;
            if (!of) { up_accept(); continue; }
            if (of & 1) { client_readable((struct client *)(uintptr_t)(of & ~1ULL)); continue; }
            struct upstream *up = (struct upstream *)(uintptr_t)of;
            if (ready[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR) && !up_readable(up)) { up_close(up); continue; }
            if (ready[i].events & EPOLLOUT && up->out_length) up_writable(up);
        }
    }
}

static int compare(const void *a, const void *b) {
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static double ms(int64_t *values, long count, double share) {
    if (!count) return -1;
    return values[(long)(share * (count - 1))] / 1e6;
}

int main(int argc, char **argv) {
    const char *request_file = NULL, *stream_file = NULL;
    for (int i = 1; i + 1 < argc; i += 2) {
        const char *name = argv[i], *value = argv[i + 1];
        if (!strcmp(name, "--mode")) { for (int m = 0; m < 4; m++) if (!strcmp(value, MODES[m])) mode = m; }
        else if (!strcmp(name, "--connections")) connections = atoi(value);
        else if (!strcmp(name, "--client-port")) client_port = atoi(value);
        else if (!strcmp(name, "--upstream-port")) upstream_port = atoi(value);
        else if (!strcmp(name, "--pid")) pid = atoi(value);
        else if (!strcmp(name, "--pace")) pace = atoi(value);
        else if (!strcmp(name, "--seconds")) seconds = atof(value);
        else if (!strcmp(name, "--warm")) warm = atof(value);
        else if (!strcmp(name, "--ramp")) ramp = atof(value);
        else if (!strcmp(name, "--path")) path = value;
        else if (!strcmp(name, "--request")) request_file = value;
        else if (!strcmp(name, "--stream")) stream_file = value;
        else { fprintf(stderr, "peers: unknown option %s\n", name); return 2; }
    }
    request_body = read_file(request_file, &request_length);
    cut(stream_file);
    epoll = epoll_create1(0);

    listener = socket(AF_INET, SOCK_STREAM, 0);
    int one = 1;
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(upstream_port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, 4096)) die("listen");
    fcntl(listener, F_SETFL, O_NONBLOCK);
    watch(listener, NULL, 0, EPOLLIN, EPOLL_CTL_ADD);

    long idle = memory_of(pid);
    clients = calloc(connections, sizeof *clients);
    for (int i = 0; i < connections; i++) {
        struct client *c = &clients[i];
        c->sent_at = calloc(unit_count, sizeof *c->sent_at);
        c->request = malloc(request_length + 512);
        int head = sprintf(c->request,
                           "POST %s HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\ncontent-length: %zu\r\n\r\n",
                           path, request_length);
        memcpy(c->request + head, request_body, request_length + 1);
        char *id = strstr(c->request, "bench-"), digits[ID_DIGITS + 1];
        if (!id) die("no model in the request");
        snprintf(digits, sizeof digits, "%0*d", ID_DIGITS, i % 100000);
        memcpy(id + 6, digits, ID_DIGITS);
    }

    int64_t began = now(), ticks = 0;
    int64_t *paced = mode == PACED ? &ticks : NULL;
    for (int i = 0; i < connections; i++) {
        open_client(&clients[i]);
        if (mode == PACED) loop(began + (int64_t)(ramp * 1e9 * (i + 1) / connections), began, paced);
    }
    loop(now() + (int64_t)(warm * 1e9), began, paced);

    measuring = 1;
    int64_t start = now(), cpu = cpu_of(pid), own = cpu_of(getpid());
    loop(start + (int64_t)(seconds * 1e9), began, paced);
    int64_t wall = now() - start;
    cpu = cpu_of(pid) - cpu;
    own = cpu_of(getpid()) - own;
    long resident = memory_of(pid);
    long streams = 0;
    for (int i = 0; i < connections; i++) streams += clients[i].open && clients[i].upstream;

    if (delay_count) qsort(delays, delay_count, sizeof *delays, compare);
    if (first_count) qsort(firsts, first_count, sizeof *firsts, compare);
    printf("{\"events\":%ld,\"requests\":%ld,\"errors\":%ld,\"bytes\":%ld,\"wall\":%.6f,\"cpu\":%.6f,\"own_cpu\":%.6f,"
           "\"first_p50\":%.4f,\"first_p99\":%.4f,\"delay_p50\":%.4f,\"delay_p99\":%.4f,\"delay_max\":%.4f,"
           "\"idle\":%ld,\"resident\":%ld,\"streams\":%ld}\n",
           events, requests, errors, bytes, wall / 1e9, cpu / 1e9, own / 1e9, ms(firsts, first_count, 0.5),
           ms(firsts, first_count, 0.99), ms(delays, delay_count, 0.5), ms(delays, delay_count, 0.99),
           ms(delays, delay_count, 1), idle, resident, streams);
    return 0;
}
