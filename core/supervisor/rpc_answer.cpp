#include "core/supervisor/rpc_answer.h"

#include <algorithm>
#include <cerrno>
#include <set>

#include "core/config/config.h"
#include "core/model/options.h"
#include "core/supervisor/limits.h"

namespace tend::supervisor {
namespace {

// One answer that waits for several outcomes.
struct Answer {
  SharedCall call;
  Map reply;
  List results;
  bool ok = true;
  std::size_t open = 0;

  void add(List outcomes) {
    for (Value& o : outcomes) {
      if (o.is_null()) continue;
      ok = ok && o.at("ok").boolean();
      results.push_back(std::move(o));
    }
    --open;
  }
};

// What was asked for and is not to be had, said once: it does not fail the start.
void add_unkept_limits(Supervisor& supervisor, List& results) {
  for (Value& outcome : results) {
    const Instance* app = supervisor.find(static_cast<uint32_t>(outcome.at("id").integer(-1)));
    Map* map = outcome.as<Map>();
    if (app == nullptr || map == nullptr) continue;
    if (std::string text = unkept_text(supervisor.parts().tree, *app); !text.empty())
      map->set("not_enforced", std::move(text));
  }
}

void finish(Supervisor& supervisor, const std::shared_ptr<Answer>& answer) {
  if (answer->open > 0) return;
  add_unkept_limits(supervisor, answer->results);
  answer->reply.set("results", std::move(answer->results));
  answer->reply.set("ok", answer->ok);
  supervisor.flush([answer](bool durable) {
    if (!durable) answer->reply.set("warning", "state not durable: the journal cannot be written");
    answer->call->reply(std::move(answer->reply));
  });
}

}  // namespace

Result<std::shared_ptr<const AppSpec>> changed(const AppSpec& spec, const Value& changes) {
  auto copy = std::make_shared<AppSpec>(spec);
  for (const auto& [key, value] : changes.map()) {
    const OptionRow* option = find_option(key);
    if (option == nullptr) continue;
    if (auto done = assign(*copy, *option, value); !done) {
      return fail(key + ": found " + done.error().found + "; accepted: " + done.error().accepted);
    }
  }
  config::place_changed_paths(*copy);
  return copy;
}

void answer(Supervisor& supervisor, const SharedCall& call, std::vector<Wish> wishes, Map reply, bool ok,
            const Reloads& reloads) {
  const auto now = [&supervisor](uint32_t id) -> const Instance* { return supervisor.find(id); };
  const bool waits = !call->params().at("no_wait").boolean();
  if (!waits) wishes.clear();
  auto shared = std::make_shared<Answer>();
  shared->call = call;
  if (const Value* known = reply.find("results")) shared->results = known->list();
  shared->reply = std::move(reply);
  shared->ok = ok;
  shared->open = 1 + (waits ? reloads.size() : 0);
  const auto parallel =
      static_cast<std::size_t>(std::max<int64_t>(call->params().at("parallel").integer(2), 1));
  for (const auto& [group, ids] : reloads) {
    supervisor.rollouts().reload(group, ids, parallel, call->params().at("cause").text(),
                                 [&supervisor, shared, waits](List outcomes) {
                                   if (!waits) return;
                                   shared->add(std::move(outcomes));
                                   finish(supervisor, shared);
                                 });
  }
  supervisor.waiters().wait(std::move(wishes), now, [&supervisor, shared](List outcomes) {
    shared->add(std::move(outcomes));
    finish(supervisor, shared);
  });
  supervisor.flush([](bool) {});  // the wishes are written while the processes start
}

Wish wish_of(const Instance& app, Goal goal, std::string action) {
  return {app.id, goal, app.state.spawn, false, std::move(action)};
}

Picked pick(Supervisor& supervisor, const Value& params) {
  Picked out;
  const std::vector<Target> targets = supervisor.targets();
  std::set<uint32_t> seen;
  for (const Value& id : params.at("ids").list()) {
    const auto number = static_cast<uint32_t>(id.integer(-1));
    if (supervisor.find(number) != nullptr && seen.insert(number).second) out.ids.push_back(number);
  }
  for (const Value& word : params.at("targets").list()) {
    Map group{{"word", word.text()}};
    List ids;
    if (auto found = select(word.text(), params.at("cwd").text(), targets)) {
      for (const uint32_t id : *found) {
        ids.emplace_back(id);
        if (seen.insert(id).second) out.ids.push_back(id);
      }
    } else {
      group.set("error", found.error().message);
      out.ok = false;
    }
    group.set("ids", std::move(ids));
    out.groups.emplace_back(std::move(group));
  }
  return out;
}

Result<std::vector<Instance*>> one_app(Supervisor& supervisor, const Value& params, const std::string& verb) {
  const Picked picked = pick(supervisor, params);
  if (!picked.ok && !picked.groups.empty()) return fail(picked.groups.front().at("error").text(), ESRCH);
  std::vector<Instance*> found;
  for (const uint32_t id : picked.ids) {
    Instance* app = supervisor.find(id);
    if (app->deleting) continue;
    if (!found.empty() && !same_group(*app->spec, *found.front()->spec)) {
      return fail(verb + ": found apps " + found.front()->spec->name + " and " + app->spec->name +
                  "; accepted: one app");
    }
    found.push_back(app);
  }
  if (found.empty()) return fail(verb + ": no such app", ESRCH);
  return found;
}

}  // namespace tend::supervisor
