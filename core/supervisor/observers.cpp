#include "core/supervisor/observers.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/config/config.h"
#include "core/loop/work.h"
#include "core/supervisor/policy.h"

namespace tend::supervisor {
namespace {

std::string how(int status) {
  if (WIFSIGNALED(status)) return "killed by signal [" + signal_name(WTERMSIG(status)) + "]";
  return "exited with code [" + std::to_string(WEXITSTATUS(status)) + "]";
}

}  // namespace

void write_pid_file(const std::string& path, int pid, const FileOwner& owner) {
  const auto folder = open_folder_of(path, owner, pid != 0);
  if (!folder) return;
  const std::string name = name_in_folder(path);
  // What bears the name is not written into: it may be another name of somebody's file.
  unlinkat(folder->get(), name.c_str(), 0);
  if (pid == 0) return;
  const UniqueFd fd(openat(folder->get(), name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (!fd) return;
  const std::string text = std::to_string(pid);
  [[maybe_unused]] const ssize_t n = write(fd.get(), text.data(), text.size());
}

EventBus::Subscription log_events(EventBus& bus, Log& log) {
  return bus.subscribe([&log](const Record& r) {
    const std::string app = "App [" + r.app.spec->name + ":" + std::to_string(r.app.id) + "] ";
    if (r.event == "exit") {
      log.info(app + (r.app.state.has_exit ? how(r.app.state.last_status) : "ended, exit status unknown"));
    } else if (r.event == "start" || r.event == "restart") {
      log.info(app + "starting in -" + r.app.spec->exec_mode + " mode-");
    } else if (r.event == "takeover") {
      log.info(app + "takes over the connections of a process that ended");
    } else if (r.event == "waiting restart") {
      log.info(
          app + "will restart in " +
          std::to_string((r.app.state.backoff.n > 0 ? r.app.state.backoff : r.app.policy.restart_delay).n) +
          "ms");
    } else if (r.event == "restart overlimit") {
      log.error("Script " + r.app.spec->script + " had too many unstable restarts (" +
                std::to_string(r.app.policy.max_restarts) + "). Stopped. \"errored\"" +
                (r.app.error.empty() ? "" : ": " + r.app.error));
    } else if (r.event == "change" || r.event == "watch loop") {
      // Watches has told of it, once for all instances.
    } else if (r.event == "stopping") {
      log.info("Stopping app:" + r.app.spec->name + " id:" + std::to_string(r.app.id));
    } else {
      log.info(app + std::string(r.event) + (r.detail.empty() ? "" : ": " + std::string(r.detail)));
    }
  });
}

PidFiles::PidFiles(loop::Loop& loop, EventBus& bus) : loop_(loop) {
  subscription_ = bus.subscribe([this](const Record& r) {
    if (r.event == "online" || r.event == "main process" || r.event == "reload" ||
        r.event == "reload failed") {
      push(r.app, r.app.main.pid);
    } else if (!lifecycle::alive(r.app.state.phase) && lifecycle::alive(r.from)) {
      push(r.app, 0);
    }
  });
}

void PidFiles::push(const Instance& app, int pid) {
  jobs_.push_back({config::instance_pid_path(*app.spec, app.id), pid, {app.identity.uid, app.identity.gid}});
  if (jobs_.size() == 1) next();
}

void PidFiles::next() {
  loop::work(
      loop_, [job = jobs_.front()] { write_pid_file(job.path, job.pid, job.owner); },
      [this, weak = std::weak_ptr<bool>(alive_)] {
        if (weak.expired()) return;
        jobs_.pop_front();
        if (!jobs_.empty()) next();
      });
}

}  // namespace tend::supervisor
