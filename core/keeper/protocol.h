// The wire between supervisor and keeper: one fixed little-endian struct per SOCK_SEQPACKET message, with
// descriptors by SCM_RIGHTS. The keeper parses nothing that apps or users write: argv, environment and paths
// travel in a sealed memfd (SpawnBlob) that only the spawned child reads. Both ends check magic, version and
// epoch; a wrong epoch is refused.
#pragma once

#include <cstdint>

namespace tend::keeper {

inline constexpr uint32_t kMagic = 0x4b444e54;  // "TNDK"
inline constexpr uint16_t kVersion = 1;
// A process gets what its app has stored (at most 128), its sockets and channels; the kernel passes 253 at
// once.
inline constexpr int kMaxFdsPerMessage = 192;
inline constexpr int kNameSize = 64;            // with its NUL
inline constexpr uint32_t kMaxBlob = 8u << 20;  // bytes of a SpawnBlob

enum class Kind : uint16_t {
  // supervisor -> keeper
  // First message of a supervisor, a = kVersion; the keeper answers with its table: spawned, spawn_pending,
  // spawn_failed or exited for every entry, held for every descriptor, then synced.
  hello = 1,
  spawn,  // id, spawn, flags; fds[0] = blob, then cgroup directory if kHasCgroup, then the child's 0,1,2,3…
  ack,    // id, spawn: the final report (exited, spawn_failed) was noted; the entry may go
  signal,       // id, spawn, a = signal number: to the main process, if it still lives
  hold,         // name, fds[0]: keep a duplicate under this name (replaces)
  drop,         // name
  shutdown,     // every app is gone: end (supervisor exits by itself afterwards)
  serving,      // the take-over is complete: this life is no failure, however short it will be
  adopt,        // id, spawn, a = pid, fds[0] = its pidfd: a lost keeper's child; before handed_over only
  handed_over,  // the lost keeper's table was told whole: start a supervisor. The link closes for an answer
  forsake,      // id, spawn: that process is not wanted any more, never repeat it
  noted,        // id, spawn, a = repeats that were counted
  upgrade =
      20,  // fds[0] = a program, by O_PATH: the keeper executes it in its own place, if it can take over,
           // when it has ended this supervisor. No report but `refused`, with a text in its name or none
  // keeper -> supervisor
  spawned = 100,  // id, spawn, a = pid: exec succeeded; fds[0]: its pidfd, where there is one
  spawn_pending,  // id, spawn, a = pid: forked, not yet executed (at adoption, or exec is slow); fds[0]
                  // likewise
  spawn_failed,   // id, spawn, a = errno, b = Step: no process exists
  exited,  // id, spawn, a = pid, b = wait status (kStatusUnknown: nobody can know), c = monotonic ms of it
  held,    // name, fds[0]
  synced,  // a = keeper pid, b = 1 for the first supervisor of this keeper, c = keeper's start, monotonic ms,
           // name = its version, id = how often its program was replaced, spawn = the wait status of the
           // former supervisor (0: there was none, or it ended well)
  terminate,  // the keeper got SIGTERM, SIGINT or SIGQUIT: stop everything, then shutdown; a = signal.
              // SIGUSR2: only
              // open the log files anew
  // spawned, spawn_pending, exited: flags = how often the keeper repeated that process (Repeat) since it was
  // last noted.
  // synced: flags = kRepeats, where the keeper knows how.
  refused,  // a request was malformed; a = errno, b = its serial (0: unreadable), c = its kind; id, spawn as
            // given
};

// Of an adopted process, whose status went to another parent.
inline constexpr int64_t kStatusUnknown = -1;

// Where in the child a spawn failed.
enum class Step : uint8_t {
  none,
  fork,
  session,
  cgroup,
  limits,
  directory,
  descriptors,
  identity,
  exec,
  oom_score,
  affinity,
};

inline constexpr uint32_t kHasCgroup = 1;
inline constexpr uint32_t kRepeats = 2;  // of spawn: the name is a Repeat, a = ms before it is started again

// How the keeper starts a process again, under the same number, while supervisors die at once: from the same
// blob, with descriptors that lead to what the former one's led to.
struct Repeat {
  static constexpr uint32_t kMaxFds = 28;
  static constexpr uint32_t kMaxStopCodes = 16;
  // Of fds, one for each of the child's: the other end of the pipe that is held as in/, out/ or
  // err/<id>.<spawn>; a new socket pair, whose other end is held as ipc/ or hb/<id>.<spawn>; or the very
  // descriptor.
  enum End : char { kInput = 'i', kOut = 'o', kErr = 'e', kChannel = 'c', kHeartbeat = 'h', kSame = 's' };

  uint8_t fd_count = 0;
  uint8_t stop_code_count = 0;  // an exit with one of these is final
  uint8_t whole_tree = 0;       // what is left of the former process' session is killed first
  uint8_t reserved = 0;
  char fds[kMaxFds] = {};
  int16_t stop_codes[kMaxStopCodes] = {};
};
static_assert(sizeof(Repeat) == kNameSize);

struct Message {
  uint32_t magic = kMagic;
  uint16_t version = kVersion;
  Kind kind{};
  uint64_t epoch =
      0;  // random per keeper life; the keeper gives it to the supervisor in its environment (TEND_EPOCH)
  uint64_t serial = 0;  // per direction, from 1
  uint32_t id = 0;
  uint32_t spawn = 0;
  uint32_t flags = 0;
  uint32_t fd_count = 0;
  int64_t a = 0, b = 0, c = 0;
  char name[kNameSize] = {};
};
static_assert(sizeof(Message) == 128);

// Bit i of SpawnBlobHead::own_pid.
inline constexpr const char* kOwnPid[] = {"LISTEN_PID=", "WATCHDOG_PID="};

// The head of a SpawnBlob; the strings follow, each NUL-terminated, in this order: path (what execve gets),
// cwd ("" keep), argv…, envp…. Offsets of nothing: they are counted. All numbers little-endian.
struct SpawnBlobHead {
  uint32_t size = 0;  // of the whole blob
  uint32_t argc = 0;
  uint32_t envc = 0;
  uint32_t group_count = 0;    // valid entries of groups
  int32_t uid = -1, gid = -1;  // -1: keep
  int32_t umask = -1;
  int32_t nice = 0;
  int64_t nofile = 0;    // RLIMIT_NOFILE soft; 0: what the keeper was started with
  uint32_t own_pid = 0;  // kOwnPid bits: entries of the environment that get the child's pid for their value
  uint32_t extras = 0;   // where in the blob, behind the strings, a SpawnExtras lies; 0: there is none
  uint32_t groups[64] = {};
};

// What few apps ask for. A keeper of a version that does not know it starts the app without.
struct SpawnExtras {
  enum : uint32_t { kNoNewPrivs = 1, kOomScore = 2, kAffinity = 4 };
  uint32_t size = sizeof(SpawnExtras);
  uint32_t flags = 0;
  int32_t oom_score_adj = 0;
  uint32_t reserved = 0;
  int64_t data = 0;        // RLIMIT_DATA, bytes; 0: what the keeper was started with
  int64_t processes = 0;   // RLIMIT_NPROC; 0: likewise
  uint64_t cpus[16] = {};  // of sched_setaffinity(2), the lowest bit first

  bool any() const { return flags != 0 || data != 0 || processes != 0; }
};

}  // namespace tend::keeper
