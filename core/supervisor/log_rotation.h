// The home's rules for putting log files aside: built in ones, and over them the settings of pm2-logrotate in
// the home's settings file (compat.md 11.5), which the command line writes. An app's own options win.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/logs/rotation.h"
#include "core/logs/sink.h"
#include "core/loop/timer.h"
#include "core/model/app_spec.h"
#include "core/model/cron_pattern.h"
#include "core/model/home.h"
#include "core/model/value.h"

namespace tend::supervisor {

struct RotationDefaults {
  logs::RotationRules rules;
  std::string interval;  // cron pattern at which every log is put aside; "" is none
};

// 100 MB, ten kept; under the name pm2 nothing, as PM2 rotates only with its module. `settings` is the
// section pm2-logrotate, null without one. What cannot be read is told in `problem`, and the module's own
// default is taken.
RotationDefaults rotation_defaults(const Value& settings, bool pm2, std::string& problem);
// An app's own options over them.
logs::RotationRules rotation_of(const AppSpec& spec, const logs::RotationRules& defaults);

class LogRotation {
 public:
  LogRotation(loop::Loop& loop, const Clock& clock, Log& log, const Home& home, logs::LogWriter& logs);
  // Reads the settings again, on the pool; `done` on the loop, with what was wrong or "".
  void reload(std::function<void(std::string problem)> done);
  const logs::RotationRules& rules() const { return defaults_.rules; }

 private:
  void arm();
  loop::Loop& loop_;
  const Clock& clock_;
  Log& log_;
  std::string path_;
  bool pm2_;
  logs::LogWriter& logs_;
  RotationDefaults defaults_;
  std::optional<CronPattern> interval_;
  int64_t due_ = 0;  // epoch seconds
  loop::Timer timer_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace tend::supervisor
