// What a user asked for: one app, as plain data. The initialiser of a field is the option's default; the
// table in options.cpp gives each field its names, its check and its help. Paths are absolute once config/
// resolved it.
#pragma once

#include <bitset>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "core/base/units.h"
#include "core/model/value.h"

namespace tend {

using StringList = std::vector<std::string>;
using IntList = std::vector<int64_t>;
using Env = std::vector<std::pair<std::string, std::string>>;  // order kept, names unique

struct AppSpec {
  // What to run
  std::string name;
  std::string name_space = "default";
  std::string script;  // as written until resolved; then absolute (pm_exec_path)
  StringList args;
  std::string cwd;               // absolute once resolved
  std::string interpreter;       // "none", or what to run the script with ("node", "bash", an absolute path)
  StringList node_args;          // between interpreter and script
  std::string exec_mode;         // "fork" | "cluster"; empty until resolved
  bool execute_command = false;  // forces fork
  int64_t instances = 1;         // resolved count, >= 1
  Env env;                       // the file's env with env_<name> laid over it
  StringList filter_env;  // inherited names that contain one of these, or are "=" and the name, are dropped
  std::string env_file;   // dotenv file read at each start; empty: none
  bool inherit_env = true;
  std::string instance_var = "NODE_APP_INSTANCE";
  std::string increment_var;
  bool autostart = true;
  std::string uid;  // name or number; empty: the daemon's
  std::string gid;
  int64_t umask = -1;  // -1: inherited
  int64_t nice = 0;
  // What it may use: 0 and "" are no limit of its own
  Bytes limit_memory{0};
  std::string limit_cpu;  // parse_cores() in limits.h
  int64_t limit_pids = 0;
  int64_t nofile = 0;  // RLIMIT_NOFILE; 0: the caller's
  bool no_new_privs = false;
  int64_t oom_score_adj = 0;  // when it is given; else what the daemon was started with
  IntList cpu_affinity;       // numbers of CPUs; empty: all
  // When to restart, how to stop
  bool autorestart = true;
  Millis min_uptime{1000};
  int64_t max_restarts = 16;
  Millis restart_delay{0};
  Millis exp_backoff_restart_delay{0};
  IntList stop_exit_codes;
  std::string cron_restart;
  std::string cron_timezone;          // of the database, as "Europe/Berlin"; empty: local
  Bytes max_memory_restart{0};        // 0: no limit
  std::string memory_scope = "main";  // "main" | "tree"
  Millis kill_timeout{1600};
  std::string kill_signal = "SIGINT";
  bool treekill = true;
  bool shutdown_with_message = false;
  bool wait_ready = false;
  Millis listen_timeout{3000};
  bool channel = false;                // Node's channel for a program that is not Node
  std::string ready_timeout = "fail";  // "fail" | "online": what the end of listen_timeout means
  // Sockets of several processes, and replacing them
  std::string balance = "auto";  // "auto" | "reuseport" | "shared" | "rr" | "least" | "sticky"
  StringList listen;             // sockets that are made first and passed as LISTEN_FDS
  int64_t spare = 0;             // started workers that wait to take the place of one that ends
  Millis drain_timeout{10000};   // how long a replaced process may finish what it has
  // Health: is a living process well?
  std::string heartbeat = "auto";            // "off" | "auto": where the app can answer | "on": must answer
  Millis heartbeat_interval{1000};           // between pings; WATCHDOG_USEC is interval x misses
  int64_t heartbeat_misses = 3;              // unanswered in a row until it counts as hung
  std::string heartbeat_action = "restart";  // "restart" | "reload" | "report" | "signal:SIGABRT" …
  Millis heartbeat_grace{60000};             // after start, in which one that never answered is left alone
  Millis heartbeat_stats{10000};             // how often a Node app tells lag, heap and handles; 0: never
  std::string autopsy = "auto";              // "auto" | "inspector" | "kernel" | "off" (settled 43)
  std::string probe;                         // "http://…" "tcp://host:port" "exec:command"; empty: none
  std::string probe_for = "both";            // "both" | "liveness" | "readiness"
  Millis probe_interval{10000};
  Millis probe_timeout{2000};
  Millis probe_delay{0};                 // after start
  int64_t probe_failures = 3;            // in a row until it counts as unwell
  int64_t probe_successes = 1;           // in a row until it counts as ready, or well again
  std::string probe_status = "200-399";  // HTTP
  std::string probe_match;               // text that the body must contain; empty: any
  std::string probe_action = "restart";  // "restart" | "reload" | "report"
  int64_t fd_store = 16;                 // descriptors kept over restarts for an app that says FDSTORE=1
  // Logs
  std::string out_file;  // absolute once resolved, without instance number; "/dev/null": drop
  std::string error_file;
  std::string log_file;  // combined; empty: none
  std::string pid_file;
  bool merge_logs = false;
  Bytes log_max_size{0};   // the file is put aside from this size on; 0: never
  int64_t log_retain = 0;  // how many of those are kept; 0: all
  bool log_compress = false;
  bool time = false;
  std::string log_date_format;
  std::string log_type;  // "" raw | "json"
  bool disable_logs = false;
  // Accepted, kept and shown; acted upon by later work or by nobody
  Value watch = false;  // bool or list of paths
  StringList ignore_watch;
  StringList watch_ext;  // not empty: only files with these extensions count
  Value watch_options;
  Millis watch_delay{0};
  bool vizion = true;
  bool pmx = true;
  bool automation = true;
  bool source_map_support = false;
  bool disable_source_map_support = false;
  bool force = false;
  int64_t port = 0;
  Value post_update;
  bool append_env_to_name = false;
  bool trace = false;
  bool deep_monitoring = false;
  bool disable_trace = false, v8 = false, event_loop_inspector = false;
  Value extra;  // other keys that PM2 keeps in its record (env_file, env_<name>), a map
  // Not options: where it came from
  std::string source;  // the file of apps that it was started by, absolute; empty: none
  StringList typed;    // variables of env that are numbers or booleans in the file
  Value origins;       // variables of env that are not of the file's own `env`: name -> "env_production" …

  // Which rows of the option table (index into options()) the user gave, and which of the others
  // config::resolve computed; the two are disjoint and defaults are in neither. Listings show what is given
  // and some of the computed.
  std::bitset<128> given;
  std::bitset<128> resolved;
};

// The longest that replacing one process may take: its successor starts, it finishes what it has, it is
// stopped.
inline Millis replacing_takes(const AppSpec& spec) {
  return spec.listen_timeout + spec.drain_timeout + spec.kill_timeout;
}

}  // namespace tend
