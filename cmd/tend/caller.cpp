#include "cmd/tend/caller.h"

#include <fcntl.h>
#include <unistd.h>

#include <climits>

#include "cmd/render/mask.h"
#include "core/base/text.h"
#include "core/base/unique_fd.h"
#include "core/model/env.h"

namespace tend::cli {
namespace {

constexpr std::size_t kMostPasswd = 1u << 20;

// Without getpwuid: it loads libraries, which a static executable must not (settled 14). Empty: not listed
// there.
std::vector<std::string> passwd_entry(uid_t uid) {
  const UniqueFd fd(::open("/etc/passwd", O_RDONLY | O_CLOEXEC));
  std::string text;
  char block[8192];
  ssize_t n = 0;
  while (fd && text.size() < kMostPasswd && (n = ::read(fd.get(), block, sizeof block)) > 0)
    text.append(block, static_cast<std::size_t>(n));
  for (const auto& line : split(text, '\n')) {
    auto fields = split(line, ':');
    if (fields.size() >= 7 && fields[2] == std::to_string(uid)) return fields;
  }
  return {};
}

}  // namespace

const char* Caller::variable(std::string_view name) const {
  const std::string* value = find_variable(environment, name);
  return value == nullptr ? nullptr : value->c_str();
}

std::string Caller::cause() const { return "user " + user + ": " + command_line; }

bool inherited_mark(std::string_view name) {
  return name == "TEND_ID" || name == "NODE_CHANNEL_FD" || name == "NODE_UNIQUE_ID" ||
         name == "NODE_CHANNEL_SERIALIZATION_MODE" || name == "NOTIFY_SOCKET" ||
         name.substr(0, 7) == "LISTEN_";
}

Value Caller::env_value() const {
  Map map;
  for (const auto& [key, value] : environment)
    if (!inherited_mark(key)) map.append(key, value);
  return map;
}

Caller look_around(const std::vector<std::string>& argv) {
  Caller caller;
  for (char** entry = ::environ; entry != nullptr && *entry != nullptr; ++entry) {
    const std::string_view text = *entry;
    const auto equals = text.find('=');
    if (equals == std::string_view::npos || equals == 0) continue;
    caller.environment.emplace_back(text.substr(0, equals), text.substr(equals + 1));
  }
  char cwd[PATH_MAX];
  if (::getcwd(cwd, sizeof cwd) != nullptr) caller.cwd = cwd;
  if (const std::string& called = argv[0]; called.find('/') != std::string::npos)
    caller.program = called[0] == '/' ? called : caller.cwd + "/" + called;
  const auto entry = passwd_entry(::geteuid());
  caller.user = entry.empty() ? std::to_string(::geteuid()) : entry[0];
  const char* home = caller.variable("HOME");
  caller.user_home = home != nullptr && *home == '/' ? home : entry.empty() ? std::string() : entry[5];
  // It is shown by why and describe, and stands in the journal.
  for (const auto& word : render::masked_words(argv)) {
    const std::string shown = caller.command_line.empty() ? word.substr(word.rfind('/') + 1) : word;
    caller.command_line += (caller.command_line.empty() ? "" : " ") + printable(shown);
  }
  if (caller.command_line.size() > 512) caller.command_line.resize(512);
  return caller;
}

Home home_of(const Caller& caller, bool pm2) {
  const char* given = caller.variable(pm2 ? "PM2_HOME" : "TEND_HOME");
  std::string dir =
      given != nullptr && *given != '\0' ? given : caller.user_home + (pm2 ? "/.pm2" : "/.tend");
  if (dir[0] != '/') dir = caller.cwd + "/" + dir;
  while (dir.size() > 1 && dir.back() == '/') dir.pop_back();
  return {dir, pm2};
}

}  // namespace tend::cli
