// monit: the list, the selected app's lines, its metrics and what it is, on one screen, once a second.
#include <fcntl.h>

#include <algorithm>
#include <cstdio>
#include <deque>
#include <memory>

#include "cmd/render/apps_table.h"
#include "cmd/render/humane.h"
#include "cmd/render/width.h"
#include "cmd/tend/command.h"
#include "cmd/tend/follow_linux.h"
#include "cmd/tend/screen_linux.h"
#include "core/base/clock.h"
#include "core/base/tail.h"
#include "core/base/text.h"
#include "core/model/api.h"
#include "core/model/words.h"

namespace tend::cli {
namespace {

constexpr Millis kRefresh{1000};
constexpr std::size_t kKept = 1000;  // lines of the selected app
constexpr std::size_t kFirst = 100;  // of each of its files
constexpr std::size_t kNarrowest = 40, kLowest = 10;

struct Cell {
  render::Ink ink = render::Ink::none;
  std::string text;
};
using Lines = std::vector<Cell>;

class Monitor {
 public:
  Monitor(Session& s, Screen screen) : s_(s), screen_(std::move(screen)) {}
  int run();

 private:
  Status refresh();
  void select(int step);
  void follow();  // the selected app's files
  void draw();
  Lines list_lines(std::size_t height) const;
  Lines metric_lines() const;
  Lines meta_lines() const;
  Lines log_lines(std::size_t height) const;
  const Value& selected() const;
  std::string box(std::string_view title, bool focused, const Lines& lines, std::size_t row, std::size_t rows,
                  std::size_t width) const;

  Session& s_;
  Screen screen_;
  List rows_;
  std::size_t at_ = 0;
  int64_t followed_ = -1;
  std::string paths_;
  std::unique_ptr<Follower> follower_;
  std::deque<Cell> log_;
  std::size_t back_ = 0;  // lines scrolled up
  bool logs_focused_ = false;
};

const Value& Monitor::selected() const {
  static const Value kNone;
  return at_ < rows_.size() ? rows_[at_] : kNone;
}

Status Monitor::refresh() {
  const int64_t id = selected().at("id").integer();
  auto reply = s_.ask(api::kList, Map{{"detail", "full"}, {"cwd", s_.caller.cwd}}, Need::existing);
  if (!reply) return tl::unexpected<Error>(reply.error());
  rows_ = reply->at("apps").list();
  const auto same =
      std::find_if(rows_.begin(), rows_.end(), [&](const Value& r) { return r.at("id").integer() == id; });
  at_ = same != rows_.end() ? static_cast<std::size_t>(same - rows_.begin())
                            : std::min(at_, rows_.empty() ? 0 : rows_.size() - 1);
  follow();
  return {};
}

void Monitor::follow() {
  const Value& row = selected();
  const std::string paths = row.at("out").text() + "\n" + row.at("error").text();
  const int64_t id = row.is_null() ? -1 : row.at("id").integer();
  if (id == followed_ && paths == paths_) return;
  followed_ = id;
  paths_ = paths;
  log_.clear();
  back_ = 0;
  const bool one = row.at("out").text() == row.at("error").text();
  follower_ = std::make_unique<Follower>([this](std::size_t index, std::string_view line) {
    log_.push_back({index == 0 ? render::Ink::none : render::Ink::red, printable(line)});
    if (log_.size() > kKept) log_.pop_front();
    if (back_ > 0) back_ = std::min(back_ + 1, log_.size() - 1);
  });
  for (const std::string_view key :
       one ? std::vector<std::string_view>{"out"} : std::vector<std::string_view>{"out", "error"}) {
    const std::string& path = row.at(key).text();
    UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    auto tail = fd ? last_lines(fd.get(), kFirst, 256u << 10) : Result<Tail>(fail(""));
    if (!tail) fd.reset();
    for (const auto& line : split(tail ? trim(tail->text) : std::string_view(), '\n'))
      if (!line.empty())
        log_.push_back({key == "out" ? render::Ink::none : render::Ink::red, printable(line)});
    follower_->add(path, std::move(fd), tail ? tail->end : 0, "");
  }
}

void Monitor::select(int step) {
  if (logs_focused_) {
    back_ = step < 0 ? std::min(back_ + 1, log_.empty() ? 0 : log_.size() - 1) : back_ - (back_ > 0 ? 1 : 0);
    return;
  }
  if (step < 0 && at_ > 0) --at_;
  if (step > 0 && at_ + 1 < rows_.size()) ++at_;
  follow();
}

Lines Monitor::list_lines(std::size_t height) const {
  Lines lines;
  const std::size_t first = at_ >= height && height > 0 ? at_ - height + 1 : 0;
  for (std::size_t i = first; i < rows_.size() && lines.size() < height; ++i) {
    const Value& row = rows_[i];
    char usage[64];
    std::snprintf(usage, sizeof usage, " %8s %6s ", render::memory_text(row.at("memory").integer()).c_str(),
                  render::cpu_text(row.at("cpu").number()).c_str());
    lines.push_back({i == at_ ? render::Ink::inverse : render::ink_of_status(row.at("status").text()),
                     "[" + std::to_string(row.at("id").integer()) + "] " +
                         render::pad(printable(row.at("name").text()), 16) + usage +
                         row.at("status").text()});
  }
  return lines;
}

Lines Monitor::log_lines(std::size_t height) const {
  const std::size_t end = log_.size() - std::min(back_, log_.size());
  const std::size_t begin = end > height ? end - height : 0;
  return {log_.begin() + static_cast<std::ptrdiff_t>(begin), log_.begin() + static_cast<std::ptrdiff_t>(end)};
}

Lines Monitor::metric_lines() const {
  Lines lines;
  const Value& row = selected();
  if (row.is_null()) return lines;
  const auto add = [&](std::string_view key, const std::string& value) {
    lines.push_back({render::Ink::none, render::pad(key, 18) + " " + value});
  };
  add("cpu", render::cpu_text(row.at("cpu").number()));
  add("memory", render::memory_text(row.at("memory").integer()));
  if (const std::string& word = row.at("health").at("word").text(); !word.empty())
    add("health", printable(word));
  for (const auto& [name, metric] : row.at("axm_monitor").map()) {
    const Value& value = metric.at("value");
    add(printable(name), printable(js_text(value)) + " " + printable(metric.at("unit").text()));
  }
  return lines;
}

Lines Monitor::meta_lines() const {
  Lines lines;
  const Value& row = selected();
  if (row.is_null()) return lines;
  const auto add = [&](std::string_view key, const std::string& value) {
    lines.push_back({render::Ink::none, render::pad(key, 11) + " " + printable(value)});
  };
  add("App name", row.at("name").text());
  add("Namespace", row.at("namespace").text());
  add("Restarts", std::to_string(row.at("restarts").integer()));
  add("Uptime", render::uptime_of(row, SystemClock().wall()));
  add("Script", row.at("script").text());
  add("Mode", row.at("mode").text());
  add("pid", std::to_string(row.at("pid").integer()));
  if (!row.at("node_version").text().empty()) add("Node.js", row.at("node_version").text());
  add("Last cause", row.at("cause").at("text").text());
  return lines;
}

// One line of a box that is `rows` high with its frame.
std::string Monitor::box(std::string_view title, bool focused, const Lines& lines, std::size_t row,
                         std::size_t rows, std::size_t width) const {
  const render::Ink frame = focused ? render::Ink::bold_cyan : render::Ink::grey;
  if (row == 0 || row + 1 == rows) {
    std::string text = row == 0 ? "┌ " + std::string(title) + " " : std::string("└");
    for (std::size_t cells = render::display_width(text); cells + 1 < width; ++cells) text += "─";
    return render::paint(frame, text + (row == 0 ? "┐" : "┘"), s_.colour());
  }
  const Cell cell = row - 1 < lines.size() ? lines[row - 1] : Cell{};
  const std::string edge = render::paint(frame, "│", s_.colour());
  // Without colours the selected line is marked by the frame alone.
  const bool marked = cell.ink == render::Ink::inverse && !s_.colour();
  return (marked ? ">" : edge) + render::paint(cell.ink, render::pad(cell.text, width - 2), s_.colour()) +
         edge;
}

void Monitor::draw() {
  const std::size_t width = screen_.width(), height = screen_.height();
  std::vector<std::string> lines;
  if (width < kNarrowest || height < kLowest) {
    lines.push_back(render::fit("a terminal of at least 40 x 10, please", width));
    return screen_.draw(lines);
  }
  const std::size_t left = std::min<std::size_t>(width / 2, 54), right = width - left;
  const std::size_t low = std::min<std::size_t>(12, (height - 1) / 2), high = height - 1 - low;
  const Lines list = list_lines(high - 2), log = log_lines(high - 2), metrics = metric_lines(),
              meta = meta_lines();
  const std::string name = printable(selected().at("name").text());
  for (std::size_t i = 0; i < high; ++i) {
    lines.push_back(box("Process List", !logs_focused_, list, i, high, left) +
                    box(render::fit(name + " Logs", right - 4), logs_focused_, log, i, high, right));
  }
  for (std::size_t i = 0; i < low; ++i)
    lines.push_back(box("Metrics", false, metrics, i, low, left) +
                    box("Metadata", false, meta, i, low, right));
  lines.push_back(render::pad(" up/down: select or scroll | Tab: list or logs | q: quit", width));
  screen_.draw(lines);
}

int Monitor::run() {
  Millis next{};
  for (;;) {
    const Millis now = SystemClock().now();
    if (now >= next) {
      // A daemon that goes away ends this; the screen is given back before that is told.
      if (const Status asked = refresh(); !asked) {
        { const Screen last = std::move(screen_); }
        return s_.fail(asked.error());
      }
      next = SystemClock().now() + kRefresh;
    }
    if (follower_) (void)follower_->step(0);
    draw();
    const auto limit = std::max<int64_t>(0, (next - SystemClock().now()).n);
    switch (screen_.wait(static_cast<int>(limit), follower_ ? follower_->fd() : -1)) {
      case Key::quit:
        return kDone;
      case Key::up:
        select(-1);
        break;
      case Key::down:
        select(1);
        break;
      case Key::next:
        logs_focused_ = !logs_focused_;
        back_ = 0;
        break;
      case Key::none:
        break;
    }
  }
}

int monit(Session& s) {
  if (!Screen::possible()) {
    s.complain("monit: needs a terminal; list and logs print to anything");
    return kFailed;
  }
  if (const Status up = s.connect(s.pm2 ? Need::started : Need::existing); !up) return s.fail(up.error());
  auto screen = Screen::open();
  if (!screen) {
    s.complain("monit: " + screen.error().message);
    return kFailed;
  }
  return Monitor(s, std::move(*screen)).run();
}

constexpr Command kCommands[] = {
    {"monit", "dashboard dash imonit", "Looking", "", "List, logs and metrics on one screen; q ends it.",
     monit},
};

}  // namespace

std::span<const Command> monit_commands() { return kCommands; }

}  // namespace tend::cli
