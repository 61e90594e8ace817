#include "cmd/serve/settings.h"

#include <algorithm>

#include "core/base/text.h"

namespace tend::serve {
namespace {

class Reader {
 public:
  explicit Reader(const std::function<const char*(const std::string&)>& variable) : variable_(variable) {}

  std::string text(const std::string& name, const std::string& fallback = "") const {
    for (const char* const prefix : {"TEND_SERVE_", "PM2_SERVE_"}) {
      const char* const value = variable_(prefix + name);
      if (value != nullptr && *value != '\0') return value;
    }
    return fallback;
  }

  bool flag(const std::string& name) {
    const std::string word = text(name, "false");
    const bool yes = word == "true" || word == "1";
    if (!yes && word != "false" && word != "0") refuse(name, word, "true, false");
    return yes;
  }

  unsigned number(const std::string& name, unsigned fallback, unsigned least, unsigned most) {
    const std::string word = text(name, std::to_string(fallback));
    const unsigned long n = is_digits(word) && word.size() < 9 ? std::stoul(word) : most + 1UL;
    if (n >= least && n <= most) return static_cast<unsigned>(n);
    refuse(name, word, std::to_string(least) + ".." + std::to_string(most));
    return fallback;
  }

  void refuse(const std::string& name, const std::string& found, const std::string& accepted) {
    if (wrong.empty()) wrong = "SERVE_" + name + ": found " + printable(found) + "; accepted: " + accepted;
  }

  std::string wrong;

 private:
  const std::function<const char*(const std::string&)>& variable_;
};

}  // namespace

std::string base64(std::string_view bytes) {
  constexpr std::string_view kDigits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    const std::size_t n = std::min<std::size_t>(3, bytes.size() - i);
    uint32_t group = 0;
    for (std::size_t k = 0; k < 3; ++k)
      group = group << 8 | (k < n ? static_cast<unsigned char>(bytes[i + k]) : 0u);
    for (std::size_t k = 0; k < 4; ++k) out += k <= n ? kDigits[group >> (18 - 6 * k) & 63] : '=';
  }
  return out;
}

Result<Settings> read_settings(const std::function<const char*(const std::string&)>& variable) {
  Reader read(variable);
  Settings s;
  s.root = read.text("PATH", ".");
  s.host = read.text("HOST", s.host);
  s.port = static_cast<uint16_t>(read.number("PORT", s.port, 1, 65535));
  s.homepage = read.text("HOMEPAGE", s.homepage);
  s.homepage.erase(0, std::min(s.homepage.find_first_not_of('/'), s.homepage.size()));
  s.spa = read.flag("SPA");
  s.listing = read.flag("FTP");
  s.cors = read.flag("CORS");
  s.pm2 = read.flag("PM2");
  s.access_log = read.flag("ACCESS_LOG");
  s.cache_control = read.text("CACHE_CONTROL", "no-cache");
  s.threads = read.number("THREADS", s.threads, 1, 64);
  s.connections = read.number("CONNECTIONS", s.connections, 1, 1'000'000);
  s.grace = Millis{read.number("GRACE", static_cast<unsigned>(s.grace.n), 0, 86'400'000)};

  const std::string user = read.text("BASIC_AUTH_USERNAME"), password = read.text("BASIC_AUTH_PASSWORD");
  // PM2 sets all three, and the first to false, where nobody is asked.
  const bool told = !read.text("BASIC_AUTH").empty(), asked = read.flag("BASIC_AUTH");
  if (told && !asked) {
    s.credentials.clear();
  } else if (user.empty() != password.empty() || (asked && user.empty())) {
    read.refuse("BASIC_AUTH",
                user.empty() ? (password.empty() ? "neither name nor password" : "a password without a name")
                             : "a name without a password",
                "both BASIC_AUTH_USERNAME and BASIC_AUTH_PASSWORD, or neither");
  } else if (user.find(':') != std::string::npos) {
    read.refuse("BASIC_AUTH_USERNAME", user, "a name without a colon");
  } else if (!user.empty()) {
    s.credentials = base64(user + ":" + password);
  }
  if (s.cache_control.find_first_of("\r\n") != std::string::npos)
    read.refuse("CACHE_CONTROL", s.cache_control, "one line");
  if (!read.wrong.empty()) return fail(read.wrong);
  return s;
}

}  // namespace tend::serve
