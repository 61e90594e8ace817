'use strict';
// PM2's records (what `jlist` prints) of the daemon's full rows.

const fs = require('fs');
const path = require('path');

const kMostBytes = 1 << 20;
const kElsewhere = new Set([
  'name',
  'namespace',
  'script',
  'args',
  'cwd',
  'interpreter',
  'node_args',
  'exec_mode',
  'instances',
  'env',
  'out_file',
  'error_file',
  'log_file',
  'pid_file',
  'watch',
  'extra',
  'env_file',
  'merge_logs',
  // Of the daemon itself: no options.
  'resolved',
  'typed',
  'origins',
  'source',
]);

// Of the nearest package.json above the script; instances share one, so that `known` saves most reads.
function packageVersion(script, known) {
  if (known.has(script)) return known.get(script);
  let version = '';
  for (let folder = path.dirname(script); ; folder = path.dirname(folder)) {
    const file = path.join(folder, 'package.json');
    let text = null;
    try {
      if (fs.statSync(file).size <= kMostBytes) text = fs.readFileSync(file, 'utf8');
    } catch {
      // none here
    }
    if (text !== null) {
      try {
        version = String(JSON.parse(text).version || '');
      } catch {
        version = '';
      }
      break;
    }
    if (folder === path.dirname(folder)) break;
  }
  known.set(script, version);
  return version;
}

// A text that a number or a boolean would be written as: numbers of a file are numbers in PM2's records.
function typed(text) {
  if (text === 'true' || text === 'false') return text === 'true';
  if (!/^-?\d+(\.\d+)?$/.test(text)) return text;
  const number = Number(text);
  if (String(number) !== text) return text;
  return !Number.isInteger(number) || Math.abs(number) < 9e15 ? number : text;
}

// What the app measured itself; the heartbeats of the daemon fill in PM2's usual ones.
function metrics(row) {
  const health = row.health || {};
  const own = {};
  const add = (name, value, unit, type) => {
    own[name] = unit ? { historic: true, type, value, unit } : { historic: true, type, value };
  };
  if (health.heap !== undefined) {
    add('Used Heap Size', (health.heap / (1 << 20)).toFixed(2), 'MiB', 'internal/v8/heap/used');
    add('Active handles', health.handles || 0, '', 'internal/libuv/handles');
  }
  if (health.lag_us !== undefined)
    add('Event Loop Latency', (health.lag_us / 1000).toFixed(2), 'ms', 'internal/libuv/latency');
  return { ...own, ...row.axm_monitor };
}

// An entry of filter_env is a part of names, "=NAME" a whole one.
function passesFilter(filter, name) {
  return !filter.some((part) => (part.startsWith('=') ? part.slice(1) === name : name.includes(part)));
}

function record(row, known = new Map()) {
  const spec = row.spec || {};
  const computed = new Set(spec.resolved || []);
  const given = (key) => key in spec && !computed.has(key);
  const instanceVariable = spec.instance_var || 'NODE_APP_INSTANCE';
  const vars = {};
  for (const [key, value] of Object.entries(row.base_env || {}))
    if (passesFilter(spec.filter_env || [], key)) vars[key] = value;
  const numbers = new Set(spec.typed || []);
  for (const [key, value] of Object.entries(row.env || {})) vars[key] = numbers.has(key) ? typed(value) : value;
  if (typeof row.increment === 'number' && row.increment >= 0 && spec.increment_var)
    vars[spec.increment_var] = row.increment;

  const env = { ...vars }; // every variable is also a key of the record
  const fromFile = 'PM2_JSON_PROCESSING' in vars;
  vars.unique_id = row.unique_id || '';
  vars[row.name] = {};
  for (const key of ['autostart', 'autorestart', 'vizion', 'pmx', 'automation', 'treekill', 'windowsHide'])
    env[key] = true;
  if (!fromFile) env.filter_env = [];
  Object.assign(env, {
    instance_var: instanceVariable,
    kill_retry_time: 100,
    km_link: false,
    vizion_running: false,
  });
  for (const key of Object.keys(spec))
    if (given(key) && !kElsewhere.has(key)) env[key] = spec[key];
  for (const key of ['uid', 'gid']) if (/^\d{1,10}$/.test(env[key])) env[key] = typed(env[key]);
  Object.assign(env, spec.extra);
  if (spec.env_file) env.env_file = spec.env_file;
  if (spec.merge_logs) env.merge_logs = true;
  const watch = spec.watch === undefined || spec.watch === null ? false : spec.watch;
  if (!fromFile || given('watch')) env.watch = watch;
  if (spec.log_date_format) env.log_date_format = spec.log_date_format;
  const script = spec.script || row.script;
  Object.assign(env, {
    name: row.name,
    namespace: row.namespace,
    pm_id: row.id,
    status: row.status,
    exec_mode: `${row.mode}_mode`,
    exec_interpreter: spec.interpreter || '',
    node_args: spec.node_args || [],
    pm_exec_path: script,
    pm_cwd: spec.cwd || '',
  });
  if ((spec.args && spec.args.length > 0) || given('args')) env.args = spec.args || [];
  env.instances = spec.instances === undefined ? 1 : spec.instances;
  env[instanceVariable] = row.instance || 0;
  Object.assign(env, {
    pm_uptime: row.uptime,
    created_at: row.created === undefined ? null : row.created,
    restart_time: row.restarts,
    unstable_restarts: row.unstable || 0,
    prev_restart_delay: row.restart_delay || 0,
  });
  if (row.exit_code !== undefined && row.exit_code !== null) env.exit_code = row.exit_code;
  Object.assign(env, { pm_out_log_path: row.out, pm_err_log_path: row.error, pm_pid_path: row.pid_path });
  if (row.log) env.pm_log_path = row.log;
  env.username = row.user || '';
  env.unique_id = row.unique_id || '';
  if (row.uptime > 0) env.version = packageVersion(script, known) || 'N/A';
  if (row.node_version) env.node_version = row.node_version;
  if (row.tree && row.tree.length > 0) env._tree_pids = row.tree;
  Object.assign(env, {
    axm_actions: row.axm_actions || [],
    axm_monitor: metrics(row),
    axm_options: row.axm_options || {},
    axm_dynamic: {},
    env: vars,
  });
  const online = row.status === 'online' || row.status === 'standby';
  return {
    pid: row.pid,
    name: row.name,
    pm2_env: env,
    pm_id: row.id,
    monit: { memory: online ? row.memory || 0 : 0, cpu: online ? row.cpu || 0 : 0 },
  };
}

function records(rows) {
  const known = new Map();
  return rows.map((row) => record(row, known));
}

// What PM2 answers to stop, restart, reload and delete.
function brief(whole, change = {}) {
  const { name, namespace, pm_id, status, restart_time, env } = { ...whole.pm2_env, ...change };
  const shared = { name, namespace, pm_id, status, restart_time };
  return { ...shared, pm2_env: { ...shared, env } };
}

module.exports = { record, records, brief };
