// The JavaScript stack in the inspector's messages. Pure. Only the few bytes that matter are parsed as JSON:
// a program has thousands of scripts, and a deep stack is megabytes.
#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/model/value.h"

namespace tend::autopsy {

inline constexpr std::size_t kMostFrames = 20;

// scriptId -> url, from Debugger.scriptParsed: the frames of a pause may come without their url.
class Scripts {
 public:
  static constexpr std::size_t kMost = 50'000;
  void add(std::string_view message);  // any message; others than scriptParsed are ignored
  std::string url(const std::string& id) const;

 private:
  std::map<std::string, std::string> urls_;
};

bool is_paused(std::string_view message);
// {function, file, line, column} for the first kMostFrames of a Debugger.paused, innermost first. The message
// may have been cut: the frames that are whole are given.
List frames_of(std::string_view message, const Scripts& scripts);
// "file:///srv/a%20b.js" -> "/srv/a b.js"; other urls (node:internal/…, evalmachine.<anonymous>) stay.
std::string path_of(std::string_view url);
// The path of the WebSocket in the answer to /json/list ("/uuid"), "" when there is none.
std::string websocket_path(std::string_view body);

}  // namespace tend::autopsy
