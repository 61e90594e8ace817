// From the path of a request to a path below the root, and back. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <tl/expected.hpp>

namespace tend::serve {

enum class PathFault : uint8_t {
  malformed,  // no path at all, %zz, NUL, a control character or a backslash
  outside,    // its ".." lead above the root
  hidden,     // a part begins with a dot
};

// "/a/%62/../c/" -> "a/c/": decoded once, relative, no empty part, no "." and no ".."; a slash at the end
// stays, "" is the root itself. "http://host/x" is "/x". Hidden are all parts with a dot in front but
// ".well-known" as the first.
tl::expected<std::string, PathFault> clean_path(std::string_view raw);

// For Location and href: everything but unreserved characters and slashes as %XX.
std::string encode_path(std::string_view path);

}  // namespace tend::serve
