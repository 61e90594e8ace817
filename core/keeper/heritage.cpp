#include "core/keeper/heritage.h"

#include <cstdio>
#include <cstring>

namespace tend::keeper {

std::string heritage_text(const Heritage& heritage) {
  const ChildDefaults& d = heritage.defaults;
  char text[128];
  const char* score = d.oom_score_adj[0] == '\0' ? "-" : d.oom_score_adj.data();
  const int score_size = static_cast<int>(std::strcspn(score, " \n"));
  std::snprintf(text, sizeof text, "1 %d %o %llu %llu %.*s %d", heritage.founder,
                static_cast<unsigned>(d.umask), static_cast<unsigned long long>(d.nofile.rlim_cur),
                static_cast<unsigned long long>(d.nofile.rlim_max), score_size, score, heritage.owner);
  return text;
}

std::optional<Heritage> read_heritage(std::string_view text) {
  Heritage out;
  unsigned mask = 0;
  unsigned long long soft = 0, hard = 0;
  char score[16] = {};
  const std::string copy(text);
  if (std::sscanf(copy.c_str(), "1 %d %o %llu %llu %15s %d", &out.founder, &mask, &soft, &hard, score,
                  &out.owner) < 5 ||
      out.founder <= 1 || mask > 0777 || soft > hard) {
    return std::nullopt;
  }
  out.defaults.umask = static_cast<mode_t>(mask);
  out.defaults.nofile = {static_cast<rlim_t>(soft), static_cast<rlim_t>(hard)};
  if (std::strcmp(score, "-") != 0) std::memcpy(out.defaults.oom_score_adj.data(), score, sizeof score);
  return out;
}

}  // namespace tend::keeper
