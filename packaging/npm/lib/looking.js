'use strict';
// Lists, words for apps, the daemon, the event streams.

const fs = require('fs');
const os = require('os');
const { Bus } = require('./bus');
const { records } = require('./record');
const { TendError } = require('./error');

const kVersion = '7.0.4'; // of the PM2 whose interface this is
const kSearch = 3;

async function rowsOf(client, what) {
  const params = { detail: 'full', share_env: true };
  if (what !== undefined && what !== null) params.targets = [String(what)];
  const { apps, base_envs: envs } = await client.ask('list', params);
  // Most apps have the environment of one caller; a daemon that does not know this sends it with each.
  if (envs) for (const row of apps) row.base_env = envs[row.env_ref];
  return apps;
}

async function oneProcess(client, id) {
  const row = /^\d+$/.test(String(id)) ? (await rowsOf(client, id)).find((r) => r.id === Number(id)) : undefined;
  if (!row) throw new TendError(`Process with ID <${id}> unknown.`, 'ESRCH');
  if (!row.pid) throw new TendError(`Process with ID <${id}> offline.`, 'ESRCH');
  return row;
}

function failed(reply, fallback) {
  const bad = (reply.results || []).find((o) => !o.ok);
  return new TendError(bad ? bad.error : fallback, bad && bad.code, reply.results);
}

async function sendDataToProcessId(client, id, packet) {
  const whole = typeof id === 'object' && id !== null ? id : { ...packet, id };
  if (whole.id === undefined || whole.data === undefined || !whole.topic)
    throw new TendError('ID, DATA or TOPIC field is missing');
  await oneProcess(client, whole.id);
  const reply = await client.ask('message', {
    targets: [String(whole.id)],
    message: { ...whole, id: Number(whole.id) },
  });
  if (!reply.ok) throw failed(reply, 'it was not sent');
  return { success: true, data: whole };
}

async function sendSignal(client, signal, word) {
  const name = String(signal);
  const number = /^\d+$/.test(name)
    ? Number(name)
    : os.constants.signals[name] || os.constants.signals[`SIG${name.toUpperCase()}`];
  if (!number) throw new TendError(`Unknown signal: ${name}`, 'ERR_UNKNOWN_SIGNAL');
  const reply = await client.ask('signal', { signal: number, targets: [String(word)], cause: client.cause() });
  if (reply.groups.some((g) => g.error)) {
    throw new TendError(/^\d+$/.test(String(word)) ? `${word} id unknown` : 'Unknown process name', 'ESRCH');
  }
  if (!reply.ok) throw failed(reply, 'it was not sent');
  return records(await rowsOf(client, word));
}

async function sendLineToStdin(client, id, line, separator = '\n') {
  const row = await oneProcess(client, id);
  if (client.pm2 && row.mode === 'cluster') throw new TendError('Cannot send line to processes in cluster mode');
  const text = `${line}${separator || ''}`;
  const reply = await client.ask('stdin', { targets: [String(id)], text });
  if (!reply.ok) throw failed(reply, 'it was not sent');
  return { pm_id: row.id, line: text };
}

async function trigger(client, word, action, params, options = {}) {
  const request = { targets: [String(word)], action };
  if (params !== undefined && params !== null) request.params = params;
  if (options.timeout) request.timeout = options.timeout;
  const connection = await client.connection();
  // Without a limit, as PM2's: how long an action takes is the app's matter.
  const reply = await connection.call('trigger', { cwd: client.cwd, ...request }, 0);
  if (!reply.asked) throw new TendError('Unknown process', 'ESRCH');
  return reply.replies.map((r) => ({
    at: Date.now(),
    data: { action_name: action, return: r.return },
    process: { pm_id: r.id, name: r.name, namespace: r.namespace },
  }));
}

async function msgProcess(client, options) {
  const word = options.id === undefined ? options.name : options.id;
  if (options.opts !== undefined || options.uuid !== undefined) {
    const reply = await client.ask('trigger', {
      targets: [String(word)],
      action: options.msg,
      params: options.opts,
      uuid: options.uuid,
      timeout: 1,
    });
    return { process_count: reply.asked, success: true };
  }
  const reply = await client.ask('message', { targets: [String(word)], message: options.msg });
  return { process_count: reply.results.filter((o) => o.ok).length, success: true };
}

async function dump(client, force) {
  const reply = await client.ask('save', { force: force === true });
  if (reply.skipped) throw new TendError('Process list empty, cannot save empty list');
  return client.pm2 ? { success: true } : reply;
}

async function resurrect(client) {
  const extra = 60000;
  const reply = await client.ask('resurrect', { cause: client.cause(), env: process.env }, extra);
  return client.pm2 ? { success: true } : reply.results;
}

async function connect(client, noDaemon) {
  const started = await client.attachProcess(noDaemon === true);
  if (!client.pm2) return { home: client.home, socket: client.socketPath(), started };
  return {
    new_pm2_instance: started,
    daemon_mode: client.withCaller ? false : undefined,
    rpc_socket_file: client.socketPath(),
    pub_socket_file: client.socketPath(),
    pm2_home: client.home,
  };
}

async function destroy(client) {
  await client.end();
  await client.detachProcess();
  if (client.independent) fs.rmSync(client.home, { recursive: true, force: true });
}

async function ping(client) {
  const reply = await client.ask('ping');
  return client.pm2 ? { msg: 'pong', ...reply } : reply;
}

async function env(client, id) {
  const row = (await rowsOf(client, id)).find((r) => r.id === Number(id));
  if (!row) throw new TendError(`Modules with id ${id} not found`, 'ESRCH');
  return { ...row.base_env, ...row.env };
}

async function why(client, word, last) {
  const reply = await client.ask('why', {
    targets: [word === undefined ? 'all' : String(word)],
    ...(last ? { last } : {}),
  });
  if (reply.missing.length > 0) throw new TendError(`process or namespace not found: ${reply.missing[0]}`, kSearch);
  return reply.apps;
}

// {bus, socket}, which a callback gets as two arguments.
async function launchBus(client) {
  const bus = new Bus(client);
  client.buses.add(bus);
  await bus.open();
  return bus;
}

module.exports = {
  connect,
  destroy,
  disconnect: (client) => client.detachProcess(),
  close: (client) => client.detachProcess(),
  list: async (client) => records(await rowsOf(client)),
  jlist: async (client) => records(await rowsOf(client)),
  describe: async (client, what) => records(await rowsOf(client, what)),
  getProcessIdByName: async (client, name) => (await rowsOf(client)).filter((r) => r.name === name).map((r) => r.id),
  getPID: async (client, name) =>
    (await rowsOf(client))
      .filter((r) => name === undefined || r.name === name || String(r.id) === String(name))
      .map((r) => r.pid),
  env,
  ping,
  getVersion: async (client) => (client.pm2 ? kVersion : (await client.connection()).daemonVersion),
  killDaemon: async (client) => ({ success: true, count: await client.end() }),
  kill: async (client) => ({ success: true, count: await client.end() }),
  sendDataToProcessId,
  sendSignalToProcessName: sendSignal,
  sendSignalToProcessId: sendSignal,
  signal: (client, word, signal) => sendSignal(client, signal, word),
  message: async (client, word, message) => {
    const reply = await client.ask('message', { targets: [String(word)], message });
    if (!reply.ok) throw failed(reply, `process or namespace not found: ${word}`);
    return reply.results;
  },
  sendLineToStdin,
  trigger,
  msgProcess,
  dump,
  save: dump,
  autodump: async () => undefined,
  resurrect,
  why,
  launchBus,
  // Any request of the RPC, by its name in core/model/api.h.
  request: (client, method, params) => client.ask(method, params || {}),
};
