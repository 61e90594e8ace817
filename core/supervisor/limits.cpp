#include "core/supervisor/limits.h"

#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <utility>

#include "core/base/file.h"
#include "core/model/limits.h"
#include "core/model/options.h"

namespace tend::supervisor {
namespace {

int64_t oom_kills_of_machine() {
  const auto text = read_file("/proc/vmstat");
  const std::size_t at = text ? text->find("\noom_kill ") : std::string::npos;
  return at == std::string::npos ? 0 : std::strtoll(text->c_str() + at + 10, nullptr, 10);
}

// Signals by which the kernel answers what a process does.
bool is_fault(int signal) {
  for (const int one : {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGTRAP, SIGSYS, SIGXCPU, SIGXFSZ, SIGPIPE})
    if (one == signal) return true;
  return false;
}

// RLIMIT_NPROC counts the processes of a user, and not root's.
bool has_own_user(const Instance& app) {
  return app.identity.uid > 0 && static_cast<uid_t>(app.identity.uid) != ::geteuid();
}

}  // namespace

tree::GroupLimits group_limits(const AppSpec& spec) {
  return {spec.limit_memory.n, parse_cores(spec.limit_cpu).value_or(0), spec.limit_pids};
}

keeper::SpawnExtras extras_of(const AppSpec& spec) {
  using Extras = keeper::SpawnExtras;
  Extras out;
  if (spec.no_new_privs) out.flags |= Extras::kNoNewPrivs;
  if (spec.given[index_of(*find_option("oom_score_adj"))]) {
    out.flags |= Extras::kOomScore;
    out.oom_score_adj = static_cast<int32_t>(spec.oom_score_adj);
  }
  for (const int64_t cpu : spec.cpu_affinity) {
    const auto n = static_cast<std::size_t>(cpu);
    if (n / 64 >= std::size(out.cpus)) continue;
    out.flags |= Extras::kAffinity;
    out.cpus[n / 64] |= uint64_t{1} << n % 64;
  }
  return out;
}

void use_rlimits(const Instance& app, const tree::GroupLimits& missing, keeper::SpawnExtras& extras) {
  extras.data = missing.memory;
  if (has_own_user(app)) extras.processes = missing.pids;
}

std::string without_group_text(const Instance& app, const tree::GroupLimits& missing) {
  std::string text;
  const auto add = [&](int64_t limit, std::string_view what) {
    if (limit > 0)
      text.append(text.empty() ? "no cgroup v2 with the controllers needed is ours: " : "; ").append(what);
  };
  add(missing.memory, "limit_memory holds for the data of each process");
  add(missing.pids,
      has_own_user(app) ? "limit_pids holds for all processes of its user" : "limit_pids is not kept");
  add(missing.cpu, "limit_cpu is not kept");
  return text;
}

std::string unkept_text(const tree::ProcessTree& tree, const Instance& app) {
  const tree::GroupLimits limits = group_limits(*app.spec);
  if (!limits.any() || !lifecycle::alive(app.state.phase)) return {};
  return without_group_text(app, tree.missing(app.id, app.state.spawn, limits));
}

void keep_again(tree::ProcessTree& tree, const std::map<uint32_t, std::unique_ptr<Instance>>& instances) {
  for (const auto& [id, app] : instances) {
    if (unkept_text(tree, *app).empty()) continue;
    const tree::GroupLimits limits = group_limits(*app->spec);
    tree.limit(id, app->state.spawn, limits);
    if (app->state.other.role != lifecycle::Other::Role::none) tree.limit(id, app->state.other.spawn, limits);
  }
}

OomCount::OomCount() : seen_(oom_kills_of_machine()) {}

int64_t OomCount::more() {
  const int64_t now = oom_kills_of_machine();
  return now - std::exchange(seen_, now);
}

std::string killer_of(const tree::ProcessTree& tree, OomCount& count, const AppSpec& spec, uint32_t id,
                      uint32_t spawn, int status) {
  if (status < 0 || !WIFSIGNALED(status)) return {};
  const int signal = WTERMSIG(status);
  if (is_fault(signal)) return "a fault of its own";
  if (signal != SIGKILL) return "sent by another process or itself";
  const int64_t elsewhere = count.more();
  if (const auto here = tree.oom_kills(id, spawn)) {
    if (*here == 0) return "sent by another process";
    return "by the kernel for want of memory" +
           (spec.limit_memory.n > 0 ? ", limit_memory " + show(spec.limit_memory) : std::string());
  }
  if (elsewhere > 0) return "probably by the kernel for want of memory";
  return "sent by another process";
}

}  // namespace tend::supervisor
