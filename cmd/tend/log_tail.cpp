#include "cmd/tend/log_tail.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <memory>

#include "cmd/render/width.h"
#include "core/base/clock.h"
#include "core/base/text.h"

namespace tend::cli {
namespace {

int64_t size_of(const std::string& path) {
  struct stat st {};
  return ::stat(path.c_str(), &st) == 0 ? int64_t{st.st_size} : 0;
}

}  // namespace

LogStarts::LogStarts(std::string folder) : folder_(std::move(folder) + "/"), made_(SystemClock().wall()) {
  const std::unique_ptr<DIR, int (*)(DIR*)> open(::opendir(folder_.c_str()), ::closedir);
  while (const dirent* entry = open ? ::readdir(open.get()) : nullptr) {
    const std::string path = folder_ + entry->d_name;
    before_[path] = size_of(path);
  }
}

int64_t LogStarts::of(const std::string& path, int fd) const {
  if (const auto known = before_.find(path); known != before_.end()) return known->second;
  if (fd < 0 || path.starts_with(folder_)) return 0;
  // Elsewhere nobody has looked before: a file that is younger is new, of another one all is old.
  struct statx born {};
  if (::statx(fd, "", AT_EMPTY_PATH, STATX_BTIME | STATX_SIZE, &born) != 0) return 0;
  const int64_t at = born.stx_btime.tv_sec * 1000 + born.stx_btime.tv_nsec / 1'000'000;
  return (born.stx_mask & STATX_BTIME) != 0 && at >= made_.n ? 0 : static_cast<int64_t>(born.stx_size);
}

LogTail::LogTail(Session& session, TailStyle style)
    : s_(session),
      style_(std::move(style)),
      starts_(s_.home.logs()),
      follower_([this](std::size_t index, std::string_view line) { print(index, line); }) {}

void LogTail::add(const List& rows) {
  for (const Value& row : rows) {
    for (const bool error : {false, true}) {
      const std::string& path = row.at(error ? "error" : "out").text();
      if (path.empty() || path.substr(0, 5) == "/dev/" ||
          std::any_of(sources_.begin(), sources_.end(), [&](const auto& x) { return x.path == path; }))
        continue;
      const int64_t id = row.at("id").integer();
      const std::string name = printable(row.at("name").text()), number = std::to_string(id);
      const std::string label = style_.dev ? name + "-" + number : number + "|" + name;
      sources_.push_back({path, label, name, id, error, error ? render::Ink::red : render::Ink::green});
      UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
      const int64_t from = starts_.of(path, fd.get());
      follower_.add(path, std::move(fd), from, "");
    }
  }
}

void LogTail::print(std::size_t index, std::string_view line) {
  const LogSource& source = sources_[index];
  if (style_.raw) {
    source.error ? s_.complain_raw(std::string(line) + "\n") : s_.print(std::string(line) + "\n");
    return;
  }
  width_ = std::max(width_, render::display_width(source.label) + (style_.dev ? 1 : 2));
  const std::string time =
      style_.time_format.empty() ? "" : format_time(style_.time_format, SystemClock().wall().n) + " ";
  s_.print(render::paint(render::Ink::grey, time, s_.colour()) +
           render::paint(source.ink, render::pad(source.label, width_) + "| ", s_.colour()) +
           std::string(line) + "\n");
}

Status LogTail::step(int limit_ms) {
  auto stepped = follower_.step(limit_ms);
  s_.flush();
  return stepped;
}

}  // namespace tend::cli
