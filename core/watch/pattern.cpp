#include "core/watch/pattern.h"

#include <optional>
#include <string>

#include "core/base/text.h"

namespace tend::watch {
namespace {

using Step = Pattern::Step;
using Kind = Step::Kind;
using Code = std::vector<Step>;
using Set = std::bitset<256>;

constexpr int kMaxDepth = 50, kMaxRepeat = 200;

int32_t length(const Code& code) { return static_cast<int32_t>(code.size()); }
std::size_t index(char c) { return static_cast<unsigned char>(c); }
bool is_word(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

Set range(char first, char last) {
  Set s;
  for (std::size_t c = index(first); c <= index(last); ++c) s.set(c);
  return s;
}

Set words() { return range('a', 'z') | range('A', 'Z') | range('0', '9') | range('_', '_'); }
Set spaces() { return range('\t', '\r') | range(' ', ' '); }

// \d \w \s and their opposites.
std::optional<Set> named_set(char c) {
  switch (c) {
    case 'd':
      return range('0', '9');
    case 'D':
      return ~range('0', '9');
    case 'w':
      return words();
    case 'W':
      return ~words();
    case 's':
      return spaces();
    case 'S':
      return ~spaces();
    default:
      return std::nullopt;
  }
}

char control(char c) {
  switch (c) {
    case 'n':
      return '\n';
    case 'r':
      return '\r';
    case 't':
      return '\t';
    case 'f':
      return '\f';
    case 'v':
      return '\v';
    default:
      return c;
  }
}

// Recursive descent; each part becomes a program that may stand anywhere, as its jumps are relative.
class Compiler {
 public:
  explicit Compiler(std::string_view text) : text_(text) {}

  Result<Code> run() {
    auto code = alternatives(0);
    if (!code) return code;
    if (at_ < text_.size()) return bad("an open bracket before )");
    code->push_back({Kind::found});
    return code;
  }
  std::vector<Set> take_sets() { return std::move(sets_); }

 private:
  bool more() const { return at_ < text_.size(); }
  char peek() const { return text_[at_]; }
  bool eat(std::string_view what) {
    if (text_.substr(at_, what.size()) != what) return false;
    at_ += what.size();
    return true;
  }
  tl::unexpected<Error> bad(const std::string& wanted) const {
    return fail("pattern \"" + printable(text_) + "\", at " + std::to_string(at_) + ": accepted " + wanted);
  }

  Code one_of(const Set& set) {
    sets_.push_back(set);
    return {{Kind::one_of, static_cast<int32_t>(sets_.size() - 1)}};
  }

  Result<Code> alternatives(int depth) {
    if (depth > kMaxDepth) return bad("fewer brackets");
    auto first = sequence(depth);
    if (!first || !eat("|")) return first;
    auto rest = alternatives(depth + 1);
    if (!rest) return rest;
    Code code{{Kind::fork, 1, length(*first) + 2}};
    code.insert(code.end(), first->begin(), first->end());
    code.push_back({Kind::jump, length(*rest) + 1});
    return append(std::move(code), *rest);
  }

  Result<Code> append(Code code, const Code& more_code) {
    if (code.size() + more_code.size() > Pattern::kMaxSize) return bad("a smaller pattern");
    code.insert(code.end(), more_code.begin(), more_code.end());
    return code;
  }

  Result<Code> sequence(int depth) {
    Code code;
    while (more() && peek() != '|' && peek() != ')') {
      auto one = atom(depth);
      if (one) one = repeated(std::move(*one));
      if (!one) return one;
      auto joined = append(std::move(code), *one);
      if (!joined) return joined;
      code = std::move(*joined);
    }
    return code;
  }

  Result<Code> atom(int depth) {
    if (eat("(?:") || eat("(?<")) {
      if (text_[at_ - 1] == '<') {  // a named group; (?<= and (?<! look behind
        const auto close = text_.find('>', at_);
        if (close == std::string_view::npos || peek() == '=' || peek() == '!') return bad("no look-around");
        at_ = close + 1;
      }
      return group(depth);
    }
    if (eat("(?")) return bad("no look-around");
    if (eat("(")) return group(depth);
    if (eat("[")) return bracket();
    if (eat("^")) return Code{{Kind::begin}};
    if (eat("$")) return Code{{Kind::end}};
    if (eat(".")) return one_of(~range('\n', '\n'));
    if (peek() == '*' || peek() == '+' || peek() == '?') return bad("something to repeat before it");
    if (eat("\\")) return escaped();
    const char c = text_[at_++];
    return one_of(range(c, c));
  }

  Result<Code> group(int depth) {
    auto code = alternatives(depth + 1);
    if (code && !eat(")")) return bad(")");
    return code;
  }

  Result<Code> escaped() {
    if (!more()) return bad("a character behind the backslash");
    const char c = text_[at_++];
    if (const auto set = named_set(c)) return one_of(*set);
    if (c == 'b') return Code{{Kind::word_edge}};
    if (c == 'B') return Code{{Kind::no_word_edge}};
    if (c >= '1' && c <= '9') return bad("no back references");
    return one_of(range(control(c), control(c)));
  }

  Result<Code> bracket() {
    const bool inverted = eat("^");
    Set set;
    while (true) {
      if (!more()) return bad("]");
      if (eat("]")) break;
      char first = text_[at_++];
      if (first == '\\') {
        if (!more()) return bad("a character behind the backslash");
        first = text_[at_++];
        if (const auto named = named_set(first)) {
          set |= *named;
          continue;
        }
        first = first == 'b' ? '\b' : control(first);
      }
      char last = first;
      if (at_ + 1 < text_.size() && peek() == '-' && text_[at_ + 1] != ']') {
        ++at_;
        last = text_[at_++];
        if (last == '\\' && more()) last = control(text_[at_++]);
        if (index(last) < index(first)) return bad("a range in order");
      }
      set |= range(first, last);
    }
    return one_of(inverted ? ~set : set);
  }

  std::optional<int> number() {
    std::size_t end = at_;
    int n = 0;
    while (end < text_.size() && text_[end] >= '0' && text_[end] <= '9' && n <= kMaxRepeat)
      n = n * 10 + (text_[end++] - '0');
    if (end == at_) return std::nullopt;
    at_ = end;
    return n;
  }

  Result<Code> repeated(Code code) {
    while (more()) {
      int least = 0, most = -1;  // -1: any
      const std::size_t begin = at_;
      if (eat("*")) {
      } else if (eat("+")) {
        least = 1;
      } else if (eat("?")) {
        most = 1;
      } else if (eat("{")) {
        const auto n = number();
        if (!n) {  // a brace that stands for itself
          at_ = begin;
          return code;
        }
        least = most = *n;
        if (eat(",")) most = number().value_or(-1);
        if (!eat("}") || least > kMaxRepeat || most > kMaxRepeat || (most >= 0 && most < least))
          return bad("a repetition of at most " + std::to_string(kMaxRepeat));
      } else {
        return code;
      }
      eat("?");  // lazy: the same for a match without captures
      auto made = repeat(code, least, most);
      if (!made) return made;
      code = std::move(*made);
    }
    return code;
  }

  Result<Code> repeat(const Code& code, int least, int most) {
    const std::size_t copies = static_cast<std::size_t>(std::max({least, most, 1}));
    if ((code.size() + 1) * copies > Pattern::kMaxSize) return bad("a smaller pattern");
    Code out;
    for (int i = 0; i < least; ++i) out.insert(out.end(), code.begin(), code.end());
    if (most < 0) {
      out.push_back({Kind::fork, 1, length(code) + 2});
      out.insert(out.end(), code.begin(), code.end());
      out.push_back({Kind::jump, -length(code) - 1});
    }
    for (int i = least; i < most; ++i) {
      out.push_back({Kind::fork, 1, (length(code) + 1) * (most - i)});
      out.insert(out.end(), code.begin(), code.end());
    }
    return out;
  }

  std::string_view text_;
  std::size_t at_ = 0;
  std::vector<Set> sets_;
};

}  // namespace

Result<Pattern> Pattern::regex(std::string_view text) {
  if (text.size() > kMaxText) return fail("pattern: longer than " + std::to_string(kMaxText) + " characters");
  Compiler compiler(text);
  auto code = compiler.run();
  if (!code) return tl::unexpected(code.error());
  Pattern p;
  p.steps_ = std::move(*code);
  p.sets_ = compiler.take_sets();
  return p;
}

Result<Pattern> Pattern::glob(std::string_view text) {
  if (text.size() > kMaxText) return fail("pattern: longer than " + std::to_string(kMaxText) + " characters");
  auto expression = regex_of_glob(text);
  if (!expression) return tl::unexpected(expression.error());
  Compiler compiler(*expression);
  auto code = compiler.run();
  if (!code) return fail("glob \"" + printable(text) + "\" cannot be read");
  Pattern p;
  p.steps_ = std::move(*code);
  p.sets_ = compiler.take_sets();
  return p;
}

// The states that `from` leads to without a character; each is entered once for a position.
void Pattern::reach(std::vector<uint32_t>& list, std::vector<uint32_t>& marks, uint32_t mark, uint32_t from,
                    std::string_view text, std::size_t at) const {
  std::vector<uint32_t> todo{from};
  const bool edge = (at > 0 && is_word(text[at - 1])) != (at < text.size() && is_word(text[at]));
  while (!todo.empty()) {
    const uint32_t n = todo.back();
    todo.pop_back();
    if (marks[n] == mark) continue;
    marks[n] = mark;
    const Step& s = steps_[n];
    const auto to = [n](int32_t by) { return static_cast<uint32_t>(static_cast<int32_t>(n) + by); };
    switch (s.kind) {
      case Kind::one_of:
      case Kind::found:
        list.push_back(n);
        break;
      case Kind::fork:
        todo.push_back(to(s.b));
        todo.push_back(to(s.a));
        break;
      case Kind::jump:
        todo.push_back(to(s.a));
        break;
      case Kind::begin:
        if (at == 0) todo.push_back(n + 1);
        break;
      case Kind::end:
        if (at == text.size()) todo.push_back(n + 1);
        break;
      case Kind::word_edge:
        if (edge) todo.push_back(n + 1);
        break;
      case Kind::no_word_edge:
        if (!edge) todo.push_back(n + 1);
        break;
    }
  }
}

bool Pattern::matches(std::string_view text) const {
  std::vector<uint32_t> now, next, marks(steps_.size(), 0);
  for (std::size_t at = 0;; ++at) {
    const auto mark = static_cast<uint32_t>(at + 1);
    // `now` was reached with this mark; a match may also begin here.
    reach(now, marks, mark, 0, text, at);
    for (const uint32_t n : now)
      if (steps_[n].kind == Kind::found) return true;
    if (at == text.size()) return false;
    next.clear();
    for (const uint32_t n : now) {
      if (sets_[static_cast<std::size_t>(steps_[n].a)].test(index(text[at])))
        reach(next, marks, mark + 1, n + 1, text, at + 1);
    }
    now.swap(next);
  }
}

}  // namespace tend::watch
