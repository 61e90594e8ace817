// send, attach, trigger, inspect, monitor: words for apps and their answers.
#include <algorithm>
#include <set>

#include "cmd/pm2/personality.h"
#include "cmd/tend/attach.h"
#include "cmd/tend/command.h"
#include "cmd/tend/outcomes.h"
#include "core/base/text.h"
#include "core/model/api.h"
#include "ipc/msgpack.h"

namespace tend::cli {
namespace {

constexpr Millis kPatience{10'000};  // for the answers to a trigger, under tend
constexpr Millis kForEver{int64_t{1000} * 86400 * 365};
constexpr Millis kMargin{5000};  // the daemon's own limit comes first

// What stands behind a bare "--" may begin with a dash.
std::vector<std::string> operands(const Session& s) {
  std::vector<std::string> all = s.args.words;
  all.insert(all.end(), s.args.after.begin(), s.args.after.end());
  return all;
}

int missing(Session& s, std::string_view command, std::string_view what, std::string_view accepted) {
  if (s.pm2)
    s.complain_raw("\n  error: missing required argument `" + std::string(what) + "'\n\n");
  else
    s.complain(std::string(command) + ": missing operand; accepted: " + std::string(accepted));
  return s.exit_of(kUsage);
}

// PM2 takes a number alone, of a process in fork mode. "": it may have the line.
std::string pm2_refuses(Session& s, const std::string& word) {
  if (!is_digits(word)) return "Process with ID <" + printable(word) + "> unknown.";
  auto reply = s.ask(api::kList, Map{{"detail", "table"}, {"cwd", s.caller.cwd}}, Need::started);
  if (!reply) return reply.error().message;
  for (const Value& row : reply->at("apps").list()) {
    if (std::to_string(row.at("id").integer()) != word) continue;
    if (row.at("mode").text() == "cluster") return "Cannot send line to processes in cluster mode";
    return api::is_online(row.at("status").text()) ? "" : "Process with ID <" + word + "> offline.";
  }
  return "Process with ID <" + word + "> unknown.";
}

int send(Session& s) {
  const std::vector<std::string> words = operands(s);
  if (words.size() < 2) return missing(s, "send", "line", "<app> <line>");
  if (words.size() > 2 && !s.pm2) {
    s.complain("send: found " + std::to_string(words.size()) +
               " operands; accepted: <app> <line>, a line with blanks in quotes");
    return kUsage;
  }
  if (s.pm2) {
    if (const std::string why = pm2_refuses(s, words[0]); !why.empty()) {
      s.complain("Error: " + why);
      return kFailed;
    }
  }
  auto reply =
      s.ask(api::kStdin, Map{{"targets", List{words[0]}}, {"cwd", s.caller.cwd}, {"text", words[1] + "\n"}},
            Need::existing);
  if (!reply) return s.fail(reply.error());
  if (!s.pm2) return show_groups(s, "send", *reply) ? kDone : kFailed;
  bool good = true;
  for (const Value& o : reply->at("results").list()) {
    if (o.at("ok").boolean()) continue;
    s.complain("Error: Process with ID <" + words[0] + "> " + printable(o.at("error").text()) + ".");
    good = false;
  }
  if (good) show_list(s);
  return good ? kDone : kFailed;
}

int attach(Session& s) {
  if (s.pm2 && !is_digits(s.args.words[0])) {
    s.complain_raw("pm_id must be a process number (not a process name)\n");
    return kFailed;
  }
  return attach_to(s, s.args.words[0], s.args.words.size() > 1 ? s.args.words[1] : "\n");
}

std::string who(const Value& m) {
  return printable(m.at("name").text()) + " (" + std::to_string(m.at("id").integer()) + ")";
}

std::string text_of(const Value& v) { return printable(v.is<std::string>() ? v.text() : ipc::to_json(v)); }

void show_item(Session& s, const std::string& action, const Value& item) {
  const std::string& kind = item.at("kind").text();
  if (kind == "asked") {
    if (s.pm2 && item.at("asked").integer() > 0)
      s.say(std::to_string(item.at("asked").integer()) + " processes have received command " +
            printable(action) + "\n");
  } else if (kind == "reply") {
    const std::string json = printable(ipc::to_json(item.at("return")));
    s.say(s.pm2 ? "[" + printable(item.at("name").text()) + ":" + std::to_string(item.at("id").integer()) +
                      ":" + printable(item.at("namespace").text()) + "]=" + json + "\n"
                : who(item) + ": " + json + "\n");
  } else if (kind == "stream") {
    s.say(who(item) + " | " + text_of(item.at("data")) + "\n");
  }
  s.flush();
}

Result<Value> ask_action(Session& s, const std::string& target, const std::string& action, Value params) {
  // PM2 waits as long as it takes.
  const Millis limit = s.args.timeout ? *s.args.timeout : s.pm2 ? Millis{} : kPatience;
  const bool shown = !s.args.json && action.rfind("internal:", 0) != 0;
  Map request{{"targets", List{target}}, {"cwd", s.caller.cwd},         {"action", action},
              {"timeout", limit.n},      {"params", std::move(params)}, {"stream", shown}};
  std::set<int64_t> seen;
  auto reply = s.ask_long(api::kTrigger, std::move(request), s.pm2 ? Need::started : Need::existing,
                          limit.n > 0 ? limit + kMargin : kForEver, [&](const Value& item) {
                            if (!shown) return;
                            if (item.at("kind").text() == "reply") seen.insert(item.at("id").integer());
                            show_item(s, action, item);
                          });
  if (!reply || !shown) return reply;
  // Where more came at once than is sent in advance.
  int64_t lost = reply->at("dropped").integer();
  for (const Value& r : reply->at("replies").list()) {
    if (seen.count(r.at("id").integer()) != 0) continue;
    --lost;
    Map item = r.map();
    item.set("kind", "reply");
    show_item(s, action, item);
  }
  if (lost > 0) {
    s.complain("trigger: " + std::to_string(lost) + " parts of answers came faster than they could be shown");
    reply->as<Map>()->set("ok", false);
  }
  return reply;
}

// Nobody was asked, or some could not be.
void explain(Session& s, const std::string& target, const std::string& action, const Value& reply) {
  const bool none = reply.at("asked").integer() == 0;
  if (s.pm2) {
    const bool number = is_digits(target);
    bool offline = reply.at("refused").list().empty();
    for (const Value& r : reply.at("refused").list()) offline = offline || r.at("code").text() == "offline";
    if (none && number && !reply.at("groups").list().empty() &&
        !reply.at("groups").list()[0].at("error").is_null())
      return s.complain_raw(target + " id unknown\n");
    if (none && number && !reply.at("refused").list().empty())
      return s.complain_raw("Action doesn't exist " + printable(action) + " for " +
                            printable(reply.at("refused").list()[0].at("name").text()) + "\n");
    if (none) return s.complain_raw("Not any process has received a command (offline or unexistent)\n");
  } else {
    for (const Value& g : reply.at("groups").list())
      if (!g.at("error").is_null()) s.complain(printable(g.at("error").text()));
    for (const Value& r : reply.at("refused").list())
      if (none || r.at("code").text() == "deaf")
        s.complain(who(r) + " " +
                   (r.at("code").text() == "no_action" ? "has no action " + printable(action)
                                                       : printable(r.at("error").text())));
  }
  for (const Value& r : reply.at("silent").list()) s.complain(who(r) + " " + printable(r.at("error").text()));
}

int trigger(Session& s) {
  const std::vector<std::string> words = operands(s);
  if (words.size() < 2) return missing(s, "trigger", "action_name", "<app> <action> [value]");
  auto reply = ask_action(s, words[0], words[1], words.size() > 2 ? Value(words[2]) : Value());
  if (!reply) return s.fail(reply.error());
  if (s.args.json) s.print(ipc::to_json(*reply) + "\n");
  explain(s, words[0], words[1], *reply);
  if (reply->at("ok").boolean()) return kDone;
  const List& silent = reply->at("silent").list();
  const bool late = std::any_of(silent.begin(), silent.end(),
                                [](const Value& v) { return v.at("error").text() == "did not answer"; });
  return s.exit_of(late ? kUnavailable : kFailed);
}

// PM2's agents open Node's inspector by this action, and close it when it is open.
int inspect(Session& s) {
  constexpr const char* kAction = "internal:inspect";
  const std::string& name = s.args.words[0];
  auto reply = ask_action(s, name, kAction, {});
  if (!reply) return s.fail(reply.error());
  const List& replies = reply->at("replies").list();
  if (s.args.json) s.print(ipc::to_json(*reply) + "\n");
  if (replies.empty()) {
    explain(s, name, kAction, *reply);
    if (s.pm2)
      s.say("Unable to activate inspect mode on " + printable(name) + " !!!\n");
    else
      s.complain("inspect: " + printable(name) + " opens no inspector by itself; tend signal SIGUSR1 " +
                 printable(name) + " opens that of a Node program");
    return s.pm2 ? kDone : kFailed;
  }
  const Value& said = replies[0].at("return");
  const bool off = said.is_null() || (said.is<std::string>() && said.text().empty());
  if (!s.args.json)
    s.say(off ? "Inspect disabled on " + printable(name) + "\n"
              : "Inspect enabled on " + printable(name) + " => go to chrome : chrome://inspect !!!\n");
  return kDone;
}

int no_service(Session& s, std::string_view verb) {
  s.complain(std::string(verb) +
             ": there is no monitoring service to send to; list, describe and jlist show what is measured");
  return kFailed;
}

int monitor(Session& s) { return no_service(s, "monitor"); }
int unmonitor(Session& s) {
  if (!s.args.words.empty()) return no_service(s, "unmonitor");
  s.complain("Please specify an <app_name|pm_id>");
  return s.exit_of(kUsage);
}

constexpr Command kCommands[] = {
    {"send", "", "Talking", "<app> <line>", "Write a line to the standard input of an app.", send, 1},
    {"attach", "", "Talking", "<app> [separator]",
     "Show what a process prints, and give it what is typed, to its end of file.", attach, 1},
    {"trigger", "", "Talking", "<app> <action> [value]",
     "Have an app do an action that it announced, and show its answer.", trigger, 1},
    {"inspect", "", "Talking", "<app>", "Switch the inspector of an app with PM2's agent.", inspect, 1},
    {"monitor", "", "Talking", "[app]", "Of PM2's company: there is no such service here.", monitor},
    {"unmonitor", "", "Talking", "[app]", "The same.", unmonitor},
};

}  // namespace

std::span<const Command> talk_commands() { return kCommands; }

}  // namespace tend::cli
