#include <algorithm>
#include <array>
#include <charconv>
#include <map>

#include "core/base/text.h"
#include "core/config/parts.h"
#include "core/model/env.h"
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
    defaults();
    spelled_.clear();  // whatever its spelling there, an app's own wins
    for (const auto& [key, value] : *map) field(key, value);
    if (!below_.empty()) {  // the defaults' env, of which the app's own wins
      lay_over(below_, spec_.env);
      spec_.env = std::move(below_);
    }
    if (spec_.name.empty() && !entry_.key.empty()) {
      spec_.name = entry_.key;
      spec_.given.set(index_of(*find_option("name")));
    }
    environment();
    if (!extra_.empty()) spec_.extra = std::move(extra_);
    if (!origins_.empty()) spec_.origins = std::move(origins_);
    spec_.typed = std::move(typed_);
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

  // Under tend options beside `apps` hold for every app; PM2 does nothing with them. In package.json they are
  // npm's.
  void defaults() {
    const auto* root = document_.root.as<Map>();
    if (context_.pm2 || root == nullptr || root->find("apps") == nullptr || file_.ends_with("package.json"))
      return;
    for (const auto& [key, value] : *root) {
      const OptionRow* row = find_option(key);
      const bool one_app = row != nullptr && (row->key == "name" || row->key == "script");
      if (key == "apps" || key == "deploy" || key == "static" || key == "$schema" || one_app) continue;
      if (row != nullptr || key == "limits" || key.starts_with("env_")) field(key, value);
    }
    below_ = std::move(spec_.env);
    spec_.env.clear();
    if (!below_.empty()) spec_.given.set(index_of(*find_option("env")));
  }

  void field(const std::string& key, const Value& value) {
    if (kept(key, context_.pm2 && !is_procfile(file_))) {
      extra_.set(key, value);
      if (key == "env_vars" && !context_.pm2)
        add(false, key, "used with --env vars alone; variables for always belong in env", "");
      return;
    }
    if (key == "limits" && value.is<Map>()) {
      for (const auto& [name, limit] : value.map()) field(key + '.' + name, limit);
      return;
    }
    const OptionRow* row = find_option(key);
    if (row == nullptr) {
      if (!context_.pm2 && key != "deploy" && key != "static" && key != "$schema") unknown(key);
      return;
    }
    if (value.is_null()) return;
    if (const auto [known, first] = spelled_.try_emplace(row, key); !first) {
      const bool wins = spelling_rank(*row, key) < spelling_rank(*row, known->second);
      if (!context_.pm2)
        add(false, wins ? known->second : key, "not used; " + (wins ? key : known->second) + " says it", "");
      if (!wins) return;
      known->second = key;
    }
    if (row->key == "filter_env" && filter(value)) return;
    const auto done = assign(spec_, *row, tidied(*row, value));
    if (row->key == "env") note_types(value);
    if (done) return;
    // PM2 lets texts pass as some booleans ("pmx") and does nothing with them.
    if (context_.pm2 && std::holds_alternative<bool AppSpec::*>(row->slot)) return;
    add(true, key, "found " + done.error().found + "; accepted: " + done.error().accepted, "");
  }

  // true: nothing is inherited, which PM2 means and does not do. A text is the name of one variable in PM2,
  // not a part of names. False: as any other.
  bool filter(const Value& value) {
    const OptionRow& row = *find_option("filter_env");
    if (value.boolean() && !context_.pm2) {
      spec_.inherit_env = false;
      spec_.given.set(index_of(*find_option("inherit_env")));
    } else if (value.is<std::string>() && context_.pm2 && !value.text().empty()) {
      spec_.filter_env = {'=' + value.text()};
    } else {
      return false;
    }
    spec_.given.set(index_of(row));
    return true;
  }

  // Spellings that PM2 takes, or that files have which it refuses for them.
  Value tidied(const OptionRow& row, const Value& value) const {
    if (!value.is<std::string>()) return value;
    if (row.key == "instances") {
      if (context_.pm2) return parse_int(value);
      const std::string_view text = trim(value.text());  // JSON that was pasted into YAML: "4,"
      return text.ends_with(',') ? Value(text.substr(0, text.size() - 1)) : value;
    }
    if (row.key == "stop_exit_codes" && !context_.pm2) {
      std::string text = value.text();  // "[0]"
      std::replace_if(
          text.begin(), text.end(), [](char c) { return c == '[' || c == ']'; }, ' ');
      return text;
    }
    return value;
  }

  void unknown(const std::string& key) {
    const std::string_view near = nearest_option(key);
    add(false, key, near.empty() ? "unknown field" : "unknown field; nearest: " + std::string(near), "");
  }

  void environment() {
    const OptionRow& row = *find_option("env");
    if (!context_.env_name.empty()) {
      const Value& deployed = document_.root.at("deploy").at(context_.env_name).at("env");
      if (AppSpec other; deployed.is<Map>() && assign(other, row, deployed))
        above(other, deployed, "deploy." + context_.env_name + ".env");
      const std::string key = "env_" + context_.env_name;
      const Value* named = extra_.find(key);
      if (named == nullptr) named = entry_.app->map().find(key);
      if (named == nullptr || named->is_null()) {
        add(false, key, "not defined",
            "Environment [" + printable(context_.env_name) + "] is not defined in process file");
      } else if (AppSpec other; auto done = assign(other, row, *named)) {
        above(other, *named, key);
      } else {
        add(true, key, "found " + done.error().found + "; accepted: " + done.error().accepted, "");
      }
    }
    if (spec_.port != 0) {
      lay_over(spec_.env, {{"PORT", std::to_string(spec_.port)}});
      origins_.set("PORT", "port");
      typed_.emplace_back("PORT");
      spec_.given.set(index_of(row));
    }
  }

  void note_types(const Value& env) {
    for (const auto& [name, value] : env.map()) {
      std::erase(typed_, name);
      if (!value.is<std::string>()) typed_.push_back(name);
    }
  }

  // Of deploy.<name>.env or env_<name>: over what the app has.
  void above(const AppSpec& other, const Value& given, const std::string& origin) {
    note_types(given);
    lay_over(spec_.env, other.env);
    for (const auto& [name, text] : other.env) origins_.set(name, origin);
    spec_.given.set(index_of(*find_option("env")));
  }

  const Entry& entry_;
  const Document& document_;
  const std::string& file_;
  const Context& context_;
  std::vector<Problem>& problems_;
  AppSpec spec_;
  Map extra_;
  std::map<const OptionRow*, std::string> spelled_;  // as the file has it
  Map origins_;                                      // AppSpec::origins
  StringList typed_;
  Env below_;  // the env of the file's defaults
};

}  // namespace

AppSpec read_app(const Entry& entry, const Document& document, const std::string& file,
                 const Context& context, std::vector<Problem>& problems) {
  return Reader(entry, document, file, context, problems).run();
}

}  // namespace tend::config
