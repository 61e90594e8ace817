// What is done to the copy, and what of it would hurt its users.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "cmd/tend/drill_copy.h"

namespace tend::cli {

struct TrialOutcome {
  std::string trial;   // "reload"
  bool lost = false;   // users would notice
  bool tried = true;   // false: `words` says why not
  std::string words;   // one line: what happened
  std::string advice;  // which option would mend it; "" none
  Map figures;
};

struct Drill {
  DrillCopy& copy;
  std::string name;
  std::string path;  // of the requests
  uint16_t port = 0;
  std::function<bool()> stopped;  // the user does not want any more
};

// Starts the copy. Error: it does not come up or does not answer; then there is nothing to try.
Result<TrialOutcome> try_start(Drill& drill);
TrialOutcome try_reload(Drill& drill);
TrialOutcome try_stop(Drill& drill);
TrialOutcome try_kill(Drill& drill);
TrialOutcome try_taken_port(Drill& drill);
TrialOutcome try_full_disk(Drill& drill);

}  // namespace tend::cli
