// JSON as PM2 takes it, which evaluates .json files as JavaScript: comments, bare keys, single quotes,
// trailing commas, a byte order mark, hexadecimal numbers and the escapes of JavaScript. Expressions are not
// taken.
#include <charconv>
#include <cmath>

#include "core/base/text.h"
#include "core/config/document.h"

namespace tend::config {
namespace {

bool name_start(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '$' || (c & 0x80) != 0;
}
bool digit(char c) { return c >= '0' && c <= '9'; }

// An object under construction: hashed once it is large, so that a file of a million keys stays linear.
class Fields {
 public:
  void set(std::string key, Value value) {
    if (map_.size() < kSmall) return map_.set(std::move(key), std::move(value));
    if (index_.empty()) {
      std::size_t i = 0;
      for (const auto& entry : map_) index_.emplace(entry.first, i++);
    }
    const auto [at, fresh] = index_.emplace(key, map_.size());
    if (fresh) {
      map_.append(std::move(key), std::move(value));
    } else {
      (map_.begin() + static_cast<std::ptrdiff_t>(at->second))->second = std::move(value);
    }
  }
  Map take() { return std::move(map_); }

 private:
  static constexpr std::size_t kSmall = 32;
  Map map_;
  std::unordered_map<std::string, std::size_t> index_;
};

class Parser {
 public:
  Parser(std::string_view text, std::string_view name) : text_(text), name_(name) {}

  Result<Document> run() {
    if (const auto wrong = invalid_utf8(text_); wrong != std::string_view::npos) {
      at_ = wrong;
      return error("a byte that is no UTF-8");
    }
    if (text_.starts_with("\xef\xbb\xbf")) at_ = 3;
    if (!value(document_.root) || !blanks()) return error();
    if (at_ != text_.size()) return error(found() + " after the end");
    return std::move(document_);
  }

 private:
  bool stop(std::string what) {
    if (message_.empty()) message_ = std::move(what);
    return false;
  }

  std::string found() const {
    if (at_ >= text_.size()) return "found the end of the file";
    std::size_t end = at_ + 1;
    while (end < text_.size() && end - at_ < 24 && (name_start(text_[end]) || digit(text_[end]))) ++end;
    return "found " + printable(text_.substr(at_, end - at_));
  }

  tl::unexpected<Error> error(std::string what = {}) {
    if (!what.empty()) stop(std::move(what));
    std::size_t line = 1, start = 0;
    for (std::size_t i = 0; i < at_ && i < text_.size(); ++i) {
      if (text_[i] == '\n') {
        ++line;
        start = i + 1;
      }
    }
    return fail(std::string(name_) + ':' + std::to_string(line) + ':' + std::to_string(at_ - start + 1) +
                ": " + message_);
  }

  char peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }

  bool blanks() {
    for (; at_ < text_.size(); ++at_) {
      const std::string_view rest = text_.substr(at_);
      if (rest.starts_with("//")) {
        const auto end = rest.find('\n');
        at_ = end == std::string_view::npos ? text_.size() : at_ + end;
      } else if (rest.starts_with("/*")) {
        const auto end = rest.find("*/", 2);
        if (end == std::string_view::npos) return stop("a comment that does not end");
        at_ += end + 1;
      } else if (rest.starts_with("\xc2\xa0")) {  // a pasted no-break space is white space in JavaScript
        ++at_;
      } else if (rest[0] != ' ' && rest[0] != '\t' && rest[0] != '\n' && rest[0] != '\r') {
        break;
      }
      if (at_ >= text_.size()) break;
    }
    return true;
  }

  // Line of at_, counted on from the last call: calls come in ascending order.
  void note_line() {
    if (path_depth_ > kLineDepth) return;
    for (; counted_ < at_; ++counted_) {
      if (text_[counted_] == '\n') ++line_;
    }
    document_.lines.emplace(path_, line_);
  }

  bool value(Value& out) {
    if (!blanks()) return false;
    const char c = peek();
    if (c == '{') return object(out);
    if (c == '[') return list(out);
    if (c == '"' || c == '\'') {
      std::string s;
      if (!string(s)) return false;
      out = std::move(s);
      return true;
    }
    if (digit(c) || c == '-' || c == '+' || c == '.') return number(out);
    return word(out);
  }

  bool word(Value& out) {
    const std::size_t start = at_;
    while (name_start(peek()) || digit(peek())) ++at_;
    const std::string_view w = text_.substr(start, at_ - start);
    if (w == "true" || w == "false") {
      out = w == "true";
    } else if (w == "null") {
      out = nullptr;
    } else if (w == "undefined") {
      undefined_ = true;
    } else {
      at_ = start;
      return stop(found() + "; accepted: a value");
    }
    return true;
  }

  bool number(Value& out) {
    const std::size_t start = at_;
    bool negative = false;
    if (peek() == '-' || peek() == '+') negative = text_[at_++] == '-';
    const auto* const first = text_.data() + at_;
    const auto* const end = text_.data() + text_.size();
    const char* last = first;
    if (text_.substr(at_, 2) == "0x" || text_.substr(at_, 2) == "0X") {
      uint64_t n = 0;
      const auto [rest, code] = std::from_chars(first + 2, end, n, 16);
      if (code != std::errc{} || n > INT64_MAX) return stop("a number that is not one or too large");
      out = negative ? -static_cast<int64_t>(n) : static_cast<int64_t>(n);
      last = rest;
    } else {
      if (*first == '-') return stop(found() + "; accepted: a value");
      double d = 0;
      auto [rest, code] = std::from_chars(first, end, d, std::chars_format::general);
      // from_chars also takes inf and nan; digits and a dot only begin a number here.
      if (code == std::errc::invalid_argument || !(digit(*first) || *first == '.')) {
        return stop(found() + "; accepted: a value");
      }
      if (code == std::errc::result_out_of_range) return stop("a number that is too large");
      const std::string_view digits(first, static_cast<std::size_t>(rest - first));
      int64_t n = 0;
      const auto whole = std::from_chars(first, end, n);
      if (whole.ec == std::errc{} && whole.ptr == rest) {
        out = negative ? -n : n;
      } else if (d == std::trunc(d) && d < 9e15) {
        out = static_cast<int64_t>(negative ? -d : d);
      } else {
        out = negative ? -d : d;
      }
      if (rest < end && *rest == '.' && digits.find('.') == std::string_view::npos) ++rest;  // "5."
      last = rest;
    }
    at_ += static_cast<std::size_t>(last - first);
    if (name_start(peek()) || digit(peek())) {
      at_ = start;
      return stop(found() + "; accepted: a number");
    }
    return true;
  }

  bool hex(std::size_t digits, uint32_t& out) {
    const std::string_view text = text_.substr(at_, digits);
    const auto* end = text.data() + text.size();
    const auto [rest, code] = std::from_chars(text.data(), end, out, 16);
    if (text.size() != digits || code != std::errc{} || rest != end) return stop("a bad escape in a string");
    at_ += digits;
    return true;
  }

  bool unicode_escape(uint32_t& c) {
    if (peek() == '{') {
      const auto close = text_.find('}', at_);
      if (close == std::string_view::npos || close - at_ < 2 || close - at_ > 7)
        return stop("a bad escape in a string");
      ++at_;
      if (!hex(close - at_, c)) return false;
      ++at_;
      return c <= 0x10ffff || stop("a bad escape in a string");
    }
    if (!hex(4, c)) return false;
    if (c >= 0xd800 && c < 0xdc00 && text_.substr(at_, 2) == "\\u") {
      const std::size_t before = at_;
      uint32_t low = 0;
      at_ += 2;
      if (peek() != '{' && hex(4, low) && low >= 0xdc00 && low < 0xe000) {
        c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
      } else {
        at_ = before;
      }
    }
    return message_.empty();
  }

  bool escape(std::string& out) {
    if (at_ >= text_.size()) return stop("a string that does not end");
    const char c = text_[at_++];
    uint32_t code = 0;
    switch (c) {
      case 'n':
        out += '\n';
        return true;
      case 't':
        out += '\t';
        return true;
      case 'r':
        out += '\r';
        return true;
      case 'b':
        out += '\b';
        return true;
      case 'f':
        out += '\f';
        return true;
      case 'v':
        out += '\v';
        return true;
      case '0':
        out += '\0';
        return true;
      case '\n':
        return true;  // the string goes on in the next line
      case '\r':
        if (peek() == '\n') ++at_;
        return true;
      case 'x':
        if (!hex(2, code)) return false;
        append_utf8(code, out);
        return true;
      case 'u':
        if (!unicode_escape(code)) return false;
        append_utf8(code, out);
        return true;
      default:
        out += c;
        return true;  // "\c" is "c" in JavaScript
    }
  }

  bool string(std::string& out) {
    const char quote = text_[at_++];
    for (;;) {
      const auto end = text_.find_first_of(quote == '"' ? "\"\\\n" : "'\\\n", at_);
      if (end == std::string_view::npos || text_[end] == '\n') return stop("a string that does not end");
      out.append(text_.substr(at_, end - at_));
      at_ = end + 1;
      if (text_[end] == quote) return true;
      if (!escape(out)) return false;
    }
  }

  bool key(std::string& out) {
    const char c = peek();
    if (c == '"' || c == '\'') return string(out);
    const std::size_t start = at_;
    while (name_start(peek()) || digit(peek())) ++at_;
    if (at_ == start) return stop(found() + "; accepted: a key or }");
    out = text_.substr(start, at_ - start);
    return true;
  }

  // After an element: true with more set if another may follow.
  bool separator(char close, bool& more) {
    if (!blanks()) return false;
    if (peek() == ',') {
      ++at_;
      if (!blanks()) return false;
    } else if (peek() != close) {
      return stop(found() + "; accepted: , or " + close);
    }
    more = peek() != close;
    return true;
  }

  bool enter() { return ++depth_ <= kDeepest || stop("nested more than 64 deep"); }

  std::size_t push(std::string_view part) {
    const std::size_t before = path_.size();
    if (++path_depth_ <= kLineDepth) path_.append("/").append(part);
    return before;
  }
  void pop(std::size_t before) {
    --path_depth_;
    path_.resize(before);
  }

  bool object(Value& out) {
    Fields fields;
    if (!enter()) return false;
    note_line();
    ++at_;
    if (!blanks()) return false;
    for (bool more = peek() != '}'; more;) {
      std::string k;
      if (!key(k)) return false;
      const std::size_t before = push(k);
      note_line();
      Value v;
      if (!blanks()) return false;
      if (peek() != ':') return stop(found() + "; accepted: :");
      ++at_;
      if (!value(v)) return false;
      pop(before);
      if (!std::exchange(undefined_, false)) fields.set(std::move(k), std::move(v));
      if (!separator('}', more)) return false;
    }
    ++at_;
    --depth_;
    out = fields.take();
    return true;
  }

  bool list(Value& out) {
    List items;
    if (!enter()) return false;
    ++at_;
    if (!blanks()) return false;
    for (bool more = peek() != ']'; more;) {
      const std::size_t before = push(path_depth_ < kLineDepth ? std::to_string(items.size()) : "");
      if (!value(items.emplace_back())) return false;
      undefined_ = false;
      pop(before);
      if (!separator(']', more)) return false;
    }
    ++at_;
    --depth_;
    out = std::move(items);
    return true;
  }

  std::string_view text_, name_;
  std::size_t at_ = 0;
  std::size_t counted_ = 0;
  int line_ = 1;
  int depth_ = 0;
  int path_depth_ = 0;
  std::string path_;
  std::string message_;
  bool undefined_ = false;  // the last value: such fields are left out
  Document document_;
};

}  // namespace

Result<Document> parse_lax_json(std::string_view text, std::string_view name) {
  return Parser(text, name).run();
}

}  // namespace tend::config
