'use strict';
// What is a command of the executable: it is run, in this client's home, with these words.

const { records } = require('./record');
const { TendError } = require('./error');

const flagsOf = (options) =>
  Object.entries(options || {}).flatMap(([key, value]) => {
    const name = `--${key.replace(/_/g, '-').replace(/[A-Z]/g, (c) => `-${c.toLowerCase()}`)}`;
    if (value === false || value === undefined || value === null) return [];
    return value === true ? [name] : [name, String(value)];
  });

// Trailing objects are options: flags.
function wordsOf(args) {
  const given = args.filter((a) => a !== undefined && a !== null && typeof a !== 'function');
  const options = given.filter((a) => typeof a === 'object' && !Array.isArray(a));
  return [
    ...given
      .filter((a) => typeof a !== 'object' || Array.isArray(a))
      .flat()
      .map(String),
    ...options.flatMap(flagsOf),
  ];
}

const run =
  (name) =>
  async (client, ...args) => {
    const done = await client.command([name, ...wordsOf(args)]);
    return { success: true, output: done.stdout };
  };

// PM2 answers with all apps, whichever it emptied the files of.
async function flush(client, what) {
  await client.command(['flush', ...(what === undefined || what === null || what === '' ? [] : [what])]);
  const { apps } = await client.ask('list', { detail: 'full' });
  return records(apps);
}

async function reloadLogs(client) {
  await client.command(['reloadLogs']);
  return {};
}

// What is typed goes to the app, what it prints comes out, until standard input ends.
async function attach(client, id, separator) {
  await client.command(['attach', String(id), ...(separator ? [separator] : [])], { stdio: 'inherit' });
}

const absent = (name, why) => async () => {
  throw new TendError(`${name}: ${why}`, 'ENOTSUP');
};

const kCommands = [
  'startup',
  'uninstallStartup',
  'get',
  'set',
  'multiset',
  'unset',
  'conf',
  'serve',
  'deploy',
  'update',
  'install',
  'uninstall',
  'report',
  'logrotate',
  'inspect',
  'profile',
  'clearDump',
  'forward',
  'backward',
  'pullAndRestart',
  'pullAndReload',
  'autoinstall',
  'package',
  'publish',
  'generateSample',
  'boilerplate',
];
const kWords = {
  uninstallStartup: 'unstartup',
  clearDump: 'cleardump',
  pullAndRestart: 'pull',
  pullAndReload: 'pull',
  generateSample: 'ecosystem',
  boilerplate: 'create',
  profile: 'profile:cpu',
};
const kHosted = [
  'link',
  'unlink',
  'openDashboard',
  'linkManagement',
  'agentInfos',
  'killAgent',
  'remote',
  'remoteV2',
  'launchSysMonitoring',
  'minimumSetup',
  'clearSetup',
];

const methods = { flush, reloadLogs, attach, launchModules: async () => undefined };
for (const name of kCommands) methods[name] = run(kWords[name] || name);
methods.profile = (client, type, ms) => run(`profile:${type || 'cpu'}`)(client, ms);
// They draw on the terminal.
for (const name of ['monit', 'dashboard']) methods[name] = (client) => client.command([name], { stdio: 'inherit' });
methods.monitorState = (client, state, what) => run(state === 'unmonitor' ? 'unmonitor' : 'monitor')(client, what);
methods.deepUpdate = methods.update;
for (const name of kHosted) methods[name] = absent(name, "belongs to PM2's hosted service, which tend has no part in");
methods.streamLogs = absent('streamLogs', 'use launchBus and its topics log:out and log:err');

module.exports = methods;
