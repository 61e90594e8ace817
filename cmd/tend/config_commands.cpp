// check and generate.
#include "cmd/tend/command.h"
#include "cmd/tend/generate.h"
#include "cmd/tend/masking.h"
#include "cmd/tend/schema.h"
#include "core/base/text.h"
#include "core/model/options.h"
#include "ipc/msgpack.h"

namespace tend::cli {
namespace {

int check(Session& s) {
  const std::string& path = s.args.words[0];
  const config::Loaded loaded = config::load_file(path, s.context());
  bool good = !loaded.failed;
  for (const auto& problem : loaded.problems) good = good && !problem.fatal;
  if (s.args.json) {
    List apps, problems;
    for (const AppSpec& spec : loaded.apps) apps.push_back(to_value(spec));
    for (const auto& problem : loaded.problems)
      problems.push_back(Map{{"fatal", problem.fatal}, {"message", problem.message}});
    s.print(ipc::to_json(for_output(s, Map{{"file", path},
                                           {"ok", good},
                                           {"apps", std::move(apps)},
                                           {"problems", std::move(problems)}})) +
            "\n");
    return good ? kDone : kFailed;
  }
  for (const auto& problem : loaded.problems)
    s.complain((problem.fatal ? "" : "warning: ") + problem.message);
  if (good)
    s.say(printable(path) + ": " + std::to_string(loaded.apps.size()) + " app" +
          (loaded.apps.size() == 1 ? "" : "s") + ", good\n");
  return good ? kDone : kFailed;
}

int generate(Session& s) {
  const std::string& what = s.args.words[0];
  const bool completion = what == "completion" && (s.args.words.size() < 2 || s.args.words[1] == "bash");
  if (what != "man" && !completion) {
    s.complain("generate: found " + printable(what) + "; accepted: man, completion bash");
    return s.exit_of(kUsage);
  }
  s.print(completion ? generate_bash_completion(s.pm2 ? "pm2" : "tend") : generate_man());
  return kDone;
}

int schema(Session& s) {
  s.print(ipc::to_json(ecosystem_schema(), 2) + "\n");
  return kDone;
}

constexpr Command kCommands[] = {
    {"schema", "", "Files", "", "Print the JSON schema of files of apps, for editors.", schema},
    {"check", "", "Files", "<file>", "Read a file of apps and tell what is wrong with it.", check, 1},
    {"generate", "", "Files", "man|completion bash", "Print the manual page or the shell's completion.",
     generate, 1},
};

}  // namespace

std::span<const Command> config_commands() { return kCommands; }

}  // namespace tend::cli
