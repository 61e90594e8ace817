#include "core/supervisor/policy.h"

#include <doctest/doctest.h>

#include <csignal>

using namespace tend;

TEST_CASE("signals are found by name with and without SIG, and by number") {
  CHECK(supervisor::signal_number("SIGUSR2") == SIGUSR2);
  CHECK(supervisor::signal_number("USR2") == SIGUSR2);
  CHECK(supervisor::signal_number("9") == SIGKILL);
  CHECK(supervisor::signal_number("SIGNOPE") == 0);
  CHECK(supervisor::signal_number("0") == 0);
  CHECK(supervisor::signal_number("99999999999") == 0);
  CHECK(supervisor::signal_name(SIGKILL) == "SIGKILL");
}

TEST_CASE("a policy carries the restart options of its spec") {
  AppSpec spec;
  spec.stop_exit_codes = {0, 143};
  spec.kill_signal = "SIGTERM";
  spec.max_restarts = 3;
  spec.ready_timeout = "online";
  const auto p = supervisor::policy_of(spec);
  CHECK(p.stop_signal == SIGTERM);
  CHECK(p.stop_codes.count() == 2);
  CHECK(p.stop_codes.test(143));
  CHECK(p.max_restarts == 3);
  CHECK(p.ready_timeout_is_online);
}

TEST_CASE("a canary that ends is not started again") {
  CHECK(supervisor::policy_of(AppSpec{}).autorestart);
  CHECK_FALSE(supervisor::policy_of(AppSpec{}, true).autorestart);
}

TEST_CASE("every exit code may be a stop code; what is none is left out") {
  AppSpec spec;
  for (int64_t code = -1; code < 300; ++code) spec.stop_exit_codes.push_back(code);
  CHECK(supervisor::policy_of(spec).stop_codes.all());
}
