// The manual page, from the option table and the commands.
#pragma once

#include <string>

namespace tend::cli {

std::string generate_man();

}  // namespace tend::cli
