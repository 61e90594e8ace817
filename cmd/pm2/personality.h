// PM2's words (compat.md 1.1 to 1.5): texts only, nothing is printed or asked here.
#pragma once

#include <string>
#include <string_view>

#include "core/model/value.h"

namespace tend::pm2 {

inline constexpr std::string_view kVersion = "7.0.4";

// One line each, with its prefix in colour and a newline.
std::string plain(std::string_view text, bool colour);  // "[PM2] …"
std::string info(std::string_view text, bool colour);   // "[PM2][INFO] …"
std::string warn(std::string_view text, bool colour);   // "[PM2][WARN] …"
std::string error(std::string_view text, bool colour);  // "[PM2][ERROR] …"

// "restart" -> "restartProcessId".
std::string rpc_name(std::string_view verb);
// "[ 0, 1 ]"; for a word that is a number "[ '0' ]"; "[]".
std::string id_list(const List& ids, std::string_view word);
// "[PM2] Applying action restartProcessId on app [api](ids: [ 0 ])"
std::string applying(std::string_view verb, std::string_view word, const List& ids, bool colour);
// "[PM2] [api](0) ✓"
std::string ticked(std::string_view name, int64_t id, bool colour);
// What PM2 says when `word` means no app.
std::string not_found(std::string_view verb, std::string_view word, bool colour);

}  // namespace tend::pm2
