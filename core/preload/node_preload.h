// The script that Node apps of tend load first, made of trace.js, as_pm2.js, drain.js and heartbeat.js: their
// servers drain when they are closed (protocols.md 4.3), their event loops answer pings (protocols.md 7). Its settings are variables, and
// it does nothing without them:
//   TEND_DRAIN      "<grace ms>:<limit ms>:<1: tell how many connections closed, by NODE_TEND_CLOSED>:<1: it is a spare>"
//   TEND_AS_PM2     "1": the title and the fate of unhandled rejections are those that PM2 gives
//   TEND_HEARTBEAT  "<descriptor>:<ms between looks at the lag, 0: none>:<ms between reports of heap and handles, 0:
//                   none>:<1: tend may open its inspector by SIGUSR1>"
#pragma once

#include <string>
#include <string_view>

#include "core/base/result.h"

namespace tend::preload {

std::string_view node_preload();
// The script at `path`, written if it is not there as it should be (0600, folder 0700). Blocks: on the pool.
Status write_preload(const std::string& path);
// The same as an argument of node, for an app whose user cannot read the file (Node 18.18 on).
std::string preload_argument();

}  // namespace tend::preload
