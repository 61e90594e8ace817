// Named places at which a test may have the supervisor killed. Without the CMake option TEND_FAILPOINTS they do
// nothing.
//
// $TEND_FAILPOINT is the path of a file of the form `name [passes [lives]]`: the process kills itself at that pass of
// that point (the first one), and so do the next lives' (1) at their first. The file is updated before, and removed
// by the last: a successor goes on, and a test may arm a daemon that runs.
#pragma once

#include <algorithm>
#include <array>
#include <span>
#include <string_view>

namespace tend {

inline constexpr auto kFailpoints = std::to_array<std::string_view>({
    "journal.append.before",   "journal.append.middle",    "journal.append.after",     // the pool's writes
    "journal.rewrite.before",  "journal.rewrite.written",  "journal.rewrite.renamed",  // compaction, a new boot
    "slots.put.before",        "slots.put.copied",         "slots.put.after",          //
    "slots.erase.before",      "slots.erase.after",                                    //
    "step.before",             "step.noted",               "step.acted",      "step.told",  // of the machine
    "spawn.before",            "spawn.planned",            "spawn.held",      "spawn.requested", "spawn.adopted",
    "spawned.before",          "spawned.fed",              "spawned.noted",                      // the keeper's reports
    "spawn_failed.before",     "spawn_failed.fed",                                     //
    "exited.before",           "exited.fed",                                           //
    "ack.before",              "ack.after",                                            // the keeper's tables
    "hold.before",             "hold.after",                                           //
    "drop.before",             "drop.after",                                           //
    "signal.before",           "signal.after",                                         //
    "log.adopt.before",        "log.adopt.after",          "log.finished",             //
    "rollout.before",          "rollout.asked",            "rollout.done",             // reload
    "erase.before",            "erase.after",                                          // delete
    "dump.written",            "dump.kept",                "dump.renamed",             // save
    "request.before",          "reply.before",             "reply.after",              //
    "recover.begin",           "recover.journal",          "recover.slots",            // take-over
    "recover.descriptors",     "recover.instance",         "recover.reports",  "recover.settle",
    "serving.before",          "serving.after",                                        //
    "shutdown.before",         "shutdown.after",
});

struct Failpoint {
  // One that is not listed does not compile.
  consteval Failpoint(const char* text) : name(text) {
    if (std::find(kFailpoints.begin(), kFailpoints.end(), name) == kFailpoints.end()) throw "not a failpoint";
  }
  std::string_view name;
};

void failpoint(Failpoint point);
// Those of this program: all or none.
std::span<const std::string_view> failpoints();

}  // namespace tend
