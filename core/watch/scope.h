// What one app watches, as plain data that the pool's threads read.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/watch/rules.h"

namespace tend::watch {

struct Root {
  std::string path;                // absolute; a folder, a file, or something that is not there yet
  std::optional<Pattern> pattern;  // of a glob: which of the paths below count
};

struct Scope {
  std::vector<Root> roots;
  Rules rules;
  bool follow_links = true;
  bool poll = false;  // look at times and sizes instead of being told

  // Whether a change of `path` is a change of the app.
  bool takes(std::string_view path, bool folder) const;
  // Whether a root is `path`, or may appear below it.
  bool leads_to_root(std::string_view path) const;
};

// A word of the option `watch`: a path or a glob.
Result<Root> root_of(std::string_view word, const std::string& base);

}  // namespace tend::watch
