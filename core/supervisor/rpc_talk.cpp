// stdin, trigger: words for apps, and their answers.
#include <algorithm>

#include "core/base/text.h"
#include "core/model/api.h"
#include "core/supervisor/rpc.h"
#include "core/supervisor/rpc_answer.h"

namespace tend::supervisor {
namespace {

constexpr std::size_t kMaxText = 1u << 20;

struct Writing {
  SharedCall call;
  List groups, results;
  bool ok = true;
  std::size_t open = 0;
};

void finish(Writing& w) {
  if (w.open > 0) return;
  w.call->reply(Map{{"groups", std::move(w.groups)}, {"results", std::move(w.results)}, {"ok", w.ok}});
}

void write_input(Daemon& daemon, const SharedCall& call) {
  Supervisor& supervisor = daemon.supervisor;
  const std::string& text = call->params().at("text").text();
  if (text.size() > kMaxText)
    return call->error("text: found " + std::to_string(text.size()) + " bytes; accepted: up to 1 MiB", 2);
  Picked picked = pick(supervisor, call->params());
  auto w = std::make_shared<Writing>();
  w->call = call;
  w->groups = std::move(picked.groups);
  w->ok = picked.ok;
  w->results.resize(picked.ids.size());
  w->open = 1;
  for (std::size_t i = 0; i < picked.ids.size(); ++i) {
    Instance& app = *supervisor.find(picked.ids[i]);
    const bool lives = lifecycle::alive(app.state.phase) && app.main.input;
    w->results[i] = outcome(app, "sent", lives, lives ? "" : "not running");
    w->ok = w->ok && lives;
    if (!lives) continue;
    ++w->open;
    app.main.input->write(text, [w, i](const Status& written) {
      if (!written) {
        w->ok = false;
        w->results[i].as<Map>()->set("ok", false);
        w->results[i].as<Map>()->set("error", written.error().message);
      }
      --w->open;
      finish(*w);
    });
  }
  --w->open;
  finish(*w);
}

// The message itself where there are no parameters, as PM2's apps expect it (compat.md 9.2).
Value trigger_message(const std::string& action, const std::string& word, const Value& params,
                      const std::string& uuid, bool scoped) {
  if (params.is_null() && uuid.empty()) return action;
  Map m{{"msg", action}, {"opts", params}, {is_digits(word) ? "id" : "name", word}};
  if (scoped) m.append("action_name", action);
  if (!uuid.empty()) m.append("uuid", uuid);
  return m;
}

struct Asking {
  Triggers::Waiting waiting;
  List refused;  // {id, name, namespace, error}: does not run, or has no such action
};

Asking ask_all(Supervisor& supervisor, const Value& params, const List& groups) {
  Asking out;
  out.waiting.action = params.at("action").text();
  out.waiting.uuid = params.at("uuid").text();
  const std::string own_uuid = out.waiting.uuid.empty() ? fresh_unique_id() : out.waiting.uuid;
  std::vector<uint32_t> seen;
  for (const Value& group : groups) {
    for (const Value& number : group.at("ids").list()) {
      const auto id = static_cast<uint32_t>(number.integer());
      if (std::find(seen.begin(), seen.end(), id) != seen.end()) continue;
      seen.push_back(id);
      Instance& app = *supervisor.find(id);
      const bool lives = lifecycle::alive(app.state.phase) && app.main.channel;
      const Announced* known = app.main.announced.get();
      const bool has = lives && known != nullptr && known->has_action(out.waiting.action);
      const bool scoped = has && known->is_scoped(out.waiting.action);
      const bool said =
          has && supervisor.workers().say(
                     app, app.state.spawn,
                     trigger_message(out.waiting.action, group.at("word").text(), params.at("params"),
                                     scoped ? own_uuid : out.waiting.uuid, scoped));
      if (said) {
        out.waiting.asked.push_back({id, app.state.spawn, app.spec->name, app.spec->name_space, scoped});
        continue;
      }
      Map m{{"id", id}, {"name", app.spec->name}, {"namespace", app.spec->name_space}};
      m.append("error", !lives ? "does not run, or is no Node program"
                        : has  ? "does not read its channel"
                               : "has no such action");
      m.append("code", !lives ? "offline" : has ? "deaf" : "no_action");
      out.refused.emplace_back(std::move(m));
    }
  }
  if (out.waiting.uuid.empty()) out.waiting.uuid = own_uuid;
  return out;
}

void trigger(Daemon& daemon, const SharedCall& call) {
  Supervisor& supervisor = daemon.supervisor;
  const Value& params = call->params();
  if (params.at("action").text().empty()) return call->error("action: found nothing; accepted: a name", 2);
  Picked picked = pick(supervisor, params);
  Asking asking = ask_all(supervisor, params, picked.groups);
  const auto count = static_cast<int64_t>(asking.waiting.asked.size());
  if (params.at("stream").boolean()) {
    call->item(Map{{"kind", "asked"}, {"asked", count}});
    asking.waiting.said = [call](Value item) { call->item(std::move(item)); };
  }
  asking.waiting.answered = [call, count, ok = picked.ok, groups = std::move(picked.groups),
                             refused = std::move(asking.refused)](List replies, List silent) mutable {
    ok = ok && count > 0 && silent.empty();
    Map reply{{"asked", count},
              {"replies", std::move(replies)},
              {"silent", std::move(silent)},
              {"refused", std::move(refused)},
              {"groups", std::move(groups)},
              {"ok", ok}};
    if (call->dropped() > 0) reply.append("dropped", static_cast<int64_t>(call->dropped()));
    call->reply(std::move(reply));
  };
  const uint64_t ticket =
      supervisor.triggers().wait(std::move(asking.waiting), Millis{params.at("timeout").integer()});
  if (call->open()) call->on_cancel([&supervisor, ticket] { supervisor.triggers().forget(ticket); });
}

constexpr Method kMethods[] = {{api::kStdin, write_input}, {api::kTrigger, trigger}};

}  // namespace

std::span<const Method> talk_methods() { return kMethods; }

}  // namespace tend::supervisor
