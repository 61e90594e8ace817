#pragma once

#include <string>

namespace tend::pm2 {

// The "version" of the nearest package.json from the script's folder upward; "" without one.
std::string package_version(const std::string& script);

}  // namespace tend::pm2
