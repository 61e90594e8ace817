/* A loop that does its work and answers tend: cc -o example example.c; tend start ./example --heartbeat on
 * "example N" hangs after N answers. */
#define _GNU_SOURCE
#include <poll.h>
#include <stdio.h>

#include "tend_heartbeat.h"

int main(int argc, char **argv) {
  const long hang_after = argc > 1 ? strtol(argv[1], NULL, 10) : 0;
  static struct tend_heartbeat beat;
  if (!tend_heartbeat_init(&beat)) fprintf(stderr, "nobody asks for heartbeats\n");
  tend_notify("READY=1");
  for (long answered = 0;;) {
    struct pollfd one = {tend_heartbeat_fd(&beat), POLLIN, 0};
    if (poll(&one, 1, -1) > 0) {
      const int now = tend_heartbeat_answer(&beat);
      if (now > 0) answered += now;
    }
    if (hang_after > 0 && answered >= hang_after) {
      puts("hanging");
      fflush(stdout);
      for (volatile int work = 0;;) work = work + 1;
    }
  }
}
