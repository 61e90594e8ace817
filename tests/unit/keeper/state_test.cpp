// What a keeper leaves to the next program: written, read, and refused when it is not whole.
#include "core/keeper/state.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstring>
#include <fstream>
#include <iterator>
#include <string>

#include "core/keeper/main.h"
#include "harness.h"

namespace tend::keeper {
namespace {

using test::unsealed;

constexpr int kNoFd = 1000;  // nothing of this process: whoever owns it closes nothing

std::string bytes_of(int fd) {
  std::string bytes(1 << 16, '\0');
  const ssize_t n = pread(fd, bytes.data(), bytes.size(), 0);
  bytes.resize(n > 0 ? static_cast<size_t>(n) : 0);
  return bytes;
}

// Of each field another value.
std::string example() {
  StateHead head;
  head.epoch = 0x1122334455667788;
  head.started = 1234567;
  head.nofile = 1024;
  head.nofile_most = 4096;
  std::strcpy(head.oom_score_adj, "-17");
  head.umask = 027;
  head.flags = kReopenOwed;
  head.upgrades = 3;
  head.home = kNoFd;
  head.lock = kNoFd + 1;
  head.listener = kNoFd + 2;
  head.listener_device = 77;
  head.listener_inode = 88;
  EntryTable entries;
  entries.add(1, 4)->error_pipe.reset(kNoFd + 3);
  entries.all().reserve(3);
  Entry& live = *entries.add(2, 5);
  live.pid = 4711;
  live.state = Entry::State::live;
  Entry& exited = *entries.add(3, 6);
  exited.pid = 4712;
  exited.state = Entry::State::exited;
  exited.result = 9;
  exited.detail = 5555;
  live.repeats = 2;
  live.again = std::make_unique<Again>();
  live.again->how.fd_count = 2;
  live.again->how.fds[0] = Repeat::kOut;
  live.again->how.fds[1] = Repeat::kSame;
  live.again->delay = Millis{250};
  live.again->blob.reset(kNoFd + 7);
  live.again->cgroup.reset(kNoFd + 8);
  live.again->same.emplace_back(kNoFd + 9);
  FdTable held;
  held.hold("slots", UniqueFd(kNoFd + 4));
  held.hold("gone", UniqueFd(kNoFd + 5));
  held.hold("out/2.5", UniqueFd(kNoFd + 6));
  held.drop("gone");
  const auto file = write_state(head, entries, held);
  REQUIRE(file.has_value());
  return bytes_of(file->get());
}

void check_example(const std::string& bytes, bool repeats = true) {
  const UniqueFd file = unsealed(bytes);
  const auto state = StateReader::open(file.get());
  REQUIRE_MESSAGE(state.has_value(), state.error().message);
  const StateHead& head = state->head();
  CHECK(head.epoch == 0x1122334455667788);
  CHECK(head.started == 1234567);
  CHECK(head.nofile == 1024);
  CHECK(head.nofile_most == 4096);
  CHECK(std::string(head.oom_score_adj) == "-17");
  CHECK(head.umask == 027);
  CHECK(head.flags == kReopenOwed);
  CHECK(head.upgrades == 3);
  CHECK(head.home == kNoFd);
  CHECK(head.lock == kNoFd + 1);
  CHECK(head.listener == kNoFd + 2);
  CHECK(head.listener_device == 77);
  CHECK(head.listener_inode == 88);
  REQUIRE(state->entries() == 3);
  CHECK(state->entry(0).id == 1);
  CHECK(state->entry(0).spawn == 4);
  CHECK(state->entry(0).state == static_cast<uint8_t>(Entry::State::pending));
  CHECK(state->entry(0).error_pipe == kNoFd + 3);
  CHECK(state->entry(1).pid == 4711);
  CHECK(state->entry(1).error_pipe == -1);
  CHECK(state->entry(2).result == 9);
  CHECK(state->entry(2).detail == 5555);
  REQUIRE(state->held() == 2);
  CHECK(std::string(state->held(0).name) == "slots");
  CHECK(std::string(state->held(1).name) == "out/2.5");
  CHECK(state->held(1).fd == kNoFd + 6);
  int fds = 0;
  state->each_fd([&](int fd) { fds += fd - kNoFd + 1; });
  CHECK(fds == 1 + 2 + 3 + 4 + 5 + 7 + (repeats ? 8 + 9 + 10 : 0));
  CHECK(state->entry(0).blob == -1);
  CHECK(state->entry(1).blob == (repeats ? kNoFd + 7 : -1));
  if (!repeats) return;
  CHECK(state->entry(1).repeats == 2);
  CHECK(state->entry(1).delay == 250);
  CHECK(state->entry(1).how.fds[1] == Repeat::kSame);
  CHECK(state->entry(1).same_count == 1);
}

std::string refusal(const std::string& bytes) {
  const UniqueFd file = unsealed(bytes);
  const auto state = StateReader::open(file.get());
  return state ? "" : state.error().message;
}

// What the answer of a check says, and whether it is the proof.
std::string answer(int state, const std::function<Status(const Held&)>& daemon, int expected) {
  int ends[2];
  REQUIRE(pipe2(ends, O_CLOEXEC | O_NONBLOCK) == 0);
  const UniqueFd ours(ends[0]), theirs(ends[1]);
  CHECK(check_state(state, theirs.get(), daemon) == expected);
  char said[64] = {};
  const ssize_t n = read(ours.get(), said, sizeof said);
  return {said, n > 0 ? static_cast<size_t>(n) : 0};
}

}  // namespace

TEST_CASE("a state is read as it was written") { check_example(example()); }

std::string fixture(const char* name) {
  std::ifstream file(std::string(TEND_FIXTURES) + "/" + name, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

TEST_CASE("the state of version 1 is read: its processes are never repeated") {
  check_example(fixture("keeper-1.bin"), false);
}

TEST_CASE("the state of version 2 is what this program writes as long as it is of that version") {
  check_example(fixture("keeper-2.bin"));
  if (kStateVersion == 2) CHECK(fixture("keeper-2.bin") == example());
}

TEST_CASE("a state of a newer version is refused by its number") {
  std::string bytes = example();
  bytes[8] = static_cast<char>(kStateVersion + 1);
  CHECK(refusal(bytes) == "keeper state version " + std::to_string(kStateVersion + 1) +
                              "; this tend reads version " + std::to_string(kStateVersion));
}

TEST_CASE("a state that was cut off or in which any byte is wrong is refused") {
  const std::string good = example();
  REQUIRE(refusal(good).empty());
  for (size_t size = 0; size < good.size(); ++size)
    REQUIRE_MESSAGE(!refusal(good.substr(0, size)).empty(), size);
  CHECK(!refusal(good + std::string(8, '\0')).empty());
  for (size_t at = 0; at < good.size(); ++at) {
    for (const int change : {1, 0x80, 0xff}) {
      std::string bad = good;
      bad[at] = static_cast<char>(bad[at] ^ change);
      REQUIRE_MESSAGE(!refusal(bad).empty(), at);
    }
  }
  CHECK(!StateReader::open(-1).has_value());
}

TEST_CASE("a check gives the proof, or the words of what is wrong, cut to what a report holds") {
  EntryTable entries;
  FdTable held;
  StateHead head;
  head.epoch = 0x4142434445464748;
  const UniqueFd null(open("/dev/null", O_RDONLY | O_CLOEXEC));
  held.hold("slots", UniqueFd(fcntl(null.get(), F_DUPFD_CLOEXEC, 500)));
  const int slots = held.slot(0).fd.get();
  const auto state = write_state(head, entries, held);
  REQUIRE(state.has_value());
  const auto fine = [&](const Held& find) -> Status {
    CHECK(find("slots") == slots);
    CHECK(find("others") == -1);
    return {};
  };
  CHECK(answer(state->get(), fine, 0) == "HGFEDCBA");
  const auto words = [](const Held&) -> Status { return fail(std::string(100, 'x')); };
  CHECK(answer(state->get(), words, 1) == std::string(kNameSize - 1, 'x'));
  held.hold("slots", UniqueFd());  // closed, although the state names it
  CHECK(answer(state->get(), fine, 1).find("Bad file descriptor") != std::string::npos);
  CHECK(answer(unsealed("nonsense").get(), fine, 1) == "no keeper's state");
}

}  // namespace tend::keeper
