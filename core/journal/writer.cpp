#include "core/journal/writer.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <utility>

#include "core/base/failpoint.h"
#include "core/base/file.h"
#include "core/base/folder_linux.h"
#include "core/journal/record.h"

namespace tend::journal {
namespace {

constexpr uint64_t kSmall = 1u << 20;  // never compacted below
constexpr uint64_t kWaste = 4;         // compacted when above this many times what is live

uint64_t limit_for(uint64_t live) { return std::max(kSmall, live * kWaste); }

}  // namespace

bool is_at(const std::string& path, int fd) {
  struct stat named {
  }, open{};
  return ::fstat(fd, &open) == 0 && ::lstat(path.c_str(), &named) == 0 && named.st_dev == open.st_dev &&
         named.st_ino == open.st_ino;
}

Status bring_back(const std::string& path, int fd) {
  std::string text;
  char piece[65536];
  for (;;) {
    const ssize_t n = ::pread(fd, piece, sizeof piece, static_cast<off_t>(text.size()));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return fail_errno("read " + path);
    if (n == 0) break;
    text.append(piece, static_cast<std::size_t>(n));
  }
  if (auto folder = open_folder_of(path, {}, true); !folder) return tl::unexpected(folder.error());
  if (auto replaced = replace_file(path, text, 0600, true); !replaced) return replaced;
  // Where it went with its folder nobody is to start what it tells of a second time.
  if (::ftruncate(fd, 0) != 0) return fail_errno("truncate what " + path + " was");
  return {};
}

Writer::Writer(std::string path, std::string boot_id)
    : path_(std::move(path)), boot_id_(std::move(boot_id)) {}

std::string Writer::take_warning() { return std::exchange(warning_, {}); }

Status Writer::open() {
  auto found = scan(path_);
  if (!found) return tl::unexpected(found.error());
  if (!found->damage.empty()) warning_ = found->damage;
  // What an earlier boot wanted is not resumed (settled 4): this boot's file begins empty.
  const bool ours = found->fd && found->boot_id.compare(0, 47, boot_id_, 0, 47) == 0;
  if (!ours) found->entries.clear();
  if (!ours || found->header_damaged) {
    auto size = rewrite(path_, boot_id_, *found);
    if (!size) return tl::unexpected(size.error());
    found->good_size = found->live_size = *size;
  }
  UniqueFd fd(::open(path_.c_str(), O_RDWR | O_APPEND | O_CLOEXEC | O_NOFOLLOW));
  if (!fd) return fail_errno("open " + path_);
  if (::ftruncate(fd.get(), static_cast<off_t>(found->good_size)) != 0)
    return fail_errno("truncate " + path_);
  fd_ = std::move(fd);
  news_ = true;
  size_ = found->good_size;
  check_at_ = limit_for(found->live_size);
  return {};
}

int Writer::take_opened() { return std::exchange(news_, false) && fd_ ? fd_.get() : -1; }

// A home can be deleted or moved away under a running daemon.
Status Writer::look_for_it() {
  if (!fd_ || is_at(path_, fd_.get())) return {};
  struct stat st {};
  if (::lstat(path_.c_str(), &st) == 0) return fail(path_ + ": another file is in its place", EEXIST);
  if (auto back = bring_back(path_, fd_.get()); !back) return back;
  warning_ = path_ + " was gone, and was written again";
  fd_.reset();
  return {};
}

void Writer::compact_if_due() {
  if (size_ <= check_at_) return;
  auto found = scan(path_);
  if (!found || !found->damage.empty()) {
    check_at_ = size_ * 2;  // appending still works: what is wrong is found at the next open
    return;
  }
  check_at_ = limit_for(found->live_size);
  if (size_ <= check_at_) return;
  check_at_ = size_ * 2;  // if it fails (no space): not again at once
  const auto size = rewrite(path_, boot_id_, *found);
  if (!size) return;
  fd_.reset();
  size_ = *size;
}

Status Writer::append(std::string_view bytes) {
  if (auto there = look_for_it(); !there) return there;
  if (!fd_) {
    if (auto ok = open(); !ok) return ok;
  }
  compact_if_due();
  if (!fd_) {
    if (auto ok = open(); !ok) return ok;
  }
  failpoint("journal.append.before");
  std::string_view rest = bytes;
  while (!rest.empty()) {
    const std::size_t most = failpoints().empty() ? rest.size() : (bytes.size() + 1) / 2;
    const ssize_t n = ::write(fd_.get(), rest.data(), std::min(rest.size(), most));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) {
      const int code = errno;
      // Opened anew for the retry: that checks the file, also when this cut did not succeed.
      [[maybe_unused]] const int cut = ::ftruncate(fd_.get(), static_cast<off_t>(size_));
      fd_.reset();
      return fail_errno("write " + path_, code);
    }
    rest.remove_prefix(static_cast<std::size_t>(n));
    failpoint("journal.append.middle");
  }
  failpoint("journal.append.after");
  size_ += bytes.size();
  return {};
}

}  // namespace tend::journal
