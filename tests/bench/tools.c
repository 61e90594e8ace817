/* The programs that both managers run and the stopwatch; one file, so that the bench needs one cc call.
 *   first FILE        appends its first moment (monotonic ns) to FILE, then waits; dies at once of SIGINT
 *   spew BYTES FILE   appends its first moment to FILE, prints lines of 100 bytes, the last one ending in END, waits
 *   lines BYTES       the same lines, then ends: for a pipe to cat
 *   floor FILE N      kills a `first` and forks the next, N times, with nothing in between; prints ms from the kill to the
 *                     next one's first moment: what no manager on this machine can be faster than
 *   watch COMMAND…    runs it with no output; prints wall ns, peak RSS in KiB, exit status. A program started from
 *                     a large parent inherits the parent's peak, so it is this small one that forks. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { kLine = 100, kBlock = 640 * kLine };

static long long now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static int note(const char* path, long long when) {
  char text[32];
  const int length = snprintf(text, sizeof text, "%lld\n", when);
  const int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  return fd < 0 || write(fd, text, (size_t)length) != length || close(fd) != 0;
}

static void put(const char* from, size_t length) {
  while (length > 0) {
    const ssize_t n = write(1, from, length);
    if (n <= 0) exit(1);
    from += n;
    length -= (size_t)n;
  }
}

static void print_lines(long long bytes) {
  static char block[kBlock];
  for (size_t at = 0; at < kBlock; at += kLine) {
    memset(block + at, 'x', kLine - 1);
    block[at + kLine - 1] = '\n';
  }
  for (long long left = bytes; left > kBlock; left -= kBlock) put(block, kBlock);
  memcpy(block + kBlock - 4, "END\n", 4);
  put(block, kBlock);
}

static int watch(char** command) {
  const long long began = now();
  const pid_t child = fork();
  if (child == 0) {
    const int null = open("/dev/null", O_RDWR);
    if (null < 0 || dup2(null, 0) < 0 || dup2(null, 1) < 0 || dup2(null, 2) < 0) _exit(126);
    execvp(command[0], command);
    _exit(127);
  }
  int status = 0;
  struct rusage usage;
  if (child < 0 || wait4(child, &status, 0, &usage) != child) return 1;
  printf("%lld %ld %d\n", now() - began, usage.ru_maxrss, WIFEXITED(status) ? WEXITSTATUS(status) : 128);
  return 0;
}

static pid_t first(const char* self, const char* path) {
  const pid_t child = fork();
  if (child == 0) {
    setsid();
    execl(self, self, "first", path, (char*)NULL);
    _exit(127);
  }
  return child;
}

/* The moment in the file's last line, once it has `lines` of them; a line has a fixed length on one boot. */
static long long moment(const char* path, int lines) {
  char text[8192];
  for (;; usleep(200)) {
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    const ssize_t n = fd < 0 ? 0 : read(fd, text, sizeof text - 1);
    if (fd >= 0) close(fd);
    text[n > 0 ? n : 0] = 0;
    char* at = text;
    int seen = 0;
    long long last = 0;
    for (char* end; (end = strchr(at, '\n')) != NULL; at = end + 1, ++seen) last = atoll(at);
    if (seen >= lines) return last;
  }
}

static int floor_of(const char* self, const char* path, int count) {
  pid_t child = first(self, path);
  moment(path, 1);
  for (int i = 0; i < count; ++i) {
    usleep(20000);
    const long long killed = now();
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    child = first(self, path);
    printf("%.4f\n", (double)(moment(path, i + 2) - killed) / 1e6);
  }
  kill(child, SIGKILL);
  return waitpid(child, NULL, 0) != child;
}

int main(int argc, char** argv) {
  const long long began = now();
  if (argc == 3 && strcmp(argv[1], "first") == 0) {
    if (note(argv[2], began)) return 1;
    for (;;) pause();
  }
  if (argc == 4 && strcmp(argv[1], "spew") == 0) {
    if (note(argv[3], began)) return 1;
    print_lines(atoll(argv[2]));
    for (;;) pause();
  }
  if (argc == 3 && strcmp(argv[1], "lines") == 0) {
    print_lines(atoll(argv[2]));
    return 0;
  }
  if (argc == 4 && strcmp(argv[1], "floor") == 0) return floor_of(argv[0], argv[2], atoi(argv[3]));
  if (argc > 2 && strcmp(argv[1], "watch") == 0) return watch(argv + 2);
  return 2;
}
