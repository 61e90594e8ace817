// Why a process was started or ended, in words.
#pragma once

#include <string>
#include <string_view>

#include "core/supervisor/instance.h"

namespace tend::supervisor {

std::string_view cause_word(lifecycle::Cause cause);  // "crash", "heartbeat" …: for programs
std::string cause_text(const Instance& app);  // "killed by SIGKILL", "user root: tend restart api" …

}  // namespace tend::supervisor
