#include <algorithm>

#include "core/base/text.h"
#include "core/config/document.h"

namespace tend::config {
namespace {

constexpr std::size_t kLargestDotenv = 1u << 20;

bool name_char(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '.' ||
         c == '-';
}

std::string unescape(std::string_view s) {
  std::string out;
  for (std::size_t i = 0; i < s.size(); ++i) {
    if (s[i] != '\\' || i + 1 == s.size()) {
      out += s[i];
      continue;
    }
    const char c = s[++i];
    switch (c) {
      case 'n':
        out += '\n';
        break;
      case 'r':
        out += '\r';
        break;
      case 't':
        out += '\t';
        break;
      case '"':
      case '\\':
        out += c;
        break;
      default:
        out += '\\', out += c;
    }
  }
  return out;
}

// The closing quote, which in double quotes is one without a backslash before it.
std::size_t closing(std::string_view s, char quote) {
  for (std::size_t i = 1; i < s.size(); ++i) {
    if (quote == '"' && s[i] == '\\') {
      ++i;
    } else if (s[i] == quote) {
      return i;
    }
  }
  return std::string_view::npos;
}

}  // namespace

Result<Env> read_dotenv(const std::string& path) {
  auto text = read_text(path, kLargestDotenv);
  if (!text) return tl::unexpected(text.error());
  Env env;
  std::string_view rest = *text;
  if (rest.starts_with("\xef\xbb\xbf")) rest.remove_prefix(3);
  int line = 0;
  while (!rest.empty()) {
    ++line;
    const auto wrong = [&](std::string_view what) {
      return fail(path + ':' + std::to_string(line) + ": " + std::string(what) + "; accepted: NAME=value");
    };
    const auto end = std::min(rest.find('\n'), rest.size());
    std::string_view entry = trim(rest.substr(0, end));
    if (entry.empty() || entry.front() == '#') {
      rest.remove_prefix(std::min(end + 1, rest.size()));
      continue;
    }
    if (entry.starts_with("export ") || entry.starts_with("export\t")) entry = trim(entry.substr(7));
    const auto equals = entry.find('=');
    if (equals == std::string_view::npos) return wrong("found no =");
    const std::string_view name = trim(entry.substr(0, equals));
    if (name.empty() || !std::all_of(name.begin(), name.end(), name_char)) return wrong("found a bad name");

    std::string value;
    std::string_view raw = rest.substr(static_cast<std::size_t>(entry.data() - rest.data()) + equals + 1);
    while (!raw.empty() && (raw.front() == ' ' || raw.front() == '\t')) raw.remove_prefix(1);
    const char quote = raw.empty() ? '\0' : raw.front();
    std::size_t used = 0;
    if (quote == '"' || quote == '\'' || quote == '`') {
      used = closing(raw, quote);
      if (used == std::string_view::npos) return wrong("found a quote that is not closed");
      const std::string_view inside = raw.substr(1, used - 1);
      value = quote == '"' ? unescape(inside) : std::string(inside);
      line += static_cast<int>(std::count(inside.begin(), inside.end(), '\n'));
    } else {
      raw = raw.substr(0, raw.find('\n'));
      const auto comment = raw.starts_with('#') ? 0 : std::min(raw.find(" #"), raw.find("\t#"));
      value = trim(raw.substr(0, comment));
    }
    if (value.find('\0') != std::string::npos) return wrong("found NUL");
    const auto same = std::find_if(env.begin(), env.end(), [&](const auto& e) { return e.first == name; });
    if (same != env.end()) {
      same->second = std::move(value);
    } else {
      env.emplace_back(name, std::move(value));
    }
    rest.remove_prefix(static_cast<std::size_t>(raw.data() - rest.data()) + used);
    rest.remove_prefix(std::min(std::min(rest.find('\n'), rest.size()) + 1, rest.size()));
  }
  return env;
}

}  // namespace tend::config
