// Instances as rows of `list`: api.h names the columns.
#include <sys/wait.h>
#include <unistd.h>

#include "core/config/config.h"
#include "core/model/api.h"
#include "core/model/env.h"
#include "core/model/options.h"
#include "core/supervisor/causes.h"
#include "core/supervisor/limits.h"
#include "core/supervisor/policy.h"
#include "core/supervisor/rpc.h"
#include "core/supervisor/spawn_plan.h"

namespace tend::supervisor {
namespace {

// The name is the caller's word for itself: looking numbers up would need NSS (settled 14).
std::string user_of(const Instance& app) {
  if (!app.spec->uid.empty()) return app.spec->uid;
  if (app.base_env) {
    for (const std::string_view name : {"USER", "LOGNAME"}) {
      if (const std::string* value = find_variable(app.base_env->env, name)) return *value;
    }
  }
  return geteuid() == 0 ? "root" : std::to_string(geteuid());
}

void add_full(Map& m, const Instance& app, bool share_env) {
  const AppSpec& spec = *app.spec;
  const lifecycle::State& s = app.state;
  m.append("created", app.created_wall < 0 ? Value() : Value(app.created_wall));
  m.append("unstable", s.unstable);
  m.append("spec", to_value(spec));
  m.append("env", env_to_value(spec.env));
  if (share_env)
    m.append("env_ref", app.base_env ? Value(std::to_string(app.base_env->number)) : Value());
  else
    m.append("base_env", app.base_env ? env_to_value(app.base_env->env) : Value());
  m.append("instance", app.slot);
  m.append("increment", app.increment);
  m.append("uid", app.identity.uid);  // for whom the logs are written; -1: for the daemon's own user
  m.append("out", config::instance_log_path(spec, spec.out_file, app.id));
  m.append("error", config::instance_log_path(spec, spec.error_file, app.id));
  m.append("log", spec.log_file.empty() ? "" : config::instance_log_path(spec, spec.log_file, app.id));
  m.append("pid_path", config::instance_pid_path(spec, app.id));
  if (s.has_exit) {
    // A code or a signal, never both.
    m.append("exit_code", WIFEXITED(s.last_status) ? Value(WEXITSTATUS(s.last_status)) : Value(0));
    m.append("exit_signal",
             WIFSIGNALED(s.last_status) ? Value(signal_name(WTERMSIG(s.last_status))) : Value());
    m.append("exited", app.exited_wall);
  }
  if (!app.last_words.empty()) m.append("last_words", app.last_words);
  if (const Notified* said = app.main.notified.get(); said != nullptr && lifecycle::alive(s.phase)) {
    if (!said->status.empty()) m.append("status_text", said->status);
    if (said->reloading || said->stopping) m.append("notified", said->stopping ? "stopping" : "reloading");
  }
  if (const Announced* said = app.main.announced.get(); said != nullptr && lifecycle::alive(s.phase)) {
    m.append("axm_actions", said->actions());
    m.append("axm_monitor", said->metrics());
    m.append("axm_options", said->options());
    if (!said->node_version().empty()) m.append("node_version", said->node_version());
  }
  m.append("cause", Map{{"kind", cause_word(s.cause)}, {"text", cause_text(app)}, {"at", app.cause_wall}});
  m.append("restart_delay", s.backoff.n);
  m.append("unique_id", app.unique_id);
  m.append("started_by", app.started_by);
  if (!app.error.empty()) m.append("last_error", app.error);
}

// One word of two sources: the worse one.
Value health_of(Supervisor& supervisor, const Instance& app, bool full) {
  Value health = supervisor.heartbeats().view(app, full);
  const Value probe = supervisor.probes().view(app);
  if (probe.is_null()) return health;
  Map m = health.map();
  const std::string& word = m["word"].text();
  if (word.empty() || word == "ok") m.set("word", probe.at("word").text());
  if (full) m.set("probe", probe.at("text").text());
  return m;
}

}  // namespace

Value row(Supervisor& supervisor, const Instance& app, Detail detail, bool share_env) {
  const AppSpec& spec = *app.spec;
  const lifecycle::State& s = app.state;
  Map m;
  m.reserve(14);
  m.append("id", app.id);
  m.append("name", spec.name);
  m.append("namespace", spec.name_space);
  m.append("pid", lifecycle::alive(s.phase) ? app.main.pid : 0);
  m.append("status", status_word(app));
  if (detail == Detail::brief) {
    m.append("patience", (spec.kill_timeout + (app.policy.wait_ready ? spec.listen_timeout : Millis{})).n);
    if (reloads_without_gap(spec)) m.append("reload_patience", replacing_takes(spec).n);
    return m;
  }
  // Each key is paid for a thousand times in a long list: what is mostly zero is left out.
  const metrics::Usage usage = supervisor.usage(app);
  m.append("mode", spec.exec_mode);
  m.append("uptime", app.main.spawned_wall);
  m.append("restarts", s.restarts);
  m.append("cpu", usage.cpu);
  m.append("memory", usage.memory);
  m.append("user", user_of(app));
  m.append("script", spec.script);
  if (Value health = health_of(supervisor, app, detail == Detail::full); !health.is_null())
    m.append("health", std::move(health));
  if (s.hangs > 0) m.append("hangs", s.hangs);
  if (app.canary > 0) m.append("canary", app.canary);
  if (spec.watch.boolean() || !spec.watch.list().empty()) m.append("watching", true);
  if (const uint64_t lost = supervisor.parts().logs.dropped(app.id); lost > 0) {
    m.append("dropped", static_cast<int64_t>(lost));
  }
  if (detail == Detail::full) {
    add_full(m, app, share_env);
    if (std::string text = unkept_text(supervisor.parts().tree, app); !text.empty())
      m.append("not_enforced", std::move(text));
  }
  return m;
}

}  // namespace tend::supervisor
