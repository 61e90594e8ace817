// Which instances a word on the command line means (compat.md 1.2). Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"

namespace tend {

struct Target {  // what a selector looks at
  uint32_t id = 0;
  std::string_view name;
  std::string_view name_space;
  std::string_view script;
};

// Resolution order: "all"; /regex/ on names (unanchored; RE2-like safe subset through a linear-time matcher is not
// in Debian's std, so the pattern is at most 256 bytes and matched by std::regex ECMAScript on names of at most 256);
// not a number: name, or absolute path of the word equal to the script, else namespace;
// a number: an app of that name, then a namespace of that name, then the id.
// Ids come in ascending order. Error: nothing matched, or a bad pattern; the message is
// "process or namespace not found: <word>", with the nearest name if one is near (PM2's own words are the renderer's matter).
Result<std::vector<uint32_t>> select(std::string_view word, std::string_view cwd, std::span<const Target> targets);

}  // namespace tend
