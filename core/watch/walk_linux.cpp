#include "core/watch/walk_linux.h"

#include <dirent.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include <cerrno>
#include <functional>
#include <memory>
#include <set>

namespace tend::watch {
namespace {

// Not IN_MODIFY: a program that keeps writing to one file would wake the daemon with every line, and an
// editor closes what it saved.
constexpr uint32_t kMask = IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_CLOSE_WRITE |
                           IN_DELETE_SELF | IN_MOVE_SELF | IN_EXCL_UNLINK;
constexpr uint32_t kFileMask = IN_CLOSE_WRITE | IN_DELETE_SELF | IN_MOVE_SELF;

// Numbers of linux/magic.h and of the file systems themselves.
bool is_pseudo(const std::string& path) {
  struct statfs fs {};
  if (statfs(path.c_str(), &fs) != 0) return false;
  for (const long type : {0x9fa0L, 0x62656572L, 0x63677270L, 0x27e0ebL, 0x1cd1L, 0x64626720L, 0x74726163L,
                          0x6e736673L, 0x62656570L, 0x73636673L, 0xcafe4a11L, 0x19800202L})
    if (static_cast<long>(fs.f_type) == type) return true;
  return false;
}

// NFS, SMB, CIFS, 9p, FUSE: another machine writes there.
bool is_remote(const std::string& path) {
  struct statfs fs {};
  if (statfs(path.c_str(), &fs) != 0) return false;
  for (const unsigned type : {0x6969u, 0x517bu, 0xff534d42u, 0xfe534d42u, 0x01021997u, 0x65735546u})
    if (static_cast<unsigned>(fs.f_type) == type) return true;
  return false;
}

std::string parent_of(const std::string& path) {
  const auto slash = path.rfind('/');
  return slash == 0 ? "/" : path.substr(0, slash);
}

struct Entry {
  std::string path;
  bool folder = false;
  struct stat st {};
};

// Calls enter(path) for each folder before it is read, which may refuse it, and found(entry) for all else.
class Descent {
 public:
  Descent(const Scope& scope, std::function<bool(const std::string&)> enter,
          std::function<void(const Entry&)> found, bool stats)
      : scope_(scope), enter_(std::move(enter)), found_(std::move(found)), stats_(stats) {}

  void down(const std::string& path, dev_t device) {
    std::vector<std::pair<std::string, dev_t>> todo{{path, device}};
    while (!todo.empty() && count_ < kMaxFolders) {
      const auto [folder, dev] = std::move(todo.back());
      todo.pop_back();
      ++count_;
      if (!enter_(folder)) continue;
      const std::unique_ptr<DIR, int (*)(DIR*)> dir(opendir(folder.c_str()), &closedir);
      if (!dir) continue;
      while (const dirent* d = readdir(dir.get())) {
        const std::string_view name = d->d_name;
        if (name == "." || name == "..") continue;
        if (d->d_type == DT_REG && !stats_) continue;
        Entry e;
        e.path = (folder == "/" ? "" : folder) + "/" + d->d_name;
        if (!visit(e, d->d_type, dev)) continue;
        if (e.folder)
          todo.emplace_back(e.path, e.st.st_dev);
        else
          found_(e);
      }
    }
  }

 private:
  // False: it is left out.
  bool visit(Entry& e, unsigned char type, dev_t dev) {
    if (scope_.rules.ignores(e.path, type == DT_DIR)) return false;
    if (lstat(e.path.c_str(), &e.st) != 0) return false;
    const bool link = S_ISLNK(e.st.st_mode);
    if (link && scope_.follow_links && stat(e.path.c_str(), &e.st) != 0) return false;
    e.folder = S_ISDIR(e.st.st_mode);
    if (!e.folder) return stats_ || (link && scope_.follow_links && S_ISREG(e.st.st_mode));
    if (type != DT_DIR && scope_.rules.ignores(e.path, true)) return false;
    if (e.st.st_dev != dev && is_pseudo(e.path)) return false;
    // Links may lead up again.
    return !scope_.follow_links || been_.emplace(e.st.st_dev, e.st.st_ino).second;
  }

  const Scope& scope_;
  std::function<bool(const std::string&)> enter_;
  std::function<void(const Entry&)> found_;
  bool stats_;
  std::set<std::pair<dev_t, ino_t>> been_;
  std::size_t count_ = 0;
};

uint64_t signature(const struct stat& st) {
  uint64_t n = 1469598103934665603u;
  const auto mix = [&n](uint64_t x) { n = (n ^ x) * 1099511628211u; };
  mix(static_cast<uint64_t>(st.st_ino));
  if (!S_ISDIR(st.st_mode)) {
    mix(static_cast<uint64_t>(st.st_size));
    mix(static_cast<uint64_t>(st.st_mtim.tv_sec));
    mix(static_cast<uint64_t>(st.st_mtim.tv_nsec));
  }
  return n;
}

}  // namespace

Walked walk(int inotify, const Scope& scope, const std::vector<std::string>& from) {
  Walked out;
  const auto mark = [&](const std::string& path, uint32_t mask) {
    const uint32_t follow = scope.follow_links ? 0 : IN_DONT_FOLLOW;
    const int wd = inotify_add_watch(inotify, path.c_str(), mask | follow);
    if (wd >= 0) {
      out.marks.push_back({wd, path});
      return true;
    }
    // What vanished meanwhile is no failure, and what may not be read cannot be watched by anyone.
    if (out.error == 0 && errno != ENOENT && errno != ENOTDIR && errno != EACCES && errno != ELOOP) {
      out.error = errno;
      out.failed = path;
    }
    return false;
  };
  Descent descent(
      scope,
      [&](const std::string& folder) {
        if (out.error == ENOSPC) return false;
        if (!mark(folder, kMask | IN_ONLYDIR)) return false;
        ++out.folders;
        return true;
      },
      [&](const Entry& link) { mark(link.path, kFileMask); }, false);
  for (const std::string& path : from) {
    struct stat st {};
    const bool root = scope.leads_to_root(path);
    if ((root || scope.follow_links ? stat : lstat)(path.c_str(), &st) == 0 && S_ISDIR(st.st_mode)) {
      if (is_pseudo(path)) continue;
      out.blind = out.blind || (root && is_remote(path));
      if (root || !scope.rules.ignores(path, true)) descent.down(path, st.st_dev);
      continue;
    }
    if (!root) {
      if (st.st_ino != 0 && lstat(path.c_str(), &st) == 0 && S_ISLNK(st.st_mode) && scope.follow_links)
        mark(path, kFileMask);
      continue;
    }
    // A file is replaced by editors, so its folder is watched; one that is missing may come.
    std::string folder = parent_of(path);
    while (!mark(folder, kMask | IN_ONLYDIR) && folder != "/" && out.error == 0) folder = parent_of(folder);
  }
  return out;
}

Seen look(const Scope& scope) {
  Seen seen;
  Descent descent(
      scope, [&](const std::string&) { return seen.size() < kMaxPolled; },
      [&](const Entry& e) {
        if (seen.size() < kMaxPolled && scope.takes(e.path, false)) seen[e.path] = signature(e.st);
      },
      true);
  for (const Root& root : scope.roots) {
    struct stat st {};
    if (stat(root.path.c_str(), &st) != 0) continue;
    if (S_ISDIR(st.st_mode))
      descent.down(root.path, st.st_dev);
    else
      seen[root.path] = signature(st);
  }
  return seen;
}

std::string first_difference(const Seen& before, const Seen& after) {
  for (const auto& [path, what] : after) {
    const auto known = before.find(path);
    if (known == before.end() || known->second != what) return path;
  }
  for (const auto& [path, what] : before)
    if (after.count(path) == 0) return path;
  return "";
}

}  // namespace tend::watch
