'use strict';
// start, stop, restart, reload, delete, scale, reset.

const documents = require('./documents');
const { records, brief } = require('./record');
const { callerEnv } = require('./client');
const { TendError } = require('./error');

const kAppsPerRequest = 500;
const kSearch = 3; // ESRCH
// Under PM2 these are no failures of the command: the app runs, or will be looked at.
const kLater = new Set(['not_ready', 'errored', 'exited']);
const isNumber = (word) => /^\d+$/.test(word);
const isMany = (word) => word === 'all' || (word.length > 1 && word.startsWith('/') && word.endsWith('/'));

function notFound(client, verb, group) {
  const { word } = group;
  if (!client.pm2) return new TendError(group.error, 'ESRCH');
  if (isMany(word)) return new TendError('process name not found', 'ESRCH');
  if (!isNumber(word)) return new TendError('process or namespace not found', 'ESRCH');
  if (verb === 'restart') return new TendError('God db process id unknown', 'ESRCH');
  if (verb === 'reload') return new TendError('PM2 ID unknown', 'ESRCH');
  return new TendError(`${word} : id unknown`, 'ESRCH');
}

function check(client, reply) {
  const bad = reply.results.filter((o) => !o.ok && !(client.pm2 && kLater.has(o.code)));
  if (bad.length === 0) return;
  const first = bad[0];
  if (first.code === 'already_launched') {
    throw new TendError(
      client.pm2 ? 'Script already launched' : `${first.name} (${first.id}) runs already`,
      first.code,
      reply.results,
    );
  }
  throw new TendError(
    client.pm2 ? first.error || first.code : `${first.name} (${first.id}): ${first.error || first.code}`,
    first.code,
    reply.results,
  );
}

async function rows(client, ids) {
  if (ids.length === 0) return [];
  const wanted = new Set(ids);
  // A long list of words costs the daemon more than all rows do.
  const params = ids.length > 20 ? { detail: 'full' } : { detail: 'full', targets: [...wanted].map(String) };
  const { apps } = await client.ask('list', params);
  return records(apps.filter((row) => wanted.has(row.id)));
}

// What PM2 gives for a new process is its own child object: the parts that programs use.
function child(whole) {
  const { name, namespace, pm_id, status, restart_time } = whole.pm2_env;
  return {
    name,
    namespace,
    pm_id,
    status,
    restart_time,
    pid: whole.pid,
    process: { pid: whole.pid },
    pm2_env: whole.pm2_env,
    monit: whole.monit,
  };
}

async function answers(client, results) {
  const byId = new Map(
    (
      await rows(
        client,
        results.map((o) => o.id),
      )
    ).map((whole) => [whole.pm_id, whole]),
  );
  return results
    .filter((o) => byId.has(o.id))
    .map((o) => (o.action === 'started' || !client.pm2 ? child(byId.get(o.id)) : brief(byId.get(o.id))));
}

function startEnv(client, fromObject) {
  const env = callerEnv(process.env);
  if (!client.pm2) return env;
  return {
    ...env,
    PM2_HOME: client.home,
    PM2_PROGRAMMATIC: 'true',
    ...(fromObject ? { PM2_JSON_PROCESSING: 'true' } : {}),
  };
}

const takes = (spec, verb) => {
  const stop = (spec.kill_timeout || 1600) + (spec.listen_timeout || 3000);
  return verb === 'reload' ? (stop + (spec.drain_timeout || 10000)) * (spec.instances || 1) : stop;
};

// In parts that a message can hold; the outcomes of all.
async function send(client, apps, more) {
  let first = {};
  const results = [];
  for (let begin = 0; begin < apps.length; begin += kAppsPerRequest) {
    const part = apps.slice(begin, begin + kAppsPerRequest);
    const each = part.map((spec) => takes(spec, more.verb));
    const extra = more.verb === 'reload' ? each.reduce((a, b) => a + b, 0) : Math.max(...each);
    const reply = await client.ask(
      'start',
      { apps: part, cause: client.cause(), floor: first.floor, unique_id: first.unique_id, ...more },
      extra,
    );
    if (begin === 0) first = reply;
    results.push(...reply.results);
  }
  return results;
}

async function startDocument(client, what, options, verb) {
  const resolved = await documents.resolve(client, what, options);
  const bad = !resolved.ok || resolved.apps.length === 0;
  if (bad && (!client.pm2 || resolved.apps.length === 0)) throw documents.problem(client, resolved);
  const common = {
    env: startEnv(client, true),
    update_env: options.updateEnv === true,
    verb,
    parallel: options.parallel || 2,
  };
  // PM2 restarts what an object names, `force` or not; that is for scripts.
  const forced = client.pm2 ? [] : resolved.apps.filter((a) => a.force);
  const again = resolved.apps.filter((a) => !forced.includes(a));
  const results = await send(client, again, { ...common, from_file: true });
  results.push(...(await send(client, forced, { ...common, from_file: false, force: true })));
  check(client, { results });
  if (bad) throw documents.problem(client, resolved);
  return answers(client, results);
}

async function startScript(client, script, options) {
  const resolved = await documents.resolve(client, { ...options, script }, {});
  if (!resolved.ok || resolved.apps.length === 0) throw documents.problem(client, resolved);
  const results = await send(client, resolved.apps, {
    env: startEnv(client, false),
    from_file: false,
    force: options.force === true,
    update_env: options.updateEnv === true,
    verb: 'restart',
  });
  check(client, { results });
  return answers(client, results);
}

async function act(client, verb, what, options = {}) {
  const targets = documents.isDocument(what) ? await documents.names(client, what) : [String(what)];
  const quiet = documents.isDocument(what); // what is not there is passed over
  const reloads = verb === 'reload';
  const params = {
    verb,
    targets,
    cause: client.cause(),
    parallel: options.parallel || 2,
    update_env: options.updateEnv === true,
  };
  if (params.update_env || typeof options.env === 'object') {
    params.update_env = true;
    params.env = { ...callerEnv(process.env), ...options.env };
    for (const key of Object.keys(params.env)) params.env[key] = String(params.env[key]);
  }
  const extra = await client.patience(quiet ? null : targets, reloads);
  const before = verb === 'delete' ? await client.ask('list', { detail: 'full', targets }) : null;
  const reply = await client.ask('act', params, extra);
  const missing = reply.groups.find((group) => group.error);
  if (missing && !quiet) throw notFound(client, verb, missing);
  check(client, reply);
  if (verb !== 'delete') {
    const after = await rows(
      client,
      reply.results.map((o) => o.id),
    );
    return after.map((whole) => brief(whole));
  }
  const gone = new Set(reply.results.map((o) => o.id));
  return records(before.apps.filter((row) => gone.has(row.id))).map((whole) => brief(whole, { status: 'stopped' }));
}

async function start(client, what, options = {}) {
  if (documents.isDocument(what)) return startDocument(client, what, options, 'restart');
  const word = String(what);
  if (typeof what === 'number' || (typeof what === 'string' && !/[/. ]/.test(word))) {
    const { apps, missing } = await client.ask('list', { detail: 'brief', targets: [word] });
    if (missing.length === 0 && apps.length > 0) return act(client, 'restart', word, options);
    if (isNumber(word) || word === 'all')
      throw notFound(client, 'restart', { word, error: `process or namespace not found: ${word}` });
  }
  return startScript(client, word, options);
}

// Of a file: those that run are restarted with its settings, the others started.
function again(verb) {
  return (client, what, options = {}) =>
    documents.isDocument(what) ? startDocument(client, what, options, verb) : act(client, verb, what, options);
}

async function scale(client, word, size) {
  const relative = /^[+-]/.test(String(size));
  const change = Number(size);
  if (!Number.isInteger(change)) throw new TendError(`scale: found ${size}; accepted: 1.., +n, -n`);
  const extra = await client.patience([String(word)], true).catch(() => 0);
  let reply;
  try {
    reply = await client.ask('scale', { targets: [String(word)], change, relative, cause: client.cause() }, extra);
  } catch (error) {
    if (client.pm2 && error.code === kSearch) throw new TendError('App not found', 'ESRCH');
    throw error;
  }
  check(client, reply);
  if (client.pm2 && reply.before === reply.now) throw new TendError('Same process number');
  return client.pm2 ? { success: true } : reply;
}

async function reset(client, word) {
  const reply = await client.ask('act', { verb: 'reset', targets: [String(word)], cause: client.cause() });
  const missing = reply.groups.find((group) => group.error);
  if (missing) throw client.pm2 ? new TendError('Unknown process name', 'ESRCH') : notFound(client, 'reset', missing);
  return { success: true };
}

module.exports = {
  start,
  stop: (client, what, options) => act(client, 'stop', what, options),
  restart: again('restart'),
  reload: again('reload'),
  gracefulReload: again('reload'),
  delete: (client, what, options) => act(client, 'delete', what, options),
  scale,
  reset,
};
