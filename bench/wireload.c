/* wireload: loads a broker on the raw Kafka wire, for less CPU than any broker needs to answer.
 *
 *   wireload create  --address 127.0.0.1:9092 --topic t --partitions 1
 *   wireload produce --address 127.0.0.1:9092 --topic t --record-bytes 100 --records-per-batch 1 \
 *                    --depth 64 --acks -1 --connections 1 --partitions 1 --warmup 0.2 --seconds 1
 *   wireload fetch   --address 127.0.0.1:9092 --topic t --max-bytes 1048576 --depth 1 --seconds 1
 *
 * Common: --max-requests N and --max-total-bytes N end the measured part early; --broker-pid PID
 * adds the broker's CPU seconds over exactly the measured part; --copy makes `fetch` copy the
 * records out of the socket too. One JSON object on one line is the answer; status 0, or 1 with a
 * sentence on stderr (also when an answer carried an error code), or 2 for a bad command line.
 *
 * How it stays cheap. Every request frame is built before the clock starts: `depth` or more frames
 * of one length lie in one ring, the frame of slot i carries correlation id i, and request n is
 * slot n modulo the ring. Opening the window by k requests is one sendmsg() of k adjacent frames;
 * one recv() takes all answers that are there; the clock is read once for each. `fetch` walks the
 * topic once to learn the offsets (and checks the batches there), then repeats those requests:
 * the head of each answer is read and checked, its record bytes are dropped inside the kernel.
 *
 * Versions: CreateTopics v4, Produce v7, Fetch v11 without a session. Kafka 4 serves all three.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "frames.h"

enum { RECEIVE_BYTES = 1 << 16, MAX_CONNECTIONS = 1024, MAX_FETCH_SLOTS = 2048 };
enum { TOPIC_EXISTS = 36, UNKNOWN_TOPIC = 3, LEADER_NOT_AVAILABLE = 5, NOT_LEADER = 6 };
static const double USABLE_WITHIN_SECONDS = 10;

/* Request frames of one length, back to back, and how to read the answers to them. */
struct ring {
  int api_key, slots;
  size_t frame_bytes, payload_bytes; /* payload: the record batch of a Produce frame */
  size_t head_bytes;                 /* of an answer with its length prefix: what is looked at */
  size_t error_at;                   /* the partition's error code, counted from the prefix */
  uint8_t *frames;
};

struct connection {
  int fd;
  long sent, answered;
  int first_slot;
  size_t send_at, unsent; /* a position in the ring, and how many bytes from there are due */
  size_t held, skip;      /* bytes in `in`; record bytes of the current answer still to drop */
  double *sent_at;        /* by slot */
  uint8_t in[RECEIVE_BYTES];
};

struct result {
  long requests, errors;
  int first_error;
  double bytes, seconds, cpu_seconds, broker_cpu_seconds;
  double *latencies;
  long latency_room;
};

static uint8_t *dropped; /* where record bytes go with --copy */

/* ---- clocks ------------------------------------------------------------------------------- */

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec + time.tv_nsec * 1e-9;
}

static double own_cpu_seconds(void) {
  struct rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_utime.tv_sec + usage.ru_stime.tv_sec +
         (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1e-6;
}

/* User and system time of every thread of a process; 0 where there is no /proc. */
static double cpu_seconds_of(int pid) {
  char path[64], line[1024];
  unsigned long user = 0, system = 0;
  if (pid <= 0) return 0;
  snprintf(path, sizeof path, "/proc/%d/stat", pid);
  FILE *file = fopen(path, "r");
  if (!file) return 0;
  if (fgets(line, sizeof line, file)) {
    char *after_name = strrchr(line, ')'); /* the name may hold spaces */
    if (after_name)
      sscanf(after_name + 2, "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &system);
  }
  fclose(file);
  return (double)(user + system) / sysconf(_SC_CLK_TCK);
}

/* ---- one request at a time, before the clock starts --------------------------------------- */

static int dial(const struct options *o) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(o->port)};
  int one = 1, fd = socket(AF_INET, SOCK_STREAM, 0);
  if (inet_pton(AF_INET, o->host, &address.sin_addr) != 1) die("bad address %s", o->host);
  if (connect(fd, (struct sockaddr *)&address, sizeof address))
    die("connect %s:%d: %s", o->host, o->port, strerror(errno));
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  struct timeval patience = {.tv_sec = 30};
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  return fd;
}

static void receive_exactly(int fd, uint8_t *into, size_t length) {
  while (length) {
    ssize_t count = recv(fd, into, length, 0);
    if (count <= 0) die("no answer: %s", count ? strerror(errno) : "connection closed");
    into += count;
    length -= count;
  }
}

/* Sends a frame; returns the answer with its length prefix, to be freed. */
static uint8_t *exchange(int fd, const uint8_t *frame, size_t length) {
  uint8_t prefix[4];
  while (length) {
    ssize_t count = send(fd, frame, length, MSG_NOSIGNAL);
    if (count <= 0) die("send: %s", strerror(errno));
    frame += count;
    length -= count;
  }
  receive_exactly(fd, prefix, 4);
  uint8_t *answer = allocate((size_t)get32(prefix) + 4 + 256); /* room to look for error codes */
  memset(answer, 0, 4 + 256);
  memcpy(answer, prefix, 4);
  receive_exactly(fd, answer + 4, get32(prefix));
  return answer;
}

static int create(const struct options *o) {
  uint8_t frame[1024];
  size_t length = build_create_topics(frame, o);
  int fd = dial(o);
  uint8_t *answer = exchange(fd, frame, length);
  int error = get16(answer + 4 + 4 + 4 + 4 + 2 + strlen(o->topic));
  if (error && error != TOPIC_EXISTS) die("CreateTopics answered error code %d", error);
  free(answer);
  close(fd);
  return 0;
}

/* Kafka answers CreateTopics before every broker knows the topic: repeats while it does not. */
static uint8_t *first_answer(int fd, const uint8_t *frame, size_t length, size_t error_at) {
  double deadline = now() + USABLE_WITHIN_SECONDS;
  for (;;) {
    uint8_t *answer = exchange(fd, frame, length);
    int error = get32(answer) + 4 > error_at ? get16(answer + error_at) : -1;
    if (!error) return answer;
    int passes = error == UNKNOWN_TOPIC || error == LEADER_NOT_AVAILABLE || error == NOT_LEADER;
    if (!passes || now() > deadline) die("the first answer carried error code %d", error);
    free(answer);
    usleep(10000);
  }
}

static struct ring produce_ring(const struct options *o) {
  size_t room = (size_t)o->records_per_batch * (o->record_bytes + 32) + BATCH_HEADER_BYTES;
  uint8_t *batch = allocate(room);
  struct ring ring = {.api_key = PRODUCE};
  ring.payload_bytes = build_batch(batch, o);
  ring.error_at = 4 + 4 + 4 + 2 + strlen(o->topic) + 4 + 4; /* prefix, id, count, name ... */
  ring.head_bytes = ring.error_at + 2;
  /* A whole number of rounds over the partitions, so that a slot keeps its partition. */
  ring.slots = (o->depth + o->partitions - 1) / o->partitions * o->partitions;
  ring.frames = allocate((size_t)ring.slots * (ring.payload_bytes + 512));
  for (int slot = 0; slot < ring.slots; slot++)
    ring.frame_bytes = build_produce(ring.frames + slot * ring.frame_bytes, o, slot, batch,
                                     ring.payload_bytes);
  int fd = dial(o);
  for (int partition = 0; partition < o->partitions; partition++)
    free(first_answer(fd, ring.frames + partition * ring.frame_bytes, ring.frame_bytes,
                      ring.error_at));
  close(fd);
  free(batch);
  return ring;
}

/* Checks that whole batches follow each other from `offset` on; returns the next offset. */
static int64_t walk_batches(const uint8_t *at, size_t length, int64_t offset) {
  const uint8_t *end = at + length;
  while (end - at >= BATCH_HEADER_BYTES) {
    size_t size = (size_t)get32(at + 8) + BATCH_LENGTH_OVERHEAD;
    if ((size_t)(end - at) < size) break; /* a cut last batch is Kafka's way */
    if (at[16] != 2) die("a fetched batch has magic %d", at[16]);
    if (get64(at) != offset) die("offset %ld fetched where %ld follows", get64(at), offset);
    offset += (int64_t)get32(at + 23) + 1;
    at += size;
  }
  return offset;
}

static struct ring fetch_ring(const struct options *o) {
  struct ring ring = {.api_key = FETCH};
  /* prefix, id, throttle, error, session, topics, name, partitions, index */
  ring.error_at = 4 + 4 + 4 + 2 + 4 + 4 + 2 + strlen(o->topic) + 4 + 4;
  /* error, high watermark, last stable, log start, aborted, preferred replica, length */
  ring.head_bytes = ring.error_at + 2 + 8 + 8 + 8 + 4 + 4 + 4;
  ring.frames = allocate(MAX_FETCH_SLOTS * 1024);
  int64_t offset = 0;
  int fd = dial(o);
  while (ring.slots < MAX_FETCH_SLOTS) {
    uint8_t *frame = ring.frames + ring.slots * ring.frame_bytes;
    ring.frame_bytes = build_fetch(frame, o, ring.slots, offset);
    uint8_t *answer = first_answer(fd, frame, ring.frame_bytes, ring.error_at);
    uint32_t length = get32(answer + ring.head_bytes - 4);
    if (length + ring.head_bytes != get32(answer) + 4) die("an answer of another shape");
    int64_t high_watermark = get64(answer + ring.error_at + 2);
    int64_t next_offset = walk_batches(answer + ring.head_bytes, length, offset);
    free(answer);
    if (next_offset == offset) break;
    ring.slots++;
    offset = next_offset;
    if (offset >= high_watermark) break;
  }
  close(fd);
  if (!ring.slots) die("topic %s is empty", o->topic);
  return ring;
}

/* ---- the measured part -------------------------------------------------------------------- */

static void open_window(struct connection *c, const struct ring *ring, long count, double time) {
  for (long i = 0; i < count; i++) c->sent_at[(c->first_slot + c->sent++) % ring->slots] = time;
  c->unsent += count * ring->frame_bytes;
}

static void send_some(struct connection *c, const struct ring *ring) {
  size_t ring_bytes = ring->slots * ring->frame_bytes;
  while (c->unsent) {
    size_t straight = ring_bytes - c->send_at < c->unsent ? ring_bytes - c->send_at : c->unsent;
    size_t wrapped = c->unsent - straight < ring_bytes ? c->unsent - straight : ring_bytes;
    struct iovec parts[2] = {{ring->frames + c->send_at, straight}, {ring->frames, wrapped}};
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = wrapped ? 2 : 1};
    ssize_t count = sendmsg(c->fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (count < 0 && errno == EAGAIN) return;
    if (count < 0) die("send: %s", strerror(errno));
    c->unsent -= count;
    c->send_at = (c->send_at + count) % ring_bytes;
  }
}

static void take_answer(struct connection *c, const struct ring *ring, const uint8_t *answer,
                        size_t size, double time, struct result *result) {
  int slot = (c->first_slot + c->answered++) % ring->slots;
  if ((int)get32(answer + 4) != slot) die("answers out of order");
  int error = size < ring->head_bytes ? -1 : get16(answer + ring->error_at);
  if (!error && ring->api_key == FETCH) {
    uint32_t length = get32(answer + ring->head_bytes - 4);
    if (length + ring->head_bytes != size || !length) error = -1;
    result->bytes += length;
  }
  if (error && !result->errors++) result->first_error = error;
  if (result->requests == result->latency_room) {
    result->latency_room *= 2;
    result->latencies = realloc(result->latencies, result->latency_room * sizeof(double));
    if (!result->latencies) die("no memory for the latencies");
  }
  result->latencies[result->requests++] = time - c->sent_at[slot];
}

/* One recv(), and every answer that it completed. The record bytes of a Fetch answer are skipped,
 * not held; it counts when its last byte has left the socket. */
static void receive_some(struct connection *c, const struct ring *ring, int flags, int copy,
                         struct result *result) {
  int is_fetch = ring->api_key == FETCH, skipped = c->skip > 0;
  ssize_t count;
  if (skipped) {
    int how = (copy ? 0 : MSG_TRUNC) | (flags ? 0 : MSG_WAITALL);
    count = recv(c->fd, copy ? dropped : NULL, c->skip, flags | how);
  } else {
    /* Not past the head of a Fetch answer: what follows is not worth a copy. */
    size_t room = is_fetch ? ring->head_bytes : RECEIVE_BYTES;
    count = recv(c->fd, c->in + c->held, room - c->held, flags);
  }
  if (count < 0 && errno == EAGAIN && flags) return;
  if (count <= 0) die("no answer: %s", count ? strerror(errno) : "connection closed");
  double time = now();
  if (skipped && (c->skip -= count)) return;
  if (!skipped) c->held += count;
  size_t at = 0;
  while (c->held - at >= 8) {
    size_t size = (size_t)get32(c->in + at) + 4;
    size_t head = is_fetch && size > ring->head_bytes ? ring->head_bytes : size;
    if (head > RECEIVE_BYTES) die("an answer of %zu bytes", size);
    if (c->held - at < head) break;
    if (size > head && !skipped) {
      c->skip = size - head;
      break;
    }
    take_answer(c, ring, c->in + at, size, time, result);
    at += head;
  }
  memmove(c->in, c->in + at, c->held - at);
  c->held -= at;
}

/* Keeps `depth` requests in flight on every connection until time, requests or bytes are used up,
 * then takes the answers that are still out. */
static void run(struct connection *all, const struct ring *ring, const struct options *o,
                double seconds, struct result *result) {
  int count = o->connections, depth = o->depth < ring->slots ? o->depth : ring->slots;
  struct pollfd polled[MAX_CONNECTIONS];
  double start = now(), time = start, cpu = own_cpu_seconds();
  double broker_cpu = cpu_seconds_of(o->broker_pid);
  long sent = 0, in_flight = 0;
  result->requests = result->errors = 0;
  result->bytes = 0;
  for (;;) {
    int open = time - start < seconds && sent < o->max_requests && !result->errors;
    double bytes = ring->api_key == FETCH ? result->bytes : (double)sent * ring->payload_bytes;
    if (bytes >= o->max_total_bytes) open = 0;
    if (!open && !in_flight) break;
    for (int i = 0; i < count; i++) {
      struct connection *c = &all[i];
      long room = open ? depth - (c->sent - c->answered) : 0;
      if (room > o->max_requests - sent) room = o->max_requests - sent;
      if (room > 0) {
        open_window(c, ring, room, now());
        sent += room;
        in_flight += room;
      }
      send_some(c, ring);
      polled[i] = (struct pollfd){c->fd, POLLIN | (c->unsent ? POLLOUT : 0), 0};
    }
    long before = result->requests;
    if (count == 1 && !all[0].unsent) {
      receive_some(&all[0], ring, 0, o->copy, result);
    } else {
      if (poll(polled, count, 30000) <= 0) die("no answer within 30 seconds");
      for (int i = 0; i < count; i++)
        if (polled[i].revents & ~POLLOUT)
          receive_some(&all[i], ring, MSG_DONTWAIT, o->copy, result);
    }
    in_flight -= result->requests - before;
    time = now();
  }
  result->seconds = time - start;
  result->cpu_seconds = own_cpu_seconds() - cpu;
  result->broker_cpu_seconds = cpu_seconds_of(o->broker_pid) - broker_cpu;
  if (ring->api_key == PRODUCE) result->bytes = (double)result->requests * ring->payload_bytes;
}

static int by_value(const void *left, const void *right) {
  double a = *(const double *)left, b = *(const double *)right;
  return a < b ? -1 : a > b;
}

static void report(const char *kind, const struct ring *ring, struct result *r) {
  long n = r->requests;
  if (!n) die("no request was answered");
  qsort(r->latencies, n, sizeof(double), by_value);
  printf("{\"kind\": \"%s\", \"requests\": %ld, \"errors\": %ld, \"first_error\": %d, "
         "\"seconds\": %.6f, \"payload_bytes\": %.0f, \"requests_per_second\": %.1f, "
         "\"bytes_per_second\": %.0f, \"p50_us\": %.1f, \"p99_us\": %.1f, \"p999_us\": %.1f, "
         "\"cpu_seconds\": %.6f, \"broker_cpu_seconds\": %.2f}\n",
         kind, n, r->errors, r->first_error, r->seconds,
         ring->api_key == PRODUCE ? (double)ring->payload_bytes : r->bytes / n, n / r->seconds,
         r->bytes / r->seconds, r->latencies[n / 2] * 1e6, r->latencies[(long)(n * .99)] * 1e6,
         r->latencies[(long)(n * .999)] * 1e6, r->cpu_seconds, r->broker_cpu_seconds);
}

static int load(const char *kind, const struct options *o, const struct ring *ring) {
  struct connection *all = calloc(o->connections, sizeof *all);
  struct result result = {.latency_room = 1 << 20};
  result.latencies = allocate(result.latency_room * sizeof(double));
  if (!all) die("no memory for %d connections", o->connections);
  dropped = allocate(o->max_bytes + (8 << 20));
  for (int i = 0; i < o->connections; i++) {
    all[i].fd = dial(o);
    all[i].first_slot = (int)((long)i * ring->slots / o->connections);
    all[i].send_at = all[i].first_slot * ring->frame_bytes;
    all[i].sent_at = allocate(ring->slots * sizeof(double));
  }
  if (o->warmup > 0) run(all, ring, o, o->warmup, &result);
  if (!result.errors) run(all, ring, o, o->seconds, &result);
  report(kind, ring, &result);
  if (result.errors)
    die("%ld answers carried an error, the first code %d", result.errors, result.first_error);
  return 0;
}

/* ---- command line ------------------------------------------------------------------------- */

static void usage(void) {
  fprintf(stderr, "usage: wireload create|produce|fetch --address HOST:PORT --topic NAME "
                  "[options; see the head of wireload.c]\n");
  exit(2);
}

static void parse(int argc, char **argv, struct options *o) {
  static const char *const names[] = {
      "address", "topic", "record-bytes", "records-per-batch", "depth", "acks", "connections",
      "partitions", "max-bytes", "broker-pid", "max-requests", "max-total-bytes", "warmup",
      "seconds", "copy"};
  enum { NAMES = sizeof names / sizeof *names };
  int *numbers[] = {NULL, NULL, &o->record_bytes, &o->records_per_batch, &o->depth, &o->acks,
                    &o->connections, &o->partitions, &o->max_bytes, &o->broker_pid};
  struct option known[NAMES + 1] = {0};
  for (int i = 0; i < NAMES; i++)
    known[i] = (struct option){names[i], strcmp(names[i], "copy") != 0, NULL, i};
  for (int i; (i = getopt_long(argc, argv, "", known, NULL)) != -1;) {
    if (i == '?') usage();
    if (i == 0) {
      char *colon = strrchr(optarg, ':');
      if (!colon) usage();
      *colon = 0;
      o->host = optarg;
      o->port = atoi(colon + 1);
    } else if (i == 1) o->topic = optarg;
    else if (i < 10) *numbers[i] = atoi(optarg);
    else if (i == 10) o->max_requests = atol(optarg);
    else if (i == 11) o->max_total_bytes = atof(optarg);
    else if (i == 12) o->warmup = atof(optarg);
    else if (i == 13) o->seconds = atof(optarg);
    else o->copy = 1;
  }
  int bad = !o->host || !o->topic || strlen(o->topic) > 249 || o->record_bytes < 0 ||
            o->records_per_batch < 1 || o->depth < 1 || o->partitions < 1 || o->max_bytes < 1 ||
            o->connections < 1 || o->connections > MAX_CONNECTIONS || optind + 1 != argc;
  if (bad) usage();
  if (o->acks != 1 && o->acks != -1) die("--acks 1 or -1: a load waits for its answers");
}

int main(int argc, char **argv) {
  struct options o = {.record_bytes = 100, .records_per_batch = 1, .depth = 1, .acks = -1,
                      .connections = 1, .partitions = 1, .max_bytes = 1 << 20,
                      .max_requests = 1L << 40, .max_total_bytes = 1e15, .seconds = 1};
  parse(argc, argv, &o);
  const char *kind = argv[optind];
  if (!strcmp(kind, "create")) return create(&o);
  if (strcmp(kind, "produce") && strcmp(kind, "fetch")) usage();
  struct ring ring = *kind == 'p' ? produce_ring(&o) : fetch_ring(&o);
  return load(kind, &o, &ring);
}
