#include "cmd/serve/media.h"

#include <algorithm>

namespace tend::serve {
namespace {

struct Type {
  std::string_view extension, type;
  bool text = false;   // compressible
  bool asset = false;  // bundlers put hashes into such names
};

constexpr std::string_view kHtml = "text/html; charset=utf-8";
constexpr std::string_view kScript = "text/javascript; charset=utf-8";

constexpr Type kTypes[] = {
    {"html", kHtml, true},
    {"htm", kHtml, true},
    {"js", kScript, true, true},
    {"mjs", kScript, true, true},
    {"cjs", kScript, true, true},
    {"css", "text/css; charset=utf-8", true, true},
    {"json", "application/json; charset=utf-8", true, true},
    {"map", "application/json; charset=utf-8", true, true},
    {"webmanifest", "application/manifest+json; charset=utf-8", true},
    {"xml", "text/xml; charset=utf-8", true},
    {"xhtml", "application/xhtml+xml; charset=utf-8", true},
    {"rss", "application/rss+xml; charset=utf-8", true},
    {"atom", "application/atom+xml; charset=utf-8", true},
    {"txt", "text/plain; charset=utf-8", true},
    {"log", "text/plain; charset=utf-8", true},
    {"md", "text/markdown; charset=utf-8", true},
    {"csv", "text/csv; charset=utf-8", true},
    {"ics", "text/calendar; charset=utf-8", true},
    {"vtt", "text/vtt; charset=utf-8", true},
    {"yaml", "application/yaml; charset=utf-8", true},
    {"yml", "application/yaml; charset=utf-8", true},
    {"svg", "image/svg+xml; charset=utf-8", true, true},
    {"wasm", "application/wasm", true, true},
    {"png", "image/png", false, true},
    {"jpg", "image/jpeg", false, true},
    {"jpeg", "image/jpeg", false, true},
    {"gif", "image/gif", false, true},
    {"webp", "image/webp", false, true},
    {"avif", "image/avif", false, true},
    {"bmp", "image/bmp", true},
    {"ico", "image/vnd.microsoft.icon", true, true},
    {"tif", "image/tiff"},
    {"tiff", "image/tiff"},
    {"woff", "font/woff", false, true},
    {"woff2", "font/woff2", false, true},
    {"ttf", "font/ttf", true, true},
    {"otf", "font/otf", true, true},
    {"eot", "application/vnd.ms-fontobject", true, true},
    {"mp3", "audio/mpeg"},
    {"m4a", "audio/mp4"},
    {"aac", "audio/aac"},
    {"ogg", "audio/ogg"},
    {"opus", "audio/ogg"},
    {"wav", "audio/wav"},
    {"flac", "audio/flac"},
    {"weba", "audio/webm"},
    {"mp4", "video/mp4", false, true},
    {"m4v", "video/mp4"},
    {"webm", "video/webm", false, true},
    {"ogv", "video/ogg"},
    {"mov", "video/quicktime"},
    {"mpeg", "video/mpeg"},
    {"avi", "video/x-msvideo"},
    {"ts", "video/mp2t"},
    {"m3u8", "application/vnd.apple.mpegurl", true},
    {"pdf", "application/pdf"},
    {"zip", "application/zip"},
    {"gz", "application/gzip"},
    {"tgz", "application/gzip"},
    {"br", "application/octet-stream"},
    {"bz2", "application/x-bzip2"},
    {"xz", "application/x-xz"},
    {"zst", "application/zstd"},
    {"tar", "application/x-tar"},
    {"7z", "application/x-7z-compressed"},
    {"rar", "application/vnd.rar"},
    {"jar", "application/java-archive"},
    {"epub", "application/epub+zip"},
    {"rtf", "application/rtf"},
    {"doc", "application/msword"},
    {"xls", "application/vnd.ms-excel"},
    {"ppt", "application/vnd.ms-powerpoint"},
    {"docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"},
    {"xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"},
    {"pptx", "application/vnd.openxmlformats-officedocument.presentationml.presentation"},
    {"bin", "application/octet-stream"},
    {"exe", "application/octet-stream"},
    {"dmg", "application/octet-stream"},
    {"iso", "application/octet-stream"},
    {"apk", "application/vnd.android.package-archive"},
    {"sh", "text/plain; charset=utf-8", true},
    {"glb", "model/gltf-binary", false, true},
    {"gltf", "model/gltf+json", true, true},
};

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }
bool is_upper(char c) { return c >= 'A' && c <= 'Z'; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_letter(char c) { return lower(c) >= 'a' && lower(c) <= 'z'; }
bool is_hex(char c) { return is_digit(c) || (c >= 'a' && c <= 'f'); }

std::string_view base_of(std::string_view name) { return name.substr(name.rfind('/') + 1); }

const Type* type_of(std::string_view name) {
  const std::string_view base = base_of(name);
  const std::size_t dot = base.rfind('.');
  if (dot == std::string_view::npos) return nullptr;
  const std::string_view extension = base.substr(dot + 1);
  const auto same = [&](const Type& t) {
    return std::equal(extension.begin(), extension.end(), t.extension.begin(), t.extension.end(),
                      [](char a, char b) { return lower(a) == b; });
  };
  const auto* const at = std::find_if(std::begin(kTypes), std::end(kTypes), same);
  return at == std::end(kTypes) ? nullptr : at;
}

// Hexadecimal with letters and digits; or eight characters of base 32 or 64 as bundlers write them: upper
// case, and a digit with a letter behind it, which no word with a number at its end has.
bool looks_random(std::string_view word) {
  if (word.size() < 8 || word.size() > 64) return false;
  const bool digits = std::any_of(word.begin(), word.end(), is_digit);
  if (std::all_of(word.begin(), word.end(), is_hex))
    return digits && std::any_of(word.begin(), word.end(), is_letter);
  if (word.size() != 8 || !std::any_of(word.begin(), word.end(), is_upper)) return false;
  if (!std::all_of(word.begin(), word.end(), [](char c) { return is_letter(c) || is_digit(c) || c == '_'; }))
    return false;
  return std::adjacent_find(word.begin(), word.end(),
                            [](char a, char b) { return is_digit(a) && is_letter(b); }) != word.end();
}

}  // namespace

std::string_view content_type(std::string_view name, std::string_view fallback) {
  const Type* const type = type_of(name);
  return type != nullptr ? type->type : fallback;
}

bool known_type(std::string_view name) { return type_of(name) != nullptr; }

bool is_page(std::string_view name) {
  const Type* const type = type_of(name);
  return type != nullptr && type->type == kHtml;
}

bool compressible(std::string_view name) {
  const Type* const type = type_of(name);
  return type != nullptr && type->text;
}

bool has_hash(std::string_view name) {
  const Type* const type = type_of(name);
  if (type == nullptr || !type->asset) return false;
  std::string_view base = base_of(name);
  base = base.substr(0, base.size() - type->extension.size() - 1);
  // main.3f9a2c1b.js.map, app.3f9a2c1b.chunk.css
  for (int i = 0; i < 2; ++i) {
    const std::size_t at = base.find_last_of(".-");
    if (at == std::string_view::npos || at == 0) return false;
    if (looks_random(base.substr(at + 1))) return true;
    if (base[at] != '.') return false;
    base = base.substr(0, at);
  }
  return false;
}

}  // namespace tend::serve
