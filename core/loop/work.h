#pragma once

#include <functional>

#include "core/loop/loop.h"

namespace tend::loop {

// Runs `job` on a thread of the pool, then `done` on the loop. The job takes values and leaves values: nothing
// that it touches may be touched by the loop meanwhile. The caller keeps alive (shared_ptr) what both capture.
void work(Loop& loop, std::function<void()> job, std::function<void()> done);

}  // namespace tend::loop
