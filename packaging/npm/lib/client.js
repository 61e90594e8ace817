'use strict';
// A home, its daemon, and the connection to it; the methods are in api.js, compat.js and commands.js.

const fs = require('fs');
const os = require('os');
const path = require('path');
const { Connection, nobodyListens } = require('./connection');
const program = require('./program');
const { TendError } = require('./error');

const kPatienceMs = 30000;
const kUpMs = 5000;
const kEndMs = 10000;
const kToldMs = 1000;
const kLookAgainMs = 20;

// What tells a process that it is managed: an app that starts others must not pass it on.
const kMarks = new Set([
  'TEND_ID',
  'NODE_CHANNEL_FD',
  'NODE_UNIQUE_ID',
  'NODE_CHANNEL_SERIALIZATION_MODE',
  'NOTIFY_SOCKET',
  'WATCHDOG_PID',
  'WATCHDOG_USEC',
]);
const kManaged = new Set([
  'pm_id',
  'name',
  'namespace',
  'status',
  'exec_mode',
  'exec_interpreter',
  'pm_exec_path',
  'pm_cwd',
  'pm_out_log_path',
  'pm_err_log_path',
  'pm_log_path',
  'pm_pid_path',
  'pm_uptime',
  'created_at',
  'restart_time',
  'unstable_restarts',
  'instances',
  'merge_logs',
  'autostart',
  'autorestart',
  'vizion',
  'vizion_running',
  'pmx',
  'automation',
  'treekill',
  'username',
  'windowsHide',
  'kill_retry_time',
  'km_link',
  'instance_var',
  'watch',
  'unique_id',
  'axm_actions',
  'axm_monitor',
  'axm_options',
  'axm_dynamic',
  'prev_restart_delay',
  'exit_code',
  'node_version',
  '_pm2_version',
  'filter_env',
  'NODE_APP_INSTANCE',
  'PM2_USAGE',
  'PM2_JSON_PROCESSING',
]);

function callerEnv(env) {
  const managed = 'pm_id' in env;
  const out = {};
  for (const [key, value] of Object.entries(env)) {
    if (kMarks.has(key) || key.startsWith('LISTEN_') || (managed && kManaged.has(key))) continue;
    if (managed && value === '{}' && key === env.name) continue; // the placeholder of its module settings
    out[key] = value;
  }
  return out;
}

class Client {
  // pm2: PM2's words, shapes and home; else tend's.
  constructor(settings = {}, pm2 = false) {
    this.pm2 = Boolean(pm2 || settings.pm2_home);
    this.cwd = settings.cwd ? path.resolve(settings.cwd) : process.cwd();
    this.program = settings.program;
    this.independent = settings.independent === true;
    if (this.independent) this.home = fs.mkdtempSync(path.join(os.tmpdir(), 'tend-'));
    else this.home = path.resolve(settings.home || settings.tend_home || settings.pm2_home || this.homeOf(process.env));
    // PM2 keeps the daemon inside the caller then; here it ends with the caller.
    this.withCaller = this.independent || settings.daemon_mode === false;
    this.open = null; // the promise of the connection
    this.kept = false; // by connect(): the process lives until disconnect()
    this.buses = new Set();
    this.atExit = null;
  }

  homeOf(env) {
    const given = env[this.pm2 ? 'PM2_HOME' : 'TEND_HOME'];
    return given || path.join(env.HOME || os.homedir(), this.pm2 ? '.pm2' : '.tend');
  }

  socketPath() {
    return path.join(this.home, 'tend.sock');
  }

  how(more = {}) {
    const home = { [this.pm2 ? 'PM2_HOME' : 'TEND_HOME']: this.home };
    return {
      pm2: this.pm2,
      program: this.program,
      cwd: this.cwd,
      env: { ...callerEnv(process.env), ...home },
      ...more,
    };
  }

  cause() {
    const script = process.argv[1] ? path.basename(process.argv[1]) : 'node';
    return `user ${process.env.USER || process.getuid()}: ${script} (pid ${process.pid})`;
  }

  // One command of the executable. Error: its complaint.
  async command(words, more = {}) {
    const done = await program.run(words.map(String), this.how(more));
    if (done.code !== 0) throw new TendError(program.complaint(done, words), done.code);
    return done;
  }

  // The connection, made when there is none. start: a daemon too, when there is none.
  connection(start = true) {
    if (!this.open) {
      const opening = this.connectNow(start);
      this.open = opening;
      opening.then(
        (connection) => {
          connection.once('close', () => {
            if (this.open === opening) this.open = null;
          });
          connection.keep(this.kept);
        },
        () => {
          if (this.open === opening) this.open = null;
        },
      );
    }
    return this.open;
  }

  async connectNow(start) {
    this.started = false;
    try {
      return await Connection.open(this.socketPath());
    } catch (error) {
      if (!nobodyListens(error) || !start) throw this.explain(error);
    }
    await this.command(['ping', '--json']);
    this.started = true;
    for (const end = Date.now() + kUpMs; ;) {
      try {
        return await Connection.open(this.socketPath());
      } catch (error) {
        if (!nobodyListens(error) || Date.now() > end) throw this.explain(error);
        await new Promise((wake) => setTimeout(wake, kLookAgainMs));
      }
    }
  }

  explain(error) {
    if (nobodyListens(error)) return new TendError(`no daemon runs in ${this.home}`, error.code);
    if (error.code === 'EACCES')
      return new TendError(`Permission denied, check permissions on ${this.socketPath()}`, 'EACCES');
    return error;
  }

  // timeout in ms beyond what the daemon usually takes.
  async ask(method, params = {}, extra = 0, start = true) {
    const connection = await this.connection(start);
    return connection.call(method, { cwd: this.cwd, ...params }, kPatienceMs + extra);
  }

  // How long stopping or replacing these may take.
  async patience(targets, reload = false, start = true) {
    const params = { detail: 'brief' };
    if (targets && !targets.includes('all')) params.targets = targets;
    const { apps } = await this.ask('list', params, 0, start);
    const longest = apps.reduce((most, row) => Math.max(most, row.patience || 0), 0);
    return reload
      ? Math.max(
          longest,
          apps.reduce((sum, row) => sum + (row.reload_patience || 0), 0),
        )
      : longest;
  }

  async attachProcess(withCaller) {
    this.kept = true;
    const connection = await this.connection();
    connection.keep(true);
    if ((withCaller || this.withCaller) && this.started && !this.atExit) {
      this.endWithProcess();
    }
    return this.started;
  }

  // Also when a signal ends it for which it has no handler of its own.
  endWithProcess() {
    const kill = () => program.runNow(['kill'], this.how());
    const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'].map((signal) => [
      signal,
      () => {
        if (process.listenerCount(signal) > 1) return;
        stop();
        kill();
        process.kill(process.pid, signal);
      },
    ]);
    const stop = () => {
      process.removeListener('exit', kill);
      for (const [signal, handler] of signals) process.removeListener(signal, handler);
      this.atExit = null;
    };
    process.once('exit', kill);
    for (const [signal, handler] of signals) process.on(signal, handler);
    this.atExit = stop;
  }

  async detachProcess() {
    this.kept = false;
    for (const bus of [...this.buses]) bus.close();
    if (this.atExit) {
      this.atExit();
      await this.end().catch(() => {});
    }
    const open = this.open;
    this.open = null;
    if (open)
      await open.then(
        (connection) => connection.close(),
        () => {},
      );
  }

  // Apps and daemon; answered when the daemon is gone, so that whoever starts one next does not meet it.
  async end() {
    let connection;
    try {
      connection = await this.connection(false);
    } catch (error) {
      if (nobodyListens(error)) return 0;
      throw error;
    }
    const extra = await this.patience(['all'], false, false);
    const { count } = await connection.call('kill', { cause: this.cause() }, kPatienceMs + extra);
    connection.keep(false);
    for (const end = Date.now() + kEndMs; Date.now() < end;) {
      try {
        const probe = await Connection.open(this.socketPath());
        probe.close();
      } catch (error) {
        if (nobodyListens(error)) break;
      }
      await new Promise((wake) => setTimeout(wake, kLookAgainMs));
    }
    if (this.atExit) this.atExit();
    // pm2:kill precedes the answer; a daemon that somebody started meanwhile has the bus, which then goes on.
    const told = Promise.all([...this.buses].map((bus) => bus.over));
    let timer;
    await Promise.race([told, new Promise((wake) => (timer = setTimeout(wake, kToldMs)))]);
    clearTimeout(timer);
    return count;
  }

  busGone(bus) {
    this.buses.delete(bus);
  }
}

module.exports = { Client, callerEnv };
