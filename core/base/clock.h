// The port through which everything learns the time, so that tests can set it.
#pragma once

#include "core/base/units.h"

namespace tend {

class Clock {
 public:
  virtual ~Clock() = default;
  virtual Millis now() const = 0;   // CLOCK_MONOTONIC: comparable between processes of one boot
  virtual Millis wall() const = 0;  // since the epoch, for showing only
};

class SystemClock final : public Clock {
 public:
  Millis now() const override;
  Millis wall() const override;
};

}  // namespace tend
