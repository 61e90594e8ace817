// The page that shows what is in a folder.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "cmd/serve/tree.h"

namespace tend::serve {

struct Item {
  std::string name;
  bool folder = false;
  uint64_t size = 0;
  int64_t modified = 0;  // seconds since the epoch
};

// Folders first, then by name; what is hidden, special or leads out of the root is not there. At most
// 10,000.
std::vector<Item> list_folder(const Tree& tree, const std::string& path, int fd);
// `path` ends in a slash; "" is the root. Pure.
std::string listing_page(std::string_view path, const std::vector<Item>& items);
std::string escape_html(std::string_view text);

}  // namespace tend::serve
