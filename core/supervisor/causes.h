// Why a process was started or ended, in words.
#pragma once

#include <string>
#include <string_view>

#include "core/keeper/client.h"
#include "core/supervisor/instance.h"

namespace tend::supervisor {

std::string_view cause_word(lifecycle::Cause cause);  // "crash", "heartbeat" …: for programs
// Processes, memory or descriptors were lacking: what failed so may succeed later.
bool for_want(int code);
std::string spawn_error_text(const Instance& app, const keeper::Report& report);
// What of it a successor cannot know from the state: the words of an order, who ended it, why it was not
// executed.
std::string Instance::*kept_text(lifecycle::Cause cause);
// "killed by SIGSEGV, core dumped", "exited with code 1": of a wait status.
std::string end_text(int status);
std::string cause_text(const Instance& app);  // "killed by SIGKILL", "user root: tend restart api" …

}  // namespace tend::supervisor
