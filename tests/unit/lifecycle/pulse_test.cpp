// Blame and verdicts, with time as a variable.
#include <doctest/doctest.h>

#include "core/lifecycle/pulse.h"

namespace tend::lifecycle {
namespace {

constexpr PulsePolicy kPolicy{Millis{1000}, 3, Millis{60000}};

// One process that is asked every interval, as the supervisor does it.
struct Asked {
  Pulse pulse;
  Witness w;
  bool answers = true;
  Health last = Health::unknown;

  explicit Asked(Millis born = Millis{0}) { pulse.born = born; }
  // Until `at`, a round each second; the answer comes after 5 ms.
  void until(int64_t at) {
    while (w.now.n + 1000 <= at) {
      w.now = w.now + Millis{1000};
      last = judge(pulse, w, kPolicy);
      owe(pulse, w);
      if (answers) last = sign(pulse, Millis{5}, kPolicy);
    }
  }
};

TEST_CASE("a process that answers each ping is well") {
  Asked app;
  app.until(60000);
  CHECK(app.last == Health::ok);
  CHECK(app.pulse.misses == 0);
}

TEST_CASE("three intervals without an answer are a hang, two are not") {
  Asked app;
  app.until(10000);
  app.answers = false;  // the ping at 11 s has no answer
  app.until(13000);
  CHECK(app.last == Health::missing);
  CHECK(app.pulse.misses == 2);
  app.until(14000);
  CHECK(app.last == Health::hung);
}

TEST_CASE("one good answer clears two misses") {
  Asked app;
  app.until(10000);
  app.answers = false;
  app.until(13000);
  app.answers = true;
  app.until(14000);
  CHECK(app.last == Health::ok);
  app.answers = false;
  app.until(16000);
  CHECK(app.last != Health::hung);
  CHECK(app.pulse.misses == 1);
}

TEST_CASE("a timer that fires a moment early still counts the miss") {
  Pulse p;
  p.answered = true;
  Witness w;
  w.now = Millis{1000};
  owe(p, w);
  w.now = Millis{3999};
  CHECK(judge(p, w, kPolicy) == Health::hung);
}

TEST_CASE("an answer after more than an interval is late, and no miss") {
  Pulse p;
  Witness w;
  w.now = Millis{1000};
  owe(p, w);
  CHECK(sign(p, Millis{1001}, kPolicy) == Health::late);
  CHECK(p.lag == Millis{1001});
  CHECK(p.misses == 0);
  CHECK(sign(p, Millis{1000}, kPolicy) == Health::ok);
}

TEST_CASE("29: what the manager overslept is not blamed on the process") {
  Asked app;
  app.until(10000);
  app.answers = false;
  app.until(11000);
  app.w.now = Millis{71000};  // stopped for a minute less its own interval
  app.w.stalled = Millis{59000};
  CHECK(judge(app.pulse, app.w, kPolicy) == Health::missing);
  CHECK(app.pulse.misses == 1);
}

TEST_CASE("28: a machine that slept gives everybody a fresh round") {
  Asked app;
  app.until(10000);
  app.answers = false;
  app.until(13000);
  app.w.asleep = Millis{8 * 3600 * 1000};
  app.until(14000);
  CHECK(app.last != Health::hung);
  CHECK(app.pulse.misses == 0);
  app.until(17000);
  CHECK(app.last == Health::hung);  // but it owes an answer from then on
}

TEST_CASE("two clocks that are read a moment apart are no sleep") {
  Asked app;
  app.until(10000);
  app.answers = false;
  for (int64_t at = 11000; at <= 14000; at += 1000) {
    app.w.asleep = Millis{at / 1000 % 2};
    app.until(at);
  }
  CHECK(app.last == Health::hung);
}

TEST_CASE("a process in a debugger is not judged, and is when it is let go") {
  Asked app;
  app.until(10000);
  app.answers = false;
  app.w.traced = true;
  app.until(600000);
  CHECK(app.last != Health::hung);
  app.w.traced = false;
  app.until(603000);
  CHECK(app.last == Health::hung);
}

TEST_CASE("29: time in which others had the CPU is no blame, the time that it had is") {
  Asked app;
  app.until(10000);
  app.answers = false;
  // From the first look on it is kept from running three quarters of the time.
  int64_t starved = 0;
  for (int64_t at = 11000; app.last != Health::hung && at < 60000; at += 1000) {
    app.w.starved = Millis{starved};
    app.until(at);
    starved += 750;
  }
  CHECK(app.w.now >= Millis{15000});  // alone it would have been 14 s
  CHECK(app.last == Health::hung);    // and not never
}

TEST_CASE("one that never answered has its grace") {
  Asked app;
  app.answers = false;
  app.until(60000);
  CHECK(app.last != Health::hung);
  app.until(62000);
  CHECK(app.last == Health::missing);
  app.until(63000);
  CHECK(app.last == Health::hung);
}

TEST_CASE("start-up load is over with the first answer, and the grace with it") {
  Asked app;
  app.answers = false;
  app.until(50000);
  app.answers = true;
  app.until(51000);
  CHECK(app.last == Health::ok);
  app.answers = false;
  app.until(55000);
  CHECK(app.last == Health::hung);
}

TEST_CASE("a process that is owed nothing is not judged") {
  Pulse p;
  Witness w;
  w.now = Millis{1'000'000};
  CHECK(judge(p, w, kPolicy) == Health::unknown);
  CHECK(blame(p, w) == Millis{0});
  CHECK(!suspicious(p, w.now, kPolicy));
}

}  // namespace
}  // namespace tend::lifecycle
