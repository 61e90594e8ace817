// The port of the daemon's own log. The spdlog adapter lives in core/supervisor/log_spdlog.cpp.
#pragma once

#include <string_view>

namespace tend {

class Log {
 public:
  virtual ~Log() = default;
  virtual void info(std::string_view line) = 0;
  virtual void warn(std::string_view line) = 0;
  virtual void error(std::string_view line) = 0;
};

}  // namespace tend
