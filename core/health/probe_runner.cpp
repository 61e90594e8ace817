#include "core/health/probe_runner.h"

#include <algorithm>

namespace tend::health {
namespace {

constexpr std::size_t kMaxLeaving = 8;
constexpr Millis kLongLife{10000};  // a helper that lived so long was no bad start
constexpr char kEnded[] = "probe helper ended";

}  // namespace

ProbeRunner::ProbeRunner(loop::Loop& loop, Log& log, std::string program, Millis idle)
    : loop_(loop),
      log_(log),
      program_(std::move(program)),
      idle_(idle),
      idle_timer_(loop,
                  [this] {
                    if (!helper_ || !flights_.empty()) return;
                    helper_->end();
                    leaving_.push_back(std::move(helper_));
                  }),
      stillborn_timer_(loop, [this] { settle_stillborn(); }),
      limits_timer_(loop, [this] { check_limits(); }) {}

ProbeRunner::~ProbeRunner() = default;

void ProbeRunner::run(uint32_t number, const ProbeRequest& request, Done done) {
  cancel(number);
  idle_timer_.stop();
  const uint64_t sequence = ++sequence_;
  const Millis limit = clock_.now() + request.timeout + kGrace;
  std::string wrong =
      flights_.size() < kMaxUnderWay ? send(number, sequence, request) : "too many probes at once";
  flights_.insert_or_assign(number, Flight{sequence, limit, std::move(done)});
  if (!wrong.empty()) {
    stillborn_.push_back({number, sequence, std::move(wrong)});
    stillborn_timer_.start(Millis{0});
  }
  if (limits_at_.n == 0 || limit < limits_at_) {
    limits_at_ = limit;
    limits_timer_.start(limit - clock_.now());
  }
}

void ProbeRunner::cancel(uint32_t number) {
  if (flights_.erase(number) == 0) return;
  if (helper_) helper_->cancel(number);
  note_rest();
}

// "": it is on its way; else why not.
std::string ProbeRunner::send(uint32_t number, uint64_t sequence, const ProbeRequest& request) {
  if (!helper_ && !start()) return "probe helper is not running";
  return helper_->ask(number, sequence, request) ? "" : "probe helper does not take it";
}

bool ProbeRunner::start() {
  const Millis now = clock_.now();
  if (now < retry_at_ || leaving_.size() >= kMaxLeaving) return false;
  auto helper =
      ProbeHelper::start(loop_, program_,
                         {[this](uint32_t number, uint64_t sequence, ProbeReply reply) {
                            settle(number, sequence,
                                   {reply.unknown ? ProbeResult::Outcome::unknown
                                    : reply.ok    ? ProbeResult::Outcome::ok
                                                  : ProbeResult::Outcome::failed,
                                    std::move(reply.text), reply.took});
                          },
                          [this](ProbeHelper& ended, const std::string& how) { helper_ended(ended, how); }});
  started_ = now;
  if (helper) {
    helper_ = std::move(*helper);
    return true;
  }
  lose_helper("cannot be started: " + helper.error().message);
  return false;
}

void ProbeRunner::settle(uint32_t number, uint64_t sequence, ProbeResult result) {
  const auto it = flights_.find(number);
  if (it == flights_.end() || it->second.sequence != sequence) return;  // given up meanwhile
  const Done done = std::move(it->second.done);
  flights_.erase(it);
  note_rest();
  done(std::move(result));
}

void ProbeRunner::settle_stillborn() {
  std::vector<Stillborn> now;
  now.swap(stillborn_);
  for (Stillborn& one : now)
    settle(one.number, one.sequence, {ProbeResult::Outcome::unknown, std::move(one.text), Millis{0}});
}

// One timer for all: it looks at them when the first limit of its last look is over, which is seldom.
void ProbeRunner::check_limits() {
  const Millis now = clock_.now();
  limits_at_ = Millis{0};
  bool hung = false;
  for (const auto& [number, flight] : flights_) {
    hung = hung || flight.limit <= now;
    if (limits_at_.n == 0 || flight.limit < limits_at_) limits_at_ = flight.limit;
  }
  if (hung) {
    limits_at_ = Millis{0};
    if (helper_) helper_->kill();
    lose_helper("does not answer, was killed");
  } else if (limits_at_.n != 0) {
    limits_timer_.start(limits_at_ - now);
  }
}

void ProbeRunner::helper_ended(ProbeHelper& helper, const std::string& how) {
  if (&helper == helper_.get()) lose_helper("ended: " + how);
  std::erase_if(leaving_, [&](const auto& one) { return one.get() == &helper; });
}

void ProbeRunner::lose_helper(const std::string& how) {
  const Millis now = clock_.now();
  const bool grow = delay_.n > 0 && now - started_ < kLongLife;
  delay_ = grow ? std::min(delay_ * 2, kMaxDelay) : kFirstDelay;
  retry_at_ = now + delay_;
  log_.warn("probe helper " + program_ + " " + how);
  for (const auto& [number, flight] : flights_) stillborn_.push_back({number, flight.sequence, kEnded});
  if (!stillborn_.empty()) stillborn_timer_.start(Millis{0});
  // The callback that brought us here may be the helper's own.
  if (helper_) leaving_.push_back(std::move(helper_));
}

void ProbeRunner::note_rest() {
  if (flights_.empty() && helper_) idle_timer_.start(idle_);
}

}  // namespace tend::health
