// What brings a home's apps up at boot, for each init system: names, paths, texts and commands, as data.
// Pure: nothing is looked up, written or run here.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"
#include "core/model/home.h"

namespace tend::cli {

struct BootPlan {
  std::string init;       // one of boot_inits()
  std::string user;       // whose daemon it is
  std::string user_home;  // that user's $HOME
  Home home;              // what it serves
  bool default_home =
      true;              // home is where that user's daemon lives anyway: the service's name need not tell
  std::string program;   // absolute
  std::string name;      // "tend" or "pm2": by which the program is to be called
  std::string path;      // PATH of the daemon
  std::string service;   // --service-name; empty: made from the rest
  bool wait_ip = false;  // after the network is configured, not merely there
  bool user_manager = false;  // systemd only: a unit of the user's own manager
};

struct BootFile {
  std::string service;
  std::string path;
  std::string text;
  unsigned mode = 0644;
  std::vector<std::string> enable;   // shell commands
  std::vector<std::string> disable;  // likewise; the last removes the file
};

// "ubuntu" -> "systemd"; "" for an unknown word.
std::string_view init_of(std::string_view platform);
// The tool that tells that an init system is there, in the order of looking.
struct InitTool {
  std::string_view tool, init;
};
std::vector<InitTool> init_tools();

// Error: this init system is recognised, and has no file here.
Result<BootFile> boot_file(const BootPlan& plan);

// `text` as one word of a systemd unit: quoted, with %, \ and " escaped; `variable`: $ stays as it is, as in
// Environment=.
std::string unit_word(std::string_view text, bool variable = false);

}  // namespace tend::cli
