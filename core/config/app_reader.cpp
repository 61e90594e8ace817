#include <algorithm>
#include <array>
#include <charconv>

#include "core/base/text.h"
#include "core/config/parts.h"
#include "core/model/options.h"
#include "core/model/words.h"

namespace tend::config {
namespace {

// Names that PM2 keeps in its record and tend has no use for.
constexpr std::array<std::string_view, 13> kKept = {"name_prefix",   "install_url",  "io",
                                                    "username",      "windowsHide",  "windows_hide",
                                                    "write",         "v8",           "event_loop_inspector",
                                                    "disable_trace", "exec_timeout", "kill_retry_time",
                                                    "env_file"};

bool kept(std::string_view key, bool pm2) {
  if (key == "env_file") return pm2;  // PM2 reads no such file
  return key.starts_with("env_") || std::find(kKept.begin(), kKept.end(), key) != kKept.end();
}

// instances: "4," is 4 to PM2, which reads the number that a text begins with; any other text is all CPUs.
Value parse_int(const Value& v) {
  const std::string_view text = trim(v.text());
  int64_t n = 0;
  std::from_chars(text.data(), text.data() + text.size(), n);
  return n;
}

void lay_over(Env& env, const Env& above) {
  for (const auto& [name, value] : above) {
    const auto same =
        std::find_if(env.begin(), env.end(), [&n = name](const auto& e) { return e.first == n; });
    if (same != env.end()) {
      same->second = value;
    } else {
      env.emplace_back(name, value);
    }
  }
}

class Reader {
 public:
  Reader(const Entry& entry, const Document& document, const std::string& file, const Context& context,
         std::vector<Problem>& problems)
      : entry_(entry), document_(document), file_(file), context_(context), problems_(problems) {}

  AppSpec run() {
    const auto* map = entry_.app->as<Map>();
    if (map == nullptr) {
      add(true, "", "found " + std::string(entry_.app->type_name()) + "; accepted: an object",
          "No script path - aborting");
      return {};
    }
    for (const auto& [key, value] : *map) field(key, value);
    if (spec_.name.empty() && !entry_.key.empty()) {
      spec_.name = entry_.key;
      spec_.given.set(index_of(*find_option("name")));
    }
    environment();
    if (!extra_.empty()) spec_.extra = std::move(extra_);
    return std::move(spec_);
  }

 private:
  void add(bool fatal, const std::string& key, const std::string& what, std::string pm2_text) {
    int line = document_.line(entry_.path + '/' + key);
    if (line == 0) line = document_.line(entry_.path);
    std::string message =
        file_ + (line == 0 ? "" : ':' + std::to_string(line)) + ": " + app_label(entry_) + ": ";
    if (!key.empty()) message += printable(key.substr(0, 80)) + ": ";
    problems_.push_back({fatal, message + what, std::move(pm2_text)});
  }

  void field(const std::string& key, const Value& value) {
    if (kept(key, context_.pm2)) {
      extra_.set(key, value);
      return;
    }
    const OptionRow* row = find_option(key);
    if (row == nullptr) {
      if (!context_.pm2 && key != "deploy" && key != "static") unknown(key);
      return;
    }
    if (value.is_null()) return;
    const bool pm2_count = context_.pm2 && row->key == "instances" && value.is<std::string>();
    const auto done = assign(spec_, *row, pm2_count ? parse_int(value) : value);
    if (done) return;
    // PM2 lets texts pass as some booleans ("pmx") and does nothing with them.
    if (context_.pm2 && std::holds_alternative<bool AppSpec::*>(row->slot)) return;
    add(true, key, "found " + done.error().found + "; accepted: " + done.error().accepted, "");
  }

  void unknown(const std::string& key) {
    const std::string_view near = nearest_option(key);
    add(false, key, near.empty() ? "unknown field" : "unknown field; nearest: " + std::string(near), "");
  }

  void environment() {
    const OptionRow& row = *find_option("env");
    const bool own = spec_.given[index_of(row)];
    if (!context_.env_name.empty()) {
      const Value& deployed = document_.root.at("deploy").at(context_.env_name).at("env");
      if (deployed.is<Map>()) below(row, deployed);
      const std::string key = "env_" + context_.env_name;
      const Value* above = extra_.find(key);
      if (above == nullptr) above = entry_.app->map().find(key);
      if (above == nullptr || above->is_null()) {
        add(false, key, "not defined",
            "Environment [" + printable(context_.env_name) + "] is not defined in process file");
      } else if (AppSpec other; auto done = assign(other, row, *above)) {
        lay_over(spec_.env, other.env);
        spec_.given.set(index_of(row));
      } else {
        add(true, key, "found " + done.error().found + "; accepted: " + done.error().accepted, "");
      }
    }
    if (spec_.port != 0 && own) lay_over(spec_.env, {{"PORT", std::to_string(spec_.port)}});
  }

  // deploy.<name>.env lies below the app's own.
  void below(const OptionRow& row, const Value& deployed) {
    AppSpec other;
    if (!assign(other, row, deployed)) return;
    lay_over(other.env, spec_.env);
    spec_.env = std::move(other.env);
    spec_.given.set(index_of(row));
  }

  const Entry& entry_;
  const Document& document_;
  const std::string& file_;
  const Context& context_;
  std::vector<Problem>& problems_;
  AppSpec spec_;
  Map extra_;
};

}  // namespace

AppSpec read_app(const Entry& entry, const Document& document, const std::string& file,
                 const Context& context, std::vector<Problem>& problems) {
  return Reader(entry, document, file, context, problems).run();
}

}  // namespace tend::config
