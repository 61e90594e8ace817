// What the name of a file says: its type, whether it is text that is kept compressed beside it, and whether
// its name changes whenever its content does. Pure.
#pragma once

#include <string>
#include <string_view>

namespace tend::serve {

// "text/css; charset=utf-8"; `fallback` for extensions that the table has not.
std::string_view content_type(std::string_view name, std::string_view fallback);
bool known_type(std::string_view name);
bool is_page(std::string_view name);  // HTML
// Worth a .br or .gz beside it.
bool compressible(std::string_view name);
// Built assets: app.3f9a2c1b.js, main-BX3k9f2a.css. No dates, versions or words: a file so named is never
// asked for again by who has it.
bool has_hash(std::string_view name);

}  // namespace tend::serve
