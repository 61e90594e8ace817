#include "core/logs/tidying.h"

#include <utility>

#include "core/loop/work.h"

namespace tend::logs {

void Tidying::tidy(std::shared_ptr<LogFile> file, const RotationRules& rules) {
  if (rules.retain <= 0 && !rules.compress) return;
  const auto [at, first] = next_.try_emplace(file->path());
  Job job{std::move(file), rules};
  if (first)
    begin(std::move(job));
  else
    at->second = std::move(job);
}

void Tidying::begin(Job job) {
  auto failure = std::make_shared<std::string>();
  flight_->start();
  loop::work(
      loop_,
      [job, failure, f = flight_] {
        if (const Status tidied = job.file->tidy(job.rules); !tidied) *failure = tidied.error().message;
        f->land();
      },
      [weak = weak_from_this(), path = job.file->path(), failure] {
        const auto self = weak.lock();
        if (!self) return;
        if (!failure->empty()) self->log_.warn(*failure);
        const auto at = self->next_.find(path);
        if (auto more = std::exchange(at->second, std::nullopt))
          self->begin(std::move(*more));
        else
          self->next_.erase(at);
      });
}

}  // namespace tend::logs
