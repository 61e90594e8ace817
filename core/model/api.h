// The RPC methods: names and the shapes of requests and replies. Payloads are Value maps; absent keys are
// defaults.
//
// ping    {} -> {version, home, supervisor: {pid}, keeper: {pid, version, upgrades}}; upgrades: how often the keeper's
//         program was replaced
// update  {program: path} replaces the program of both daemons: the connection ends, and the ping of the next
//         supervisor tells. An answer says why not; {supervisor_only: true}: the keeper is too old for it
// start   {apps: [spec map …], env: {caller's environment}, cwd, cause, from_file: bool, force: bool,
//          update_env: bool, no_wait: bool, verb: "reload" replaces a running one without a gap,
//          canary: percent; one more of a running app, nothing is replaced}
//         ids: [number …] takes these alone for apps that exist.
//         A list of more than kAppsPerRequest apps comes in parts; each after the first carries floor and
//         unique_id of the first one's answer. Each spec is resolved (config::resolve). from_file: an app
//         whose name exists is restarted with the new settings (compat.md 4.5, 4.6), else started. Not
//         from_file: the same script and name already online is the error "already launched" unless force;
//         stopped or errored ones are restarted.
//         -> {results: [Outcome …], ok: bool, floor, unique_id}
// act     {verb: "stop"|"restart"|"delete"|"reset"|"reload", targets: [word …], cwd, cause, env, update_env:
// bool,
//          changes: {spec map of changed options}, no_wait: bool, parallel: how many at once (reload; 2)}
//         ids: [number …] instead of targets means just these. toggle_watch: restart turns watching on or
//         off; stop turns it off. All targets are tried. -> {groups: [{word, ids: [..], error?}], results: [Outcome …], warnings:
//         [text …], ok: bool}
// scale   {targets: [one word], change: number, relative: bool, cwd, cause, no_wait: bool}; all instances of
// one app;
//         those that go finish what they have -> {results: [Outcome …], ok, before: number, now: number}
// canary  {verb: "begin", targets: [one word], percent: 1..99, changes, env, update_env} one instance more, with the
//         changes, for that part of the connections; or {verb: "promote", targets, parallel} the others become as it
//         is, then it goes; or {verb: "rollback", targets} it goes -> {results: [Outcome …], ok}
// signal  {signal: number, targets: [word …], cwd} -> as act
// message {message: any value, targets: [word …], cwd} what process.on("message") gets -> as act
// stdin   {text: up to 1 MiB, targets: [word …], cwd} written to their standard input as it is; answered when it is in the
//         pipe -> as act; error: "not running", "has closed its standard input", "does not read its standard input"
// trigger {targets: [word …], cwd, action, params?: any value, timeout?: ms that answers are awaited (none: as long as the
//         processes live), uuid?, stream?: bool} asks those that announced the action -> {asked: number, replies: [{id, name,
//         namespace, return} …], silent: [{id, name, namespace, error} …], refused: [{id, name, namespace, error, code:
//         "offline"|"no_action"|"deaf"} …], groups, ok, dropped?: items that could not be sent}; with stream also items before the reply: {kind: "asked", asked}, each
//         reply with kind "reply", and {kind: "stream", id, name, namespace, data} of scoped actions, whose "return" is the data of their end
// why     {targets: [word …], cwd, last?: how many ends of each instance at most (all)} -> {apps: [{id, name, ends: [{at, pid, uptime, code? | signal?, core?, cause, text,
//         restarts, then, lines?, autopsy?} …], health: [{at, event, text, pid} …]} …], missing: [word …]}; oldest first,
//         at in ms since the epoch, autopsy as core/autopsy/main.h says
// wait    {targets, cwd, for: "online"|"ready"|"healthy"|"stopped", limit: ms} answers when all of them are so, when one
//         cannot become so any more, or when the time is over
//         -> {apps: [{id, name, pid, status, ok} …], ok, late?: true, missing?: [word …]}
// environment {targets: [word …], cwd} what the next process gets -> {apps: [{id, name, variables: [{name, value, from:
//         "caller"|"env_file <path>"|"env"|"env_<name>"|"deploy.<name>.env"|"port"|"instance_var"|"increment_var"|
//         "tend"} …] | error} …], missing: [word …]}
// list    {detail: "brief"|"table"|"full", targets?: [word …], cwd, share_env?: bool, full rows have env_ref, the key of
//         their base_env in the reply's base_envs, which most apps share} -> {apps: [Row …], warnings: [text …],
// missing: [word …]} save    {force: bool, auto?: bool} -> {path, count, skipped: bool}        skipped: the list is empty
// and not forced; with auto -> {auto}: whether the list is saved by itself from now on (autosave.h)
// resurrect {apps?: a list as the saved one, in its place; more: bool, the rest of an app that an earlier request began} -> {path, results: [Outcome …], ok} kill    {} -> {count}; sent after every app
// is gone; then both daemons end subscribe {} -> a stream of
// {kind: "event", n, at, event, id, name, pid, status, restarts, exit_code? | exit_signal?: numbers, of the
// last process}, and of what apps say,
// {kind: "message", n, at, event: its topic, id, name, pid, data | raw}, until
// cancelled
//
// settings {} the home's settings file has changed -> {problem: text, "" when all of it could be read}
// logs    {verb: "reopen" after somebody renamed the files; "rotate" puts all aside} -> {}
//
// Outcome: {id, name, action: "started"|"restarted"|"stopped"|"deleted"|…, ok: bool, pid, status, error?:
// text,
//           code?: "already_launched"|"not_ready"|"errored"|"exec"|"stuck"|"exited", error_log?: the file in
//           which it said why}
// Row (brief): {id, name, namespace, pid, status, patience: ms that stopping and starting it may take,
//           reload_patience?: ms that replacing it may take}
// Row (table): {id, name, namespace, pid, status, mode: "fork"|"cluster", uptime: wall ms of the last spawn,
//           restarts, cpu: percent, memory: bytes, user, script, watching?: true, dropped?: log bytes lost,
//           canary?: its percentage of the connections}
// Row (full): the above, and {created: wall ms | null, unstable, spec: spec map, env: {resolved file env},
// base_env: {caller's}, instance: slot, out, error,
//           log: the instance's own log paths ("" none), pid_path, exit_code, exit_signal, cause: {kind,
//           text, at}, restart_delay: current backoff ms, node_version, unique_id, tree: [pids of the last
//           stop], started_by, status_text?: what the app said of itself by sd_notify(3),
//           notified?: "reloading"|"stopping", which it said too, last_words?: ERRNO and EXIT_STATUS of the
//           last process that sent them, and of a process that announced any (PM2's "axm:…" messages)
//           axm_actions: [{action_name, …} …], axm_monitor: {metric: {value, unit, …} …}, axm_options: map}
#pragma once

#include <cstddef>
#include <string_view>

namespace tend::api {

inline constexpr std::size_t kAppsPerRequest = 500;  // a message has at most 100,000 items (ipc/msgpack.h)

inline constexpr std::string_view kPing = "ping";
inline constexpr std::string_view kUpdate = "update";
inline constexpr std::string_view kStart = "start";
inline constexpr std::string_view kAct = "act";
inline constexpr std::string_view kScale = "scale";
inline constexpr std::string_view kCanary = "canary";
inline constexpr std::string_view kSignal = "signal";
inline constexpr std::string_view kMessage = "message";
inline constexpr std::string_view kStdin = "stdin";
inline constexpr std::string_view kTrigger = "trigger";
inline constexpr std::string_view kWhy = "why";
inline constexpr std::string_view kWait = "wait";
inline constexpr std::string_view kEnvironment = "environment";
inline constexpr std::string_view kList = "list";
inline constexpr std::string_view kSave = "save";
inline constexpr std::string_view kResurrect = "resurrect";
inline constexpr std::string_view kKill = "kill";
inline constexpr std::string_view kSettings = "settings";
inline constexpr std::string_view kLogs = "logs";
inline constexpr std::string_view kSubscribe = "subscribe";

// The words of a status, in list, jlist and describe.
inline constexpr std::string_view kStatusWords[] = {"stopped", "waiting restart", "errored", "launching",
                                                    "online",  "stopping",        "stopping"};

// An online process that serves nobody until another one dies (option spare).
inline constexpr std::string_view kStandby = "standby";
inline bool is_online(std::string_view status) { return status == "online" || status == kStandby; }

}  // namespace tend::api
