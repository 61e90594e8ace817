// Where one daemon keeps its things (settled: $TEND_HOME else ~/.tend; as pm2: $PM2_HOME else ~/.pm2). Pure
// names, but for those of the socket and the lock, which may lie elsewhere.
#pragma once

#include <cstdint>
#include <string>

#include "core/base/home_place.h"

namespace tend {

inline constexpr char kSafeModeFile[] = "safe-mode";  // in the home, while supervisors die at once

struct Home {
  std::string dir;   // absolute, no trailing slash
  bool pm2 = false;  // the layout of compat.md section 6 for dump and log names

  std::string socket() const { return place_of(dir) + "/tend.sock"; }
  std::string lock() const { return place_of(dir) + "/lock"; }
  std::string daemon_log() const { return dir + (pm2 ? "/pm2.log" : "/tend.log"); }
  std::string journal() const { return dir + "/journal"; }
  std::string dump() const { return dir + (pm2 ? "/dump.pm2" : "/dump.json"); }
  std::string settings() const { return dir + "/module_conf.json"; }  // of set and get
  std::string logs() const { return dir + "/logs"; }
  std::string preload() const { return dir + "/run/preload.js"; }
  // Of one app, for NODE_COMPILE_CACHE. What a file name cannot hold becomes '_'.
  std::string compile_cache(const std::string& name_space, const std::string& name) const {
    std::string file = name_space + "-" + name;
    for (char& c : file) c = c == '/' || c == '\0' ? '_' : c;
    return dir + "/cache/" + file.substr(0, 200);
  }
  std::string history(uint32_t id) const { return dir + "/history/" + std::to_string(id); }
  std::string pids() const { return dir + "/pids"; }
};

}  // namespace tend
