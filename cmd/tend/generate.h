// The manual page, from the option table and the commands.
#pragma once

#include <string>

namespace tend::cli {

std::string generate_man();
std::string generate_ecosystem_man();  // tend-ecosystem(5): files of apps

}  // namespace tend::cli
