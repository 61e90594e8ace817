'use strict';
// The executable `tend`: it starts the daemon, reads files of apps, and does what is a command and no request.

const fs = require('fs');
const path = require('path');
const { spawn, spawnSync } = require('child_process');
const { TendError } = require('./error');

const kMostOutput = 64 << 20;

function executable(file) {
  try {
    fs.accessSync(file, fs.constants.X_OK);
    return fs.statSync(file).isFile();
  } catch {
    return false;
  }
}

// $TEND_PROGRAM, the PATH's, or the one that was put into this package.
function find(env = process.env) {
  if (env.TEND_PROGRAM) return env.TEND_PROGRAM;
  const folders = (env.PATH || '').split(':').filter((folder) => folder.startsWith('/'));
  const own = path.join(__dirname, '..', 'bin', 'tend');
  const found = [...folders.map((folder) => path.join(folder, 'tend')), own].find(executable);
  if (found) return found;
  throw new TendError('no program tend: found none in PATH; install it, or name it in TEND_PROGRAM', 'ENOENT');
}

// Its name tells it whose words and whose home to use.
const options = (how) => ({
  argv0: how.pm2 ? 'pm2' : 'tend',
  cwd: how.cwd,
  env: { ...how.env, NO_COLOR: '1', FORCE_COLOR: '' },
});

// {code, stdout, stderr}. input: what it reads from standard input.
function run(words, how) {
  return new Promise((resolve, reject) => {
    let program;
    try {
      program = how.program || find(how.env);
    } catch (error) {
      return reject(error);
    }
    const child = spawn(program, words, { ...options(how), stdio: how.stdio || ['pipe', 'pipe', 'pipe'] });
    const text = { stdout: '', stderr: '' };
    for (const name of ['stdout', 'stderr']) {
      if (!child[name]) continue;
      child[name].setEncoding('utf8');
      child[name].on('data', (part) => {
        text[name] += part;
        if (text[name].length > kMostOutput) child.kill('SIGKILL');
      });
    }
    if (child.stdin) {
      child.stdin.on('error', () => {}); // it ended without reading: its exit status tells
      child.stdin.end(how.input || '');
    }
    child.on('error', (error) => reject(new TendError(`${program}: ${error.message}`, error.code)));
    child.on('close', (code, signal) => resolve({ code: code === null ? `signal ${signal}` : code, ...text }));
  });
}

// While the process exits, when nothing else can be waited for.
function runNow(words, how) {
  spawnSync(how.program || find(how.env), words, { ...options(how), stdio: 'ignore' });
}

// What it complained of, without prefix; else the last thing it said.
function complaint(done, words) {
  const prefix = /^(tend: |\[PM2\]\[ERROR\] )(Error: )?/;
  const lines = `${done.stdout}\n${done.stderr}`
    .split('\n')
    .map((l) => l.trim())
    .filter(Boolean);
  const found = lines.find((l) => prefix.test(l)) || lines.pop() || `exit ${done.code}`;
  return `${found.replace(prefix, '')}${prefix.test(found) ? '' : ` (tend ${words.join(' ')})`}`;
}

module.exports = { find, run, runNow, complaint };
