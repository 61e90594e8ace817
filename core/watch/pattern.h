// Patterns of paths: regular expressions and globs, matched in time that is linear in the text (an automaton
// is run over all its states at once), because users write patterns that would stop a backtracking matcher.
#pragma once

#include <bitset>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"

namespace tend::watch {

class Pattern {
 public:
  static constexpr std::size_t kMaxText = 1024;  // of a pattern
  static constexpr std::size_t kMaxSize = 8192;  // of its program: {m,n} repeats what it stands behind

  // JavaScript's syntax without back references and look-around. Matches anywhere in the text.
  static Result<Pattern> regex(std::string_view text);
  // * ? [..] {a,b} ** and @(a|b) ?(a|b) +(a|b) *(a|b), on whole paths. A star takes names that begin with a
  // dot.
  static Result<Pattern> glob(std::string_view text);

  bool matches(std::string_view text) const;

  struct Step {
    enum class Kind : uint8_t { one_of, fork, jump, begin, end, word_edge, no_word_edge, found } kind{};
    int32_t a = 0, b = 0;  // fork, jump: relative targets; one_of: the set
  };

 private:
  void reach(std::vector<uint32_t>& list, std::vector<uint32_t>& marks, uint32_t mark, uint32_t from,
             std::string_view text, std::size_t at) const;
  std::vector<Step> steps_;
  std::vector<std::bitset<256>> sets_;
};

// The regular expression that a glob means; not bounded by the rules above.
Result<std::string> regex_of_glob(std::string_view glob);

}  // namespace tend::watch
