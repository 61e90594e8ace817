// Inside this room: one parsed file, whatever its format.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>

#include "core/base/result.h"
#include "core/config/config.h"
#include "core/model/value.h"

namespace tend::config {

inline constexpr std::size_t kLargestFile = 16u << 20;
inline constexpr int kDeepest = 64;                // nesting of lists and objects
inline constexpr std::size_t kMostNodes = 200000;  // of a YAML file with its aliases written out
inline constexpr int kLineDepth = 4;               // lines are kept for /apps/0/field and above

struct Document {
  Value root;
  std::unordered_map<std::string, int> lines;  // "/apps/0/name" -> line; empty for JavaScript
  int line(const std::string& path) const {
    const auto found = lines.find(path);
    return found == lines.end() ? 0 : found->second;
  }
};

// Error messages begin with "<name>:<line>:<column>: ".
Result<Document> parse_lax_json(std::string_view text, std::string_view name);
Result<Document> parse_yaml(const std::string& text, std::string_view name);
// `path` is absolute, `name` as the user wrote it.
Result<Document> parse_procfile(std::string_view text, const std::string& path, std::string_view name,
                                const Context& context);
bool is_procfile(std::string_view word);
// Loads the file in a node child of its own process group.
Result<Document> load_javascript(const std::string& path, const Context& context);

// The file's text; regular files of at most `limit` bytes. "-" is stdin.
Result<std::string> read_text(const std::string& path, std::size_t limit = kLargestFile);
// By the rules of is_config_file, with JavaScript for what they do not know.
Result<Document> parse_document(const std::string& path, const Context& context);

// Where the first byte is that is no UTF-8; npos when all is.
std::size_t invalid_utf8(std::string_view text);
void append_utf8(uint32_t code_point, std::string& out);

}  // namespace tend::config
