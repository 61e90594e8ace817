#include <doctest/doctest.h>
#include <fcntl.h>

#include "core/keeper/entry_table.h"
#include "core/keeper/fd_table.h"

namespace tend::keeper {

TEST_CASE("a pending entry owes one pending report, and a settled one never the pending one too") {
  EntryTable table;
  Entry* entry = table.add(1, 1);
  REQUIRE(entry != nullptr);
  size_t from = 0;
  CHECK(table.next_owed(from) == nullptr);
  table.owe_all();
  from = 0;
  REQUIRE(table.next_owed(from) == entry);
  CHECK(entry->owed == Entry::kPending);
  entry->state = Entry::State::live;
  table.owe(*entry, Entry::kSpawned);
  CHECK(entry->owed == Entry::kSpawned);
  entry->state = Entry::State::exited;
  table.owe(*entry, Entry::kFinal);
  CHECK(entry->owed == (Entry::kSpawned | Entry::kFinal));
  table.owe_state(*entry);
  CHECK(entry->owed == Entry::kFinal);
  table.forget_owed();
  from = 0;
  CHECK(table.next_owed(from) == nullptr);
}

TEST_CASE("the table of entries is bounded") {
  EntryTable table;
  for (uint32_t i = 0; i < EntryTable::kMax; ++i) REQUIRE(table.add(i, 1) != nullptr);
  CHECK(table.add(1, 2) == nullptr);
}

TEST_CASE("names keep their order when most were dropped and the holes closed") {
  FdTable table;
  const auto fd = [] { return UniqueFd(open("/dev/null", O_RDONLY | O_CLOEXEC)); };
  for (int i = 0; i < 200; ++i) table.hold("n" + std::to_string(i), fd());
  for (int i = 0; i < 200; ++i) {
    if (i % 10 != 0) table.drop("n" + std::to_string(i));
  }
  table.hold("last", fd());
  std::string names;
  for (size_t i = 0; i < table.slots(); ++i) {
    if (table.slot(i).name.empty()) continue;
    CHECK(table.slot(i).fd);
    names += table.slot(i).name + " ";
  }
  CHECK(table.slots() < 150);
  CHECK(names ==
        "n0 n10 n20 n30 n40 n50 n60 n70 n80 n90 n100 n110 n120 n130 n140 n150 n160 n170 n180 n190 last ");
}

}  // namespace tend::keeper
