'use strict';
// What start, restart, stop … take besides a word: objects, lists, files. The executable resolves them, in one place
// for all.

const program = require('./program');
const { TendError } = require('./error');

const kFiles = /\.(json|ya?ml|config\.[cm]?js)$/;
const kKept = new Set(['windowsHide', 'scriptArgs', 'updateEnv']);

// By the end of its name, as the command line has it.
const isFile = (word) => typeof word === 'string' && kFiles.test(word);
const isDocument = (what) => (typeof what === 'object' && what !== null) || isFile(what);

// maxMemoryRestart -> max_memory_restart, scriptArgs -> args.
function app(given) {
  const out = {};
  for (const [key, value] of Object.entries(given)) {
    const plain = /^[a-z]+([A-Z][a-z0-9]+)+$/.test(key) && !kKept.has(key);
    out[plain ? key.replace(/[A-Z]/g, (c) => `_${c.toLowerCase()}`) : key] = value;
  }
  if ('scriptArgs' in out) out.args = out.scriptArgs;
  delete out.scriptArgs;
  delete out.updateEnv;
  return out;
}

function listOf(what) {
  if (Array.isArray(what)) return what;
  const inside = what.apps || what.pm2;
  if (!inside) return [what];
  return Array.isArray(inside) ? inside : listOf(inside);
}

// {apps: resolved, problems: [{fatal, message, pm2}], ok}
async function resolve(client, what, options = {}) {
  const words = ['check', isFile(what) ? what : '-', '--json', '--show-secrets'];
  if (typeof options.env === 'string') words.push('--env', options.env);
  if (options.only) words.push('--only', String(options.only));
  const rest = typeof what === 'string' ? {} : Object.fromEntries(Object.entries(what).filter(([k]) => k === 'deploy'));
  const input = isFile(what) ? '' : JSON.stringify({ ...rest, apps: listOf(what).map(app) });
  const done = await program.run(words, client.how({ input }));
  try {
    return JSON.parse(done.stdout);
  } catch {
    throw new TendError(program.complaint(done, words), done.code);
  }
}

function problem(client, resolved) {
  const fatal = resolved.problems.filter((p) => p.fatal);
  const text = (p) => (client.pm2 && p.pm2 ? p.pm2.replace(/^Error: /, '') : p.message);
  const all = (fatal.length > 0 ? fatal : resolved.problems).map(text);
  const error = new TendError(all[0] || 'no apps in it');
  if (all.length > 1) error.errors = all.map((m) => new TendError(m));
  return error;
}

// The names in it, for what needs no script to be there.
async function names(client, what) {
  if (!isFile(what))
    return listOf(what)
      .map((a) => (typeof a === 'object' && a !== null ? a.name : a))
      .filter((n) => n !== undefined)
      .map(String);
  const resolved = await resolve(client, what);
  if (resolved.apps.length === 0 && !resolved.ok) throw problem(client, resolved);
  return resolved.apps.map((a) => a.name);
}

module.exports = { isFile, isDocument, app, listOf, resolve, problem, names };
