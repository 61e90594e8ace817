// why: what happened to the processes of an app.
#include <algorithm>

#include "core/journal/history.h"
#include "core/loop/work.h"
#include "core/model/api.h"
#include "core/supervisor/rpc.h"
#include "core/supervisor/rpc_answer.h"

namespace tend::supervisor {
namespace {

struct Asked {
  uint32_t id = 0;
  std::string name, path;
};

Value history_of(const Asked& app, std::size_t last) {
  List ends, health;
  if (auto records = journal::read_history(app.path)) {
    for (Value& record : *records) {
      if (!record.is<Map>()) continue;
      List& list = record.at("kind").text() == "end" ? ends : health;
      record.as<Map>()->erase("kind");
      list.push_back(std::move(record));
    }
  }
  if (ends.size() > last) ends.erase(ends.begin(), ends.end() - static_cast<std::ptrdiff_t>(last));
  return Map{{"id", app.id}, {"name", app.name}, {"ends", std::move(ends)}, {"health", std::move(health)}};
}

void why(Daemon& daemon, const SharedCall& call) {
  Supervisor& supervisor = daemon.supervisor;
  const Picked picked = pick(supervisor, call->params());
  List missing;
  for (const Value& group : picked.groups) {
    if (!group.at("error").is_null()) missing.push_back(group.at("word"));
  }
  std::vector<Asked> apps;
  for (const uint32_t id : picked.ids)
    apps.push_back({id, supervisor.find(id)->spec->name, supervisor.parts().home.history(id)});
  const int64_t last = call->params().at("last").integer(journal::kMostEnds);
  const auto most = static_cast<std::size_t>(std::clamp<int64_t>(last, 0, journal::kMostEnds));
  auto found = std::make_shared<List>();
  loop::work(
      supervisor.parts().loop,
      [found, most, apps = std::move(apps)] {
        for (const Asked& app : apps) found->push_back(history_of(app, most));
      },
      [found, call, missing = std::move(missing)] {
        call->reply(Map{{"apps", std::move(*found)}, {"missing", missing}});
      });
}

constexpr Method kMethods[] = {{api::kWhy, why}};

}  // namespace

std::span<const Method> why_methods() { return kMethods; }

}  // namespace tend::supervisor
