#include "cmd/tend/attach.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "cmd/tend/follow_linux.h"
#include "core/base/clock.h"
#include "core/base/text.h"
#include "core/model/api.h"

namespace tend::cli {
namespace {

constexpr std::size_t kMostAtOnce = 512u << 10;  // the daemon takes 1 MiB
constexpr Millis kQuiet{300};                    // nothing printed for so long: the last answer has come
constexpr Millis kLongestEnd{3000};

bool readable(int fd) {
  pollfd p{fd, POLLIN, 0};
  return ::poll(&p, 1, 0) > 0 && p.revents != 0;
}

class Attached {
 public:
  Attached(Session& s, int64_t id, std::string separator)
      : s_(s),
        id_(std::to_string(id)),
        separator_(std::move(separator)),
        follower_([this](std::size_t index, std::string_view text) { show(index, text); }, true) {}

  void follow(const std::string& path, bool error) {
    if (path.empty() || path == "/dev/null") return;
    UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    struct stat st {};
    if (fd && (::fstat(fd.get(), &st) != 0 || !S_ISREG(st.st_mode))) return;
    follower_.add(path, std::move(fd), st.st_size, {});  // what was printed before is for `logs`
    errors_.push_back(error);
  }
  bool follows() const { return !errors_.empty(); }

  int run() {
    while (!ended_) {
      if (auto ok = follower_.step(1000, STDIN_FILENO); !ok) return s_.fail(ok.error());
      s_.flush();
      if (readable(STDIN_FILENO) && !forward()) return kFailed;
    }
    wait_for_quiet();
    return good_ ? kDone : kFailed;
  }

 private:
  void show(std::size_t index, std::string_view text) {
    shown_ = SystemClock().now();
    if (errors_[index] && !s_.pm2)
      s_.complain_raw(text);
    else
      s_.print(text);
  }

  // False: nothing more can be sent, and that was said.
  bool forward() {
    char block[64 << 10];
    const ssize_t n = ::read(STDIN_FILENO, block, sizeof block);
    if (n < 0 && (errno == EINTR || errno == EAGAIN)) return true;
    if (n < 0) s_.complain(std::string("standard input: ") + std::strerror(errno));
    ended_ = n <= 0;
    if (n > 0) pending_.append(block, static_cast<std::size_t>(n));
    if (pending_.size() > kMostAtOnce) {
      s_.complain("attach: found a line of more than 512 KiB; accepted: shorter ones");
      return false;
    }
    const std::string text = take_lines(pending_, separator_, ended_);
    return text.empty() || tell(text);
  }

  bool tell(const std::string& text) {
    s_.disconnect();  // the supervisor may have been replaced since the last line
    auto reply = s_.ask(api::kStdin, Map{{"targets", List{id_}}, {"cwd", s_.caller.cwd}, {"text", text}},
                        Need::existing);
    if (!reply) {
      // It may have arrived before the daemon was lost, so it is not repeated.
      good_ = false;
      s_.complain("not certain to have arrived: " + printable(reply.error().message));
      return !Session::no_daemon(reply.error());
    }
    for (const Value& g : reply->at("groups").list()) {
      if (g.at("error").is_null()) continue;
      s_.complain(printable(g.at("error").text()));
      return false;
    }
    for (const Value& o : reply->at("results").list()) {
      if (o.at("ok").boolean()) continue;
      good_ = false;
      s_.complain("not sent: " + printable(o.at("name").text()) + " (" + id_ + ") " +
                  printable(o.at("error").text()));
    }
    return true;
  }

  void wait_for_quiet() {
    const SystemClock clock;
    const Millis began = clock.now();
    shown_ = began;
    while (clock.now() - shown_ < kQuiet && clock.now() - began < kLongestEnd) {
      if (!follower_.step(50)) break;
      s_.flush();
    }
    follower_.look_at_all();
  }

  Session& s_;
  const std::string id_, separator_;
  std::vector<bool> errors_;  // by the follower's numbers
  std::string pending_;
  Millis shown_{};
  bool ended_ = false, good_ = true;
  Follower follower_;
};

}  // namespace

std::string take_lines(std::string& pending, std::string_view separator, bool at_end) {
  std::string out;
  std::size_t from = 0;
  for (std::size_t end = 0; (end = pending.find('\n', from)) != std::string::npos; from = end + 1)
    out.append(pending, from, end - from).append(separator);
  pending.erase(0, from);
  if (at_end && !pending.empty()) out.append(std::exchange(pending, {})).append(separator);
  return out;
}

int attach_to(Session& s, const std::string& target, const std::string& separator) {
  auto reply = s.ask(api::kList, Map{{"detail", "full"}, {"cwd", s.caller.cwd}, {"targets", List{target}}},
                     s.pm2 ? Need::started : Need::existing);
  if (!reply) return s.fail(reply.error());
  const List& rows = reply->at("apps").list();
  if (rows.empty()) {
    s.complain(s.pm2 ? "Process with ID <" + printable(target) + "> unknown."
                     : "process or namespace not found: " + printable(target));
    return kFailed;
  }
  if (rows.size() > 1) {
    std::string ids;
    for (const Value& row : rows) ids += (ids.empty() ? "" : ", ") + std::to_string(row.at("id").integer());
    s.complain("attach: found " + std::to_string(rows.size()) + " processes of " + printable(target) +
               " (ids " + ids + "); accepted: one");
    return s.exit_of(kUsage);
  }
  Attached attached(s, rows[0].at("id").integer(), separator);
  attached.follow(rows[0].at("out").text(), false);
  if (rows[0].at("error").text() != rows[0].at("out").text())
    attached.follow(rows[0].at("error").text(), true);
  if (!attached.follows()) s.complain("what it prints goes to no file: nothing of it will be shown");
  return attached.run();
}

}  // namespace tend::cli
