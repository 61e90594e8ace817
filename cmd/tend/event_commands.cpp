// events, message: what happens, and words for an app.
#include <algorithm>

#include "cmd/render/humane.h"
#include "cmd/tend/command.h"
#include "cmd/tend/outcomes.h"
#include "core/base/text.h"
#include "core/model/api.h"
#include "ipc/msgpack.h"

namespace tend::cli {
namespace {

bool asked_for(const Session& s, const Value& event) {
  const std::string id = std::to_string(event.at("id").integer());
  return s.args.words.empty() ||
         std::any_of(s.args.words.begin(), s.args.words.end(), [&](const std::string& word) {
           return word == "all" || word == id || word == event.at("name").text();
         });
}

std::string line_of(const Value& event) {
  std::string line = render::iso_text(Millis{event.at("at").integer()}) + " " +
                     printable(event.at("name").text()) + " (" + std::to_string(event.at("id").integer()) +
                     ") " + printable(event.at("event").text());
  for (const std::string_view key : {"data", "raw"}) {
    if (!event.at(key).is_null()) line += " " + printable(ipc::to_json(event.at(key)));
  }
  return line;
}

int events(Session& s) {
  const Status ended = s.follow(api::kSubscribe, Map{}, [&s](const Value& event) {
    if (!asked_for(s, event)) return true;
    s.print((s.args.json ? ipc::to_json(event) : line_of(event)) + "\n");
    s.flush();
    return true;
  });
  return ended ? kDone : s.fail(ended.error());
}

// JSON as it is meant, anything else as a string.
int message(Session& s) {
  const std::string& text = s.args.words.back();
  const auto parsed = ipc::from_json(text);
  const List targets(s.args.words.begin(), s.args.words.end() - 1);
  auto reply =
      s.ask(api::kMessage,
            Map{{"message", parsed ? *parsed : Value(text)}, {"targets", targets}, {"cwd", s.caller.cwd}},
            Need::existing);
  if (!reply) return s.fail(reply.error());
  return show_groups(s, "message", *reply) ? kDone : kFailed;
}

constexpr Command kCommands[] = {
    {"events", "", "Looking", "[app]…", "What happens and what apps say, as it comes; --json for programs.",
     events},
    {"message", "", "Apps", "<app>… <json|text>", "Say it to Node programs: process.on('message').", message,
     2},
};

}  // namespace

std::span<const Command> event_commands() { return kCommands; }

}  // namespace tend::cli
