#include "core/autopsy/frames.h"

#include "ipc/msgpack.h"

namespace tend::autopsy {
namespace {

constexpr std::string_view kScriptParsed = R"({"method":"Debugger.scriptParsed",)";
constexpr std::string_view kPaused = R"({"method":"Debugger.paused",)";
constexpr std::size_t kMostText = 4096;  // of one name or url

// The JSON string that begins at `at` (its quote), with its quotes; "" when it has no end.
std::string_view string_at(std::string_view text, std::size_t at) {
  for (std::size_t i = at + 1; i < text.size(); ++i) {
    if (text[i] == '\\')
      ++i;
    else if (text[i] == '"')
      return text.substr(at, i + 1 - at);
  }
  return {};
}

// The string behind the first `"key":`, decoded. V8 writes its fields in a fixed order, without blanks, and
// what the program can choose (url, source map) comes after scriptId.
std::optional<std::string> field(std::string_view text, std::string_view key) {
  const std::string needle = '"' + std::string(key) + "\":\"";
  const std::size_t at = text.find(needle);
  if (at == std::string_view::npos) return std::nullopt;
  const std::string_view quoted = string_at(text, at + needle.size() - 1);
  if (quoted.empty() || quoted.size() > kMostText) return std::nullopt;
  const auto value = ipc::from_json(quoted);
  if (!value) return std::nullopt;
  return value->text();
}

// The object that begins at `at` (its brace); "" when it has no end.
std::string_view object_at(std::string_view text, std::size_t at) {
  std::size_t depth = 0;
  for (std::size_t i = at; i < text.size(); ++i) {
    if (text[i] == '"') {
      const std::string_view skipped = string_at(text, i);
      if (skipped.empty()) return {};
      i += skipped.size() - 1;
    } else if (text[i] == '{' || text[i] == '[') {
      ++depth;
    } else if ((text[i] == '}' || text[i] == ']') && --depth == 0) {
      return text.substr(at, i + 1 - at);
    }
  }
  return {};
}

int hex(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

}  // namespace

void Scripts::add(std::string_view message) {
  if (!message.starts_with(kScriptParsed) || urls_.size() >= kMost) return;
  const auto id = field(message, "scriptId");
  const auto url = field(message, "url");
  if (id && url && !url->empty()) urls_.insert_or_assign(*id, *url);
}

std::string Scripts::url(const std::string& id) const {
  const auto found = urls_.find(id);
  return found == urls_.end() ? std::string() : found->second;
}

bool is_paused(std::string_view message) { return message.starts_with(kPaused); }

List frames_of(std::string_view message, const Scripts& scripts) {
  constexpr std::string_view kKey = R"("callFrames":[)";
  List frames;
  std::size_t at = message.find(kKey);
  if (at == std::string_view::npos) return frames;
  at += kKey.size();
  while (frames.size() < kMostFrames && at < message.size() && message[at] == '{') {
    const std::string_view text = object_at(message, at);
    if (text.empty()) break;
    at += text.size();
    if (at < message.size() && message[at] == ',') ++at;
    const auto frame = ipc::from_json(text);
    if (!frame) break;
    const Value& where = frame->at("location");
    std::string url = frame->at("url").text();
    if (url.empty()) url = scripts.url(where.at("scriptId").text());
    frames.emplace_back(Map{{"function", frame->at("functionName").text().substr(0, kMostText)},
                            {"file", path_of(std::string_view(url).substr(0, kMostText))},
                            {"line", where.at("lineNumber").integer(-1) + 1},
                            {"column", where.at("columnNumber").integer(-1) + 1}});
  }
  return frames;
}

std::string path_of(std::string_view url) {
  constexpr std::string_view kFile = "file://";
  if (!url.starts_with(kFile)) return std::string(url);
  url.remove_prefix(kFile.size());
  std::string path;
  for (std::size_t i = 0; i < url.size(); ++i) {
    if (url[i] == '%' && i + 2 < url.size() && hex(url[i + 1]) >= 0 && hex(url[i + 2]) >= 0) {
      path += static_cast<char>(hex(url[i + 1]) * 16 + hex(url[i + 2]));
      i += 2;
    } else {
      path += url[i];
    }
  }
  return path;
}

std::string websocket_path(std::string_view body) {
  const auto list = ipc::from_json(body);
  if (!list || list->list().empty()) return {};
  const std::string& url = list->list().front().at("webSocketDebuggerUrl").text();
  constexpr std::string_view kScheme = "ws://";
  if (!url.starts_with(kScheme)) return {};
  const std::size_t slash = url.find('/', kScheme.size());
  if (slash == std::string::npos) return {};
  std::string path = url.substr(slash);
  // It goes into a request line.
  const bool plain = path.size() <= 256 && path.find_first_of(" \r\n") == std::string::npos;
  return plain ? path : std::string();
}

}  // namespace tend::autopsy
