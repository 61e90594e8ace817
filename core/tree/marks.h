// The marks that an app's processes bear in their environment: TEND_ID=<id>.<spawn>, and whose home they are
// of.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/unique_fd.h"

namespace tend::tree {

// As it stands in the environment of a home's apps: "TEND_HOME=/…" or "PM2_HOME=/…".
std::string home_mark(const std::string& dir, bool pm2);

// Of an environment as the kernel shows it. Empty: it has no TEND_ID.
std::string_view tag_in(std::string_view environment);
bool has_entry(std::string_view environment, std::string_view entry);

struct Marked {
  int pid = 0;
  std::string tag;
  uint64_t start = 0;  // ticks since boot
  UniqueFd pidfd;      // of the very process that bears the marks
};

// Every living process of the home but this one and its parent; reads all of /proc.
std::vector<Marked> marked_processes(std::string_view home_mark);
// Likewise, those whose command line begins with this (words end in NUL); without tags.
std::vector<Marked> processes_titled(std::string_view beginning);

}  // namespace tend::tree
