// Which file answers a path. All that is decided is here; what is opened comes by Tree.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "cmd/serve/settings.h"
#include "cmd/serve/tree.h"

namespace tend::serve {

struct Resolved {
  enum class Kind : uint8_t { file, listing, redirect, error } kind = Kind::error;
  int status = 404;
  Opened opened;              // file, or the folder to list
  std::string name;           // path below the root, for type and caching; a folder's ends in a slash
  std::string encoding = "";  // of the sibling that is sent instead: "br", "gzip"
  bool varies = false;        // there are such siblings
  std::string location;       // redirect: a path, encoded
};

// `accepted` are bits of Encoding.
Resolved resolve(const Tree& tree, const Settings& settings, std::string_view raw_path, uint8_t accepted);

}  // namespace tend::serve
