#include "core/keeper/fd_table.h"

namespace tend::keeper {
namespace {

constexpr size_t kFewHoles = 64;

uint32_t hash_of(std::string_view name) {  // FNV-1a
  uint32_t h = 2166136261u;
  for (const char c : name) h = (h ^ static_cast<unsigned char>(c)) * 16777619u;
  return h == 0 ? 1 : h;
}

}  // namespace

size_t FdTable::find(std::string_view name) const {
  const uint32_t hash = hash_of(name);
  const uint32_t* const hashes = hashes_.data();
  for (size_t i = 0, n = hashes_.size(); i < n; ++i) {
    if (hashes[i] == hash && held_[i].name == name) return i;
  }
  return held_.size();
}

void FdTable::hold(std::string_view name, UniqueFd fd) {
  const size_t i = find(name);
  if (i < held_.size()) {
    held_[i].fd = std::move(fd);
    return;
  }
  Held held{std::string(name), std::move(fd)};
  hashes_.push_back(hash_of(name));
  try {
    held_.push_back(std::move(held));
  } catch (...) {
    hashes_.pop_back();  // the two go together
    throw;
  }
}

void FdTable::drop(std::string_view name) {
  const size_t i = find(name);
  if (i == held_.size()) return;
  held_[i] = Held{};
  hashes_[i] = 0;
  if (++holes_ > kFewHoles && holes_ > held_.size() / 2) compact();
}

int FdTable::get(std::string_view name) const {
  const size_t i = find(name);
  return i == held_.size() ? -1 : held_[i].fd.get();
}

void FdTable::compact() {
  size_t to = 0;
  for (size_t from = 0; from < held_.size(); ++from) {
    if (hashes_[from] == 0) continue;
    if (to != from) {
      held_[to] = std::move(held_[from]);
      hashes_[to] = hashes_[from];
    }
    ++to;
  }
  held_.resize(to);
  hashes_.resize(to);
  holes_ = 0;
}

}  // namespace tend::keeper
