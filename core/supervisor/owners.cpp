// What the supervisor is to its parts: how they reach instances, and whom they tell.
#include "core/supervisor/supervisor.h"

namespace tend::supervisor {

Heartbeats::Owner Supervisor::heartbeats_owner() {
  return {
      [this](uint32_t id) { return find(id); },
      [this](const Instance& app) { note(app); },
      [this](const Instance& app, std::string_view event, const std::string& words) {
        tell(app, event, words);
      },
      [this](Instance& app, uint32_t spawn, const Heartbeats::Hang& hang) { hangs_.hung(app, spawn, hang); },
      [this](const Instance& app) { canaries_.answered(app); },
      [this](Instance& app, uint32_t spawn, std::string_view version) {
        const Side* side = side_of(app, spawn);
        const bool told = side != nullptr && side->announced && !side->announced->node_version().empty();
        if (!told)
          announcements_.take(app, spawn, Map{{"node_version", version}});  // its own word comes first
      },
      [](Instance& app, uint32_t spawn) {
        const Side* side = side_of(app, spawn);
        return side != nullptr && side->channel && side->channel->unsure() && side->channel->all_read();
      },
      [](Instance& app, uint32_t spawn, bool awaits) {
        Side* side = side_of(app, spawn);
        if (side != nullptr && side->channel) side->channel->resolve(awaits);
      }};
}

}  // namespace tend::supervisor
