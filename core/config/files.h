// Inside this room: paths as a user writes them, programs in PATH, the first bytes of a script.
#pragma once

#include <string>
#include <string_view>

#include "core/config/config.h"

namespace tend::config {

// ~ expanded, joined to `base` unless absolute, normalised, without a trailing slash.
std::string absolute_path(std::string_view path, std::string_view base, std::string_view user_home);
bool exists(const std::string& path);
bool is_directory(const std::string& path);
// The caller's PATH, or the usual one when it has none.
std::string search_path(const Context& context);
// The last component: "/a/b.js" -> "b.js".
std::string_view base_name(std::string_view path);
// The last dot's part as Node has it: ".js"; "" for ".hidden" and "name".
std::string_view extension(std::string_view name);

}  // namespace tend::config
