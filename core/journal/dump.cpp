#include "core/journal/dump.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <cstdlib>
#include <string_view>
#include <utility>

#include "core/base/failpoint.h"
#include "core/base/file.h"
#include "core/base/unique_fd.h"
#include "core/model/pm2_record.h"
#include "ipc/msgpack.h"

namespace tend::journal {
namespace {

constexpr int64_t kVersion = 1;
constexpr int64_t kMaxFile = 256 << 20;

std::string folder_of(const std::string& path) {
  const auto slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

// A second name first, so that at no time neither file exists.
Status keep_former(const std::string& path) {
  const std::string bak = path + ".bak", fresh = bak + ".new";
  ::unlink(fresh.c_str());
  if (::link(path.c_str(), fresh.c_str()) == 0) {
    if (::rename(fresh.c_str(), bak.c_str()) == 0) return {};
    const int code = errno;
    ::unlink(fresh.c_str());
    return fail_errno("rename " + fresh, code);
  }
  if (errno == ENOENT) return {};
  // No hard links on this file system: load_dump reads the .bak if we are killed in between.
  if (::rename(path.c_str(), bak.c_str()) != 0) return fail_errno("rename " + path);
  return {};
}

Result<std::string> read_whole(const std::string& path) {
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!fd) return fail_errno(path);
  struct stat info {};
  if (::fstat(fd.get(), &info) != 0) return fail_errno(path);
  if (!S_ISREG(info.st_mode)) return fail(path + ": not a regular file");
  if (info.st_size > kMaxFile) return fail(path + ": larger than 256M");
  std::string text(static_cast<std::size_t>(info.st_size), '\0');
  std::size_t at = 0;
  while (at < text.size()) {
    const ssize_t n = ::read(fd.get(), text.data() + at, text.size() - at);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return fail_errno(path);
    if (n == 0) break;
    at += static_cast<std::size_t>(n);
  }
  text.resize(at);
  return text;
}

constexpr int kNewer = -1;  // Error::code within this file: the older .bak is no answer to a newer version

Result<Value> read_dump(const std::string& path) {
  auto text = read_whole(path);
  if (!text) return tl::unexpected(text.error());
  auto value = ipc::from_json(*text);
  if (!value) return fail(path + ": " + value.error().message);
  if (value->is<List>()) {
    StringList wrong;
    List apps = saved_list_from_pm2(value->list(), {}, wrong);
    if (apps.empty() && !wrong.empty()) return fail(path + ": " + wrong.front());
    return Value(std::move(apps));
  }
  const Value* version = value->is<Map>() ? value->as<Map>()->find("version") : nullptr;
  if (!version || !version->is<int64_t>()) return fail(path + ": no field \"version\"");
  if (version->integer() > kVersion)
    return fail(path + ": version " + std::to_string(version->integer()) + "; this tend reads version 1",
                kNewer);
  if (!value->at("apps").is<List>()) return fail(path + ": no list \"apps\"");
  return value->at("apps");
}

}  // namespace

Status save_dump(const std::string& path, const Value& apps, bool as_pm2) {
  List records;
  if (as_pm2) {
    for (const Value& one : apps.list()) records.push_back(pm2_from_saved(one));
  }
  const std::string text =
      (as_pm2 ? ipc::to_json(records, 2) : ipc::to_json(Map{{"version", kVersion}, {"apps", apps}}, 2)) + "\n";
  TemporaryFile file(path);
  if (file.fd() < 0) return fail_errno("create a file beside " + path);
  if (auto ok = write_all(file.fd(), text); !ok)
    return fail(path + ": " + ok.error().message, ok.error().code);
  if (::fsync(file.fd()) != 0) return fail_errno("fsync " + path);
  failpoint("dump.written");
  if (auto ok = keep_former(path); !ok) return ok;
  failpoint("dump.kept");
  if (!file.move_to(path)) return fail_errno("rename to " + path);
  failpoint("dump.renamed");
  const UniqueFd folder(::open(folder_of(path).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!folder || ::fsync(folder.get()) != 0) return fail_errno("fsync " + folder_of(path));
  return {};
}

Result<Value> load_dump(const std::string& path) {
  auto first = read_dump(path);
  if (first || first.error().code == kNewer) return first;
  auto second = read_dump(path + ".bak");
  if (second) return second;
  const bool none = first.error().code == ENOENT && second.error().code == ENOENT;
  return fail(first.error().message + "; " + second.error().message, none ? ENOENT : 0);
}

}  // namespace tend::journal
