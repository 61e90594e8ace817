// Globs as regular expressions.
#include <string>

#include "core/base/text.h"
#include "core/watch/pattern.h"

namespace tend::watch {
namespace {

bool plain(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '/';
}

}  // namespace

Result<std::string> regex_of_glob(std::string_view glob) {
  std::string out = "^";
  std::string open;  // what closes each open group: '}' of braces, ')' of a list behind @ ? + *
  std::string tails;
  for (std::size_t i = 0; i < glob.size(); ++i) {
    const char c = glob[i];
    const bool list = i + 1 < glob.size() && glob[i + 1] == '(';
    if (c == '!' && list) return fail("glob \"" + printable(glob) + "\": !(…) is not accepted");
    if (list && (c == '@' || c == '?' || c == '+' || c == '*')) {
      out += "(?:";
      open += ')';
      tails += c;
      ++i;
    } else if (c == '*') {
      std::size_t end = i;
      while (end < glob.size() && glob[end] == '*') ++end;
      const bool starts = i == 0 || glob[i - 1] == '/';
      const bool whole = end - i > 1 && starts && (end == glob.size() || glob[end] == '/');
      if (!whole) {
        out += "[^/]*";
      } else if (end == glob.size()) {
        if (!out.empty() && out.back() == '/') {  // a/** is a too
          out.pop_back();
          out += "(?:/.*)?";
        } else {
          out += ".*";
        }
      } else {
        out += "(?:.*/)?";
        ++end;
      }
      i = end - 1;
    } else if (c == '?') {
      out += "[^/]";
    } else if (c == '[') {
      const auto close = glob.find(']', i + 2);
      if (close == std::string_view::npos) {
        out += "\\[";
        continue;
      }
      std::string set(glob.substr(i + 1, close - i - 1));
      if (set[0] == '!') set[0] = '^';
      out += "[" + set + "]";
      i = close;
    } else if (c == '{' && glob.find('}', i) != std::string_view::npos) {
      out += "(?:";
      open += '}';
      tails += '@';
    } else if (!open.empty() && c == open.back()) {
      out += ")";
      if (tails.back() != '@') out += tails.back();
      open.pop_back();
      tails.pop_back();
    } else if (!open.empty() && ((c == ',' && open.back() == '}') || (c == '|' && open.back() == ')'))) {
      out += "|";
    } else if (c == '\\' && i + 1 < glob.size()) {
      out += c;
      out += glob[++i];
    } else {
      if (!plain(c)) out += '\\';
      out += c;
    }
  }
  if (!open.empty()) return fail("glob \"" + printable(glob) + "\": an open bracket");
  return out + "$";
}

}  // namespace tend::watch
