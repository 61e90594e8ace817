#include "core/lifecycle/watch_pace.h"

#include <doctest/doctest.h>

namespace tend::lifecycle {
namespace {

constexpr Millis kOld{3600000};

TEST_CASE("changes that come together are one restart, which names the first") {
  WatchPace p;
  CHECK(p.due() == Millis{-1});
  CHECK(p.changed("a", Millis{1000}, kOld));
  CHECK(p.due() == Millis{1100});
  CHECK(p.changed("b", Millis{1050}, kOld));
  CHECK(p.changed("a", Millis{1060}, kOld));
  CHECK(p.due() == Millis{1160});
  const auto r = p.fire();
  CHECK(r.path == "a");
  CHECK(r.more == 1);
  CHECK(r.pause == Millis{0});
  CHECK(p.due() == Millis{-1});
}

TEST_CASE("who never stops writing does not put the restart off for ever") {
  WatchPace p;
  for (int64_t t = 0; t < 10000; t += 50) p.changed("a", Millis{t}, kOld);
  CHECK(p.due() == WatchPace::kPatience);
}

TEST_CASE("the delay counts from the first change") {
  WatchPace p(Millis{1000});
  p.changed("a", Millis{0}, kOld);
  CHECK(p.due() == Millis{1000});
  p.changed("a", Millis{500}, kOld);
  CHECK(p.due() == Millis{1000});
  p.changed("a", Millis{950}, kOld);
  CHECK(p.due() == Millis{1050});
}

TEST_CASE("changes during a restart count for nothing") {
  WatchPace p;
  CHECK_FALSE(p.changed("a", Millis{0}, WatchPace::kRestarting));
  CHECK(p.due() == Millis{-1});
}

// Restarts for the same path, each at this age of the process.
WatchPace::Restart in_a_row(WatchPace& p, uint32_t times, Millis age, const char* path = "state") {
  WatchPace::Restart last;
  for (uint32_t i = 0; i < times; ++i) {
    REQUIRE(p.changed(path, Millis{100000 * i}, age));
    last = p.fire();
  }
  return last;
}

TEST_CASE("a path that restarts each young process has to wait, and only it") {
  WatchPace p;
  CHECK(in_a_row(p, WatchPace::kInARow - 1, Millis{50}).pause == Millis{0});
  const auto r = in_a_row(p, 1, Millis{50});
  CHECK(r.path == "state");
  CHECK(r.pause == WatchPace::kFirstPause);
  CHECK(p.changed("state", Millis{1000050}, Millis{50}));
  CHECK(p.due() == Millis{1000000} + WatchPace::kFirstPause);
  CHECK(p.changed("code.js", Millis{1000100}, Millis{100}));
  CHECK(p.due() == Millis{1000100} + WatchPace::kQuiet);
  p.fire();
  CHECK(p.changed("state", Millis{2000050}, Millis{50}));
  CHECK(p.due() > Millis{2000000} + WatchPace::kFirstPause);
}

TEST_CASE("the pause grows up to its bound, and a change in a later age ends it") {
  WatchPace p;
  in_a_row(p, WatchPace::kInARow, Millis{50});
  CHECK(in_a_row(p, 1, Millis{50}).pause == WatchPace::kFirstPause * 2);
  CHECK(in_a_row(p, 20, Millis{50}).pause == WatchPace::kLongestPause);
  CHECK(in_a_row(p, 1, WatchPace::kSoon).pause == Millis{0});
  CHECK(p.changed("state", Millis{5000}, Millis{50}));
  CHECK(p.due() == Millis{5000} + WatchPace::kQuiet);
}

TEST_CASE("a person who saves again and again is no loop while the process lives longer, or files differ") {
  WatchPace p;
  CHECK(in_a_row(p, 20, WatchPace::kSoon).pause == Millis{0});
  WatchPace q;
  for (int i = 0; i < 10; ++i) {
    CHECK(in_a_row(q, 1, Millis{100}, "a").pause == Millis{0});
    CHECK(in_a_row(q, 1, Millis{100}, "b").pause == Millis{0});
  }
}

}  // namespace
}  // namespace tend::lifecycle
