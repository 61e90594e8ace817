// What becomes of the files that were put aside, on the pool: for each log one job after the other, as they
// look at the same files.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>

#include "core/base/log.h"
#include "core/logs/flight.h"
#include "core/logs/log_file.h"
#include "core/logs/rotation.h"
#include "core/loop/loop.h"

namespace tend::logs {

class Tidying : public std::enable_shared_from_this<Tidying> {
 public:
  Tidying(loop::Loop& loop, Log& log, std::shared_ptr<Flight> flight)
      : loop_(loop), log_(log), flight_(std::move(flight)) {}
  // Once more when the present job of this log is through. What fails is told by the log.
  void tidy(std::shared_ptr<LogFile> file, const RotationRules& rules);

 private:
  struct Job {
    std::shared_ptr<LogFile> file;
    RotationRules rules;
  };
  void begin(Job job);

  loop::Loop& loop_;
  Log& log_;
  std::shared_ptr<Flight> flight_;
  std::map<std::string, std::optional<Job>> next_;  // by path of those under way
};

}  // namespace tend::logs
