// save and resurrect.
#include "cmd/pm2/personality.h"
#include "cmd/tend/command.h"
#include "cmd/tend/outcomes.h"
#include "core/base/text.h"
#include "core/model/api.h"

namespace tend::cli {
namespace {

int save(Session& s) {
  if (s.pm2) s.say(pm2::plain("Saving current process list...", s.colour()));
  auto reply = s.ask(api::kSave, Map{{"force", s.args.force}}, s.pm2 ? Need::started : Need::existing);
  if (!reply) return s.fail(reply.error());
  const std::string path = printable(reply->at("path").text());
  if (reply->at("skipped").boolean()) {
    if (s.pm2) {
      s.say(pm2::warn("PM2 is not managing any process, skipping save...", s.colour()));
      s.say(pm2::warn("To force saving use: pm2 save --force", s.colour()));
    } else {
      s.complain("nothing to save; an empty list is saved with --force");
    }
    return kDone;
  }
  s.say(s.pm2 ? pm2::plain("Successfully saved in " + path, s.colour())
              : "saved " + std::to_string(reply->at("count").integer()) + " in " + path + "\n");
  return kDone;
}

int resurrect(Session& s) {
  if (s.pm2) s.say(pm2::plain("Resurrecting", s.colour()));
  auto reply = s.ask(api::kResurrect, Map{{"cause", s.caller.cause()}, {"env", s.caller.env_value()}},
                     Need::started, Millis{60'000});
  if (!reply) {
    if (s.pm2 && reply.error().code < 0) {  // PM2: no dump is no failure
      s.complain("Failed to read dump file in " + printable(s.home.dump()));
      s.complain("No processes saved; DUMP file doesn't exist");
      return kDone;
    }
    return s.fail(reply.error());
  }
  bool good = true;
  if (s.pm2) {
    s.say(pm2::plain("Restoring processes located in " + printable(reply->at("path").text()), s.colour()));
    for (const Value& o : reply->at("results").list())
      s.say(pm2::plain("Process " + printable(o.at("name").text()) + " restored", s.colour()));
  } else {
    good = show_outcomes(s, *reply);
  }
  show_list(s);
  return good ? kDone : kFailed;
}

constexpr Command kCommands[] = {
    {"save", "dump", "Saving", "", "Save the list of apps for resurrect.", save},
    {"resurrect", "", "Saving", "", "Start what was saved and does not run.", resurrect},
};

}  // namespace

std::span<const Command> persist_commands() { return kCommands; }

}  // namespace tend::cli
