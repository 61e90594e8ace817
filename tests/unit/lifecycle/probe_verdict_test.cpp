#include "core/lifecycle/probe_verdict.h"

#include <doctest/doctest.h>

#include <cstdlib>
#include <random>
#include <string_view>

namespace tend::lifecycle {
namespace {

constexpr ProbePolicy kPolicy{Millis{1000}, Millis{0}, 3, 2};

// One letter an answer: o(k), f(ailed), u(nknown); each question goes out when it is due and is answered 10
// ms later.
struct World {
  ProbePolicy policy = kPolicy;
  Millis now{5000};
  ProbeState state = begin_probes(now, policy);
  void feed(std::string_view answers) {
    for (const char c : answers) {
      now = std::max(now, next_probe(state));
      REQUIRE(may_ask(state, now));
      state = asked(state, now);
      now = now + Millis{10};
      state = answered(state,
                       c == 'o'   ? ProbeAnswer::ok
                       : c == 'f' ? ProbeAnswer::failed
                                  : ProbeAnswer::unknown,
                       now, policy);
    }
  }
};

TEST_CASE("a start is neither ready nor unwell, and asks first when the delay is over") {
  const ProbeState s = begin_probes(Millis{100}, {Millis{1000}, Millis{250}, 3, 1});
  CHECK_FALSE(is_ready(s));
  CHECK_FALSE(is_unwell(s));
  CHECK(next_probe(s) == Millis{350});
  CHECK_FALSE(may_ask(s, Millis{349}));
  CHECK(may_ask(s, Millis{350}));
}

TEST_CASE("rows of answers make it ready and unwell, and a broken row begins anew") {
  struct Row {
    std::string_view answers;
    bool ready, unwell;
  };
  for (const Row& row : {Row{"o", false, false}, Row{"oo", true, false}, Row{"ofo", false, false},
                         Row{"ff", false, false}, Row{"fff", false, true}, Row{"ffoff", false, false},
                         Row{"ooff", true, false}, Row{"oofff", false, true}, Row{"fffo", false, true},
                         Row{"fffoo", true, false}, Row{"fffofo", false, true}}) {
    CAPTURE(row.answers);
    World w;
    w.feed(row.answers);
    CHECK(is_ready(w.state) == row.ready);
    CHECK(is_unwell(w.state) == row.unwell);
  }
}

TEST_CASE("an unknown answer counts neither way") {
  World w;
  w.feed("fufu");
  CHECK_FALSE(is_unwell(w.state));
  w.feed("f");
  CHECK(is_unwell(w.state));
  w.feed("uuuuuuou");
  CHECK(is_unwell(w.state));
  w.feed("o");
  CHECK(is_ready(w.state));
}

TEST_CASE("while one is in flight nothing is due, however long it takes") {
  ProbeState s = asked(begin_probes(Millis{0}, kPolicy), Millis{0});
  CHECK_FALSE(may_ask(s, Millis{1'000'000}));
  CHECK(next_probe(s) == Millis{-1});
  s = answered(s, ProbeAnswer::ok, Millis{4000}, kPolicy);
  CHECK(next_probe(s) == Millis{4000});
  CHECK(may_ask(s, Millis{4000}));
}

TEST_CASE("the interval runs from question to question, and questions of many apps fall together") {
  const ProbePolicy policy{Millis{10000}, Millis{0}, 3, 1};
  for (int64_t start = 0; start < 500; start += 7) {
    CAPTURE(start);
    ProbeState s = begin_probes(Millis{start}, policy);
    CHECK(next_probe(s) == Millis{start});
    s = answered(asked(s, Millis{start}), ProbeAnswer::failed, Millis{start + 400}, policy);
    const Millis second = next_probe(s);
    CHECK(second.n % 250 == 0);
    CHECK(std::abs(second.n - start - 10000) <= 125);
    // Timers are late; the rhythm is not.
    s = answered(asked(s, second + Millis{3}), ProbeAnswer::failed, second + Millis{40}, policy);
    CHECK(next_probe(s) == second + Millis{10000});
  }
}

TEST_CASE("short intervals are kept to a fortieth") {
  for (const int64_t interval : {100, 130, 999, 1000, 2500, 7777}) {
    CAPTURE(interval);
    const ProbePolicy policy{Millis{interval}, Millis{0}, 3, 1};
    for (int64_t at = 0; at < 300; at += 11) {
      const ProbeState s = answered(asked({}, Millis{at}), ProbeAnswer::ok, Millis{at + 1}, policy);
      CHECK(std::abs(next_probe(s).n - at - interval) <= interval / 40 + 1);
    }
  }
}

TEST_CASE("an answer that nobody asked for changes nothing") {
  const ProbeState s = begin_probes(Millis{0}, kPolicy);
  CHECK(answered(s, ProbeAnswer::failed, Millis{1}, kPolicy) == s);
}

TEST_CASE("thresholds of 0 count as 1") {
  World w;
  w.policy.failures = w.policy.successes = 0;
  w.feed("f");
  CHECK(is_unwell(w.state));
  w.feed("o");
  CHECK(is_ready(w.state));
}

TEST_CASE("no walk is both ready and unwell, or changes its finding before a whole row") {
  for (uint32_t seed = 0; seed < 500; ++seed) {
    CAPTURE(seed);
    std::mt19937 random(seed);
    World w;
    w.policy.failures = 1 + random() % 4;
    w.policy.successes = 1 + random() % 4;
    for (int i = 0; i < 40; ++i) {
      const auto before = w.state.finding;
      w.feed(std::string_view("ofu").substr(random() % 3, 1));
      if (w.state.finding == before) continue;
      CHECK(
          (is_ready(w.state) ? w.state.answered == w.policy.successes : w.state.missed == w.policy.failures));
    }
  }
}

}  // namespace
}  // namespace tend::lifecycle
