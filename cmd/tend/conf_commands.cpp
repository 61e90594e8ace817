// set, get, unset, multiset, conf: settings that outlive the daemon.
#include "cmd/pm2/personality.h"
#include "cmd/render/inspect.h"
#include "cmd/tend/child_linux.h"
#include "cmd/tend/command.h"
#include "cmd/tend/conf_store.h"
#include "core/base/text.h"
#include "core/model/api.h"
#include "ipc/msgpack.h"

namespace tend::cli {
namespace {

std::string value_text(const Value& v) { return v.is<std::string>() ? v.text() : ipc::to_json(v); }

// A module's lines, in a form that can be pasted back. Settings without a module have no such line in PM2.
void show_module(Session& s, const std::string& module, const Value& settings) {
  if (!settings.is<Map>()) {
    if (!s.pm2) s.print("tend set " + printable(module) + " " + printable(value_text(settings)) + "\n");
    return;
  }
  if (s.pm2) s.print("Module: " + printable(module) + "\n");
  for (const auto& [key, value] : settings.map())
    s.print((s.pm2 ? "$ pm2 set " : "tend set ") + printable(module) + ":" + printable(key) + " " +
            printable(value_text(value)) + "\n");
}

int show_all(Session& s, const ConfStore& store) {
  if (s.args.json) {
    s.print(ipc::to_json(store.all()) + "\n");
    return kDone;
  }
  for (const auto& [module, settings] : store.all()) show_module(s, module, settings);
  return kDone;
}

int edit(Session& s) {
  const Home& home = s.home;
  auto store = ConfStore::open(home);
  if (!store) return s.fail(store.error());
  if (auto saved = store->save(); !saved) return s.fail(saved.error());  // there is something to edit
  const char* editor = s.caller.variable("VISUAL");
  if (editor == nullptr) editor = s.caller.variable("EDITOR");
  std::vector<std::string> words = conf_words(editor == nullptr ? "vi" : editor);
  words.push_back(home.settings());
  const auto status = run_child({words, "", "", {}});
  if (!status) return s.fail(status.error());
  return *status == 0 ? kDone : kFailed;
}

// An app of the module's name gets its settings by its environment (compat.md 1.6).
void restart_module(Session& s, const std::string& module) {
  const auto known = s.ask(
      api::kList, Map{{"detail", "brief"}, {"targets", List{module}}, {"cwd", s.caller.cwd}}, Need::existing);
  if (!known || known->at("apps").list().empty()) return;
  const auto done = s.ask(api::kAct,
                          Map{{"verb", "restart"},
                              {"targets", List{module}},
                              {"cwd", s.caller.cwd},
                              {"cause", s.caller.cause()},
                              {"update_env", true},
                              {"env", s.caller.env_value()}},
                          Need::existing);
  const std::string text = "Module " + printable(module) + " restarted";
  if (done) s.say(s.pm2 ? pm2::plain(text, s.colour()) : text + "\n");
}

int refuse_key(Session& s, const std::string& key) {
  s.complain("setting: found \"" + printable(key) + "\"; accepted: name, module:name or module.name");
  return s.exit_of(kUsage);
}

int set_one(Session& s, ConfStore& store, const std::string& key, const std::string& value) {
  const auto path = conf_path(key);
  if (path.empty()) return refuse_key(s, key);
  store.set(path, value);
  if (auto saved = save_settings(s, store); !saved) return s.fail(saved.error());
  return kDone;
}

int set(Session& s) {
  if (s.args.words.empty()) return edit(s);
  const std::string& key = s.args.words[0];
  std::string value;
  for (std::size_t i = 1; i < s.args.words.size(); ++i) value += (i > 1 ? " " : "") + s.args.words[i];
  if (s.args.words.size() < 2) {
    s.complain("set " + printable(key) + ": the value is missing");
    return s.exit_of(kUsage);
  }
  auto store = ConfStore::open(s.home);
  if (!store) return s.fail(store.error());
  if (const int status = set_one(s, *store, key, value); status != kDone) return status;
  const auto path = conf_path(key);
  if (s.pm2 && path.size() == 1) return show_all(s, *store);
  s.say(s.pm2 ? pm2::plain("Setting changed", s.colour())
              : printable(key) + " is " + printable(value) + "\n");
  if (path.size() > 1) restart_module(s, path[0]);
  if (s.pm2) show_module(s, path[0], store->get({path[0]}));
  return kDone;
}

int get(Session& s) {
  const auto store = ConfStore::open(s.home);
  if (!store) return s.fail(store.error());
  const std::string key = s.args.words.empty() ? "all" : s.args.words[0];
  if (key == "all") return show_all(s, *store);
  const auto path = conf_path(key);
  if (path.empty()) return refuse_key(s, key);
  const Value& value = store->get(path);
  if (value.is_null()) {
    if (!s.pm2) s.complain("no setting " + printable(key));
    return kFailed;
  }
  if (!s.pm2) {
    value.is<Map>() ? show_module(s, key, value) : s.print(printable(value_text(value)) + "\n");
  } else if (path.size() > 1) {
    s.print("Value for module " + printable(path[0]) + " key " + printable(path[1]) + ": " +
            printable(value_text(value)) + "\n");
  } else if (value.is<Map>()) {
    show_module(s, key, value);
    s.print("Modules configuration. Copy/Paste line to edit values.\n");
  }
  return kDone;
}

int multiset(Session& s) {
  std::vector<std::string> words;
  for (const auto& word : s.args.words)
    for (auto& part : conf_words(word)) words.push_back(std::move(part));
  if (words.size() % 2 != 0) {
    s.complain("multiset: found " + std::to_string(words.size()) +
               " words; accepted: pairs of key and value");
    return s.exit_of(kUsage);
  }
  auto store = ConfStore::open(s.home);
  if (!store) return s.fail(store.error());
  for (std::size_t i = 0; i < words.size(); i += 2)
    if (conf_path(words[i]).empty()) return refuse_key(s, words[i]);
  for (std::size_t i = 0; i < words.size(); i += 2) store->set(conf_path(words[i]), words[i + 1]);
  if (auto saved = save_settings(s, *store); !saved) return s.fail(saved.error());
  const auto path = conf_path(words.empty() ? "" : words[0]);
  if (path.size() > 1) {
    restart_module(s, path[0]);
    show_module(s, path[0], store->get({path[0]}));
  }
  return kDone;
}

int unset(Session& s) {
  auto store = ConfStore::open(s.home);
  if (!store) return s.fail(store.error());
  const std::string& key = s.args.words[0];
  const auto path = conf_path(key);
  if (path.empty()) return refuse_key(s, key);
  bool there = true;
  key == "all" ? store->clear() : void(there = store->unset(path));
  if (auto saved = save_settings(s, *store); !saved) return s.fail(saved.error());
  if (s.pm2) return show_all(s, *store);
  if (!there) s.complain("no setting " + printable(key));
  return there ? kDone : kFailed;
}

int conf(Session& s) {
  const auto store = ConfStore::open(s.home);
  return store ? show_all(s, *store) : s.fail(store.error());
}

int config(Session& s) { return s.args.words.size() > 1 ? set(s) : get(s); }

constexpr Command kCommands[] = {
    {"set", "", "Settings", "<key> <value>", "Change a setting of this home; without words, edit them all.",
     set},
    {"get", "", "Settings", "[key]", "A setting, a module's, or all.", get},
    {"multiset", "", "Settings", "<key value>…", "Change several.", multiset, 1},
    {"unset", "", "Settings", "<key|all>", "Forget a setting.", unset, 1},
    {"conf", "", "Settings", "", "All settings.", conf},
    {"config", "", "Settings", "<key> [value]", "get, or set with a value.", config, 1},
};

}  // namespace

std::span<const Command> conf_commands() { return kCommands; }

}  // namespace tend::cli
