#include "core/supervisor/fd_store.h"

#include <linux/kcmp.h>
#include <poll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <optional>

#include "ipc/notify_message.h"

namespace tend::supervisor {
namespace {

constexpr std::string_view kPrefix = "store/";

struct Kept {
  uint32_t id = 0;
  StoredFd stored;
};

std::string keep_name_of(uint32_t id, const StoredFd& s) {
  return std::string(kPrefix) + std::to_string(id) + (s.polled ? "." : "!") + std::to_string(s.number) + "/" +
         s.name;
}

std::optional<Kept> read_keep_name(std::string_view text) {
  if (text.substr(0, kPrefix.size()) != kPrefix) return std::nullopt;
  text.remove_prefix(kPrefix.size());
  Kept kept;
  const char* const end = text.data() + text.size();
  auto at = std::from_chars(text.data(), end, kept.id);
  if (at.ec != std::errc() || at.ptr == end || (*at.ptr != '.' && *at.ptr != '!')) return std::nullopt;
  kept.stored.polled = *at.ptr == '.';
  at = std::from_chars(at.ptr + 1, end, kept.stored.number);
  if (at.ec != std::errc() || at.ptr == end || *at.ptr != '/') return std::nullopt;
  kept.stored.name.assign(at.ptr + 1, end);
  if (!ipc::is_fd_name(kept.stored.name)) return std::nullopt;
  return kept;
}

// The same open file description. Where the kernel does not tell, no two are the same.
bool is_same(int a, int b) {
  const pid_t self = ::getpid();
  return ::syscall(SYS_kcmp, self, self, KCMP_FILE, a, b) == 0;
}

bool hung_up(int fd) {
  pollfd p{fd, 0, 0};
  return ::poll(&p, 1, 0) > 0 && (p.revents & (POLLHUP | POLLERR)) != 0;
}

}  // namespace

Status FdStore::add(uint32_t id, std::size_t limit, std::string_view name, bool polled, UniqueFd fd) {
  std::vector<StoredFd>& mine = stored_[id];
  const bool known = std::any_of(mine.begin(), mine.end(),
                                 [&](const StoredFd& s) { return is_same(s.fd->get(), fd.get()); });
  if (known) return {};
  if (mine.size() >= limit) drop_dead(id);
  if (mine.size() >= limit)
    return fail("the store is full: " + std::to_string(mine.size()) + " descriptors, fd_store is " +
                std::to_string(limit));
  StoredFd s{mine.empty() ? 0 : mine.back().number + 1, std::string(name), polled, nullptr};
  if (auto held = keeper_.hold(keep_name_of(id, s), fd.get()); !held) return held;
  s.fd = std::make_shared<const UniqueFd>(std::move(fd));
  mine.push_back(std::move(s));
  return {};
}

void FdStore::remove(uint32_t id, std::string_view name) {
  const auto mine = stored_.find(id);
  if (mine == stored_.end()) return;
  std::erase_if(mine->second, [&](const StoredFd& s) {
    if (s.name != name) return false;
    keeper_.drop(keep_name_of(id, s));
    return true;
  });
}

void FdStore::forget(uint32_t id) {
  const auto mine = stored_.find(id);
  if (mine == stored_.end()) return;
  for (const StoredFd& s : mine->second) keeper_.drop(keep_name_of(id, s));
  stored_.erase(mine);
}

std::vector<StoredFd> FdStore::of(uint32_t id) {
  drop_dead(id);
  const auto mine = stored_.find(id);
  return mine == stored_.end() ? std::vector<StoredFd>() : mine->second;
}

void FdStore::drop_dead(uint32_t id) {
  const auto mine = stored_.find(id);
  if (mine == stored_.end()) return;
  std::erase_if(mine->second, [&](const StoredFd& s) {
    if (!s.polled || !hung_up(s.fd->get())) return false;
    keeper_.drop(keep_name_of(id, s));
    return true;
  });
}

bool FdStore::is_stored(std::string_view keep_name, uint32_t& id) {
  const auto kept = read_keep_name(keep_name);
  if (kept) id = kept->id;
  return kept.has_value();
}

void FdStore::give_back(std::string_view keep_name, UniqueFd fd) {
  auto kept = read_keep_name(keep_name);
  if (!kept || !fd) return;
  kept->stored.fd = std::make_shared<const UniqueFd>(std::move(fd));
  std::vector<StoredFd>& mine = stored_[kept->id];
  const auto after = std::find_if(mine.begin(), mine.end(),
                                  [&](const StoredFd& s) { return s.number > kept->stored.number; });
  mine.insert(after, std::move(kept->stored));
}

}  // namespace tend::supervisor
