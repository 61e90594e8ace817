#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include <csignal>
#include <cstring>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

#include "core/journal/journal.h"

namespace tend::journal {
namespace {

Slot slot(uint32_t id, int32_t pid) {
  Slot s;
  s.id = id;
  s.pid = pid;
  s.state.spawn = static_cast<uint32_t>(pid);
  return s;
}

SlotTable made(uint32_t capacity) {
  auto table = SlotTable::create(capacity);
  REQUIRE(table.has_value());
  return std::move(*table);
}

Result<SlotTable> adopted(const SlotTable& table) {
  return SlotTable::adopt(UniqueFd(::fcntl(table.fd(), F_DUPFD_CLOEXEC, 0)));
}

TEST_CASE("a successor that adopts the memfd finds the last of each slot and no erased one") {
  SlotTable table = made(4);
  CHECK((::fcntl(table.fd(), F_GETFD) & FD_CLOEXEC) != 0);
  for (int32_t round = 1; round <= 3; ++round) {
    for (uint32_t id : {5u, 1u, 9u}) table.put(slot(id, round * 100 + static_cast<int32_t>(id)));
  }
  table.erase(1);
  table.erase(77);
  auto next = adopted(table);
  REQUIRE(next.has_value());
  const std::vector<Slot> all = next->all();
  REQUIRE(all.size() == 2);
  CHECK(all[0].pid == 305);
  CHECK(all[1].pid == 309);
  CHECK(all[1].state.spawn == 309);
  CHECK(all[0].created_wall == -1);
}

TEST_CASE("the table grows, keeps what it held, and a successor sees all of it") {
  SlotTable table = made(1);
  for (uint32_t id = 0; id < 5000; ++id) REQUIRE(table.put(slot(id, static_cast<int32_t>(id + 1))));
  for (uint32_t id = 0; id < 5000; id += 2) table.erase(id);
  for (uint32_t id = 10000; id < 12000; ++id) REQUIRE(table.put(slot(id, 1)));
  auto next = adopted(table);
  REQUIRE(next.has_value());
  CHECK(next->all().size() == 4500);
  CHECK(next->all()[7].id == 15);
  CHECK(next->all()[7].pid == 16);
  CHECK(next->put(slot(99999, 1)));
  CHECK(next->all().size() == 4501);
}

TEST_CASE("an over-long cause text is cut and ends in NUL") {
  SlotTable table = made(1);
  Slot s = slot(1, 1);
  std::memset(s.cause_text, 'x', sizeof s.cause_text);
  table.put(s);
  CHECK(std::string_view(table.all()[0].cause_text).size() == sizeof s.cause_text - 1);
}

TEST_CASE("what is no slot table, of another layout or too short is refused") {
  const auto with = [](std::string_view bytes, std::size_t size) {
    UniqueFd fd(::memfd_create("test", MFD_CLOEXEC));
    REQUIRE(::write(fd.get(), bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size()));
    REQUIRE(::ftruncate(fd.get(), static_cast<off_t>(size)) == 0);
    return SlotTable::adopt(std::move(fd)).has_value();
  };
  SlotTable table = made(8);
  char head[32];
  REQUIRE(::pread(table.fd(), head, sizeof head, 0) == sizeof head);
  const std::string_view good(head, sizeof head);
  CHECK(with(good, 1 << 20));
  CHECK(!with(good, 100));
  CHECK(!with("", 0));
  CHECK(!with("", 4096));
  for (const std::size_t byte : {0u, 8u, 12u, 19u}) {  // magic, layout, slot size, capacity (its top byte)
    std::string bad(good);
    bad[byte] = static_cast<char>(bad[byte] + 1);
    CHECK_MESSAGE(!with(bad, 1 << 20), byte);
  }
  CHECK(!SlotTable::adopt(UniqueFd()).has_value());
}

TEST_CASE("a table of layout 6 is read") {
  std::ifstream file(TEND_FIXTURES "/slots-6.bin", std::ios::binary);
  const std::string bytes{std::istreambuf_iterator<char>(file), {}};
  UniqueFd fd(::memfd_create("test", MFD_CLOEXEC));
  REQUIRE(::write(fd.get(), bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size()));
  CHECK(SlotTable::check(fd.get()).has_value());
  const auto table = SlotTable::adopt(std::move(fd));
  REQUIRE_MESSAGE(table.has_value(), table.error().message);
  REQUIRE(table->all().size() == 1);
  const Slot s = table->all()[0];
  CHECK(s.id == 7);
  CHECK(s.pid == 4711);
  CHECK(s.other_pid == 4712);
  CHECK(s.state.phase == lifecycle::Phase::online);
  CHECK(s.state.wanted);
  CHECK(s.state.executed);
  CHECK(s.state.spawn == 3);
  CHECK(s.state.last_spawn == 4);
  CHECK(s.state.restarts == 2);
  CHECK(s.state.unstable == 1);
  CHECK(s.state.last_status == 9);
  CHECK(s.state.has_exit);
  CHECK(s.state.since.n == 123456);
  CHECK(s.state.other.role == lifecycle::Other::Role::leaving);
  CHECK(s.state.other.spawn == 2);
  CHECK(s.created_wall == 1700000000001);
  CHECK(s.spawned_wall == 1700000000002);
  CHECK(s.cause_wall == 1700000000003);
  CHECK(std::string_view(s.cause_text) == "user root: restart api");
  CHECK(s.answers);
  CHECK(s.owes_ack);
  CHECK(s.main_start == 99);
  CHECK(s.notices == 5);
  CHECK(std::string_view(s.status_text) == "serving");
}

TEST_CASE("a table of a newer layout is refused as such, and only that one is") {
  const SlotTable table = made(1);
  CHECK(SlotTable::check(table.fd()).has_value());
  const auto code_with = [&](char layout) {
    REQUIRE(::pwrite(table.fd(), &layout, 1, 8) == 1);
    const Status checked = SlotTable::check(table.fd());
    const auto next = adopted(table);
    REQUIRE_FALSE(next.has_value());
    REQUIRE_FALSE(checked.has_value());
    CHECK(checked.error().message == next.error().message);
    CHECK(checked.error().code == next.error().code);
    return next.error().code;
  };
  CHECK(code_with(100) == EPROTONOSUPPORT);
  CHECK(code_with(1) == 0);
}

TEST_CASE("a writer killed at any moment leaves whole slots") {
  SlotTable table = made(4);
  const auto fill = [](Slot& s, int32_t n) {
    s.pid = n;
    s.created_wall = s.exited_wall = s.cause_wall = n;
    s.state.restarts = static_cast<uint32_t>(n);
  };
  Slot s = slot(3, 0);
  fill(s, 0);
  table.put(s);
  int32_t seen = 0;
  for (int kill = 0; kill < 50; ++kill) {
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
      for (int32_t n = seen + 1;; ++n) {
        fill(s, n);
        table.put(s);
      }
    }
    while (table.all()[0].pid == seen && ::waitpid(child, nullptr, WNOHANG) == 0) {  // until it has written
    }
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
    auto next = adopted(table);
    REQUIRE(next.has_value());
    const std::vector<Slot> all = next->all();
    REQUIRE(all.size() == 1);
    CHECK(all[0].pid > seen);
    CHECK(all[0].created_wall == all[0].pid);
    CHECK(all[0].cause_wall == all[0].pid);
    CHECK(all[0].state.restarts == static_cast<uint32_t>(all[0].pid));
    seen = all[0].pid;
  }
}

}  // namespace
}  // namespace tend::journal
