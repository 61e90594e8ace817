// The files that `init` writes.
#pragma once

#include <string>

namespace tend::cli {

// `pm2`: with PM2's options alone, so that PM2 reads it too.
std::string simple_template();
std::string full_template(bool pm2);

}  // namespace tend::cli
