// The socket to accept on, and the word to who started this.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "core/base/result.h"
#include "core/base/unique_fd.h"

namespace tend::serve {

// The first one of LISTEN_FDS where that is meant for this process; else a new one. Error: the address and
// why it cannot be had.
Result<UniqueFd> listener(const std::string& host, uint16_t port);
// sd_notify(3); nothing where NOTIFY_SOCKET is not set.
void notify(std::string_view text);

}  // namespace tend::serve
