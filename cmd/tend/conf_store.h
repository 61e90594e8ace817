// The settings of a home: module_conf.json, PM2's file and form (compat.md section 6). It belongs to the
// command line.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "cmd/tend/session.h"
#include "core/base/result.h"
#include "core/model/home.h"
#include "core/model/value.h"

namespace tend::cli {

class ConfStore {
 public:
  // A file that is not there is an empty one. Error: not readable, or not an object of JSON; nothing is
  // changed then.
  static Result<ConfStore> open(const Home& home);

  const Map& all() const { return root_.map(); }
  // Null when there is none. The path is one of conf_path().
  const Value& get(const std::vector<std::string>& path) const;
  void set(const std::vector<std::string>& path, std::string value);
  bool unset(const std::vector<std::string>& path);
  void clear() { root_ = Map{}; }
  // Replaces the file whole (0600), what it does not know included.
  Status save() const;

 private:
  explicit ConfStore(std::string path) : path_(std::move(path)), root_(Map{}) {}
  std::string path_;
  Value root_;
};

// Saves, and tells a daemon that runs: it looks after some of them itself. What it cannot read is said.
Status save_settings(Session& s, const ConfStore& store);

// "shop:colour" and "shop.colour" are {"shop", "colour"}; empty when a part is.
std::vector<std::string> conf_path(std::string_view key);
// The words of multiset: separated by blanks, quotes keep them together.
std::vector<std::string> conf_words(std::string_view text);

}  // namespace tend::cli
