// Which paths watching leaves out. Made once from what the user wrote, then only read, by any thread.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"
#include "core/watch/pattern.h"

namespace tend::watch {

struct RuleText {
  std::string base;                     // absolute: what relative entries start from
  bool given = false;                   // false: dotfiles and node_modules are left out, as PM2 does
  std::vector<std::string> entries;     // names, paths, globs, regular expressions
  std::vector<std::string> extensions;  // not empty: other files are left out
  std::vector<std::string> own_files;   // logs and pid files, with what rotation makes of them; absolute
  std::string home;                     // a folder that is left out; empty: none
};

class Rules {
 public:
  // An entry that cannot be read is left out and told of in `complaints`.
  static Rules make(const RuleText& text, std::vector<std::string>& complaints);
  // `path` is absolute. What lies in a folder that is left out is not asked for.
  bool ignores(std::string_view path, bool folder) const;

 private:
  struct Entry {
    enum class Kind { name, path, name_glob, path_glob, regex } kind{};
    std::string text;
    Pattern pattern;
    bool negative = false;
    bool absolute = false;
  };
  static Result<Entry> read(std::string text, const std::string& base);
  bool matches(const Entry& entry, std::string_view path) const;
  bool own(std::string_view path) const;

  std::string base_, home_;
  std::vector<Entry> entries_;
  std::vector<std::string> extensions_, own_;
};

// What a glob's path begins with before its first magic character: "src/**/*.js" is below "src". The whole
// text when it is no glob.
std::string_view fixed_part(std::string_view glob);
// "a/./b/../c" relative to `base`, without links being followed.
std::string absolute_path(std::string_view path, const std::string& base);
bool is_below(std::string_view path, std::string_view folder);  // or the same

}  // namespace tend::watch
