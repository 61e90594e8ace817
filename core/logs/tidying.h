// What becomes of the files that were put aside, on the pool: one job at a time, as those of one log look at
// the same files, and compression of many at once would leave no thread of the pool to anybody else.
#pragma once

#include <map>
#include <memory>
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
  // When those before it are through; a log that waits already waits once. What fails is told by the log.
  void tidy(std::shared_ptr<LogFile> file, const RotationRules& rules);

 private:
  struct Job {
    std::shared_ptr<LogFile> file;
    RotationRules rules;
  };
  void begin();

  loop::Loop& loop_;
  Log& log_;
  std::shared_ptr<Flight> flight_;
  std::map<std::string, Job> waiting_;  // by path
  std::string last_;                    // the path of the present or last job: each log has its turn
  bool busy_ = false;
};

}  // namespace tend::logs
