// The descriptors that outlive a supervisor, by name, in the order in which they came.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/unique_fd.h"

namespace tend::keeper {

class FdTable {
 public:
  struct Held {
    std::string name;  // empty: dropped
    UniqueFd fd;
  };

  // Replaces in place. Throws std::bad_alloc, and then nothing has changed.
  void hold(std::string_view name, UniqueFd fd);
  void drop(std::string_view name);      // unknown: nothing
  int get(std::string_view name) const;  // borrowed; -1: not there
  // Indices 0 … size() - 1 with holes; they move only in drop().
  size_t slots() const { return held_.size(); }
  const Held& slot(size_t i) const { return held_[i]; }
  void clear() { *this = {}; }

 private:
  size_t find(std::string_view name) const;  // slots(): not there
  void compact();

  std::vector<Held> held_;
  std::vector<uint32_t>
      hashes_;  // beside held_, 0 for a hole: 20,000 names are looked through in microseconds
  size_t holes_ = 0;
};

}  // namespace tend::keeper
