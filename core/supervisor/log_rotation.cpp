#include "core/supervisor/log_rotation.h"

#include <algorithm>

#include "core/base/file.h"
#include "core/base/text.h"
#include "core/lifecycle/cron.h"
#include "core/loop/work.h"
#include "core/model/options.h"
#include "ipc/msgpack.h"

namespace tend::supervisor {
namespace {

constexpr int64_t kOwnSize = 100 << 20;
constexpr int64_t kOwnRetain = 10;
constexpr int64_t kModuleSize = 10 << 20;  // of pm2-logrotate
constexpr int64_t kModuleRetain = 30;
constexpr std::string_view kModuleInterval = "0 0 * * *";
constexpr Millis kLook{60'000};  // the wall clock may be set meanwhile

std::string text_of(const Value& settings, std::string_view key) {
  const Value& v = settings.at(key);
  if (v.is<bool>()) return v.boolean() ? "true" : "false";
  return v.is<int64_t>() ? std::to_string(v.integer()) : v.text();
}

void complain(std::string& problem, std::string_view key, const std::string& found,
              std::string_view accepted) {
  problem += (problem.empty() ? "" : "; ") + ("pm2-logrotate:" + std::string(key)) + ": found \"" +
             printable(found) + "\"; accepted: " + std::string(accepted);
}

bool given(const AppSpec& spec, std::string_view key) { return spec.given[index_of(*find_option(key))]; }

}  // namespace

RotationDefaults rotation_defaults(const Value& settings, bool pm2, std::string& problem) {
  if (!settings.is<Map>())
    return {pm2 ? logs::RotationRules{} : logs::RotationRules{kOwnSize, kOwnRetain, false}, ""};
  RotationDefaults d{{kModuleSize, kModuleRetain, false}, std::string(kModuleInterval)};
  if (const std::string size = text_of(settings, "max_size"); !size.empty()) {
    if (const auto bytes = parse_bytes(size))
      d.rules.max_size = bytes->n;
    else
      complain(problem, "max_size", size, "a size such as 10M");
  }
  if (const std::string retain = text_of(settings, "retain"); retain == "all") {
    d.rules.retain = 0;
  } else if (!retain.empty()) {
    if (is_digits(retain) && retain.size() < 6)
      d.rules.retain = std::stoll(retain);
    else
      complain(problem, "retain", retain, "a number, or all");
  }
  d.rules.compress = text_of(settings, "compress") == "true";
  if (const std::string interval = text_of(settings, "rotateInterval"); !interval.empty()) {
    if (interval == "0" || parse_cron(interval))
      d.interval = interval == "0" ? "" : interval;
    else
      complain(problem, "rotateInterval", interval, "a cron pattern");
  }
  return d;
}

logs::RotationRules rotation_of(const AppSpec& spec, const logs::RotationRules& defaults) {
  logs::RotationRules rules = defaults;
  if (given(spec, "log_max_size")) rules.max_size = spec.log_max_size.n;
  if (given(spec, "log_retain")) rules.retain = spec.log_retain;
  if (given(spec, "log_compress")) rules.compress = spec.log_compress;
  return rules;
}

LogRotation::LogRotation(loop::Loop& loop, const Clock& clock, Log& log, const Home& home,
                         logs::LogWriter& logs)
    : loop_(loop),
      clock_(clock),
      log_(log),
      path_(home.settings()),
      pm2_(home.pm2),
      logs_(logs),
      timer_(loop, [this] {
        if (clock_.wall().n / 1000 >= due_) logs_.rotate();
        loop_.defer([this, alive = std::weak_ptr<bool>(alive_)] {  // not from the timer that arming replaces
          if (!alive.expired()) arm();
        });
      }) {
  std::string none;
  defaults_ = rotation_defaults(Value(), pm2_, none);
}

void LogRotation::reload(std::function<void(std::string)> done) {
  auto read = std::make_shared<RotationDefaults>();
  auto problem = std::make_shared<std::string>();
  loop::work(
      loop_,
      [path = path_, pm2 = pm2_, read, problem] {
        Value settings;
        if (const auto text = read_file(path); text && !trim(*text).empty()) {
          const auto root = ipc::from_json(*text);
          if (root)
            settings = root->at("pm2-logrotate");
          else
            *problem = path + ": " + root.error().message;
        }
        *read = rotation_defaults(settings, pm2, *problem);
      },
      [this, alive = std::weak_ptr<bool>(alive_), read, problem, done = std::move(done)] {
        if (alive.expired()) return;
        if (!problem->empty()) log_.warn(*problem);
        defaults_ = *read;
        interval_.reset();
        if (const auto pattern = parse_cron(defaults_.interval); !defaults_.interval.empty() && pattern)
          interval_ = *pattern;
        arm();
        done(*problem);
      });
}

void LogRotation::arm() {
  timer_.stop();
  if (!interval_) return;
  const int64_t now = clock_.wall().n;
  const auto due = lifecycle::next_due(*interval_, now / 1000);
  if (!due) return;
  due_ = *due;
  timer_.start(std::min(Millis{*due * 1000 - now}, kLook));
}

}  // namespace tend::supervisor
