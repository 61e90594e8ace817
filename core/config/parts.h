// Inside this room: the steps between a parsed file and a resolved app.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/config/config.h"
#include "core/config/document.h"

namespace tend::config {

// One app of a file, as written.
struct Entry {
  const Value* app = nullptr;
  std::string path;  // "/apps/0", for line numbers
  std::string key;   // its key where apps is an object of apps
};

// Finds the apps in {apps: […]}, {apps: {…}}, {pm2: …}, a list, one app. Error: no such shape.
Result<std::vector<Entry>> app_entries(const Document& document, bool pm2);

// What PM2's validator says about an app, in its words.
std::vector<std::string> pm2_violations(const Map& app);

// Reads the fields, lays env_<name> over env and appends the environment's name. Problems are added; fatal
// ones leave the field at its default. Not resolved.
AppSpec read_app(const Entry& entry, const Document& document, const std::string& file,
                 const Context& context, std::vector<Problem>& problems);

// "app "api"", or by place when it has no name.
std::string app_label(const Entry& entry);
// PM2's default: the script's base name without its extension; a shell line without what follows its last
// dot.
std::string default_name(std::string_view script);

// The interpreter of spec.script, which is absolute: the one given if it is there, else by extension or
// content. May add to node_args.
tl::expected<std::string, Problem> choose_interpreter(AppSpec& spec, const Context& context);
// The PATH that the app will have.
std::string app_path(const AppSpec& spec, const Context& context);

// Log, pid and dotenv paths: defaults made, given ones absolute.
void resolve_paths(AppSpec& spec, const Context& context);

// Sets what resolve computed for a row that the user did not give.
void mark_resolved(AppSpec& spec, std::string_view key);
bool is_given(const AppSpec& spec, std::string_view key);

}  // namespace tend::config
