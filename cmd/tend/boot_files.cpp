#include "cmd/tend/boot_files.h"

#include <cstdint>
#include <cstdio>
#include <utility>

#include "cmd/tend/boot_forms.h"

namespace tend::cli {
namespace {

struct Platform {
  std::string_view word, init;
};
constexpr Platform kPlatforms[] = {
    {"systemd", "systemd"},
    {"ubuntu", "systemd"},
    {"centos", "systemd"},
    {"arch", "systemd"},
    {"oracle", "systemd"},
    {"upstart", "upstart"},
    {"ubuntu12", "upstart"},
    {"ubuntu14", "upstart"},
    {"systemv", "systemv"},
    {"amazon", "systemv"},
    {"centos6", "systemv"},
    {"openrc", "openrc"},
    {"launchd", "launchd"},
    {"macos", "launchd"},
    {"darwin", "launchd"},
    {"rcd", "rcd"},
    {"freebsd", "rcd"},
    {"openbsd", "rcd-openbsd"},
    {"rcd-openbsd", "rcd-openbsd"},
    {"smf", "smf"},
    {"sunos", "smf"},
    {"solaris", "smf"},
};

// For a double-quoted string of sh that holds single-quoted words.
std::string shell_word(std::string_view text) {
  std::string out = "'";
  for (const char c : text) {
    if (c == '\'')
      out += "'\\\\''";
    else if (c == '"' || c == '$' || c == '`' || c == '\\')
      (out += '\\') += c;
    else
      out += c;
  }
  return out + "'";
}

// As it is where it is plain: these commands are shown to people.
std::string path_word(const std::string& path) {
  std::string quoted = "'";
  bool plain = true;
  for (const char c : path) {
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    plain = plain && (letter || std::string_view("/._-@:+,=").find(c) != std::string_view::npos);
    quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
  }
  return plain ? path : quoted + "'";
}

std::string xml(std::string_view text) {
  std::string out;
  for (const char c : text)
    out += c == '&' ? "&amp;" : c == '<' ? "&lt;" : c == '>' ? "&gt;" : std::string(1, c);
  return out;
}

// FNV-1a: two homes with the same last folder still get two names.
std::string short_hash(std::string_view text) {
  uint32_t h = 2166136261u;
  for (const char c : text) h = (h ^ static_cast<unsigned char>(c)) * 16777619u;
  char hex[9];
  std::snprintf(hex, sizeof hex, "%08x", h);
  return hex;
}

std::string service_name(const BootPlan& plan) {
  if (!plan.service.empty()) return plan.service;
  const bool underscore = plan.init == "rcd" || plan.init == "rcd-openbsd" || plan.init == "smf";
  const char joint = plan.init == "launchd" ? '.' : underscore ? '_' : '-';
  std::string out = plan.name;
  if (plan.init != "openrc" && !plan.user_manager) (out += joint) += plan.user;
  if (plan.default_home) return out;
  out += joint;
  for (const char c : plan.home.dir.substr(plan.home.dir.rfind('/') + 1)) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    if (plain) out += c;
  }
  return (out += joint) + short_hash(plan.home.dir);
}

std::string filled(std::string_view form,
                   const std::vector<std::pair<std::string_view, std::string>>& words) {
  std::string out;
  while (!form.empty()) {
    const auto at = form.find('@');
    out += form.substr(0, at);
    if (at == std::string_view::npos) break;
    form.remove_prefix(at);
    bool known = false;
    for (const auto& [word, value] : words) {
      if (!form.starts_with(word)) continue;
      out += value;
      form.remove_prefix(word.size());
      known = true;
      break;
    }
    if (!known) {
      out += '@';
      form.remove_prefix(1);
    }
  }
  return out;
}

// systemd replaces no variable in the program itself; "@": the word that follows is argv[0].
std::string exec_words(const BootPlan& plan) {
  const bool other = plan.program.substr(plan.program.rfind('/') + 1) != plan.name;
  return (other ? "@" : "") + unit_word(plan.program, true) + (other ? " " + plan.name : "");
}

}  // namespace

std::string unit_word(std::string_view text, bool variable) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\')
      (out += '\\') += c;
    else if (c == '%')
      out += "%%";
    else if (c == '$' && !variable)
      out += "$$";
    else if (static_cast<unsigned char>(c) < 0x20) {
      char hex[5];
      std::snprintf(hex, sizeof hex, "\\x%02x", static_cast<unsigned>(static_cast<unsigned char>(c)));
      out += hex;
    } else
      out += c;
  }
  return out + "\"";
}

std::string_view init_of(std::string_view platform) {
  for (const Platform& p : kPlatforms)
    if (p.word == platform) return p.init;
  return {};
}

std::vector<InitTool> init_tools() {
  return {{"systemctl", "systemd"}, {"update-rc.d", "upstart"}, {"chkconfig", "systemv"},
          {"rc-update", "openrc"},  {"launchctl", "launchd"},   {"sysrc", "rcd"},
          {"rcctl", "rcd-openbsd"}, {"svcadm", "smf"}};
}

Result<BootFile> boot_file(const BootPlan& plan) {
  const std::string service = service_name(plan);
  const std::string variable = plan.home.pm2 ? "PM2_HOME" : "TEND_HOME";
  const std::string home = variable + "=" + plan.home.dir;
  const std::string network = plan.wait_ip ? "network-online.target" : "network.target";
  const std::string target = plan.user_manager ? "default.target" : "multi-user.target";
  const std::string what = std::string(plan.home.pm2 ? "PM2 process manager" : "tend process manager") +
                           (plan.default_home ? "" : ", home " + plan.home.dir);
  std::string percent_free;
  for (const char c : what) percent_free += c == '%' ? std::string("%%") : std::string(1, c < ' ' ? '?' : c);
  const std::vector<std::pair<std::string_view, std::string>> words = {
      {"@WHAT@", percent_free},
      {"@NETWORK@", network},
      {"@WANTS@", plan.wait_ip ? "Wants=network-online.target\n" : ""},
      {"@USER@", plan.user_manager ? "" : "User=" + plan.user + "\n"},
      {"@PATH@", unit_word("PATH=" + plan.path, true)},
      {"@HOME@", unit_word(home, true)},
      {"@EXEC@", exec_words(plan)},
      {"@TARGET@", target},
      {"@RAWUSER@", plan.user},
      {"@SHPATH@", shell_word(plan.path)},
      {"@SHHOME@", variable + "=" + shell_word(plan.home.dir)},
      {"@SHPROGRAM@", shell_word(plan.program)},
      {"@RAWPROGRAM@", plan.program},
      {"@NAME@", plan.name},
      {"@SERVICE@", service},
      {"@HOMEVAR@", variable},
      {"@XSERVICE@", xml(service)},
      {"@XUSER@", xml(plan.user)},
      {"@XPROGRAM@", xml(plan.program)},
      {"@XPATH@", xml(plan.path)},
      {"@XHOME@", xml(plan.home.dir)},
  };
  BootFile f;
  f.service = service;
  if (plan.init == "systemd") {
    const std::string ctl = plan.user_manager ? "systemctl --user" : "systemctl";
    f.path = (plan.user_manager ? plan.user_home + "/.config/systemd/user/" : "/etc/systemd/system/") +
             service + ".service";
    f.text = filled(boot_form(plan.init), words);
    f.enable = {ctl + " enable " + service};
    f.disable = {ctl + " stop " + service, ctl + " disable " + service, "rm " + path_word(f.path)};
  } else if (plan.init == "openrc") {
    f.path = "/etc/init.d/" + service;
    f.text = filled(boot_form(plan.init), words);
    f.mode = 0755;
    f.enable = {"chmod +x " + f.path, "rc-update add " + service + " default"};
    f.disable = {f.path + " stop", "rc-update delete " + service + " default", "rm " + path_word(f.path)};
  } else if (plan.init == "launchd") {
    f.path = plan.user_home + "/Library/LaunchAgents/" + service + ".plist";
    f.text = filled(boot_form(plan.init), words);
    f.enable = {"mkdir -p " + path_word(plan.user_home + "/Library/LaunchAgents"),
                "launchctl load -w " + path_word(f.path)};
    f.disable = {"launchctl remove " + service + " || true", "rm " + path_word(f.path)};
  } else if (plan.init == "rcd") {
    f.path = "/usr/local/etc/rc.d/" + service;
    f.text = filled(boot_form(plan.init), words);
    f.mode = 0755;
    f.enable = {"chmod 755 " + f.path, "sysrc " + service + "_enable=YES"};
    f.disable = {"sysrc -x " + service + "_enable || true", "rm " + path_word(f.path)};
  } else if (plan.init == "rcd-openbsd") {
    f.path = "/etc/rc.d/" + service;
    f.text = filled(boot_form(plan.init), words);
    f.mode = 0755;
    f.enable = {"chmod 755 " + f.path, "rcctl enable " + service, "rcctl start " + service};
    f.disable = {"rcctl stop " + service, "rcctl disable " + service, "rm " + path_word(f.path)};
  } else if (plan.init == "upstart" || plan.init == "systemv") {
    f.path = "/etc/init.d/" + service;
    f.text = filled(boot_form(plan.init), words);
    f.mode = 0755;
    if (plan.init == "upstart") {
      f.enable = {"chmod +x " + f.path, "update-rc.d " + service + " defaults"};
      f.disable = {"update-rc.d " + service + " disable", "update-rc.d -f " + service + " remove",
                   "rm " + path_word(f.path)};
    } else {
      f.enable = {"chmod +x " + f.path, "chkconfig --add " + service, "chkconfig " + service + " on"};
      f.disable = {"chkconfig " + service + " off", "rm " + path_word(f.path)};
    }
  } else {
    return fail("startup: found " + plan.init +
                "; accepted: systemd, openrc, launchd, rcd, rcd-openbsd, upstart, systemv");
  }
  return f;
}

}  // namespace tend::cli
