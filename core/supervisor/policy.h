#pragma once

#include "core/lifecycle/instance_machine.h"
#include "core/model/app_spec.h"

namespace tend::supervisor {

// What the machine needs of a spec. Pure. A kill_signal that is no signal's name counts as SIGINT.
// A canary that ends is not started again.
lifecycle::Policy policy_of(const AppSpec& spec, bool canary = false);
// "SIGUSR2", "USR2" or "12" -> 12; 0 when unknown.
int signal_number(std::string_view name);
std::string signal_name(int number);  // "SIGKILL"; "signal 77" when it has no name

}  // namespace tend::supervisor
