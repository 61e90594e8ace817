// `npm start` and its like: the program behind the name of a package.json script, so that it is the app
// itself that is started, signalled and clustered, and not a runner that forks it.
#pragma once

#include <string>

#include "core/config/config.h"

namespace tend::config {

enum class Unwrapped : uint8_t {
  no_runner,  // the script is none of npm, yarn, pnpm with `start` or `run NAME`; nothing is known of it
  replaced,   // script, args, node_args and env are those of the program
  too_much,   // the entry is more than one plain command; `entry` is its text
};

// REQUIRES: spec.cwd is absolute. Looks at cwd's package.json only. Env is npm's: node_modules/.bin first in
// PATH, npm_lifecycle_event, npm_package_name …; what the app's own env gives wins, but for PATH.
Unwrapped unwrap_package_script(AppSpec& spec, const Context& context, std::string& entry);

}  // namespace tend::config
