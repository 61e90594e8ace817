/* Answers tend's heartbeats from a program's own loop. One header, C99 or C++, no library but libc. MIT licence.
 *
 *   struct tend_heartbeat beat;
 *   tend_heartbeat_init(&beat);              // once, before threads start: it removes its variable
 *   ... poll tend_heartbeat_fd(&beat) for reading among the program's other descriptors (-1: nobody asks) ...
 *   tend_heartbeat_answer(&beat);            // whenever it is readable; never blocks
 *
 * The answer must come from where the program does its work: a thread of its own would answer for a program that
 * hangs. tend asks an app with `heartbeat: on`. A program that cannot poll calls tend_notify("WATCHDOG=1") instead, at
 * least each WATCHDOG_USEC / 2 microseconds; tend_notify also takes READY=1, STATUS=… and the other words of
 * sd_notify(3).
 *
 * The bytes: 32 of header, little-endian (magic4 "TND1", version1 = 1, kind1, flags2, stream4, length4, sequence8, crc32c4
 * over header with that field zero and payload, reserved4 = 0), then for ping (kind 1) and pong (kind 2) 28 of payload
 * (echo_seq8, mono_ns8, echo_ns8, lag_us4). A hello (kind 3) without payload says that somebody will answer. */
#ifndef TEND_HEARTBEAT_H
#define TEND_HEARTBEAT_H

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { TEND_HEADER = 32, TEND_BEAT = 28, TEND_LARGEST = TEND_HEADER + 4096 };

struct tend_heartbeat {
  int fd;             /* -1: nobody asks */
  uint64_t sequence;  /* of its own packets */
  size_t held;        /* bytes in `bytes` that are no whole frame yet */
  unsigned char bytes[TEND_LARGEST];
};

static inline uint32_t tend_crc32c_(const unsigned char *bytes, size_t n) {
  uint32_t crc = 0xffffffffu;
  for (size_t i = 0; i < n; i++) {
    crc ^= i >= 24 && i < 28 ? 0u : bytes[i]; /* the field itself counts as zero */
    for (int bit = 0; bit < 8; bit++) crc = (crc >> 1) ^ (0x82f63b78u & (0u - (crc & 1u)));
  }
  return crc ^ 0xffffffffu;
}

static inline void tend_put_(unsigned char *out, uint64_t value, int bytes) {
  for (int i = 0; i < bytes; i++) out[i] = (unsigned char)(value >> (8 * i));
}

static inline uint64_t tend_get_(const unsigned char *in, int bytes) {
  uint64_t value = 0;
  for (int i = 0; i < bytes; i++) value |= (uint64_t)in[i] << (8 * i);
  return value;
}

static inline uint64_t tend_now_ns_(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* Header for `length` bytes of payload that are in place. A packet that does not fit is dropped: tend asks again. */
static inline void tend_send_(struct tend_heartbeat *beat, unsigned char *frame, int kind, int flags, uint64_t stream,
                              size_t length) {
  memcpy(frame, "TND1", 4);
  frame[4] = 1;
  frame[5] = (unsigned char)kind;
  tend_put_(frame + 6, (uint64_t)flags, 2);
  tend_put_(frame + 8, stream, 4);
  tend_put_(frame + 12, length, 4);
  tend_put_(frame + 16, ++beat->sequence, 8);
  tend_put_(frame + 24, 0, 8);
  tend_put_(frame + 24, tend_crc32c_(frame, TEND_HEADER + length), 4);
  if (send(beat->fd, frame, TEND_HEADER + length, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0) return;
  const int error = errno;
  if (error == EPIPE) close(beat->fd);
  if (error == EPIPE || error == ENOTSOCK) beat->fd = -1; /* the latter: it is somebody else's */
}

/* 1: tend will ask. 0: the program runs without tend, or is not asked; the other calls then do nothing. */
static inline int tend_heartbeat_init(struct tend_heartbeat *beat) {
  const char *text = getenv("TEND_HEARTBEAT");
  beat->fd = -1;
  beat->sequence = 0;
  beat->held = 0;
  if (text == NULL) return 0;
  const long fd = strtol(text, NULL, 10);
  unsetenv("TEND_HEARTBEAT"); /* children are not asked */
  int type = 0;
  socklen_t size = sizeof type;
  if (fd < 3 || fd > 1 << 20 || getsockopt((int)fd, SOL_SOCKET, SO_TYPE, &type, &size) != 0 || type != SOCK_STREAM ||
      fcntl((int)fd, F_SETFD, FD_CLOEXEC) != 0)
    return 0;
  beat->fd = (int)fd;
  unsigned char hello[TEND_HEADER];
  tend_send_(beat, hello, 3, 0, 0, 0);
  beat->sequence = 0;
  return beat->fd >= 0;
}

static inline int tend_heartbeat_fd(const struct tend_heartbeat *beat) { return beat->fd; }

/* The length of the frame at the front; 0 when more must come; negative for as many bytes that are none. */
static inline long tend_measure_(const unsigned char *bytes, size_t n) {
  for (size_t at = 0; at < n; at++) {
    if (memcmp(bytes + at, "TND1", n - at < 4 ? n - at : 4) != 0) continue;
    if (at > 0) return -(long)at;
    if (n < TEND_HEADER) return 0;
    const size_t length = TEND_HEADER + (size_t)tend_get_(bytes + 12, 4);
    if (bytes[4] != 1 || length > TEND_LARGEST) return -1;
    if (n < length) return 0;
    return tend_crc32c_(bytes, length) == tend_get_(bytes + 24, 4) ? (long)length : -1;
  }
  return -(long)n;
}

/* Takes what is there and answers it. Returns how many pings that were; -1: tend is gone, nobody asks any more. */
static inline int tend_heartbeat_answer(struct tend_heartbeat *beat) {
  int answered = 0;
  while (beat->fd >= 0) {
    const ssize_t n = recv(beat->fd, beat->bytes + beat->held, sizeof beat->bytes - beat->held, MSG_DONTWAIT);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return answered;
    if (n <= 0) {
      close(beat->fd);
      beat->fd = -1;
      break;
    }
    beat->held += (size_t)n;
    long length;
    while (beat->held > 0 && (length = tend_measure_(beat->bytes, beat->held)) != 0) {
      const unsigned char *ping = beat->bytes;
      if (length >= TEND_HEADER + TEND_BEAT && ping[5] == 1) {
        unsigned char pong[TEND_HEADER + TEND_BEAT];
        const uint64_t sent = tend_get_(ping + TEND_HEADER + 8, 8), now = tend_now_ns_();
        const uint64_t lag = now > sent ? (now - sent) / 1000 : 0;
        memcpy(pong + TEND_HEADER, ping + 16, 8);
        tend_put_(pong + TEND_HEADER + 8, now, 8);
        tend_put_(pong + TEND_HEADER + 16, sent, 8);
        tend_put_(pong + TEND_HEADER + 24, lag > UINT32_MAX ? UINT32_MAX : lag, 4);
        tend_send_(beat, pong, 2, 2 | (beat->sequence == 0 ? 4 : 0), tend_get_(ping + 8, 4), TEND_BEAT);
        answered++;
      }
      const size_t used = (size_t)(length < 0 ? -length : length);
      beat->held -= used;
      memmove(beat->bytes, beat->bytes + used, beat->held);
    }
  }
  return -1;
}

/* One datagram of sd_notify(3), as "READY=1" or "STATUS=loading\nWATCHDOG=1". 0: sent. -1: errno; without NOTIFY_SOCKET
 * it is ENOTCONN. */
static inline int tend_notify(const char *state) {
  const char *path = getenv("NOTIFY_SOCKET");
  struct sockaddr_un to;
  memset(&to, 0, sizeof to);
  to.sun_family = AF_UNIX;
  const size_t length = path == NULL ? 0 : strlen(path);
  if (length < 2 || length > sizeof to.sun_path) {
    errno = ENOTCONN;
    return -1;
  }
  memcpy(to.sun_path, path, length);
  if (to.sun_path[0] == '@') to.sun_path[0] = '\0';
  const int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return -1;
  const ssize_t sent = sendto(fd, state, strlen(state), MSG_NOSIGNAL, (const struct sockaddr *)&to,
                              (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length));
  const int error = errno;
  close(fd);
  errno = error;
  return sent < 0 ? -1 : 0;
}

#endif
