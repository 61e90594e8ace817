// The table itself. Order is the order of the man page; names, types and flags follow PM2's where it has
// them.
#include "core/model/options.h"

namespace tend {
namespace {

constexpr std::string_view kTime = "0..2147483647";  // what a timer of Node takes, so what files can hold
constexpr std::string_view kMemoryRule =
    R"(string|number/^\d+(G|M|K)?$/it should be a NUMBER - byte, "[NUMBER]G"(Gigabyte), "[NUMBER]M"(Megabyte) or )"
    R"("[NUMBER]K"(Kilobyte))";
constexpr std::string_view kUptimeRule =
    R"(number|string;min=100/^\d+(h|m|s)?$/it should be a NUMBER - milliseconds, "[NUMBER]h"(hours), )"
    R"("[NUMBER]m"(minutes) or "[NUMBER]s"(seconds))";
constexpr std::string_view kModeRule =
    R"(string/^(cluster|fork)(_mode)?$/it should be "cluster"("cluster_mode") or "fork"("fork_mode") only)";
constexpr std::string_view kSignals =
    "SIGINT|SIGTERM|SIGQUIT|SIGHUP|SIGUSR1|SIGUSR2|SIGKILL|SIGABRT|SIGALRM|SIGWINCH|SIGCONT|SIGSTOP";
constexpr std::string_view kHeartbeatActions =
    "restart|reload|report|signal:SIGABRT|signal:SIGQUIT|signal:SIGTERM|signal:SIGINT|signal:SIGHUP|"
    "signal:SIGUSR2|signal:SIGKILL";

using A = AppSpec;

// key, aliases, flag, accepts, pm2_key, pm2_accepts, slot, help
constexpr OptionRow kOptions[] = {
    // What to run
    {"name", "", "-n,--name", "", "", "string", &A::name, "Name of the app; else the script's base name."},
    {"namespace", "", "--namespace", "", "", "string", &A::name_space,
     "Group that commands can address as one."},
    {"script", "exec cmd command", "", "", "pm_exec_path", "string", &A::script,
     "File, program in PATH, or shell line to run."},
    {"args", "", "", "", "", "list|string", &A::args, "Arguments of the script."},
    {"cwd", "", "--cwd", "", "pm_cwd", "string", &A::cwd, "Directory to run in; else the caller's."},
    {"interpreter", "exec_interpreter", "--interpreter", "", "exec_interpreter", "string", &A::interpreter,
     "Program that runs the script; none runs the file itself."},
    {"node_args", "interpreter_args", "--node-args,--interpreter-args", "", "", "list|string", &A::node_args,
     "Arguments between interpreter and script."},
    {"exec_mode", "", "--exec-mode", "fork|cluster", "", kModeRule, &A::exec_mode,
     "One process, or workers over shared sockets."},
    {"execute_command", "", "-x,--execute-command", "", "", "boolean", &A::execute_command,
     "Run in fork mode whatever else is said."},
    {"instances", "", "-i,--instances", "max|-10000..10000", "", "number|string", &A::instances,
     "Number of processes; max or 0 is one per CPU, -1 one less."},
    {"env", "", "", "", "", "object|string", &A::env, "Variables laid over the inherited environment."},
    {"filter_env", "", "--filter-env", "", "", "boolean|list|string", &A::filter_env,
     "Inherited variables whose names contain one of these are dropped."},
    {"env_file", "", "--env-file", "", "", "", &A::env_file, "Dotenv file that is read at each start."},
    {"inherit_env", "", "--no-inherit-env", "", "", "", &A::inherit_env,
     "Whether the caller's environment is passed on."},
    {"instance_var", "", "--instance-var", "", "", "string", &A::instance_var,
     "Variable that holds the instance's number."},
    {"increment_var", "", "--increment-var", "", "", "string", &A::increment_var,
     "Variable that grows by one with each instance."},
    {"autostart", "", "--no-autostart", "", "", "boolean", &A::autostart,
     "Whether a new app is started at once."},
    {"uid", "user", "--uid", "", "", "number|string", &A::uid,
     "User to run as, by name or number (root only)."},
    {"gid", "", "--gid", "", "", "number|string", &A::gid, "Group to run as, by name or number (root only)."},
    {"umask", "", "--umask", "octal", "", "", &A::umask, "File mode mask, in octal."},
    {"nice", "", "--nice", "-20..19", "", "", &A::nice, "CPU priority, lower is more."},
    {"nofile", "", "--nofile", "0..1073741816", "", "", &A::nofile,
     "Limit of open files; 0 is the caller's."},
    // When to restart, how to stop
    {"autorestart", "", "--no-autorestart", "", "", "boolean", &A::autorestart,
     "Whether an app that ends is started again."},
    {"min_uptime", "", "--min-uptime", kTime, "", kUptimeRule, &A::min_uptime,
     "A shorter life counts as an unstable restart."},
    {"max_restarts", "", "--max-restarts", "0..2147483647", "", "number;min=0", &A::max_restarts,
     "Unstable restarts before the app is given up."},
    {"restart_delay", "", "--restart-delay", kTime, "", "number", &A::restart_delay,
     "Pause before a restart."},
    {"exp_backoff_restart_delay", "", "--exp-backoff-restart-delay", kTime, "", "number",
     &A::exp_backoff_restart_delay, "First pause of a series that grows by half up to 15s."},
    {"stop_exit_codes", "", "--stop-exit-codes", "0..255", "", "list|number", &A::stop_exit_codes,
     "Exit codes after which the app stays stopped."},
    {"cron_restart", "cron", "-c,--cron-restart,--cron", "cron", "", "string|number", &A::cron_restart,
     "Cron pattern at which the app is restarted; 0 is none."},
    {"cron_timezone", "cron_tz", "--cron-timezone", "zone", "", "", &A::cron_timezone,
     "Time zone of the cron pattern, as Europe/Berlin; else local time."},
    {"max_memory_restart", "", "--max-memory-restart", "", "", kMemoryRule, &A::max_memory_restart,
     "Restart above this resident size."},
    {"memory_scope", "", "--memory-scope", "main|tree", "", "", &A::memory_scope,
     "Whose memory max_memory_restart looks at: the main process's, or the sum of the tree's."},
    {"kill_timeout", "", "-k,--kill-timeout", kTime, "", "number", &A::kill_timeout,
     "Time between the stop signal and SIGKILL."},
    {"kill_signal", "", "--kill-signal", kSignals, "", "", &A::kill_signal,
     "Signal that asks the app to stop."},
    {"treekill", "", "--no-treekill", "", "", "boolean", &A::treekill,
     "Whether the app's descendants are stopped with it."},
    {"shutdown_with_message", "", "--shutdown-with-message", "", "", "boolean", &A::shutdown_with_message,
     "Ask by the message shutdown instead of a signal."},
    {"wait_ready", "", "--wait-ready", "", "", "boolean", &A::wait_ready,
     "Online only after the message ready, or READY=1 on NOTIFY_SOCKET."},
    {"channel", "", "--channel", "", "", "", &A::channel,
     "Give a program that is not Node the channel of process.send (NODE_CHANNEL_FD)."},
    {"listen_timeout", "", "--listen-timeout", kTime, "", "number", &A::listen_timeout,
     "Time in which the app must report ready or listen."},
    {"ready_timeout", "", "--ready-timeout", "fail|online", "", "", &A::ready_timeout,
     "What the end of listen_timeout means."},
    // Sockets of several processes, and replacing them
    {"balance", "", "--balance", "auto|reuseport|shared|rr|least|sticky", "", "", &A::balance,
     "How connections reach the processes of a clustered app."},
    {"listen", "", "--listen", "", "", "", &A::listen,
     "Sockets to bind first and pass on, as tcp://0.0.0.0:8000, udp://:53, unix:/run/x.sock."},
    {"spare", "", "--spare", "0..16", "", "", &A::spare,
     "Started workers of a clustered Node app that wait to take the place of one that dies."},
    {"drain_timeout", "", "--drain-timeout", kTime, "", "", &A::drain_timeout,
     "Time a replaced process has to finish its requests before it is stopped."},
    // Health: is a living process well?
    {"heartbeat", "", "--heartbeat", "off|auto|on", "", "", &A::heartbeat,
     "Whether the app must answer pings; auto is where it can."},
    {"heartbeat_interval", "", "--heartbeat-interval", "20..2147483647", "", "", &A::heartbeat_interval,
     "Time between two pings."},
    {"heartbeat_misses", "", "--heartbeat-misses", "1..1000", "", "", &A::heartbeat_misses,
     "Pings in a row without an answer until the app counts as hung."},
    {"heartbeat_action", "", "--heartbeat-action", kHeartbeatActions, "", "", &A::heartbeat_action,
     "What is done with a hung app."},
    {"heartbeat_grace", "", "--heartbeat-grace", kTime, "", "", &A::heartbeat_grace,
     "Time after start in which an app that has not answered yet is left alone."},
    {"heartbeat_stats", "", "--heartbeat-stats", kTime, "", "", &A::heartbeat_stats,
     "How often a Node app reports lag, heap and handles; 0 is never."},
    {"autopsy", "", "--autopsy", "auto|inspector|kernel|off", "", "", &A::autopsy,
     "Evidence that is taken of a hung app before it is ended."},
    {"probe", "", "--probe", "", "", "", &A::probe,
     "Question to the app: http://127.0.0.1:{port}/health, tcp://host:port, exec:command."},
    {"probe_for", "", "--probe-for", "both|liveness|readiness", "", "", &A::probe_for,
     "What the probe decides: whether the app is well, whether it is ready, or both."},
    {"probe_interval", "", "--probe-interval", "100..2147483647", "", "", &A::probe_interval,
     "Time between two probes."},
    {"probe_timeout", "", "--probe-timeout", "1..2147483647", "", "", &A::probe_timeout,
     "Time in which a probe must be answered."},
    {"probe_delay", "", "--probe-delay", kTime, "", "", &A::probe_delay, "Time after start without probes."},
    {"probe_failures", "", "--probe-failures", "1..1000", "", "", &A::probe_failures,
     "Failed probes in a row until the app counts as unwell."},
    {"probe_successes", "", "--probe-successes", "1..1000", "", "", &A::probe_successes,
     "Answered probes in a row until it counts as ready, or well again."},
    {"probe_status", "", "--probe-status", "", "", "", &A::probe_status,
     "Accepted HTTP status, as 200 or 200-399."},
    {"probe_match", "", "--probe-match", "", "", "", &A::probe_match,
     "Text that the answer's body must contain."},
    {"probe_action", "", "--probe-action", "restart|reload|report", "", "", &A::probe_action,
     "What is done with an app whose probe fails."},
    {"fd_store", "", "--fd-store", "0..128", "", "", &A::fd_store,
     "Descriptors that are kept over restarts for an app that sends FDSTORE=1."},
    // Logs
    {"out_file", "out output out_log", "-o,--output", "", "pm_out_log_path", "string", &A::out_file,
     "File of standard output; /dev/null drops it."},
    {"error_file", "error err err_file err_log", "-e,--error", "", "pm_err_log_path", "string",
     &A::error_file, "File of standard error; /dev/null drops it."},
    {"log_file", "log", "-l,--log", "", "pm_log_path", "boolean|string", &A::log_file,
     "File of both streams; true is a default name."},
    {"pid_file", "pid", "-p,--pid", "", "pm_pid_path", "string", &A::pid_file, "File that holds the pid."},
    {"merge_logs", "combine_logs", "--merge-logs", "", "", "boolean", &A::merge_logs,
     "One log file for all instances."},
    {"log_max_size", "", "--log-max-size", "", "", "", &A::log_max_size,
     "Size from which a log file is put aside; 0 is never; else the home's setting."},
    {"log_retain", "", "--log-retain", "0..100000", "", "", &A::log_retain,
     "How many of those are kept; 0 is all; else the home's setting."},
    {"log_compress", "", "--log-compress", "", "", "", &A::log_compress, "Compress them with gzip."},
    {"time", "", "--time", "", "", "boolean", &A::time, "Put date and time before each line of the logs."},
    {"log_date_format", "", "--log-date-format", "", "", "string", &A::log_date_format,
     "Date before each line, as in YYYY-MM-DD HH:mm:ss Z."},
    {"log_type", "", "--log-type", "", "", "string", &A::log_type, "json writes one object per line."},
    {"disable_logs", "", "--disable-logs", "", "", "boolean", &A::disable_logs, "Keep no logs."},
    // Watching, and what is kept and shown
    {"watch", "", "--watch", "boolean|list|string", "", "boolean|list|string", &A::watch,
     "Restart when a file below these paths changes; true is cwd."},
    {"ignore_watch", "", "--ignore-watch", "", "", "list|string", &A::ignore_watch,
     "Paths that watching leaves out."},
    {"watch_ext", "ext", "--ext", "", "", "", &A::watch_ext,
     "Extensions of the files that watching looks at, as js,json; else all."},
    {"watch_options", "", "", "object", "", "object", &A::watch_options, "Settings of the watcher."},
    {"watch_delay", "", "--watch-delay", kTime, "", "number", &A::watch_delay,
     "Time between a change and the restart."},
    {"vizion", "", "--no-vizion", "", "", "boolean", &A::vizion, "Whether version control data is shown."},
    {"pmx", "", "--no-pmx", "", "", "boolean|string", &A::pmx, "Whether metrics of Node apps are collected."},
    {"automation", "", "--no-automation", "", "", "boolean", &A::automation,
     "false is the same as pmx false."},
    {"source_map_support", "", "--source-map-support", "", "", "boolean", &A::source_map_support,
     "Node only: stack traces in terms of the sources."},
    {"disable_source_map_support", "", "--disable-source-map-support", "", "", "boolean",
     &A::disable_source_map_support, "Node only: no source maps."},
    {"force", "", "-f,--force", "", "", "boolean", &A::force, "Start even if the same app is running."},
    {"port", "", "", "0..65535", "", "number", &A::port, "Sets the variable PORT."},
    {"post_update", "", "", "list|string", "", "list", &A::post_update, "Commands to run after a pull."},
    {"append_env_to_name", "", "", "", "", "boolean", &A::append_env_to_name,
     "Name becomes name-env under --env."},
    {"trace", "", "--trace", "", "", "boolean", &A::trace, "Kept for PM2's agents."},
    {"disable_trace", "", "--disable-trace", "", "", "boolean", &A::disable_trace, "Kept for PM2's agents."},
    {"v8", "", "--v8", "", "", "boolean", &A::v8, "Kept for PM2's agents."},
    {"event_loop_inspector", "", "--event-loop-inspector", "", "", "boolean", &A::event_loop_inspector,
     "Kept for PM2's agents."},
    {"deep_monitoring", "", "--deep-monitoring", "", "", "boolean", &A::deep_monitoring,
     "Kept for PM2's agents."},
};
static_assert(std::size(kOptions) <= 128, "AppSpec::given holds one bit per row");

}  // namespace

std::span<const OptionRow> options() { return kOptions; }

}  // namespace tend
