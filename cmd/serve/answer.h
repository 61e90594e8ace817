// The answer to a request as plain data: what the HTTP library sends.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cmd/serve/conditions.h"
#include "cmd/serve/resolve.h"

namespace tend::serve {

using Headers = std::vector<std::pair<std::string_view, std::string>>;

// A path's answer as long as its file is the same: made once, sent to many.
struct Document {
  int status = 200;
  Version version;  // no etag: conditions and ranges mean nothing here
  Headers headers;
  UniqueFd fd;  // where the bytes are; closed: in `body`
  std::string body;
};

// Small files are held in memory.
inline constexpr uint64_t kSmall = 32 * 1024;

Document make_document(const Tree& tree, const Settings& settings, Resolved resolved);
// A line of text: "404 Not Found".
Document make_error(const Settings& settings, int status);

// The headers of what portion() said, instead of the document's own where it is a 206, 304 or 416.
Headers portion_headers(const Document& document, const Portion& portion);

}  // namespace tend::serve
