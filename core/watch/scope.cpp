#include "core/watch/scope.h"

#include <algorithm>

namespace tend::watch {

bool Scope::takes(std::string_view path, bool folder) const {
  const bool wanted = std::any_of(roots.begin(), roots.end(), [&](const Root& root) {
    return is_below(path, root.path) && (!root.pattern || root.pattern->matches(path));
  });
  return wanted && !rules.ignores(path, folder);
}

bool Scope::leads_to_root(std::string_view path) const {
  return std::any_of(roots.begin(), roots.end(), [&](const Root& root) { return is_below(root.path, path); });
}

Result<Root> root_of(std::string_view word, const std::string& base) {
  const std::string_view fixed = fixed_part(word);
  const std::string folder = absolute_path(fixed.empty() ? std::string_view(".") : fixed, base);
  if (fixed == word) return Root{folder, std::nullopt};
  auto rest = word.substr(fixed.size());
  while (rest.starts_with('/')) rest.remove_prefix(1);
  auto pattern = Pattern::glob((folder == "/" ? "" : folder) + "/" + std::string(rest));
  if (!pattern) return tl::unexpected(pattern.error());
  return Root{folder, std::move(*pattern)};
}

}  // namespace tend::watch
