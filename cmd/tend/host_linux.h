// What the machine is doing, from /proc: for slist and report.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/base/units.h"
#include "core/model/value.h"

namespace tend::cli {

struct HostMetric {
  std::string name;  // as PM2 calls it (compat.md 7.2)
  double value = 0;
  std::string unit;
};

// Takes `window` to measure what is a rate; it sleeps that long.
std::vector<HostMetric> host_metrics(Millis window);

}  // namespace tend::cli
