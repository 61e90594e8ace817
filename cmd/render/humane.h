// Times and sizes as the listings show them (compat.md 7.2): rounded for the eye, not to be read back.
#pragma once

#include <cstdint>
#include <string>

#include "core/base/units.h"

namespace tend::render {

std::string uptime_text(Millis age);     // "119s" "2m" "47h" "2D" "1M" "1Y"; "0s" when negative
std::string memory_text(int64_t bytes);  // "0b" "512.0kb" "20.1mb" "1.2gb"
std::string cpu_text(double percent);    // "0%" "12.3%"
std::string iso_text(Millis wall);       // "2026-11-05T10:20:30.123Z"

}  // namespace tend::render
