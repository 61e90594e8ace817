#include "core/logs/rotation.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <vector>

#include "core/base/date_format.h"
#include "core/base/text.h"
#include "core/base/unique_fd.h"

namespace tend::logs {
namespace {

constexpr int kMostNames = 10'000;  // within one second
constexpr std::string_view kDate = "YYYY-MM-DD_HH-mm-ss";
constexpr std::string_view kGz = ".gz";
constexpr std::string_view kPart = ".gz.part";  // not whole yet

std::string_view stem_of(std::string_view path) {
  constexpr std::string_view kLog = ".log";
  return path.ends_with(kLog) ? path.substr(0, path.size() - kLog.size()) : path;
}

std::string_view base_of(std::string_view path) { return path.substr(path.rfind('/') + 1); }

std::string_view without_gz(std::string_view name) {
  if (name.ends_with(kGz)) name.remove_suffix(kGz.size());
  return name;
}

struct Rotated {
  std::string path;
  int64_t mtime_ns = 0;
};

// Oldest first.
std::vector<Rotated> list_rotated(const std::string& path) {
  std::vector<Rotated> found;
  const std::string folder = path.substr(0, path.rfind('/'));
  std::error_code error;
  for (std::filesystem::directory_iterator at(folder.empty() ? "/" : folder, error), end; !error && at != end;
       at.increment(error)) {
    const std::string name = at->path().filename().string();
    struct stat st {};
    if (!is_rotated(name, base_of(path)) || ::lstat(at->path().c_str(), &st) != 0 || !S_ISREG(st.st_mode))
      continue;
    found.push_back({at->path().string(), int64_t{st.st_mtim.tv_sec} * 1'000'000'000 + st.st_mtim.tv_nsec});
  }
  std::sort(found.begin(), found.end(), [](const Rotated& a, const Rotated& b) {
    if (a.mtime_ns != b.mtime_ns) return a.mtime_ns < b.mtime_ns;
    const std::string_view x = without_gz(a.path), y = without_gz(b.path);  // -9 stands before -10
    return x.size() != y.size() ? x.size() < y.size() : x < y;
  });
  return found;
}

// Above every number of that second: one that was freed as the oldest went would stand before its elders.
int next_of_second(const std::string& path, Millis wall) {
  const std::string first = rotated_name(path, wall, 0);
  const std::string_view stem = stem_of(first), ending = std::string_view(path).substr(stem_of(path).size());
  int next = 0;
  for (const Rotated& file : list_rotated(path)) {
    std::string_view rest = without_gz(file.path);
    if (!rest.starts_with(stem)) continue;
    rest.remove_prefix(stem.size());
    if (!rest.ends_with(ending)) continue;
    rest.remove_suffix(ending.size());
    if (rest.starts_with('-')) rest.remove_prefix(1);
    int n = 0;
    std::from_chars(rest.data(), rest.data() + rest.size(), n);
    next = std::max(next, n + 1);
  }
  return next;
}

struct CloseGz {
  void operator()(gzFile_s* file) const { ::gzclose(file); }
};

Status deflate_into(int from, const std::string& part) {
  UniqueFd out(::open(part.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!out) return fail_errno("open " + part);
  const int number = out.release();
  std::unique_ptr<gzFile_s, CloseGz> gz(::gzdopen(number, "wb6"));
  if (!gz) {
    ::close(number);
    return fail("compress " + part + ": no memory", ENOMEM);
  }
  std::array<char, 65536> buffer;
  for (;;) {
    const ssize_t n = ::read(from, buffer.data(), buffer.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return fail_errno("read what " + part + " holds");
    if (n == 0) break;
    if (::gzwrite(gz.get(), buffer.data(), static_cast<unsigned>(n)) != n) return fail("write " + part, EIO);
  }
  if (::gzclose(gz.release()) != Z_OK) return fail("write " + part, EIO);
  return {};
}

Status compress(const std::string& path) {
  const UniqueFd from(::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
  struct stat st {};
  if (!from || ::fstat(from.get(), &st) != 0) return fail_errno("open " + path);
  const std::string part = path + std::string(kPart);
  Status done = deflate_into(from.get(), part);
  if (done) {
    // Its owner and its time, by which the oldest are found.
    const timespec times[2] = {st.st_atim, st.st_mtim};
    (void)::utimensat(AT_FDCWD, part.c_str(), times, 0);
    if (::geteuid() == 0 && ::lchown(part.c_str(), st.st_uid, st.st_gid) != 0)
      done = fail_errno("chown " + part);
  }
  if (done && ::rename(part.c_str(), (path + std::string(kGz)).c_str()) != 0)
    done = fail_errno("rename " + part);
  if (done && ::unlink(path.c_str()) != 0) done = fail_errno("remove " + path);
  if (!done) ::unlink(part.c_str());
  return done;
}

}  // namespace

std::string rotated_name(std::string_view path, Millis wall, int n) {
  const std::string_view stem = stem_of(path);
  std::string name = std::string(stem) + "__" + format_date(wall, kDate);
  if (n > 0) name += "-" + std::to_string(n);
  return name + std::string(path.substr(stem.size()));
}

bool is_rotated(std::string_view file, std::string_view log) {
  const std::string_view stem = stem_of(log), ending = log.substr(stem.size());
  file = without_gz(file);
  if (!file.starts_with(stem) || !file.ends_with(ending) || file.size() < stem.size() + ending.size() + 2)
    return false;
  const std::string_view date = file.substr(stem.size(), file.size() - stem.size() - ending.size());
  return date.starts_with("__") && date.size() >= 2 + kDate.size() &&
         date.find_first_not_of("0123456789-_") == std::string_view::npos;
}

Status put_aside(const std::string& path, Millis wall) {
  for (int n = next_of_second(path, wall); n < kMostNames; ++n) {
    const std::string name = rotated_name(path, wall, n);
    if (::renameat2(AT_FDCWD, path.c_str(), AT_FDCWD, name.c_str(), RENAME_NOREPLACE) == 0) return {};
    if (errno == EINVAL || errno == ENOSYS) {  // a file system without it; nobody else writes such names here
      if (::access(name.c_str(), F_OK) != 0 && ::rename(path.c_str(), name.c_str()) == 0) return {};
    }
    if (errno != EEXIST) return fail_errno("rename " + path);
  }
  return fail("rename " + path + ": too many of one second", EEXIST);
}

Status tidy_rotated(const std::string& path, const RotationRules& rules) {
  auto files = list_rotated(path);
  Status done;
  if (rules.retain > 0) {
    while (static_cast<int64_t>(files.size()) > rules.retain) {
      if (::unlink(files.front().path.c_str()) != 0) done = fail_errno("remove " + files.front().path);
      files.erase(files.begin());
    }
  }
  if (!rules.compress) return done;
  for (const Rotated& file : files) {
    if (file.path.ends_with(kGz)) continue;
    if (Status one = compress(file.path); !one) done = std::move(one);
  }
  return done;
}

}  // namespace tend::logs
