#include "core/loop/work.h"

namespace tend::loop {
namespace {

struct Job {
  uv_work_t request{};
  std::function<void()> job;
  std::function<void()> done;
};

}  // namespace

void work(Loop& loop, std::function<void()> job, std::function<void()> done) {
  auto* j = new Job{{}, std::move(job), std::move(done)};
  j->request.data = j;
  uv_queue_work(
      loop.raw(), &j->request, [](uv_work_t* r) { static_cast<Job*>(r->data)->job(); },
      [](uv_work_t* r, int) {
        const std::unique_ptr<Job> owned(static_cast<Job*>(r->data));
        owned->done();
      });
}

}  // namespace tend::loop
