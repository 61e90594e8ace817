#include "core/watch/rules.h"

#include <algorithm>
#include <filesystem>

#include "core/base/text.h"

namespace tend::watch {
namespace {

constexpr std::string_view kMagic = "*?[{";
constexpr std::string_view kLists[] = {"@(", "+(", "!("};

bool is_glob(std::string_view text) {
  if (text.find_first_of(kMagic) != std::string_view::npos) return true;
  return std::any_of(std::begin(kLists), std::end(kLists),
                     [&](auto list) { return text.find(list) != std::string_view::npos; });
}

// The signs that no glob has: configurations hold both, and a regular expression arrives as its text.
bool is_regex(std::string_view text) {
  if (text.empty()) return false;
  if (text.find('\\') != std::string_view::npos || text.find("(?:") != std::string_view::npos) return true;
  if (text.front() == '^' || text.back() == '$') return true;
  int open = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '(' || text[i] == '{') ++open;
    if (text[i] == ')' || text[i] == '}') --open;
    if (text[i] == '|' && open == 0) return true;
  }
  return false;
}

std::string_view name_of(std::string_view path) { return path.substr(path.rfind('/') + 1); }

// What editors write beside a file while it is open.
bool editors_own(std::string_view name) {
  if (name == "4913" || name.ends_with("~")) return true;
  if (name.starts_with(".#") || (name.size() > 2 && name.front() == '#' && name.back() == '#')) return true;
  for (const std::string_view end : {".swp", ".swx", ".swo", "___jb_tmp___", "___jb_old___"})
    if (name.ends_with(end)) return true;
  return false;
}

}  // namespace

std::string_view fixed_part(std::string_view glob) {
  if (!is_glob(glob)) return glob;
  auto magic = glob.find_first_of(kMagic);
  for (const auto list : kLists) magic = std::min(magic, glob.find(list));
  const auto slash = glob.substr(0, magic).rfind('/');
  return slash == std::string_view::npos ? std::string_view()
                                         : glob.substr(0, std::max<std::size_t>(slash, 1));
}

std::string absolute_path(std::string_view path, const std::string& base) {
  std::string whole = path.starts_with('/') ? std::string(path) : base + "/" + std::string(path);
  whole = std::filesystem::path(whole).lexically_normal().string();
  while (whole.size() > 1 && whole.back() == '/') whole.pop_back();
  return whole;
}

bool is_below(std::string_view path, std::string_view folder) {
  if (!path.starts_with(folder)) return false;
  return path.size() == folder.size() || folder == "/" || path[folder.size()] == '/';
}

Result<Rules::Entry> Rules::read(std::string text, const std::string& base) {
  Entry e;
  if (text.size() > 1 && text[0] == '!' && text[1] != '(') {
    e.negative = true;
    text.erase(0, 1);
  }
  if (text.starts_with("regex:") || is_regex(text)) {
    std::string_view source = text;
    if (source.starts_with("regex:")) source.remove_prefix(6);
    // "/x/" and "x/": a JavaScript literal that was copied whole, or in part.
    const bool literal = source.size() > 2 && source.front() == '/' && source.back() == '/';
    if (literal) source.remove_prefix(1);
    const bool escaped = source.size() > 1 && source[source.size() - 2] == '\\';
    if (source.size() > 1 && source.back() == '/' && !escaped) source.remove_suffix(1);
    auto pattern = Pattern::regex(source);
    if (!pattern) return tl::unexpected(pattern.error());
    e.kind = Entry::Kind::regex;
    e.pattern = std::move(*pattern);
    return e;
  }
  while (text.starts_with("./")) text.erase(0, 2);
  while (text.size() > 1 && text.back() == '/') text.pop_back();
  const bool slash = text.find('/') != std::string::npos;
  if (!is_glob(text)) {
    const bool place = slash || text == "." || text == "..";
    e.kind = place ? Entry::Kind::path : Entry::Kind::name;
    e.text = place ? absolute_path(text, base) : text;
    return e;
  }
  e.kind = slash ? Entry::Kind::path_glob : Entry::Kind::name_glob;
  e.absolute = text.starts_with('/') || text.starts_with("../");
  if (text.starts_with("../")) {
    const std::string fixed(fixed_part(text));
    text = absolute_path(fixed, base) + text.substr(fixed.size());
  }
  auto pattern = Pattern::glob(text);
  if (!pattern) return tl::unexpected(pattern.error());
  e.pattern = std::move(*pattern);
  return e;
}

Rules Rules::make(const RuleText& text, std::vector<std::string>& complaints) {
  constexpr std::size_t kMaxEntries = 1000;
  Rules r;
  r.base_ = text.base;
  r.home_ = text.home;
  r.own_ = text.own_files;
  std::vector<std::string> entries = text.entries;
  if (!text.given) entries = {R"([\/\\]\.|node_modules)"};
  if (entries.size() > kMaxEntries) {
    complaints.push_back("ignore_watch: found " + std::to_string(entries.size()) +
                         " entries; accepted: " + std::to_string(kMaxEntries) + ", the rest is left out");
    entries.resize(kMaxEntries);
  }
  for (const std::string& one : entries) {
    if (one.empty()) continue;
    auto entry = read(one, r.base_);
    if (entry)
      r.entries_.push_back(std::move(*entry));
    else
      complaints.push_back("ignore_watch: " + entry.error().message);
  }
  for (const std::string& list : text.extensions) {
    for (const std::string& part : split(list, ',')) {
      std::string_view extension = trim(part);
      while (extension.starts_with('.')) extension.remove_prefix(1);
      if (!extension.empty()) r.extensions_.push_back("." + std::string(extension));
    }
  }
  return r;
}

bool Rules::matches(const Entry& e, std::string_view path) const {
  const bool inside = is_below(path, base_) && path.size() > base_.size();
  // With its slash, as "[/\\]\." asks for one; and relative, or an app in a dotted folder is never watched.
  const std::string_view relative = inside && base_ != "/" ? path.substr(base_.size()) : path;
  switch (e.kind) {
    case Entry::Kind::name:
      return name_of(path) == e.text;
    case Entry::Kind::path:
      return is_below(path, e.text);
    case Entry::Kind::name_glob:
      return e.pattern.matches(name_of(path));
    case Entry::Kind::path_glob:
      return e.pattern.matches(e.absolute || !relative.starts_with('/') ? path : relative.substr(1));
    case Entry::Kind::regex:
      return e.pattern.matches(relative);
  }
  return false;
}

// A log file, what rotation renames it to, and the same of other instances: "api-out.log" is "api-out-0.log"
// and "api-out__2026-01-01.log.gz" too.
bool Rules::own(std::string_view path) const {
  for (const std::string& file : own_) {
    if (path == file) return true;
    const auto dot = file.rfind('.');
    const auto slash = file.rfind('/');
    const bool extension = dot != std::string::npos && (slash == std::string::npos || dot > slash + 1);
    const std::string_view stem = std::string_view(file).substr(0, extension ? dot : file.size());
    if (!path.starts_with(stem) || path.size() == stem.size()) continue;
    const std::string_view rest = path.substr(stem.size());
    if (rest.find('/') != std::string_view::npos) continue;
    const bool joined = rest[0] == '-' || rest[0] == '_' || rest[0] == '.';
    const std::string_view end = extension ? std::string_view(file).substr(dot) : std::string_view();
    const bool number = is_digits(rest.substr(rest.rfind('.') + 1));
    if (joined &&
        (number || rest.ends_with(".gz") || rest.ends_with(".zst") || (!end.empty() && rest.ends_with(end))))
      return true;
  }
  return false;
}

bool Rules::ignores(std::string_view path, bool folder) const {
  if (!home_.empty() && is_below(path, home_)) return true;
  if (own(path) || editors_own(name_of(path))) return true;
  if (!folder && !extensions_.empty() &&
      std::none_of(extensions_.begin(), extensions_.end(), [&](const auto& e) { return path.ends_with(e); }))
    return true;
  bool found = false;
  for (const Entry& e : entries_) {
    if (found && !e.negative) continue;
    if (!matches(e, path)) continue;
    if (e.negative) return false;
    found = true;
  }
  return found;
}

}  // namespace tend::watch
