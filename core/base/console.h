// A daemon that belongs to a program in the foreground ends with it and keeps its standard output and error,
// to which it may write what the apps print.
#pragma once

#include <cstddef>
#include <cstdint>
#include <iterator>
#include <string_view>

namespace tend {

enum class Console : uint8_t {
  none,       // a daemon of its own
  quiet,      // in the foreground; output goes to the log files alone
  raw,        // bytes as they come, each stream to its own
  json,       // one object a line, both streams to standard output, as the forms below
  formatted,  // "0|api  | text"
  format      // "timestamp=… app=api id=0 type=out message=text"
};

inline constexpr std::string_view kConsoleWords[] = {"none", "quiet", "raw", "json", "formatted", "format"};

inline std::string_view console_word(Console console) {
  return kConsoleWords[static_cast<std::size_t>(console)];
}

inline Console console_from(std::string_view word) {
  for (uint8_t i = 0; i < std::size(kConsoleWords); ++i)
    if (kConsoleWords[i] == word) return static_cast<Console>(i);
  return Console::none;
}

}  // namespace tend
