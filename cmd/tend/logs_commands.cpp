// logs and flush: the command line reads and empties the files itself; the daemon only tells which they are.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "cmd/pm2/personality.h"
#include "cmd/render/humane.h"
#include "cmd/render/width.h"
#include "cmd/tend/command.h"
#include "cmd/tend/event_feed.h"
#include "cmd/tend/follow_linux.h"
#include "cmd/tend/log_printer.h"
#include "cmd/tend/log_tail.h"
#include "cmd/tend/outcomes.h"
#include "core/base/clock.h"
#include "core/base/folder_linux.h"
#include "core/base/tail.h"
#include "core/base/text.h"
#include "core/model/api.h"
#include "ipc/msgpack.h"

namespace tend::cli {
namespace {

constexpr std::size_t kTailWidth = 10;  // of the label, as PM2 cuts it

bool real_file(const std::string& path) { return !path.empty() && path != "/dev/null"; }

// Those that are not known yet.
void add_sources(const Session& s, const List& rows, std::vector<LogSource>& sources) {
  const auto add = [&](const Value& row, const char* key, bool error) {
    const std::string& path = row.at(key).text();
    const bool known =
        std::any_of(sources.begin(), sources.end(), [&](const auto& x) { return x.path == path; });
    if (!real_file(path) || known) return;  // instances may share a file
    const int64_t id = row.at("id").integer();
    const std::string name = printable(row.at("name").text());
    const render::Ink ink = error   ? render::Ink::red
                            : s.pm2 ? render::Ink::green
                                    : render::ink_of(static_cast<uint32_t>(id));
    sources.push_back({path, std::to_string(id) + "|" + name, name, id, error, ink});
  };
  for (const Value& row : rows) {
    if (!s.args.err || s.args.out) add(row, "out", false);
    if (!s.args.out || s.args.err) add(row, "error", true);
  }
}

int64_t modified(const std::string& path) {
  struct stat st {};
  return ::stat(path.c_str(), &st) == 0 ? int64_t{st.st_mtim.tv_sec} * 1000 + st.st_mtim.tv_nsec / 1'000'000
                                        : 0;
}

struct Opened {
  UniqueFd fd;
  Tail tail;
};

Opened open_tail(const Session& s, const LogSource& source) {
  Opened opened;
  opened.fd.reset(::open(source.path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  struct stat st {};
  if (!opened.fd || ::fstat(opened.fd.get(), &st) != 0 || !S_ISREG(st.st_mode)) {
    opened.fd.reset();
    return opened;
  }
  if (auto tail = last_lines(opened.fd.get(), static_cast<std::size_t>(s.args.lines)))
    opened.tail = std::move(*tail);
  return opened;
}

// Prints the tail; gives back the line that has no end yet, which is shown only if nothing will follow.
std::string print_tail(Session& s, const LogSource& source, const Opened& opened, const LogStyle& style,
                       bool streams) {
  std::string_view text = opened.tail.text;
  std::string begun;
  const std::size_t last = text.rfind('\n');
  const std::size_t whole = last == std::string_view::npos ? 0 : last + 1;
  if (streams) {
    begun = text.substr(whole);
    text = text.substr(0, whole);
  }
  if (s.pm2 && !style.json && !style.raw && s.args.lines > 0) {
    s.print(render::paint(render::Ink::grey,
                          source.path + " last " + std::to_string(s.args.lines) + " lines:", style.colour) +
            "\n");
  }
  const bool any = !text.empty();
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    const std::string line =
        tail_line(source, text.substr(0, end),
                  s.pm2 ? kTailWidth : std::max(kTailWidth, render::display_width(source.label)), style);
    if (s.pm2 && style.raw && source.error)
      s.complain_raw(line);
    else
      s.print(line);
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  if (s.pm2 && any && !style.raw && !style.json) s.print("\n");
  s.flush();
  return begun;
}

std::string event_line(const Value& event) {
  return ipc::to_json(Map{{"timestamp", render::iso_text(Millis{event.at("at").integer()})},
                          {"type", "process_event"},
                          {"status", event.at("event")},
                          {"app_name", event.at("name")}}) +
         "\n";
}

// The files of apps that came since the command began, or of new instances.
void follow_new(Session& s, const Value& params, const LogStarts& starts, std::vector<LogSource>& sources,
                Follower& follower) {
  s.disconnect();  // it may be of a former supervisor
  auto reply = s.ask(api::kList, params.map(), Need::existing);
  if (!reply) return;
  const std::size_t known = sources.size();
  add_sources(s, reply->at("apps").list(), sources);
  for (std::size_t i = known; i < sources.size(); ++i) {
    UniqueFd fd(::open(sources[i].path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    const int64_t from = starts.of(sources[i].path, fd.get());
    follower.add(sources[i].path, std::move(fd), from, "");
  }
}

int follow(Session& s, const Value& params, std::vector<LogSource>& sources, std::vector<Opened>& opened,
           std::vector<std::string>& begun, const LogStyle& style) {
  const SystemClock clock;
  const LogStarts starts(s.home.logs());
  std::size_t width = 3;
  Follower follower([&](std::size_t index, std::string_view line) {
    const LogSource& source = sources[index];
    if (s.pm2 && line.empty() && !style.raw) return;
    width = std::max(width, render::display_width(source.label) + 1);
    const std::string text = stream_line(source, line, width, style, clock.wall().n);
    if (s.pm2 && style.raw && source.error)
      s.complain_raw(text);
    else
      s.print(text);
  });
  for (std::size_t i = 0; i < sources.size(); ++i) {
    follower.add(sources[i].path, std::move(opened[i].fd), opened[i].tail.end, std::move(begun[i]));
  }
  EventFeed feed(s.home.socket());  // what happens to the apps, as PM2 tells it between the lines
  for (;;) {
    if (auto ok = follower.step(1000, feed.fd()); !ok) return s.fail(ok.error());
    bool started = false;
    for (const Value& event : feed.take()) {
      const bool told = event.at("kind").text() == "event";
      started = started || !told || event.at("event").text() == "online";
      if (told && s.pm2 && style.json) s.print(event_line(event));
    }
    if (started) follow_new(s, params, starts, sources, follower);
    s.flush();
  }
}

int logs(Session& s) {
  const std::vector<std::string>& words = s.args.words;
  const bool all = words.empty() || (words.size() == 1 && words[0] == "all");
  Map params{{"detail", "full"}, {"cwd", s.caller.cwd}};
  if (!all) params.set("targets", List(words.begin(), words.end()));
  auto reply = s.ask(api::kList, params, s.pm2 && !s.args.nostream ? Need::started : Need::existing);
  if (!reply) {
    if (!Session::no_daemon(reply.error())) return s.fail(reply.error());
    if (!s.pm2) s.complain("no daemon runs in " + printable(s.home.dir));
    return kDone;
  }
  const List& missing = reply->at("missing").list();
  if (!s.pm2 && !missing.empty()) {
    for (const Value& word : missing) s.complain(not_found(s, word.text()));
    return kFailed;
  }
  const bool plain = s.pm2 && s.args.nostream;  // those forms of PM2's are for what comes
  const LogStyle style{s.args.raw,       !plain && s.args.json, s.colour(),
                       s.args.highlight, s.args.timestamp,      !plain && s.args.has("format")};
  const bool machine = style.json || style.fields;
  if (s.pm2 && !machine && s.args.lines > 0) {
    s.print(render::paint(render::Ink::grey,
                          "[TAILING] Tailing last " + std::to_string(s.args.lines) + " lines for [" +
                              (all ? "all" : printable(words[0])) + "] process" + (all ? "es" : "") +
                              " (change the value with --lines option)",
                          style.colour) +
            "\n");
  }
  std::vector<LogSource> sources;
  add_sources(s, reply->at("apps").list(), sources);
  std::stable_sort(sources.begin(), sources.end(),
                   [](const auto& a, const auto& b) { return modified(a.path) < modified(b.path); });
  if (s.pm2 && all && !style.raw && !s.args.err && !s.args.out) {
    sources.insert(sources.begin(), {s.home.daemon_log(), "PM2", "PM2", -1, false, render::Ink::blue});
  }
  const bool streams = !s.args.nostream;
  std::vector<Opened> opened;
  std::vector<std::string> begun;
  for (const LogSource& source : sources) {
    opened.push_back(open_tail(s, source));
    const bool shown = opened.back().fd && !style.fields && !(s.pm2 && style.json);
    begun.push_back(shown ? print_tail(s, source, opened.back(), style, streams) : std::string());
  }
  return streams ? follow(s, params, sources, opened, begun, style) : static_cast<int>(kDone);
}

// Never through a link: the folder may belong to somebody who would like another file emptied.
Status truncate_file(const std::string& path, const FileOwner& owner) {
  const auto folder = open_folder_of(path, owner, false);
  if (!folder) return folder.error().code == ENOENT ? Status{} : tl::unexpected(folder.error());
  const UniqueFd fd(
      ::openat(folder->get(), name_in_folder(path).c_str(), O_WRONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK));
  if (!fd) return errno == ENOENT ? Status{} : fail_errno("open " + path);
  struct stat st {};
  if (::fstat(fd.get(), &st) == 0 && !S_ISREG(st.st_mode)) return {};
  if (auto own = not_a_strangers(path, st, owner); !own) return own;
  return ::ftruncate(fd.get(), 0) == 0 ? Status{} : fail_errno("empty " + path);
}

bool empty(Session& s, const std::string& path, int64_t uid) {
  const Status done = truncate_file(path, {static_cast<int>(uid)});
  if (!done) s.complain(printable(done.error().message));
  return done.has_value();
}

int flush(Session& s) {
  const std::vector<std::string>& words = s.args.words;
  Map params{{"detail", "full"}, {"cwd", s.caller.cwd}};
  if (!words.empty()) params.set("targets", List(words.begin(), words.end()));
  auto reply = s.ask(api::kList, std::move(params), Need::existing);
  if (!reply && !Session::no_daemon(reply.error())) return s.fail(reply.error());
  bool good = true;
  if (words.empty()) {
    if (s.pm2) s.say(pm2::plain("Flushing " + printable(s.home.daemon_log()), s.colour()));
    good = empty(s, s.home.daemon_log(), -1);
  }
  std::vector<std::string> done;
  if (reply) {
    for (const Value& row : reply->at("apps").list()) {
      if (s.pm2) s.say(pm2::plain("Flushing:", s.colour()));
      for (const char* key : {"out", "error", "log"}) {
        const std::string& path = row.at(key).text();
        if (!real_file(path)) continue;
        if (s.pm2) s.say(pm2::plain(printable(path), s.colour()));
        if (std::find(done.begin(), done.end(), path) != done.end()) continue;
        done.push_back(path);
        good = empty(s, path, row.at("uid").integer(-1)) && good;
        if (!s.pm2) s.say("emptied " + printable(path) + "\n");
      }
    }
    if (!s.pm2) {
      for (const Value& word : reply->at("missing").list()) {
        s.complain(not_found(s, word.text()));
        good = false;
      }
    }
  }
  if (s.pm2) s.say(pm2::plain("Logs flushed", s.colour()));
  return s.status_of(good);
}

constexpr Command kCommands[] = {
    {"logs", "log", "Logs", "[app]…", "The last lines, then what comes.", logs},
    {"flush", "", "Logs", "[app]…", "Empty the log files.", flush},
};

}  // namespace

std::span<const Command> logs_commands() { return kCommands; }

}  // namespace tend::cli
