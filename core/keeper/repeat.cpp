// Safe mode: while supervisors die as soon as they are started, apps that exit are started again by what was
// given with their last spawn, under the same number. Nothing is judged here but that.
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdio>

#include "core/keeper/home_lock.h"
#include "core/keeper/keeper.h"

namespace tend::keeper {
namespace {

constexpr Millis kShortest{100};  // a program that is gone must not be tried in a hot loop
constexpr Millis kLongest{15'000};
constexpr Millis kAtOnce{20};
constexpr Millis kSteady{10'000};  // one that lived so long is started again as at first

bool is_final(const Entry& entry) {
  const Repeat& how = entry.again->how;
  const auto status = static_cast<int>(entry.result);
  if (!WIFEXITED(status)) return false;
  return std::find(how.stop_codes, how.stop_codes + how.stop_code_count, WEXITSTATUS(status)) !=
         how.stop_codes + how.stop_code_count;
}

std::array<char, kNameSize> held_name(const char* kind, const Entry& entry) {
  std::array<char, kNameSize> name{};
  std::snprintf(name.data(), name.size(), "%s/%u.%u", kind, entry.id, entry.spawn);
  return name;
}

// The end of a pipe whose other end this process has.
UniqueFd other_end(int fd, int mode) {
  std::array<char, 32> path{};
  std::snprintf(path.data(), path.size(), "/proc/self/fd/%d", fd);
  return UniqueFd(::open(path.data(), mode | O_CLOEXEC));
}

// What the former process has left. Its number may become another's, so its session is only reached at once.
void end_rest(const Again& again, pid_t former, bool at_once) {
  if (again.how.whole_tree == 0) return;
  if (at_once) kill(-former, SIGKILL);
  if (!again.cgroup) return;
  const UniqueFd file(openat(again.cgroup.get(), "cgroup.kill", O_WRONLY | O_CLOEXEC));
  if (file) [[maybe_unused]]
    const ssize_t n = write(file.get(), "1", 1);
}

}  // namespace

void Keeper::set_safe(bool safe) {
  const bool changes = safe_ != safe;
  safe_ = safe;
  if (safe) plan_repeats();
  if (settings_.home == nullptr || (!safe && !changes)) return;
  std::array<char, 160> text{};
  if (safe) {
    std::snprintf(text.data(), text.size(),
                  "%d supervisors in a row ended before they served, the last one %s %d", failures_,
                  WIFSIGNALED(last_end_) ? "by signal" : "with exit code",
                  WIFSIGNALED(last_end_) ? WTERMSIG(last_end_) : WEXITSTATUS(last_end_));
  }
  settings_.home->tell(text.data());
}

int Keeper::on_forsake(const Message& message) {
  if (Entry* entry = entries_.find(message.id, message.spawn)) entry->again.reset();
  return 0;
}

int Keeper::on_noted(const Message& message) {
  if (Entry* entry = entries_.find(message.id, message.spawn))
    entry->repeats -= std::min(entry->repeats, static_cast<uint32_t>(message.a));
  return 0;
}

// A supervisor that said hello was told of the exit: what becomes of it is its business, until it is gone
// too.
void Keeper::plan_repeat(Entry& entry) {
  if (!safe_ || greeted_ || phase_ != Phase::none || !entry.again || entry.state != Entry::State::exited ||
      entry.again->at || is_final(entry)) {
    return;
  }
  for (const Entry& other : entries_.all())  // the successor was spawned
    if (other.id == entry.id && other.spawn > entry.spawn) return;
  Again& again = *entry.again;
  const Millis at = now();
  const bool young = again.began.n > 0 && at - again.began < kSteady;
  again.pause =
      std::max(again.delay, young ? std::min(std::max(again.pause * 2, kShortest), kLongest) : Millis{0});
  again.at = at + again.pause;
  end_rest(again, entry.pid, at - Millis{entry.detail} < kAtOnce);
  if (!repeat_at_ || *again.at < *repeat_at_) repeat_at_ = again.at;
}

void Keeper::plan_repeats() {
  for (Entry& entry : entries_.all()) plan_repeat(entry);
}

void Keeper::drop_repeats() {
  repeat_at_.reset();
  for (Entry& entry : entries_.all())
    if (entry.again) entry.again->at.reset();
}

void Keeper::repeat_due() {
  repeat_at_.reset();
  if (phase_ != Phase::none) return;
  const Millis at = now();
  for (Entry& entry : entries_.all()) {
    if (!entry.again || !entry.again->at) continue;
    if (*entry.again->at <= at) {
      entry.again->at.reset();
      if (!repeat(entry)) plan_repeat(entry);
    }
    const auto& next = entry.again->at;
    if (next && (!repeat_at_ || *next < *repeat_at_)) repeat_at_ = next;
  }
}

bool Keeper::repeat(Entry& entry) {
  Again& again = *entry.again;
  again.began = now();
  std::array<UniqueFd, Repeat::kMaxFds> made;
  std::array<int, Repeat::kMaxFds> child{};
  size_t same = 0;
  struct Fresh {
    const char* kind;
    UniqueFd ours;
  };
  std::array<Fresh, 2> fresh{};
  size_t fresh_count = 0;
  for (size_t i = 0; i < again.how.fd_count; ++i) {
    const auto pipe_of = [&](const char* kind, int mode) {
      const int held = held_.get(held_name(kind, entry).data());
      return held >= 0 ? other_end(held, mode) : UniqueFd(::open("/dev/null", O_RDWR | O_CLOEXEC));
    };
    const auto pair_of = [&](const char* kind) {
      int ends[2];
      if (fresh_count == fresh.size() || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
        return UniqueFd();
      fresh[fresh_count++] = {kind, UniqueFd(ends[0])};
      return UniqueFd(ends[1]);
    };
    switch (again.how.fds[i]) {
      case Repeat::kInput:
        made[i] = pipe_of("in", O_RDONLY);
        break;
      case Repeat::kOut:
        made[i] = pipe_of("out", O_WRONLY);
        break;
      case Repeat::kErr:
        made[i] = pipe_of("err", O_WRONLY);
        break;
      case Repeat::kChannel:
        made[i] = pair_of("ipc");
        break;
      case Repeat::kHeartbeat:
        made[i] = pair_of("hb");
        break;
      default:
        if (same < again.same.size()) child[i] = again.same[same].get();
        ++same;
        continue;
    }
    if (!made[i]) return false;
    child[i] = made[i].get();
  }
  SpawnFds given;
  given.blob = again.blob.get();
  given.cgroup = again.cgroup ? again.cgroup.get() : -1;
  given.joins_late = true;
  given.child = std::span<const int>(child).first(again.how.fd_count);
  auto spawning = spawn_process(given, settings_.defaults);
  if (!spawning) return false;
  for (size_t i = 0; i < fresh_count; ++i)
    held_.hold(held_name(fresh[i].kind, entry).data(), std::move(fresh[i].ours));
  entry.state = Entry::State::pending;
  entry.owed = 0;
  entry.pid = spawning->pid;
  entry.pidfd = std::move(spawning->pidfd);
  entry.error_pipe = std::move(spawning->error_pipe);
  entry.result = entry.detail = 0;
  ++entry.repeats;
  watch(EPOLL_CTL_ADD, entry.error_pipe.get(), EPOLLIN, kPipeTag);
  return true;
}

}  // namespace tend::keeper
