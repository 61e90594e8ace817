// Why a process hung, in lines for a person.
#pragma once

#include <string>
#include <vector>

#include "core/model/value.h"

namespace tend::render {

// `autopsy`: what core/autopsy/main.h lists. The first line says it all ("blocked in spin
// (/srv/app.js:12:5)"), the indented ones are the stack and the figures. Nothing for a value that is no
// autopsy.
std::vector<std::string> autopsy_lines(const Value& autopsy);

}  // namespace tend::render
