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

LogTail::LogTail(Session& session, TailStyle style)
    : s_(session),
      style_(std::move(style)),
      follower_([this](std::size_t index, std::string_view line) { print(index, line); }) {
  const std::unique_ptr<DIR, int (*)(DIR*)> folder(::opendir(s_.home.logs().c_str()), ::closedir);
  while (const dirent* entry = folder ? ::readdir(folder.get()) : nullptr) {
    const std::string path = s_.home.logs() + "/" + entry->d_name;
    before_[path] = size_of(path);
  }
}

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
      const auto known = before_.find(path);
      const bool ours = path.substr(0, s_.home.logs().size()) == s_.home.logs();
      const int64_t from = known != before_.end() ? known->second : ours ? 0 : size_of(path);
      follower_.add(path, UniqueFd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)), from, "");
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
