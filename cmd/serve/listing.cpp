#include "cmd/serve/listing.h"

#include <dirent.h>
#include <fcntl.h>

#include <algorithm>
#include <cstdio>
#include <ctime>
#include <memory>

#include "cmd/serve/url_path.h"

namespace tend::serve {
namespace {

constexpr std::size_t kMostItems = 10'000;

std::string size_text(uint64_t bytes) {
  if (bytes < 1024) return std::to_string(bytes) + " B";
  constexpr std::string_view kUnits[] = {"KB", "MB", "GB", "TB", "PB", "EB"};
  double n = static_cast<double>(bytes) / 1024;
  std::size_t unit = 0;
  while (n >= 1024 && unit + 1 < std::size(kUnits)) {
    n /= 1024;
    ++unit;
  }
  char text[32];
  std::snprintf(text, sizeof text, "%.1f ", n);
  return text + std::string(kUnits[unit]);
}

std::string time_text(int64_t seconds) {
  const time_t t = seconds;
  std::tm tm{};
  char text[32] = "";
  if (gmtime_r(&t, &tm) != nullptr) std::strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S", &tm);
  return text;
}

}  // namespace

std::vector<Item> list_folder(const Tree& tree, const std::string& path, int fd) {
  std::vector<Item> items;
  // A description of its own: reading moves its position.
  const int copy = ::openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (copy < 0) return items;
  const std::unique_ptr<DIR, int (*)(DIR*)> folder(::fdopendir(copy), ::closedir);
  if (!folder) {
    ::close(copy);
    return items;
  }
  while (const dirent* entry = ::readdir(folder.get())) {
    const std::string name = entry->d_name;
    struct stat st {};
    if (name.front() == '.' || ::fstatat(copy, name.c_str(), &st, AT_SYMLINK_NOFOLLOW) != 0) continue;
    if (S_ISLNK(st.st_mode)) {
      auto target = tree.open(path + name);
      if (!target) continue;
      st = target->st;
    }
    if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode)) continue;
    items.push_back({name, S_ISDIR(st.st_mode), static_cast<uint64_t>(st.st_size), st.st_mtime});
    if (items.size() == kMostItems) break;
  }
  std::sort(items.begin(), items.end(),
            [](const Item& a, const Item& b) { return a.folder != b.folder ? a.folder : a.name < b.name; });
  return items;
}

std::string escape_html(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      case '\'':
        out += "&#39;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

std::string listing_page(std::string_view path, const std::vector<Item>& items) {
  const std::string title = "Index of /" + escape_html(path);
  std::string out =
      "<!DOCTYPE html>\n<html><head><meta charset=\"utf-8\"><title>" + title +
      "</title>\n<meta name=\"viewport\" content=\"width=device-width\">\n"
      "<style>body{font-family:sans-serif;margin:2em}td,th{padding:.2em 1.5em .2em 0;text-align:left}"
      "td+td{white-space:nowrap}</style></head>\n<body><h1>" +
      title + "</h1>\n<table><tr><th>Name</th><th>Size</th><th>Last Modified</th></tr>\n";
  if (!path.empty()) out += "<tr><td><a href=\"../\">../</a></td><td></td><td></td></tr>\n";
  for (const Item& item : items) {
    const std::string slash = item.folder ? "/" : "";
    // "./": a name with a colon would be a scheme.
    out += "<tr><td><a href=\"./" + encode_path(item.name) + slash + "\">" + escape_html(item.name) + slash +
           "</a></td><td>" + (item.folder ? "-" : size_text(item.size)) + "</td><td>" +
           time_text(item.modified) + "</td></tr>\n";
  }
  return out + "</table></body></html>\n";
}

}  // namespace tend::serve
