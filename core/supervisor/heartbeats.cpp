#include "core/supervisor/heartbeats.h"

#include <unistd.h>

#include <algorithm>
#include <ctime>

#include "core/metrics/sched_linux.h"
#include "core/model/env.h"
#include "core/supervisor/spawn_plan.h"

namespace tend::supervisor {
namespace {

using lifecycle::Health;
using lifecycle::Marker;

constexpr Millis kTimely{10};         // a timer that fires so late is not worth a mention
constexpr uint32_t kGoodInARow = 10;  // before it is told that one is no more late: no line for each swing
constexpr uint32_t kMeanOver = 8, kEnoughSamples = 10;
constexpr std::string_view kMarkerWords[] = {"healthy", "late", "out_of_order", "stale", "corrupt"};

uint64_t monotonic_ns() {
  timespec t{};
  clock_gettime(CLOCK_MONOTONIC, &t);
  return static_cast<uint64_t>(t.tv_sec) * 1'000'000'000u + static_cast<uint64_t>(t.tv_nsec);
}

// On a common grid, so that one wake-up serves all that have the same interval.
Millis next_on_grid(Millis now, Millis interval) { return Millis{(now.n / interval.n + 1) * interval.n}; }

std::string numbers(uint64_t first, uint64_t last) {
  return first >= last ? "ping " + std::to_string(last)
                       : "pings " + std::to_string(first) + ".." + std::to_string(last);
}

}  // namespace

struct Heartbeats::Patient {
  Key key;
  lifecycle::PulsePolicy policy;
  lifecycle::Pulse pulse;
  lifecycle::Heartbeat beat;
  std::unique_ptr<health::HeartbeatLink> link;
  bool required = false;  // silence from the beginning is a fault
  bool answers = false;   // it said so: pings are sent
  bool watchdog = false;  // it sends WATCHDOG=1
  bool excused = false;
  bool condemned = false;
  bool told_late = false;
  uint64_t asks_for_ack = 0;  // the ping whose pong says whether it awaits an ACK; 0: none
  uint32_t good = 0;          // signs in a row that were not late
  uint16_t flags = 0;         // of its last packet
  uint32_t lag_us = 0;        // its event loop's, the worst since the pong before
  uint64_t heap = 0;
  uint32_t handles = 0;
  double mean_lag_ms = 0;  // moving, over some eight answers
  uint32_t samples = 0;
  Millis due{0};

  bool asked() const { return !excused && (required || answers || watchdog); }
};

bool may_answer(const AppSpec& spec) { return spec.heartbeat != "off"; }

bool has_heartbeat_channel(const AppSpec& spec) {
  if (spec.heartbeat == "on") return true;
  return spec.heartbeat == "auto" && answers_by_preload(spec);
}

Heartbeats::Heartbeats(loop::Loop& loop, const Clock& clock, Owner owner)
    : loop_(loop),
      clock_(clock),
      owner_(std::move(owner)),
      timer_(loop, [this] { tick(); }),
      next_stream_(static_cast<uint32_t>(monotonic_ns() >> 10) ^ static_cast<uint32_t>(getpid()) << 16) {}

Heartbeats::~Heartbeats() = default;

Heartbeats::Patient* Heartbeats::find(uint32_t id, uint32_t spawn) {
  const auto it = patients_.find({id, spawn});
  return it == patients_.end() ? nullptr : it->second.get();
}

Heartbeats::Patient& Heartbeats::enter(const Instance& app, uint32_t spawn) {
  auto& place = patients_[{app.id, spawn}];
  if (place) return *place;
  place = std::make_unique<Patient>();
  Patient& p = *place;
  const AppSpec& spec = *app.spec;
  p.key = {app.id, spawn};
  p.policy = {spec.heartbeat_interval, static_cast<uint32_t>(spec.heartbeat_misses), spec.heartbeat_grace};
  p.required = spec.heartbeat == "on";
  p.pulse.born = clock_.now();
  p.beat.stream = next_stream_++;
  p.due = next_on_grid(p.pulse.born, p.policy.interval);
  return p;
}

void Heartbeats::joined(Instance& app, uint32_t spawn, UniqueFd socket) {
  if (!may_answer(*app.spec) || (!socket && app.spec->heartbeat != "on")) return;
  Patient& p = enter(app, spawn);
  const Key key = p.key;
  const Side* side = side_of(app, spawn);
  p.answers = side != nullptr && side->answers;  // it told a predecessor
  p.pulse.answered = p.answers;
  if (socket) {
    p.link = std::make_unique<health::HeartbeatLink>(
        loop_, pool_, std::move(socket),
        health::HeartbeatLink::Told{[this, key](const ipc::Pong& m, bool hello) { pong(key, m, hello); },
                                    [this, key] {
                                      if (Patient* q = find(key.first, key.second))
                                        lifecycle::corrupt(q->beat);
                                    },
                                    [this, key] {
                                      // Alive without a channel: nobody is ended for that (settled 41).
                                      if (Patient* q = find(key.first, key.second)) {
                                        q->answers = false;
                                        q->pulse = {.born = q->pulse.born};
                                      }
                                    }});
  }
  sleep_until_due();
}

void Heartbeats::resume(const Instance& app, uint32_t spawn) {
  const bool must = app.spec->heartbeat == "on";
  if (!may_answer(*app.spec) || (!app.main.watches && !must)) return;
  Patient& p = enter(app, spawn);
  p.watchdog = app.main.watches;
  if (app.main.watch_period.n > 0) watch_each(p, app.main.watch_period);
  p.pulse.answered = p.pulse.answered || p.watchdog;
  lifecycle::owe(p.pulse, witness(p, clock_.now()));
  sleep_until_due();
}

void Heartbeats::ended(uint32_t id, uint32_t spawn) {
  patients_.erase({id, spawn});
  if (patients_.empty()) sleep_until_due();
}

lifecycle::Witness Heartbeats::witness(const Patient& p, Millis now) const {
  lifecycle::Witness w;
  w.now = now;
  w.asleep = metrics::machine_asleep();
  w.stalled = stalled_;
  w.traced = (p.flags & ipc::kDebugged) != 0;
  if (!lifecycle::suspicious(p.pulse, now, p.policy)) return w;
  const Instance* app = owner_.find(p.key.first);
  const metrics::Sched sched = metrics::look_at_sched(app == nullptr ? 0 : app->main.pid);
  w.starved = sched.starved;
  w.traced = w.traced || sched.traced;
  return w;
}

void Heartbeats::pong(const Key& key, const ipc::Pong& pong, bool hello) {
  Patient* p = find(key.first, key.second);
  Instance* app = owner_.find(key.first);
  Side* side = app == nullptr ? nullptr : side_of(*app, key.second);
  if (p == nullptr || side == nullptr) return;
  p->flags = pong.flags;
  if (hello) {
    p->answers = true;
    if (!side->answers) {
      side->answers = true;
      owner_.noted(*app);
    }
    if (!pong.version.empty()) owner_.runs_node(*app, key.second, pong.version);
    // Asked at once: its loop's first turn answers, and ends its grace.
    p->pulse.born = p->due = clock_.now();
    return sleep_until_due();
  }
  const auto interval = static_cast<uint64_t>(p->policy.interval.n) * 1'000'000u;
  uint64_t rtt = 0;
  const uint64_t now = monotonic_ns();
  if (!lifecycle::counts(lifecycle::receive(
          p->beat, {pong.stream, pong.sequence, pong.echo_sequence, pong.echo_ns}, now, interval, rtt)))
    return;
  if (p->asks_for_ack > 0 && pong.echo_sequence >= p->asks_for_ack) {
    p->asks_for_ack = 0;
    owner_.told_of_ack(*app, key.second, (pong.flags & ipc::kAwaitsAck) != 0);
  }
  // What this process took to read it is not the app's doing.
  if (pong.mono_ns > pong.echo_ns && pong.mono_ns <= now) rtt = std::min(rtt, pong.mono_ns - pong.echo_ns);
  if ((pong.flags & (ipc::kLagValid | ipc::kFirstPong)) == ipc::kLagValid) p->lag_us = pong.lag_us;
  if ((pong.flags & ipc::kStats) != 0) {
    p->heap = pong.heap_bytes;
    p->handles = pong.handles;
  }
  // The first answer waited for the app to load.
  const bool loaded = (pong.flags & ipc::kFirstPong) == 0;
  signed_of(*p, *app, Millis{loaded ? static_cast<int64_t>(rtt / 1'000'000u) : 0});
}

void Heartbeats::signed_of(Patient& p, const Instance& app, Millis lag) {
  const Health before = p.pulse.health;
  lifecycle::sign(p.pulse, lag, p.policy);
  p.good = p.pulse.health == Health::ok ? p.good + 1 : 0;
  const double sample = std::max(static_cast<double>(lag.n), p.lag_us / 1000.0);
  p.mean_lag_ms += (sample - p.mean_lag_ms) / std::min(++p.samples, kMeanOver);
  told(p, app, before);
  owner_.answered(app);
}

void Heartbeats::watchdog_ping(uint32_t id, uint32_t spawn) {
  Instance* app = owner_.find(id);
  Side* side = app == nullptr ? nullptr : side_of(*app, spawn);
  if (side == nullptr || !may_answer(*app->spec)) return;
  if (!std::exchange(side->watches, true)) owner_.noted(*app);
  Patient& p = enter(*app, spawn);
  p.watchdog = true;
  signed_of(p, *app, Millis{0});
  lifecycle::owe(p.pulse, witness(p, clock_.now()));  // the next, within the period
  sleep_until_due();
}

void Heartbeats::watchdog_trigger(uint32_t id, uint32_t spawn) {
  Instance* app = owner_.find(id);
  if (app == nullptr || !may_answer(*app->spec)) return;
  Patient& p = enter(*app, spawn);
  p.pulse.health = Health::hung;
  p.pulse.misses = p.policy.misses;
  condemn(p, *app, "it asked for it: WATCHDOG=trigger");
}

void Heartbeats::watchdog_period(uint32_t id, uint32_t spawn, Millis period) {
  Instance* app = owner_.find(id);
  Side* side = app == nullptr ? nullptr : side_of(*app, spawn);
  if (side == nullptr || !may_answer(*app->spec)) return;
  Patient& p = enter(*app, spawn);
  side->watch_period = period;
  if (period.n == 0)
    p.watchdog = side->watches = false;
  else
    watch_each(p, period);
  owner_.noted(*app);
  sleep_until_due();
}

void Heartbeats::watch_each(Patient& p, Millis period) {
  p.policy.interval = Millis{std::max<int64_t>(period.n / p.policy.misses, 1)};
  p.due = next_on_grid(clock_.now(), p.policy.interval);
}

void Heartbeats::excuse(uint32_t id, uint32_t spawn) {
  if (Patient* p = find(id, spawn)) p->excused = true;
}

void Heartbeats::sleep_until_due() {
  Millis first{-1};
  for (const auto& [key, p] : patients_) {
    if (p->asked() && (first.n < 0 || p->due < first)) first = p->due;
  }
  if (first == expected_) return;
  expected_ = first;
  if (first.n < 0) return timer_.stop();
  timer_.start(std::max(Millis{0}, first - clock_.now()));
}

void Heartbeats::tick() {
  const Millis now = clock_.now();
  if (const Millis late = now - expected_; late > kTimely) stalled_ = stalled_ + late;
  expected_ = Millis{-1};
  // By key: what a verdict leads to may end a patient.
  std::vector<Key> due;
  for (const auto& [key, p] : patients_) {
    if (p->asked() && p->due <= now) due.push_back(key);
  }
  for (const Key& key : due) {
    if (Patient* p = find(key.first, key.second)) look_at(*p, now);
  }
  sleep_until_due();
}

void Heartbeats::look_at(Patient& p, Millis now) {
  p.due = next_on_grid(now, p.policy.interval);
  Instance* app = owner_.find(p.key.first);
  if (app == nullptr) return;
  if (p.link && p.pulse.owed.n >= 0) p.link->drain();
  const lifecycle::State& s = app->state;
  const bool serves = p.key.second == s.spawn &&
                      (s.phase == lifecycle::Phase::online || s.phase == lifecycle::Phase::launching);
  if (serves && !p.condemned && p.pulse.owed.n >= 0) {
    const Health before = p.pulse.health;
    lifecycle::judge(p.pulse, witness(p, now), p.policy);
    told(p, *app, before);
    if (p.condemned) return;
  }
  const bool room = p.beat.sent - p.beat.answered < lifecycle::kPingWindow;
  if (p.link && p.link->open() && p.answers && room) {
    const uint64_t ns = monotonic_ns();
    const uint64_t number = lifecycle::next_ping(p.beat, ns);
    if (p.asks_for_ack == 0 && owner_.may_ask_for_ack(*app, p.key.second)) p.asks_for_ack = number;
    p.link->ping(p.beat.stream, number, ns);
    lifecycle::owe(p.pulse, witness(p, now));
  } else if (p.required || p.watchdog) {
    lifecycle::owe(p.pulse, witness(p, now));
  }
}

// One line for each change of verdict.
void Heartbeats::told(Patient& p, const Instance& app, Health before) {
  const Health now = p.pulse.health;
  if (now == Health::hung && !p.condemned) {
    const bool by_ping = p.answers && p.beat.sent > p.beat.answered;
    std::string words =
        by_ping ? "no answer to " + numbers(p.beat.answered + 1, p.beat.sent) : "no sign of life";
    words += " in " + show(p.policy.interval * p.policy.misses);
    words += p.pulse.answered ? ", last lag " + show(p.pulse.lag) : ", it never answered";
    if (const uint32_t bad = p.beat.seen[static_cast<std::size_t>(Marker::stale)]; bad > 0)
      words += ", stale " + std::to_string(bad);
    if (const uint32_t bad = p.beat.seen[static_cast<std::size_t>(Marker::corrupt)]; bad > 0)
      words += ", corrupt " + std::to_string(bad);
    if (Instance* again = owner_.find(p.key.first)) condemn(p, *again, words);
    return;
  }
  if (now == Health::late && !p.told_late) {
    p.told_late = true;
    owner_.tell(app, "late", "answered after " + show(p.pulse.lag) + ", interval " + show(p.policy.interval));
  } else if (now == Health::missing && before != Health::missing) {
    const std::string what = p.answers ? "ping " + std::to_string(p.beat.answered + 1) : "WATCHDOG=1";
    owner_.tell(app, "unhealthy",
                std::to_string(p.pulse.misses) + "/" + std::to_string(p.policy.misses) + ": " +
                    (p.answers ? "no answer to " : "no ") + what + " in " + show(p.policy.interval));
  } else if (now == Health::ok && (before == Health::missing || before == Health::hung)) {
    p.told_late = false;
    owner_.tell(app, "healthy", "answers again");
  } else if (now == Health::ok && p.told_late && p.good >= kGoodInARow) {
    p.told_late = false;
    owner_.tell(app, "healthy", "no more late");
  }
  if (now == Health::ok || now == Health::late)
    p.condemned = false;  // reported only: the next hang is another
}

void Heartbeats::condemn(Patient& p, Instance& app, const std::string& words) {
  p.condemned = true;
  const Hang hang{words, (p.flags & ipc::kInspectable) != 0};
  owner_.tell(app, "hung", words);
  owner_.hung(app, p.key.second, hang);
}

std::optional<Millis> Heartbeats::mean_lag(const Instance& app) const {
  const auto it = patients_.find({app.id, app.state.spawn});
  if (it == patients_.end() || it->second->samples < kEnoughSamples) return std::nullopt;
  return Millis{static_cast<int64_t>(it->second->mean_lag_ms)};
}

Value Heartbeats::view(const Instance& app, bool full) const {
  const auto it = patients_.find({app.id, app.state.spawn});
  if (it == patients_.end()) return {};
  const Patient& p = *it->second;
  std::string word;
  switch (p.pulse.health) {
    case Health::unknown:
      if (!full) return {};
      break;
    case Health::ok:
      word = "ok";
      break;
    case Health::late:
      word = "late " + show(p.pulse.lag);
      break;
    case Health::missing:
      word = "unhealthy " + std::to_string(p.pulse.misses) + "/" + std::to_string(p.policy.misses);
      break;
    case Health::hung:
      word = "hung";
      break;
  }
  Map m{{"word", word}};
  if (!full) return m;
  m.append("lag_us",
           static_cast<int64_t>(std::max<uint64_t>(p.lag_us, static_cast<uint64_t>(p.pulse.lag.n) * 1000)));
  if (p.handles > 0 || p.heap > 0) {
    m.append("heap", static_cast<int64_t>(p.heap));
    m.append("handles", p.handles);
  }
  Map packets{{"sent", static_cast<int64_t>(p.beat.sent)}};
  for (std::size_t i = 0; i < p.beat.seen.size(); ++i) {
    if (p.beat.seen[i] > 0) packets.append(std::string(kMarkerWords[i]), p.beat.seen[i]);
  }
  m.append("packets", std::move(packets));
  m.append("source", p.answers ? "pings" : p.watchdog ? "watchdog" : "none");
  return m;
}

}  // namespace tend::supervisor
