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
  CHECK_FALSE(r.looping);
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

TEST_CASE("a path that restarts each young process is left out for the first moments, and only it") {
  WatchPace p;
  CHECK_FALSE(in_a_row(p, WatchPace::kInARow - 1, Millis{50}).looping);
  const auto r = in_a_row(p, 1, Millis{50});
  CHECK(r.looping);
  CHECK(r.path == "state");
  CHECK(r.pause == WatchPace::kFirstPause);
  CHECK_FALSE(p.changed("state", Millis{0}, Millis{50}));
  CHECK_FALSE(p.changed("state", Millis{0}, WatchPace::kFirstPause - Millis{1}));
  CHECK(p.changed("code.js", Millis{0}, Millis{50}));
}

TEST_CASE("the pause grows while the path comes back soon after it, and is forgotten later") {
  WatchPace p;
  in_a_row(p, WatchPace::kInARow, Millis{50});
  CHECK(in_a_row(p, 1, WatchPace::kFirstPause + Millis{5}).pause == WatchPace::kFirstPause * 2);
  CHECK_FALSE(in_a_row(p, 1, kOld).looping);
  CHECK(p.changed("state", Millis{0}, Millis{50}));
}

TEST_CASE("a person who saves again and again is no loop while the process lives longer, or files differ") {
  WatchPace p;
  CHECK_FALSE(in_a_row(p, 20, WatchPace::kSoon).looping);
  WatchPace q;
  for (int i = 0; i < 10; ++i) {
    CHECK_FALSE(in_a_row(q, 1, Millis{100}, "a").looping);
    CHECK_FALSE(in_a_row(q, 1, Millis{100}, "b").looping);
  }
}

}  // namespace
}  // namespace tend::lifecycle
