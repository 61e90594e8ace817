#include "cmd/tend/conf_store.h"

#include <sys/stat.h>

#include "core/base/file.h"
#include "core/base/text.h"
#include "core/model/api.h"
#include "ipc/msgpack.h"

namespace tend::cli {
namespace {

constexpr int kIndent = 4;  // as PM2 writes it
const Value kNull;

}  // namespace

Result<ConfStore> ConfStore::open(const Home& home) {
  ConfStore store(home.settings());
  const auto text = read_file(store.path_);
  if (!text) {
    if (text.error().code == ENOENT) return store;
    return tl::unexpected(text.error());
  }
  if (trim(*text).empty()) return store;
  auto root = ipc::from_json(*text);
  if (!root) return tend::fail(store.path_ + ": " + root.error().message);
  if (!root->is<Map>()) return tend::fail(store.path_ + ": accepted: an object");
  store.root_ = std::move(*root);
  return store;
}

const Value& ConfStore::get(const std::vector<std::string>& path) const {
  const Value* at = &root_;
  for (const auto& key : path) {
    if (!at->is<Map>()) return kNull;
    at = &at->at(key);
  }
  return *at;
}

void ConfStore::set(const std::vector<std::string>& path, std::string value) {
  Value* at = &root_;
  for (const auto& key : path) {
    if (!at->is<Map>()) *at = Map{};
    at = &(*at->as<Map>())[key];
  }
  *at = std::move(value);
}

bool ConfStore::unset(const std::vector<std::string>& path) {
  Value* at = &root_;
  for (std::size_t i = 0; i + 1 < path.size(); ++i) {
    if (!at->is<Map>() || at->at(path[i]).is_null()) return false;
    at = &(*at->as<Map>())[path[i]];
  }
  return at->is<Map>() && at->as<Map>()->erase(path.back());
}

Status ConfStore::save() const {
  ::mkdir(path_.substr(0, path_.rfind('/')).c_str(), 0700);
  return replace_file(path_, ipc::to_json(root_, kIndent));
}

Status save_settings(Session& s, const ConfStore& store) {
  if (auto saved = store.save(); !saved) return saved;
  const auto reply = s.ask(api::kSettings, Map{}, Need::existing);
  if (reply && !reply->at("problem").text().empty()) s.complain(printable(reply->at("problem").text()));
  return {};
}

std::vector<std::string> conf_path(std::string_view key) {
  const auto parts = split(key, key.find(':') != std::string_view::npos ? ':' : '.');
  for (const auto& part : parts)
    if (part.empty()) return {};
  return parts;
}

std::vector<std::string> conf_words(std::string_view text) {
  std::vector<std::string> words;
  std::string word;
  bool open = false;
  char quote = 0;
  for (const char c : text) {
    if (quote != 0) {
      c == quote ? void(quote = 0) : word.push_back(c);
    } else if (c == '\'' || c == '"') {
      quote = c;
      open = true;
    } else if (c == ' ') {
      if (open || !word.empty()) words.push_back(std::move(word));
      word.clear();
      open = false;
    } else {
      word.push_back(c);
    }
  }
  if (open || !word.empty()) words.push_back(std::move(word));
  return words;
}

}  // namespace tend::cli
