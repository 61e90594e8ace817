// What a keeper knew at its start and a successor cannot find out any more. Travels in the environment of the
// supervisor, which hands it to a keeper that takes a lost one's place.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <string_view>

#include "core/keeper/spawn_linux.h"

namespace tend::keeper {

inline constexpr char kHeritageVariable[] = "TEND_HERITAGE";
// There while another daemon has the home, which was deleted or moved away.
inline constexpr char kLostHomeVariable[] = "TEND_LOST_HOME";

struct Heritage {
  pid_t founder = 0;  // the first keeper: the apps' groups bear its number (core/tree/cgroup.h)
  ChildDefaults defaults;
  pid_t owner = 0;  // the program in the foreground with which the daemon ends; 0: there is none
};

// "1 <founder> <umask, octal> <nofile soft> <nofile hard> <oom_score_adj or -> <owner>"; the first is the
// version. The owner may be missing.
std::string heritage_text(const Heritage& heritage);
// Empty: not of this form.
std::optional<Heritage> read_heritage(std::string_view text);

}  // namespace tend::keeper
