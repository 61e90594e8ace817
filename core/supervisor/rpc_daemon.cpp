// ping, save, resurrect, kill, subscribe.
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/failpoint.h"
#include "core/config/config.h"
#include "core/journal/dump.h"
#include "core/loop/work.h"
#include "core/model/api.h"
#include "core/model/options.h"
#include "core/supervisor/identity_linux.h"
#include "core/supervisor/rpc.h"

namespace tend::supervisor {
namespace {

void ping(Daemon& daemon, const SharedCall& call) {
  call->reply(Map{{"version", TEND_VERSION},
                  {"home", daemon.supervisor.parts().home.dir},
                  {"supervisor", Map{{"pid", static_cast<int>(getpid())}}},
                  {"keeper", Map{{"pid", daemon.keeper_pid},
                                 {"version", daemon.keeper_version},
                                 {"upgrades", daemon.keeper_upgrades}}}});
}

void update(Daemon& daemon, const SharedCall& call) { daemon.upgrade->begin(call); }

void save(Daemon& daemon, const SharedCall& call) {
  if (const Value& on = call->params().at("auto"); on.is<bool>()) {
    daemon.autosave->set(on.boolean(), [call, on = on.boolean()](const Status& done) {
      done ? call->reply(Map{{"auto", on}}) : call->error(done.error().message);
    });
    return;
  }
  Value apps = saved_apps(daemon.supervisor);
  if (call->params().at("show").boolean()) return call->reply(Map{{"apps", std::move(apps)}});  // written nowhere
  const std::string path = daemon.supervisor.parts().home.dump();
  const bool pm2 = daemon.supervisor.parts().home.pm2;
  const auto count = static_cast<int64_t>(apps.list().size());
  if (count == 0 && !call->params().at("force").boolean()) {
    return call->reply(Map{{"path", path}, {"count", 0}, {"skipped", true}});
  }
  auto done = std::make_shared<Status>();
  loop::work(
      daemon.supervisor.parts().loop,
      [done, path, pm2, apps = std::move(apps)] { *done = journal::save_dump(path, apps, pm2); },
      [done, call, path, count] {
        if (!*done) return call->error(done->error().message);
        call->reply(Map{{"path", path}, {"count", count}, {"skipped", false}});
      });
}

// An app whose name runs already is left alone (compat.md section 6); a stopped one comes back stopped.
void restore(Supervisor& supervisor, const SharedCall& call, const Value& apps) {
  std::set<std::string> present;
  std::map<std::pair<std::string, std::string>, std::shared_ptr<const AppSpec>> specs;
  if (!call->params().at("more").boolean()) {
    for (const auto& [id, app] : supervisor.instances()) present.insert(app->spec->name);
  }
  const Asked asked{call->params().at("cause").text()};
  std::vector<Wish> wishes;
  bool ok = true;
  List results;
  for (const Value& v : apps.list()) {
    auto saved = instance_of(0, v.at("app"));
    if (!saved) {
      results.emplace_back(
          Map{{"name", v.at("app").at("spec").at("name")}, {"ok", false}, {"error", saved.error().message}});
      ok = false;
      continue;
    }
    if (present.count((*saved)->spec->name) != 0) continue;
    // Instances of one start share their spec, as they did: that is what they are numbered by.
    auto& shared_spec = specs[{(*saved)->spec->name, (*saved)->unique_id}];
    if (shared_spec && to_value(*shared_spec) == to_value(*(*saved)->spec))
      (*saved)->spec = shared_spec;
    else
      shared_spec = (*saved)->spec;
    Env env = env_from_value(v.at("env"));
    const Part part{.spare = !(*saved)->seat, .increment = (*saved)->increment};
    Instance& app = supervisor.add((*saved)->spec, supervisor.intern(std::move(env)), (*saved)->identity,
                                   (*saved)->unique_id, asked, part);
    if (!v.at("wanted").boolean(true)) {
      results.push_back(outcome(app, "restored", true));
      results.back().as<Map>()->set("script", app.spec->script);
      continue;
    }
    wishes.push_back({app.id, Goal::running, 0, false, "restored"});
    supervisor.start(app, asked);
  }
  const auto now = [&supervisor](uint32_t id) -> const Instance* { return supervisor.find(id); };
  auto shared = std::make_shared<Map>(Map{{"path", supervisor.parts().home.dump()}});
  supervisor.waiters().wait(std::move(wishes), now,
                            [&supervisor, call, shared, ok, results](List outcomes) mutable {
                              for (Value& o : outcomes) {
                                ok = ok && o.at("ok").boolean();
                                const auto id = static_cast<uint32_t>(o.at("id").integer());
                                if (const Instance* app = supervisor.find(id))
                                  o.as<Map>()->set("script", app->spec->script);
                                results.push_back(std::move(o));
                              }
                              shared->set("results", std::move(results));
                              shared->set("ok", ok);
                              supervisor.flush([call, shared](bool) { call->reply(std::move(*shared)); });
                            });
  supervisor.flush([](bool) {});
}

// What a list that PM2 wrote does not tell: the numbers behind names of users. Blocking.
void complete_identities(Value& apps) {
  List* items = apps.as<List>();
  for (std::size_t i = 0; items != nullptr && i < items->size(); ++i) {
    Map* item = (*items)[i].as<Map>();
    Map* app = item == nullptr ? nullptr : (*item)["app"].as<Map>();
    if (app == nullptr || (*app)["uid"].integer(-1) >= 0) continue;
    const Value spec = (*app)["spec"];
    const auto word = [&](const char* key) {
      return spec.at(key).is<int64_t>() ? std::to_string(spec.at(key).integer()) : spec.at(key).text();
    };
    if (word("uid").empty() && word("gid").empty()) continue;
    const auto who = resolve_identity(word("uid"), word("gid"));
    if (!who) continue;  // its spawn will tell
    List groups(who->groups.begin(), who->groups.end());
    app->set("uid", who->uid);
    app->set("gid", who->gid);
    app->set("groups", std::move(groups));
    app->set("home", who->home);
  }
}

void resurrect(Daemon& daemon, const SharedCall& call) {
  keep_again(daemon.supervisor.parts().tree, daemon.supervisor.instances());
  auto loaded = std::make_shared<Result<Value>>(fail("not read"));
  const std::string path = daemon.supervisor.parts().home.dump();
  loop::work(
      daemon.supervisor.parts().loop,
      [loaded, path, given = call->params().at("apps")] {
        *loaded = given.is<List>() ? Result<Value>(given) : journal::load_dump(path);
        if (*loaded) complete_identities(**loaded);
      },
      [&daemon, loaded, call] {
        if (!*loaded) return call->error(loaded->error().message);
        restore(daemon.supervisor, call, **loaded);
      });
}

void kill_all(Daemon& daemon, const SharedCall& call) {
  daemon.autosave->end([&daemon, call] {
    const auto count = static_cast<int64_t>(daemon.supervisor.instances().size());
    stop_all(daemon.supervisor, {call->params().at("cause").text()}, true,
             [&daemon, call, count](List results) {
               daemon.supervisor.flush([&daemon, call, count, results](bool) {
                 call->reply(Map{{"count", count}, {"results", results}});
                 daemon.end();
               });
             });
  });
}

void subscribe(Daemon& daemon, const SharedCall& call) {
  // The subscription lives as long as the call is open; cancel ends both.
  std::weak_ptr<ipc::Call> weak = call;
  auto observing = daemon.supervisor.bus().subscribe([weak](const Record& r) {
    if (const auto open = weak.lock()) {
      Map item{{"kind", "event"},
               {"n", static_cast<int64_t>(r.number)},
               {"at", r.wall},
               {"event", r.event},
               {"id", r.app.id},
               {"name", r.app.spec->name},
               {"pid", r.app.main.pid},
               {"status", status_word(r.app)},
               {"restarts", r.app.state.restarts}};
      if (const lifecycle::State& s = r.app.state; s.has_exit) {
        if (WIFEXITED(s.last_status)) item.append("exit_code", WEXITSTATUS(s.last_status));
        if (WIFSIGNALED(s.last_status)) item.append("exit_signal", WTERMSIG(s.last_status));
      }
      if (!r.detail.empty()) item.append("detail", std::string(r.detail));
      open->item(std::move(item));
    }
  });
  auto listening = daemon.supervisor.bus().listen([weak](const Message& m) {
    const auto open = weak.lock();
    if (!open) return;
    Map item{{"kind", "message"},    {"n", static_cast<int64_t>(m.number)},
             {"at", m.wall},         {"event", m.topic},
             {"id", m.app.id},       {"name", m.app.spec->name},
             {"pid", m.app.main.pid}};
    item.append(std::string(m.key), m.body);
    open->item(std::move(item));
  });
  auto keep = std::make_shared<SharedCall>(call);
  call->on_cancel([observing, listening, keep]() mutable {
    observing.reset();
    listening.reset();
    keep->reset();
  });
}

void settings(Daemon& daemon, const SharedCall& call) {
  daemon.supervisor.reload_settings([call](std::string problem) {
    call->reply(Map{{"problem", std::move(problem)}});
  });
}

void log_files(Daemon& daemon, const SharedCall& call) {
  const std::string& verb = call->params().at("verb").text();
  logs::LogWriter& logs = daemon.supervisor.parts().logs;
  if (verb != "reopen" && verb != "rotate") return call->error("unknown verb " + verb, 2);
  verb == "reopen" ? logs.reopen() : logs.rotate();
  call->reply(Map{});
}

constexpr Method kMethods[] = {{api::kPing, ping},         {api::kUpdate, update},
                               {api::kSave, save},         {api::kResurrect, resurrect},
                               {api::kKill, kill_all},     {api::kSubscribe, subscribe},
                               {api::kSettings, settings}, {api::kLogs, log_files}};

}  // namespace

std::span<const Method> daemon_methods() { return kMethods; }

void dispatch(Daemon& daemon, const SharedCall& call) {
  failpoint("request.before");
  for (const auto& table :
       {start_methods(), app_methods(), canary_methods(), why_methods(), wait_methods(), talk_methods(), environment_methods(),
        daemon_methods()}) {
    for (const Method& m : table) {
      if (m.name == call->method()) return m.handle(daemon, call);
    }
  }
  call->error("unknown method " + call->method() + ": this daemon is version " TEND_VERSION, 2);
}

void stop_all(Supervisor& supervisor, const Asked& asked, bool remove, std::function<void(List)> done) {
  std::vector<Wish> wishes;
  std::vector<uint32_t> ids;
  for (const auto& [id, app] : supervisor.instances()) ids.push_back(id);
  for (const uint32_t id : ids) {
    Instance& app = *supervisor.find(id);
    wishes.push_back({id, remove ? Goal::removed : Goal::stopped, 0, false, remove ? "deleted" : "stopped"});
    remove ? supervisor.remove(app, asked) : supervisor.stop(app, asked);
  }
  const auto now = [&supervisor](uint32_t id) -> const Instance* { return supervisor.find(id); };
  supervisor.waiters().wait(std::move(wishes), now, std::move(done));
}

Value saved_apps(const Supervisor& supervisor) {
  List apps;
  for (const auto& [id, app] : supervisor.instances()) {
    if (app->canary > 0) continue;  // a trial ends with the machine
    Map saved{{"app", record_of(*app)},
              {"env", app->base_env ? env_to_value(app->base_env->env) : Value()},
              {"wanted", app->state.phase != lifecycle::Phase::stopped}};
    if (supervisor.parts().home.pm2) {
      const AppSpec& spec = *app->spec;
      if (!app->seat) continue;  // PM2's list knows no spares
      saved.append("out", config::instance_log_path(spec, spec.out_file, id));
      saved.append("error", config::instance_log_path(spec, spec.error_file, id));
      if (!spec.log_file.empty()) saved.append("log", config::instance_log_path(spec, spec.log_file, id));
      saved.append("pid_path", config::instance_pid_path(spec, id));
    }
    apps.emplace_back(std::move(saved));
  }
  return apps;
}

}  // namespace tend::supervisor
