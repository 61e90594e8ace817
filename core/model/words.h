// Text as PM2's users know it: words of a command line, and values as JavaScript prints them. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/model/value.h"

namespace tend {

// Splits at blanks outside quotes; quotes go only where they wrap a whole word: `--x="y z"` keeps them.
std::vector<std::string> split_words(std::string_view text);

// A value as an environment variable: strings as they are, numbers as JavaScript prints them (3000, 1.5),
// "true", "null", and lists and objects as JSON.
std::string js_text(const Value& v);
// Compact JSON, as JSON.stringify writes it.
std::string json_text(const Value& v);

}  // namespace tend
