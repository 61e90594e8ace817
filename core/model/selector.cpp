#include "core/model/selector.h"

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <regex>

#include "core/base/text.h"

namespace tend {
namespace {

constexpr std::size_t kLongestPattern = 256;
constexpr std::size_t kLongestName = 256;
// The daemon must not hang on (a*)*b: libstdc++'s extension forbids back-references and the exponential
// matcher.
#ifdef __GLIBCXX__
constexpr auto kSyntax = std::regex_constants::ECMAScript | std::regex_constants::__polynomial;
#else
constexpr auto kSyntax = std::regex_constants::ECMAScript;
#endif

template <class F>
std::vector<uint32_t> ids_where(std::span<const Target> targets, F matches) {
  std::vector<uint32_t> ids;
  for (const Target& t : targets) {
    if (matches(t)) ids.push_back(t.id);
  }
  std::sort(ids.begin(), ids.end());
  return ids;
}

tl::unexpected<Error> none(std::string_view word, std::span<const Target> targets) {
  std::vector<std::string_view> known;
  for (const Target& t : targets) known.insert(known.end(), {t.name, t.name_space});
  const std::string near = is_digits(word) ? "" : printable(nearest(word, known));
  return fail("process or namespace not found: " + printable(word) +
              (near.empty() ? "" : "; did you mean " + near + "?"));
}

Result<std::vector<uint32_t>> by_pattern(std::string_view word, std::span<const Target> targets) {
  std::string pattern(word);
  std::erase(pattern, '/');
  if (pattern.size() > kLongestPattern) return fail("pattern longer than 256 bytes");
  try {
    const std::regex regex(pattern, kSyntax);
    return ids_where(targets, [&](const Target& t) {
      const std::string_view name = t.name.substr(0, kLongestName);
      return std::regex_search(name.begin(), name.end(), regex);
    });
  } catch (const std::regex_error& e) {  // also when matching becomes too complex
    return fail("bad pattern " + printable(word) + ": " + e.what());
  }
}

}  // namespace

Result<std::vector<uint32_t>> select(std::string_view word, std::string_view cwd,
                                     std::span<const Target> targets) {
  std::vector<uint32_t> ids;
  if (word == "all") {
    ids = ids_where(targets, [](const Target&) { return true; });
  } else if (word.size() >= 2 && word.front() == '/' && word.back() == '/') {
    auto found = by_pattern(word, targets);
    if (!found) return found;
    ids = std::move(*found);
  } else {
    const bool number = is_digits(word);
    const std::string path =
        number ? "" : (std::filesystem::path(cwd) / std::filesystem::path(word)).lexically_normal().string();
    ids =
        ids_where(targets, [&](const Target& t) { return t.name == word || (!number && t.script == path); });
    if (ids.empty()) ids = ids_where(targets, [&](const Target& t) { return t.name_space == word; });
    uint32_t id = 0;
    const auto* end = word.data() + word.size();
    if (ids.empty() && number && std::from_chars(word.data(), end, id).ec == std::errc{}) {
      ids = ids_where(targets, [id](const Target& t) { return t.id == id; });
    }
  }
  if (ids.empty()) return none(word, targets);
  return ids;
}

}  // namespace tend
