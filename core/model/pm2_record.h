// PM2's records (compat.md sections 6 and 7.1), as dump.pm2 and its RPC have them, to what tend saves and
// back. Pure.
#pragma once

#include <string>

#include "core/base/result.h"
#include "core/model/app_spec.h"
#include "core/model/value.h"

namespace tend {

struct Pm2Reading {
  bool pm2_rules = true;  // an app that is never ready counts as online, none is ended for being busy
  std::string from_home;  // PM2's home, and
  std::string to_home;    // the home whose logs and pids folders take the place of its; empty: paths stay
};

// One saved app, {app: {spec, unique_id}, env, wanted}, as journal/dump.h's list holds it. Runtime fields are
// left behind. Error: no record of an app, or a field of it is wrong.
Result<Value> saved_from_pm2(const Value& record, const Pm2Reading& how);
// All of a list; modules are left out, and instances of one app share its count. `wrong`: one line for each
// record that could not be read.
List saved_list_from_pm2(const List& records, const Pm2Reading& how, StringList& wrong);

// The record that PM2 resurrects. `saved` as above, beside it {out, error, log, pid_path}: the instance's own
// paths.
Value pm2_from_saved(const Value& saved);

}  // namespace tend
