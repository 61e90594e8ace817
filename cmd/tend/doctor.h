// tend doctor: what keeps apps from running, or from coming back.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "cmd/tend/session.h"
#include "core/model/value.h"

namespace tend::cli {

enum class Verdict : uint8_t { ok, warn, fail };

struct Finding {
  std::string_view check;
  Verdict verdict = Verdict::ok;
  std::string text;
  std::string fix;  // what to type; "" with ok
};
using Findings = std::vector<Finding>;

int doctor(Session& s);

// doctor_home.cpp: the daemon, the home, and the apps in both.
void check_daemon(Session& s, Findings& out);
void check_home(const Session& s, Findings& out);
void check_apps(Session& s, Findings& out);
// doctor_machine.cpp: the boot file, PM2, the kernel's limits.
void check_boot(Session& s, Findings& out);
void check_pm2(const Session& s, Findings& out);
void check_limits(Session& s, Findings& out);
void check_clock(const Session& s, Findings& out);
void check_node(const Session& s, Findings& out);

// The file of that name in a PATH; "" when there is none (boot_commands.cpp).
std::string found_in(std::string_view path, std::string_view program);

}  // namespace tend::cli
