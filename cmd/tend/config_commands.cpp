// check, schema, init and generate.
#include <fcntl.h>

#include <cerrno>
#include <cstring>

#include "cmd/tend/command.h"
#include "cmd/tend/generate.h"
#include "cmd/tend/masking.h"
#include "cmd/tend/schema.h"
#include "cmd/tend/templates.h"
#include "core/base/failpoint.h"
#include "core/base/file.h"
#include "core/base/text.h"
#include "core/base/unique_fd.h"
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
      problems.push_back(
          Map{{"fatal", problem.fatal}, {"message", problem.message}, {"pm2", problem.pm2_text}});
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
  const std::string page = s.args.words.size() < 2 ? "" : s.args.words[1];
  if (what == "failpoints" && page.empty()) {  // for the tests
    for (const std::string_view name : failpoints()) s.print(std::string(name) + "\n");
    return kDone;
  }
  const bool man = what == "man" && (page.empty() || page == "ecosystem");
  if (!man) {
    s.complain("generate: found " + printable(page.empty() ? what : what + " " + page) +
               "; accepted: man, man ecosystem");
    return s.exit_of(kUsage);
  }
  s.print(page.empty() ? generate_man() : generate_ecosystem_man());
  return kDone;
}

int schema(Session& s) {
  s.print(ipc::to_json(ecosystem_schema(), 2) + "\n");
  return kDone;
}

// PM2 writes over what is there; tend needs --force for that.
int init(Session& s) {
  const std::string kind = s.args.words.empty() ? "" : s.args.words[0];
  if (!kind.empty() && kind != "simple") {
    s.complain(s.args.command + ": found " + printable(kind) + "; accepted: simple, or nothing");
    return s.exit_of(kUsage);
  }
  const std::string path = s.caller.cwd + "/ecosystem.config.js";
  const std::string text = kind == "simple" ? simple_template() : full_template(s.pm2);
  const int replace = s.pm2 || s.args.force ? O_TRUNC : O_EXCL;
  const UniqueFd fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC | replace, 0644));
  if (!fd) {
    const int code = errno;
    if (code == EEXIST)
      s.complain(printable(path) + " is there already; --force replaces it");
    else
      s.complain(printable(path) + ": " + std::strerror(code));
    return kFailed;
  }
  if (auto done = write_all(fd.get(), text); !done) {
    s.complain(printable(path) + ": " + done.error().message);
    return kFailed;
  }
  s.say("File " + printable(path) + " generated\n");
  return kDone;
}

constexpr Command kCommands[] = {
    {"schema", "", "Files", "", "Print the JSON schema of files of apps, for editors.", schema},
    {"check", "", "Files", "<file>", "Read a file of apps and tell what is wrong with it.", check, 1},
    {"init", "ecosystem", "Files", "[simple]", "Write an ecosystem.config.js to begin with.", init},
    {"generate", "", "Files", "man [ecosystem]", "Print a manual page, with all options.", generate, 1},
};

}  // namespace

std::span<const Command> config_commands() { return kCommands; }

}  // namespace tend::cli
