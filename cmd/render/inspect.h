// Node's util.inspect notation of a value: unlimited depth, no colours, lines of 80.
#pragma once

#include <string>

#include "core/model/value.h"

namespace tend::render {

std::string inspect(const Value& value);

}  // namespace tend::render
