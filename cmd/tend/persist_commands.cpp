// save, cleardump and resurrect.
#include <sys/stat.h>

#include "cmd/pm2/personality.h"
#include "cmd/tend/command.h"
#include "cmd/tend/outcomes.h"
#include "core/base/file.h"
#include "core/base/text.h"
#include "core/model/api.h"

namespace tend::cli {
namespace {

int save_by_itself(Session& s) {
  const std::string word = s.args.value("auto");
  if (word != "on" && word != "off") {
    s.complain("save: --auto: found \"" + printable(word) + "\"; accepted: on, off");
    return s.exit_of(kUsage);
  }
  auto reply = s.ask(api::kSave, Map{{"auto", word == "on"}}, Need::started);
  if (!reply) return s.fail(reply.error());
  s.say(word == "on" ? "every change of the list is saved from now on\n"
                     : "the list is saved by tend save only\n");
  return kDone;
}

int save(Session& s) {
  if (extra_word(s)) return s.exit_of(kUsage);
  if (s.args.has("auto")) return save_by_itself(s);
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

// The saved list alone: what runs goes on. Needs no daemon.
int clear(Session& s) {
  if (extra_word(s)) return s.exit_of(kUsage);
  const std::string path = s.home.dump();
  ::mkdir(s.home.dir.c_str(), 0700);  // there already, or the next line tells
  if (auto ok = replace_file(path, s.pm2 ? "[]" : "{\"version\": 1, \"apps\": []}\n"); !ok)
    return s.fail(ok.error());
  s.say(s.pm2 ? pm2::plain("Successfully created " + printable(path), s.colour())
              : "saved 0 in " + printable(path) + "\n");
  return kDone;
}

int resurrect(Session& s) {
  if (extra_word(s)) return s.exit_of(kUsage);
  if (s.pm2) s.say(pm2::plain("Resurrecting", s.colour()));
  auto reply = s.ask(api::kResurrect, Map{{"cause", s.caller.cause()}, {"env", s.caller.env_value()}},
                     Need::started, Millis{60'000});
  if (!reply) {
    if (s.pm2 && reply.error().code < 0) {  // PM2: no dump is no failure
      s.complain("Failed to read dump file in " + printable(s.home.dump()));
      s.complain("Failed to read dump file in " + printable(s.home.dump()) + ".bak");
      s.complain("No processes saved; DUMP file doesn't exist");
      return kDone;
    }
    return s.fail(reply.error());
  }
  bool good = true;
  if (s.pm2) {
    s.say(pm2::plain("Restoring processes located in " + printable(reply->at("path").text()), s.colour()));
    for (const Value& o : reply->at("results").list()) {
      const std::string& script = o.at("script").text();
      s.say(pm2::plain("Process " + printable(script.empty() ? o.at("name").text() : script) + " restored",
                       s.colour()));
    }
  } else {
    good = show_outcomes(s, *reply);
  }
  show_list(s);
  return s.status_of(good);
}

constexpr CommandFlag kSaveFlags[] = {
    {"--auto", "<on|off>", "save: save the list by itself whenever it changes, or not any more."}};

constexpr Command kCommands[] = {
    {"save", "dump", "Saving", "", "Save the list of apps for resurrect.", save, 0, kSaveFlags},
    {"cleardump", "", "Saving", "", "Empty the saved list.", clear},
    {"resurrect", "", "Saving", "", "Start what was saved and does not run.", resurrect},
};

}  // namespace

std::span<const Command> persist_commands() { return kCommands; }

}  // namespace tend::cli
