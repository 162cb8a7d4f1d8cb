/* frames: what wireload says, byte for byte; it knows no socket and no clock but a batch's date. */
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { PRODUCE = 0, FETCH = 1, CREATE_TOPICS = 19 };
enum { BATCH_HEADER_BYTES = 61, BATCH_LENGTH_OVERHEAD = 12 };

struct options {
  char *host, *topic;
  int port, record_bytes, records_per_batch, depth, acks, connections, partitions, max_bytes;
  int broker_pid, copy;
  long max_requests;
  double max_total_bytes, warmup, seconds;
};

static void die(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  fprintf(stderr, "wireload: ");
  vfprintf(stderr, format, arguments);
  fprintf(stderr, "\n");
  exit(1);
}

static void *allocate(size_t size) {
  void *memory = malloc(size);
  if (!memory) die("no memory for %zu bytes", size);
  return memory;
}

/* ---- the wire's primitives ---------------------------------------------------------------- */

static uint8_t *put16(uint8_t *at, int value) {
  at[0] = value >> 8;
  at[1] = value;
  return at + 2;
}

static uint8_t *put32(uint8_t *at, uint32_t value) { return put16(put16(at, value >> 16), value); }
static uint8_t *put64(uint8_t *at, uint64_t value) { return put32(put32(at, value >> 32), value); }

static uint8_t *put_string(uint8_t *at, const char *text) {
  size_t length = strlen(text);
  at = put16(at, length);
  memcpy(at, text, length);
  return at + length;
}

static uint8_t *put_zigzag(uint8_t *at, int64_t value) {
  uint64_t rest = (uint64_t)value << 1 ^ (uint64_t)(value >> 63);
  for (; rest > 127; rest >>= 7) *at++ = rest | 128;
  *at++ = rest;
  return at;
}

static int get16(const uint8_t *at) { return (int16_t)(at[0] << 8 | at[1]); }
static uint32_t get32(const uint8_t *at) {
  return (uint32_t)at[0] << 24 | at[1] << 16 | at[2] << 8 | at[3];
}
static int64_t get64(const uint8_t *at) {
  return (int64_t)((uint64_t)get32(at) << 32 | get32(at + 4));
}

static uint32_t crc32c(const uint8_t *at, size_t length) {
  uint32_t crc = ~0u;
  while (length--) {
    crc ^= *at++;
    for (int bit = 0; bit < 8; bit++) crc = crc & 1 ? crc >> 1 ^ 0x82f63b78u : crc >> 1;
  }
  return ~crc;
}

/* ---- requests ----------------------------------------------------------------------------- */

static uint8_t *put_header(uint8_t *frame, int api_key, int version, int correlation_id) {
  uint8_t *at = put16(put16(frame + 4, api_key), version);
  return put_string(put32(at, correlation_id), "wireload");
}

static size_t close_frame(uint8_t *frame, uint8_t *end) {
  put32(frame, end - frame - 4);
  return end - frame;
}

/* A record batch (magic 2) of equal records without keys; returns its size. */
static size_t build_batch(uint8_t *batch, const struct options *o) {
  struct timespec time;
  clock_gettime(CLOCK_REALTIME, &time);
  int64_t timestamp_ms = time.tv_sec * 1000LL + time.tv_nsec / 1000000;
  uint8_t *value = allocate(o->record_bytes + 1);
  FILE *random = fopen("/dev/urandom", "r");
  if (!random || fread(value, 1, o->record_bytes, random) != (size_t)o->record_bytes)
    die("cannot read /dev/urandom");
  fclose(random);

  uint8_t *at = batch + BATCH_HEADER_BYTES;
  for (int index = 0; index < o->records_per_batch; index++) {
    uint8_t head[32], *h = head;
    *h++ = 0;                           /* attributes */
    h = put_zigzag(h, 0);               /* timestamp delta */
    h = put_zigzag(h, index);           /* offset delta */
    h = put_zigzag(h, -1);              /* no key */
    h = put_zigzag(h, o->record_bytes); /* length of the value */
    at = put_zigzag(at, (h - head) + o->record_bytes + 1);
    memcpy(at, head, h - head);
    at += h - head;
    memcpy(at, value, o->record_bytes);
    at += o->record_bytes;
    *at++ = 0; /* no headers */
  }
  free(value);

  uint8_t *h = put64(batch, 0);                           /* base offset: the broker's to set */
  h = put32(h, at - batch - BATCH_LENGTH_OVERHEAD);       /* batch length */
  h = put32(h, -1);                                       /* partition leader epoch */
  *h++ = 2;                                               /* magic */
  uint8_t *crc = h, *covered = h + 4;
  h = put32(put16(covered, 0), o->records_per_batch - 1); /* attributes, last offset delta */
  h = put64(put64(h, timestamp_ms), timestamp_ms);        /* base and max timestamp */
  h = put32(put16(put64(h, -1), -1), -1);                 /* producer id, epoch, sequence */
  put32(h, o->records_per_batch);
  put32(crc, crc32c(covered, at - covered));
  return at - batch;
}

static size_t build_create_topics(uint8_t *frame, const struct options *o) {
  uint8_t *at = put_header(frame, CREATE_TOPICS, 4, 1);
  at = put_string(put32(at, 1), o->topic);
  at = put32(put16(put32(at, o->partitions), 1), 0); /* replicas, no assignments */
  at = put32(put32(at, 0), 30000);                   /* no configs, timeout */
  *at++ = 0;                                         /* not only validated */
  return close_frame(frame, at);
}

static size_t build_produce(uint8_t *frame, const struct options *o, int slot,
                            const uint8_t *batch, size_t batch_bytes) {
  uint8_t *at = put_header(frame, PRODUCE, 7, slot);
  at = put32(put16(put16(at, -1), o->acks), 30000); /* transactional id, acks, timeout */
  at = put_string(put32(at, 1), o->topic);
  at = put32(put32(at, 1), slot % o->partitions);
  at = put32(at, batch_bytes);
  memcpy(at, batch, batch_bytes);
  return close_frame(frame, at + batch_bytes);
}

static size_t build_fetch(uint8_t *frame, const struct options *o, int slot, int64_t offset) {
  uint8_t *at = put_header(frame, FETCH, 11, slot);
  at = put32(put32(put32(at, -1), 500), 1); /* replica, max wait, min bytes */
  at = put32(at, o->max_bytes);
  *at++ = 0;                         /* read uncommitted */
  at = put32(put32(at, 0), -1);      /* no session */
  at = put_string(put32(at, 1), o->topic);
  at = put32(put32(put32(at, 1), 0), -1); /* partition 0, leader epoch unknown */
  at = put64(put64(at, offset), -1);      /* fetch offset, log start offset */
  at = put32(at, o->max_bytes);
  return close_frame(frame, put_string(put32(at, 0), "")); /* nothing forgotten, no rack */
}
