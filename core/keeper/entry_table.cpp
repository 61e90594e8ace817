#include "core/keeper/entry_table.h"

#include <algorithm>

namespace tend::keeper {

Entry* EntryTable::add(uint32_t id, uint32_t spawn) {
  if (entries_.size() >= kMax) return nullptr;
  Entry& entry = entries_.emplace_back();
  entry.id = id;
  entry.spawn = spawn;
  return &entry;
}

Entry* EntryTable::find(uint32_t id, uint32_t spawn) {
  for (Entry& e : entries_) {
    if (e.id == id && e.spawn == spawn) return &e;
  }
  return nullptr;
}

Entry* EntryTable::find_child(pid_t pid) {
  for (Entry& e : entries_) {
    if (e.pid == pid && e.alive() && !e.adopted) return &e;
  }
  return nullptr;
}

Entry* EntryTable::find_adopted(int pidfd) {
  for (Entry& e : entries_) {
    if (e.adopted && e.alive() && e.pidfd.get() == pidfd) return &e;
  }
  return nullptr;
}

Entry* EntryTable::find_pipe(int pipe_fd) {
  for (Entry& e : entries_) {
    if (e.state == Entry::State::pending && e.error_pipe.get() == pipe_fd) return &e;
  }
  return nullptr;
}

// The order of the others stays: reports of one instance must come in the order of its spawns.
void EntryTable::erase(Entry* entry) { entries_.erase(entries_.begin() + (entry - entries_.data())); }

void EntryTable::owe(Entry& entry, Entry::Owed what) {
  entry.owed = static_cast<uint8_t>((entry.owed & ~Entry::kPending) | what);
  owed_ = true;
}

void EntryTable::owe_state(Entry& entry) {
  entry.owed = 0;
  switch (entry.state) {
    case Entry::State::pending:
      return owe(entry, Entry::kPending);
    case Entry::State::live:
      return owe(entry, Entry::kSpawned);
    case Entry::State::failed:
    case Entry::State::exited:
      return owe(entry, Entry::kFinal);
  }
}

void EntryTable::owe_all() {
  for (Entry& e : entries_) owe_state(e);
}

void EntryTable::forget_owed() {
  for (Entry& e : entries_) e.owed = 0;
  owed_ = false;
}

Entry* EntryTable::next_owed(size_t& from) {
  if (!owed_) return nullptr;
  for (; from < entries_.size(); ++from) {
    if (entries_[from].owed != 0) return &entries_[from];
  }
  owed_ = std::any_of(entries_.begin(), entries_.end(), [](const Entry& e) { return e.owed != 0; });
  return nullptr;
}

}  // namespace tend::keeper
