// What a server of files was told: by PM2_SERVE_… and TEND_SERVE_… in its environment. The second wins where
// both are set. Pure.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "core/base/result.h"
#include "core/base/units.h"

namespace tend::serve {

struct Settings {
  std::string root;              // absolute
  std::string host = "0.0.0.0";  // numeric; only when no socket was passed
  uint16_t port = 8080;
  std::string homepage = "index.html";  // below the root, without a leading slash
  bool spa = false;                     // unknown paths give the homepage
  bool listing = false;                 // folders without index.html are listed
  bool cors = false;                    // every origin may read
  bool pm2 = false;                     // PM2's content type for unknown extensions, its SPA rule
  std::string credentials;              // base64 of "user:password"; empty: everybody
  std::string cache_control;            // of files that are neither pages nor have a hash in their name
  bool access_log = false;
  unsigned threads = 1;
  unsigned connections = 4096;
  Millis grace{9000};  // what is in flight at the end has so long
};

// `variable` gives nullptr for what is not set. Error: the variable, what was found, what is accepted.
Result<Settings> read_settings(const std::function<const char*(const std::string&)>& variable);

std::string base64(std::string_view bytes);

}  // namespace tend::serve
