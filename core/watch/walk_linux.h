// Walks the trees of a scope and asks inotify to watch their folders. Blocks: for the pool's threads.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

#include "core/watch/scope.h"

namespace tend::watch {

inline constexpr std::size_t kMaxFolders = 500000;
inline constexpr std::size_t kMaxPolled = 200000;  // files that are looked at in turn

struct Mark {
  int wd = 0;
  std::string path;
};

struct Walked {
  std::vector<Mark> marks;  // each before what is in it was read, so nothing between is missed
  std::size_t folders = 0;
  int error = 0;       // of the first folder that could not be watched; ENOSPC: the user's limit is reached
  std::string failed;  // that folder
  bool blind = false;  // a root is on a file system whose changes inotify is not told of
};

// From `from` down: the roots, or folders that have appeared. A root that is not there is watched for at the
// nearest folder that is. `inotify` may be used by the loop meanwhile.
Walked walk(int inotify, const Scope& scope, const std::vector<std::string>& from);

// Path -> a number of what stat says of it.
using Seen = std::unordered_map<std::string, uint64_t>;
Seen look(const Scope& scope);
// A path of which the two tell different things; "": they are the same.
std::string first_difference(const Seen& before, const Seen& after);

}  // namespace tend::watch
