#include "core/logs/tidying.h"

#include <utility>

#include "core/loop/work.h"

namespace tend::logs {

void Tidying::tidy(std::shared_ptr<LogFile> file, const RotationRules& rules) {
  if (rules.retain <= 0 && !rules.compress) return;
  const std::string path = file->path();
  waiting_.insert_or_assign(path, Job{std::move(file), rules});
  if (!busy_) begin();
}

void Tidying::begin() {
  busy_ = !waiting_.empty();
  if (!busy_) return;
  auto at = waiting_.upper_bound(last_);
  if (at == waiting_.end()) at = waiting_.begin();
  last_ = at->first;
  const Job job = std::move(waiting_.extract(at).mapped());
  auto failure = std::make_shared<std::string>();
  flight_->start();
  loop::work(
      loop_,
      [job, failure, f = flight_] {
        if (const Status tidied = job.file->tidy(job.rules); !tidied) *failure = tidied.error().message;
        f->land();
      },
      [weak = weak_from_this(), failure] {
        const auto self = weak.lock();
        if (!self) return;
        if (!failure->empty()) self->log_.warn(*failure);
        self->begin();
      });
}

}  // namespace tend::logs
