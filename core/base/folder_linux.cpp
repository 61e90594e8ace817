#include "core/base/folder_linux.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <vector>

#include "core/base/text.h"

namespace tend {
namespace {

constexpr int kMostLinks = 40;  // as the kernel
constexpr int kLook = O_PATH | O_CLOEXEC;

uid_t owner_of(int fd) {
  struct stat st {};
  return ::fstat(fd, &st) == 0 ? st.st_uid : static_cast<uid_t>(-1);
}

// Component by component, each by the descriptor of the one before it: nothing can be exchanged in between.
class Walk {
 public:
  Walk(const std::string& path, const FileOwner& owner, bool create)
      : path_(path), owner_(owner), create_(create), guarded_(writes_for_another(owner)) {}

  Result<UniqueFd> run() {
    at_.reset(::open("/", kLook | O_DIRECTORY));
    push(path_.substr(0, path_.rfind('/')));
    while (!rest_.empty()) {
      const std::string name = std::move(rest_.back());
      rest_.pop_back();
      if (name.empty() || name == ".") continue;
      if (auto went = step(name); !went) return tl::unexpected(went.error());
    }
    if (auto own = check(); !own) return tl::unexpected(own.error());
    return std::move(at_);
  }

 private:
  void push(std::string_view components) {
    auto parts = split(components, '/');
    rest_.insert(rest_.end(), std::make_move_iterator(parts.rbegin()), std::make_move_iterator(parts.rend()));
  }

  Status step(const std::string& name) {
    UniqueFd next(::openat(at_.get(), name.c_str(), kLook | O_NOFOLLOW));
    if (!next && errno == ENOENT && create_) {
      if (auto made = make(name, next); !made) return made;
    }
    struct stat st {};
    if (!next || ::fstat(next.get(), &st) != 0) return fail_errno("open the folder of " + path_);
    if (S_ISLNK(st.st_mode)) return follow(next.get(), st.st_uid);
    if (!S_ISDIR(st.st_mode)) return fail_errno("open the folder of " + path_, ENOTDIR);
    at_ = std::move(next);
    return {};
  }

  Status follow(int link, uid_t whose) {
    char target[PATH_MAX];
    const ssize_t n = ::readlinkat(link, "", target, sizeof target);
    if (n <= 0 || ++links_ > kMostLinks)
      return fail_errno("open the folder of " + path_, n <= 0 ? errno : ELOOP);
    if (target[0] == '/') at_.reset(::open("/", kLook | O_DIRECTORY));
    push({target, static_cast<std::size_t>(n)});
    strange_ = strange_ || whose != 0;
    return {};
  }

  // Folders that are made belong to the app's user too; existing ones are left alone.
  Status make(const std::string& name, UniqueFd& made) {
    if (auto own = check(); !own) return own;
    const bool fresh = ::mkdirat(at_.get(), name.c_str(), 0700) == 0;
    if (!fresh && errno != EEXIST) return fail_errno("create folder " + name + " for " + path_);
    made.reset(::openat(at_.get(), name.c_str(), kLook | O_NOFOLLOW | O_DIRECTORY));
    if (!made) return fail_errno("create folder " + name + " for " + path_);
    if (fresh && (owner_.uid >= 0 || owner_.gid >= 0) &&
        ::fchownat(made.get(), "", static_cast<uid_t>(owner_.uid), static_cast<gid_t>(owner_.gid),
                   AT_EMPTY_PATH) != 0)
      return fail_errno("change the owner of folder " + name + " for " + path_);
    return {};
  }

  Status check() const {
    if (!guarded_ || !strange_ || owner_of(at_.get()) == static_cast<uid_t>(owner_.uid)) return {};
    return fail(
        "open " + path_ + ": a link leads to a folder that is not user " + std::to_string(owner_.uid) + "'s",
        EACCES);
  }

  const std::string& path_;
  const FileOwner& owner_;
  bool create_;
  bool guarded_;
  bool strange_ = false;  // a link that is not root's was followed
  int links_ = 0;
  UniqueFd at_;
  std::vector<std::string> rest_;  // of the components, the next one last
};

}  // namespace

bool writes_for_another(const FileOwner& owner) { return owner.uid > 0 && ::geteuid() == 0; }

Result<UniqueFd> open_folder_of(const std::string& path, const FileOwner& owner, bool create) {
  return Walk(path, owner, create).run();
}

Status not_a_strangers(const std::string& path, const struct stat& file, const FileOwner& owner) {
  if (!writes_for_another(owner) || file.st_nlink < 2 || file.st_uid == static_cast<uid_t>(owner.uid))
    return {};
  return fail("open " + path + ": another name of a file of user " + std::to_string(file.st_uid), EACCES);
}

std::string name_in_folder(const std::string& path) { return path.substr(path.rfind('/') + 1); }

}  // namespace tend
