// completion for shells, and what their scripts ask.
#include <sys/stat.h>

#include <algorithm>
#include <filesystem>

#include "cmd/tend/command.h"
#include "cmd/tend/completion.h"
#include "core/base/file.h"
#include "core/base/text.h"
#include "core/model/api.h"

namespace tend::cli {
namespace {

std::string begin_mark(std::string_view program) {
  return "###-begin-" + std::string(program) + "-completion-###\n";
}
std::string end_mark(std::string_view program) {
  return "###-end-" + std::string(program) + "-completion-###\n";
}

std::string users_shell(const Session& s) {
  const char* shell = s.caller.variable("SHELL");
  const std::string_view path = shell == nullptr ? "bash" : shell;
  const std::string name(path.substr(path.rfind('/') + 1));
  return completion_script(name, "x").empty() ? "bash" : name;
}

// What the shell reads at its start. The block asks the program itself, so that it is never out of date.
std::string start_file(const Session& s, const std::string& shell) {
  const std::string& home = s.caller.user_home;
  return shell == "fish" ? home + "/.config/fish/config.fish" : home + "/." + shell + "rc";
}

std::string block(const std::string& shell, std::string_view program) {
  const std::string ask = std::string(program) + " completion " + shell;
  const std::string line = shell == "fish" ? ask + " | source" : "eval \"$(" + ask + ")\"";
  return begin_mark(program) + "command -v " + std::string(program) + " >/dev/null && " + line + "\n" +
         end_mark(program);
}

Status replace(const std::string& path, const std::string& text) {
  struct stat st {};
  const mode_t mode = ::stat(path.c_str(), &st) == 0 ? st.st_mode & 07777 : 0644;
  std::error_code ignored;
  std::filesystem::create_directories(path.substr(0, path.rfind('/')), ignored);
  return replace_file(path, text, mode);
}

int install(Session& s, bool wanted) {
  const std::string program = s.pm2 ? "pm2" : "tend";
  const std::string shell = users_shell(s);
  std::string path = start_file(s, shell);
  std::error_code
      absent;  // dot files are often links into a folder that is kept elsewhere: what they mean is replaced
  const auto real = std::filesystem::canonical(path, absent);
  if (!absent) path = real.string();
  auto read = read_file(path);
  if (!read && read.error().code != ENOENT) return s.fail(read.error());
  std::string text = read ? std::move(*read) : "";
  const auto begin = text.find(begin_mark(program));
  if (begin != std::string::npos) {
    const auto end = text.find(end_mark(program), begin);
    if (end == std::string::npos) {
      s.complain(printable(path) + ": the end of " + program + "'s block is missing; it is left as it is");
      return kFailed;
    }
    text.erase(begin, end + end_mark(program).size() - begin);
  }
  if (wanted) text += (text.empty() || text.back() == '\n' ? "" : "\n") + block(shell, program);
  if (auto ok = replace(path, text); !ok) return s.fail(ok.error());
  s.say((wanted ? "completion is in " : "completion is out of ") + printable(path) + "\n");
  return kDone;
}

int completion(Session& s) {
  const std::string what = s.args.words.empty() ? users_shell(s) : s.args.words[0];
  if (what == "install" || what == "uninstall") return install(s, what == "install");
  const std::string_view program = s.pm2 ? "pm2" : "tend";
  const std::string script = completion_script(what, program);
  if (script.empty()) {
    s.complain("completion: found " + printable(what) + "; accepted: bash, zsh, fish, install, uninstall");
    return s.exit_of(kUsage);
  }
  s.print(begin_mark(program) + script + end_mark(program));
  return kDone;
}

// Silent when anything is wrong: a shell asks at each press of a key.
int complete_line(Session& s) {
  std::vector<std::string> apps;
  if (auto reply = s.ask(api::kList, Map{{"detail", "brief"}, {"cwd", s.caller.cwd}}, Need::existing)) {
    for (const Value& row : reply->at("apps").list())
      for (const char* key : {"name", "namespace"})
        if (std::find(apps.begin(), apps.end(), row.at(key).text()) == apps.end())
          apps.push_back(row.at(key).text());
  }
  const Completion found = complete_words(s.args.after, apps);
  for (const Candidate& c : found.candidates) {
    const std::string text = printable(c.text);
    s.print(c.help.empty() ? text + "\n" : text + "\t" + c.help + "\n");
  }
  if (found.files) s.print(":files\n");
  return kDone;
}

constexpr Command kCommands[] = {
    {"completion", "", "Files", "bash|zsh|fish|install|uninstall",
     "Print the completion of a shell, or put it in the file that your shell reads first.", completion},
    {"__complete", "", "", "", "", complete_line},
};

}  // namespace

std::span<const Command> completion_commands() { return kCommands; }

}  // namespace tend::cli
