#include "cmd/serve/url_path.h"

#include <vector>

namespace tend::serve {
namespace {

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

bool alphanumeric(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

bool decode(std::string_view raw, std::string& out) {
  for (std::size_t i = 0; i < raw.size(); ++i) {
    char c = raw[i];
    if (c == '%') {
      const int high = i + 2 < raw.size() ? hex_digit(raw[i + 1]) : -1;
      const int low = high >= 0 ? hex_digit(raw[i + 2]) : -1;
      if (low < 0) return false;
      c = static_cast<char>(high << 4 | low);
      i += 2;
    }
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f || c == '\\') return false;
    out += c;
  }
  return true;
}

// A proxy's form of a request names the host too.
std::string_view without_host(std::string_view raw) {
  const std::size_t scheme = raw.find("://");
  if (raw.empty() || raw.front() == '/' || scheme == std::string_view::npos) return raw;
  const std::size_t slash = raw.find('/', scheme + 3);
  return slash == std::string_view::npos ? std::string_view("/") : raw.substr(slash);
}

}  // namespace

tl::expected<std::string, PathFault> clean_path(std::string_view raw) {
  raw = without_host(raw);
  std::string path;
  if (raw.empty() || raw.front() != '/' || !decode(raw, path)) return tl::unexpected(PathFault::malformed);
  std::vector<std::string_view> parts;
  std::string_view rest = path;
  bool folder = true;  // ends in a slash, or in a part that means a folder
  while (!rest.empty()) {
    rest.remove_prefix(1);
    const std::string_view part = rest.substr(0, rest.find('/'));
    rest.remove_prefix(part.size());
    folder = part.empty() || part == "." || part == "..";
    if (part == "..") {
      if (parts.empty()) return tl::unexpected(PathFault::outside);
      parts.pop_back();
    } else if (!part.empty() && part != ".") {
      parts.push_back(part);
    }
  }
  std::string out;
  for (const std::string_view part : parts) {
    if (part.front() == '.' && !(out.empty() && part == ".well-known"))
      return tl::unexpected(PathFault::hidden);
    if (!out.empty()) out += '/';
    out += part;
  }
  if (folder && !out.empty()) out += '/';
  return out;
}

std::string encode_path(std::string_view path) {
  constexpr std::string_view kHex = "0123456789ABCDEF";
  std::string out;
  for (const char c : path) {
    if (alphanumeric(c) || std::string_view("-._~/").find(c) != std::string_view::npos) {
      out += c;
    } else {
      const auto u = static_cast<unsigned char>(c);
      out += '%';
      out += kHex[u >> 4];
      out += kHex[u & 15];
    }
  }
  return out;
}

}  // namespace tend::serve
