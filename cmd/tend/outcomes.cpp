#include "cmd/tend/outcomes.h"

#include <fcntl.h>

#include <algorithm>
#include <set>
#include <unordered_map>

#include "cmd/pm2/package_version.h"
#include "cmd/pm2/personality.h"
#include "core/base/tail.h"
#include "core/base/text.h"
#include "core/base/unique_fd.h"
#include "core/model/api.h"

namespace tend::cli {
namespace {

constexpr std::size_t kLastLines = 25;
constexpr std::size_t kMostBytes = 16 << 10;

std::string label(const Value& outcome) {
  return printable(outcome.at("name").text()) + " (" + std::to_string(outcome.at("id").integer()) + ")";
}

// What the app said last.
std::string log_text(const Value& outcome) {
  const UniqueFd file(::open(outcome.at("error_log").text().c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  const auto tail = file ? last_lines(file.get(), kLastLines, kMostBytes) : Result<Tail>(fail(""));
  std::string out;
  if (!tail) return out;
  for (const auto& line : split(tail->text, '\n'))
    if (!line.empty()) out += "  | " + printable(line) + "\n";
  return out;
}

void complain_outcome(Session& s, const Value& outcome) {
  const std::string& code = outcome.at("code").text();
  if (s.pm2) {
    if (code == "already_launched")
      return s.complain("Script already launched, add -f option to force re-execution");
    s.complain(printable(outcome.at("error").text()));
    return;
  }
  if (code == "already_launched") {
    return s.complain(label(outcome) + " runs already; restart it, or start a second with --force");
  }
  const std::string& error = outcome.at("error").text();
  s.complain(label(outcome) + ": " + (error.empty() ? printable(code) : printable(error)));
  s.complain_raw(log_text(outcome));
}

}  // namespace

bool pm2_failure(const Value& outcome) {
  if (outcome.at("ok").boolean()) return false;
  const std::string& code = outcome.at("code").text();
  return code != "not_ready" && code != "errored" && code != "exited";
}

bool show_outcomes(Session& s, const Value& reply) {
  bool good = true;
  std::set<std::string> unkept;  // one line for all instances
  for (const Value& outcome : reply.at("results").list()) {
    if (!outcome.at("ok").boolean()) {
      good = false;
      complain_outcome(s, outcome);
      continue;
    }
    std::string line = label(outcome) + " " + printable(outcome.at("action").text());
    if (const int64_t pid = outcome.at("pid").integer(); pid > 0) line += ", pid " + std::to_string(pid);
    s.say(line + "\n");
    if (const std::string& why = outcome.at("not_enforced").text(); !why.empty())
      unkept.insert(outcome.at("name").text() + ": " + why);
  }
  for (const std::string& line : unkept) s.complain("warning: " + printable(line));
  return good;
}

void show_warnings(Session& s, const Value& reply) {
  std::set<std::string> told;  // instances of one app have the same
  for (const Value& warning : reply.at("warnings").list()) {
    if (!told.insert(warning.text()).second) continue;
    if (s.pm2)
      s.say(pm2::warn(printable(warning.text()), s.colour()));
    else
      s.complain("warning: " + printable(warning.text()));
  }
  if (s.pm2) return;
  bool durable = true;
  for (const Value& row : reply.at("apps").list()) {
    if (const int64_t lost = row.at("dropped").integer(); lost > 0) {
      s.complain("warning: " + label(row) + ": " + std::to_string(lost) +
                 " bytes of its log could not be written");
    }
    durable = durable && !row.at("not_durable").boolean();
  }
  if (!durable)
    s.complain("warning: state not durable: the disk refuses the journal; a crash of tend could lose it");
}

bool show_groups(Session& s, std::string_view verb, const Value& reply) {
  bool good = true;
  const List& results = reply.at("results").list();
  for (const Value& group : reply.at("groups").list()) {
    const std::string& word = group.at("word").text();
    const List& ids = group.at("ids").list();
    if (!group.at("error").is_null()) {
      good = false;
      if (s.pm2)
        s.complain_raw(pm2::not_found(verb, word, s.colour_err()));
      else
        s.complain(printable(group.at("error").text()));
      continue;
    }
    if (!s.pm2) continue;
    s.say(pm2::applying(verb, word, ids, s.colour()));
    for (const Value& outcome : results) {
      if (std::find(ids.begin(), ids.end(), outcome.at("id")) == ids.end()) continue;
      if (pm2_failure(outcome)) {
        good = false;
        complain_outcome(s, outcome);
      } else {
        s.say(pm2::ticked(outcome.at("name").text(), outcome.at("id").integer(), s.colour()));
      }
    }
  }
  if (!s.pm2) good = show_outcomes(s, reply) && good;
  show_warnings(s, reply);
  return good;
}

std::string not_found(Session& s, const std::string& word) {
  std::vector<std::string_view> known;
  const auto reply = s.ask(api::kList, Map{{"detail", "brief"}, {"cwd", s.caller.cwd}}, Need::existing);
  if (reply && !is_digits(word)) {
    for (const Value& row : reply->at("apps").list())
      known.insert(known.end(), {row.at("name").text(), row.at("namespace").text()});
  }
  const std::string near = printable(nearest(word, known));
  return "process or namespace not found: " + printable(word) +
         (near.empty() ? "" : "; did you mean " + near + "?");
}

void complete(const Session& s, List& rows) {
  std::unordered_map<std::string, std::string> versions;
  for (Value& row : rows) {
    Map* map = row.as<Map>();
    if (map == nullptr) continue;
    if (row.at("user").text().empty()) map->set("user", s.caller.user);
    if (!row.at("version").text().empty()) continue;
    const std::string& script = row.at("script").text();
    auto [known, fresh] = versions.try_emplace(script);  // many rows, few scripts
    if (fresh) known->second = pm2::package_version(script);
    map->set("version", known->second);
  }
}

int show_list(Session& s) {
  auto reply = s.ask(api::kList, Map{{"detail", s.args.mini ? "full" : "table"}, {"cwd", s.caller.cwd}},
                     Need::existing);
  if (!reply) return s.fail(reply.error());
  List rows = reply->at("apps").list();
  const render::Page page = s.page();
  complete(s, rows);
  render::sort_rows(rows, s.args.sort.empty() ? "name:asc" : s.args.sort);
  s.say(s.args.mini ? render::mini_list(rows, page)
                    : render::draw(render::apps_table(rows, page), page.colour));
  show_warnings(s, *reply);
  return kDone;
}

Millis patience_for(Session& s, const List& targets, bool reload) {
  if (s.args.timeout) return {};
  Map params{{"detail", "brief"}, {"cwd", s.caller.cwd}};
  const bool all =
      std::any_of(targets.begin(), targets.end(), [](const Value& t) { return t.text() == "all"; });
  if (!all && !targets.empty()) params.set("targets", targets);
  const auto reply = s.ask(api::kList, std::move(params), Need::existing);
  Millis longest{};
  Millis sum{};
  if (!reply) return longest;  // the request that follows will tell
  for (const Value& row : reply->at("apps").list()) {
    longest = std::max(longest, Millis{row.at("patience").integer()});
    sum = sum + Millis{row.at("reload_patience").integer()};
  }
  return reload ? std::max(sum, longest) : longest;
}

bool extra_word(Session& s) {
  if (s.args.words.empty()) return false;
  if (s.pm2)
    s.say(pm2::plain("\nUnknown command argument: " + printable(s.args.words[0]), s.colour()));
  else
    s.complain(s.args.command + ": found " + printable(s.args.words[0]) + "; accepted: no operand");
  return true;
}

}  // namespace tend::cli
