// Where tend's other executables are: the dynamic ones that it starts.
#pragma once

#include <string>
#include <string_view>

namespace tend {

// Beside the running program, as in a build folder, else in <its folder>/../libexec/tend, without "..".
std::string helper_program(std::string_view name);

}  // namespace tend
