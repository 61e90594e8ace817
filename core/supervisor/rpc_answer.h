// What the methods that act on apps share: which instances words mean, and an answer that waits for what
// comes of them.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/model/value.h"
#include "core/supervisor/rpc.h"

namespace tend::supervisor {

struct Picked {
  List groups;
  std::vector<uint32_t> ids;  // each once, in the order of the words
  bool ok = true;
};

// By the parameters `targets` and `cwd`.
Picked pick(Supervisor& supervisor, const Value& params);

// The instances of the one app that the targets mean, without those being deleted. Error: none, or several
// apps; `verb` begins its text.
Result<std::vector<Instance*>> one_app(Supervisor& supervisor, const Value& params, const std::string& verb);

// `spec` with options by key laid over it. Error: the first wrong one.
Result<std::shared_ptr<const AppSpec>> changed(const AppSpec& spec, const Value& changes);

// By app: the instances that are to be replaced without a gap.
using Reloads = std::map<std::string, std::vector<uint32_t>>;

Wish wish_of(const Instance& app, Goal goal, std::string action);
// Answers when every wish is fulfilled or failed and the journal has what was asked.
void answer(Supervisor& supervisor, const SharedCall& call, std::vector<Wish> wishes, Map reply, bool ok,
            const Reloads& reloads = {});

}  // namespace tend::supervisor
