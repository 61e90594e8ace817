// How the answers to start, act and signal are shown, in tend's words and in PM2's.
#pragma once

#include <string>
#include <string_view>

#include "cmd/tend/session.h"
#include "core/model/value.h"

namespace tend::cli {

// "api (0) started, pid 123"; failures go to standard error with the last lines of the app's log. False: one
// failed.
bool show_outcomes(Session& s, const Value& reply);
// PM2's "Applying action …" and ticks for a reply to act. False: a word meant nothing, or an outcome failed.
bool show_groups(Session& s, std::string_view verb, const Value& reply);
// Whether PM2 would exit 1 for it: an app that dies soon or is not ready in time is not a failure there.
bool pm2_failure(const Value& outcome);
// "process or namespace not found: apu; did you mean api?" in tend's words; asks the daemon for the names.
std::string not_found(Session& s, const std::string& word);
// What the command line knows better than the daemon: versions of packages, and the user's name.
void complete(const Session& s, List& rows);
// The table, as most commands end.
int show_list(Session& s);
// The warnings of a list reply and what was lost, below the table.
void show_warnings(Session& s, const Value& reply);
// An operand where PM2 takes none (compat.md 1, †): it is told, and true.
bool extra_word(Session& s);
// The longest kill and listen timeouts of what `targets` mean, to be waited for beside the daemon's own time; for a
// reload, which goes one by one, the sum of what each may take.
Millis patience_for(Session& s, const List& targets, bool reload = false);

}  // namespace tend::cli
