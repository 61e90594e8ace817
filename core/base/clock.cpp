#include "core/base/clock.h"

#include <ctime>

namespace tend {
namespace {

Millis read_clock(clockid_t id) {
  timespec t{};
  clock_gettime(id, &t);
  return {t.tv_sec * 1000 + t.tv_nsec / 1000000};
}

}  // namespace

Millis SystemClock::now() const { return read_clock(CLOCK_MONOTONIC); }
Millis SystemClock::wall() const { return read_clock(CLOCK_REALTIME); }

}  // namespace tend
