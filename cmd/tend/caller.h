// Who runs the command line, and where.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/base/result.h"
#include "core/model/home.h"
#include "core/model/value.h"

namespace tend::cli {

struct Caller {
  std::string cwd;
  std::string user_home;
  std::string user;          // name of the effective uid, or its number
  std::string command_line;  // for the cause of an event
  std::string program;       // the name that it was called by, absolute; "" when PATH led to it
  std::vector<std::pair<std::string, std::string>> environment;

  const char* variable(std::string_view name) const;  // nullptr when not set
  std::string cause() const;                          // "user root: pm2 restart api"
  Value env_value() const;  // what apps inherit: without the marks of a parent's channels
};

Caller look_around(const std::vector<std::string>& argv);
// $TEND_HOME else ~/.tend; as pm2 $PM2_HOME else ~/.pm2 (settled 12).
Home home_of(const Caller& caller, bool pm2);
// Names that belong to a parent's descriptors and would mislead whoever inherits them.
bool inherited_mark(std::string_view name);

}  // namespace tend::cli
