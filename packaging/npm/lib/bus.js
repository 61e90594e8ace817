'use strict';
// PM2's event bus (launchBus): topics with wildcards, made of the daemon's stream of events and the log files.

const { EventEmitter } = require('events');
const { nobodyListens } = require('./connection');
const { Follower } = require('./follow');
const { record } = require('./record');

const kLookAgainMs = 50; // while a daemon ends or comes back nothing tells when
const kGivenUpMs = 30000;
const kNextDaemonMs = 500;
const kKilled = { status: 'killed', msg: 'pm2 has been killed via CLI' };
const kOwn = { start: 'start', restart: 'restart' }; // told by PM2 after `online`

const pattern = (topic) => new RegExp(`^${topic.replace(/[.+?^${}()|[\]\\]/g, '\\$&').replace(/\*/g, '(.*?)')}$`);

class Bus {
  constructor(client) {
    this.client = client;
    this.listeners_ = []; // {topic, test, call}
    this.sock = new EventEmitter();
    this.sock.close = () => this.close();
    this.over = new Promise((resolve) => (this.isOver = resolve)); // the daemon's end was told, or it is closed
    this.closed = false;
    this.stream = null;
    this.queue = Promise.resolve();
    this.waiting = new Map(); // id -> the word that follows its `online`
    this.records = new Map(); // id -> the last one that was seen
    this.causes = new Map(); // id -> why its last change was
    this.followsLogs = false;
    this.follower = new Follower((label, data) => {
      const at = Date.now();
      this.emit(label.topic, { process: { ...label.process }, at, data });
    });
  }

  on(topic, call) {
    this.listeners_.push({ topic, test: pattern(topic), call });
    if (!this.followsLogs && ['log:out', 'log:err'].some((t) => pattern(topic).test(t))) {
      this.followsLogs = true;
      for (const whole of this.records.values()) this.follow(whole);
    }
    return this;
  }

  addListener(topic, call) {
    return this.on(topic, call);
  }

  once(topic, call) {
    const first = (...args) => {
      this.off(topic, first);
      call(...args);
    };
    return this.on(topic, first);
  }

  // Without `call`: all of that topic.
  off(topic, call) {
    this.listeners_ = this.listeners_.filter((l) => l.topic !== topic || (call && l.call !== call));
    return this;
  }

  removeListener(topic, call) {
    return this.off(topic, call);
  }

  removeAllListeners(topic) {
    this.listeners_ = topic === undefined ? [] : this.listeners_.filter((l) => l.topic !== topic);
    return this;
  }

  listeners(topic) {
    return this.listeners_.filter((l) => l.topic === topic).map((l) => l.call);
  }

  // A wildcard's listener gets what each * stood for, then the data.
  emit(topic, data) {
    for (const l of [...this.listeners_]) {
      const match = l.test.exec(topic);
      if (match) l.call(...match.slice(1), data);
    }
  }

  async open() {
    await this.client.connection();
    await this.subscribe();
    await this.refresh();
  }

  async subscribe() {
    const connection = await this.client.connection(false);
    if (this.closed) return;
    const stream = connection.open('subscribe', {}, (item) => this.take(item, stream));
    this.stream = stream;
    stream.done.then(
      () => this.ended(null),
      (error) => this.ended(error),
    );
  }

  // Who only listens starts no daemon: it would come back while somebody ends it.
  ask(params) {
    return this.client.ask('list', params, 0, false);
  }

  async refresh() {
    const { apps } = await this.ask({ detail: 'full' });
    for (const row of apps) this.seen(row);
  }

  seen(row) {
    const whole = record(row);
    this.records.set(whole.pm_id, whole);
    this.causes.set(whole.pm_id, row.cause && row.cause.kind);
    if (this.followsLogs) this.follow(whole);
    return whole;
  }

  follow({ pm_id, name, pm2_env: { namespace, pm_out_log_path: out, pm_err_log_path: err } }) {
    const process = { pm_id, name, rev: null, namespace };
    if (out && out !== '/dev/null') this.follower.add(out, { topic: 'log:out', process });
    if (err && err !== '/dev/null' && err !== out) this.follower.add(err, { topic: 'log:err', process });
  }

  // One after the other, in the order in which they came: some need the record first.
  take(item, stream) {
    this.queue = this.queue
      .then(() => this.tell(item))
      .catch((error) => this.sock.emit('warning', error))
      .then(() => {
        stream.credit();
      });
  }

  async tell(item) {
    if (this.closed) return;
    const process = { pm_id: item.id, name: item.name, namespace: this.space(item.id) };
    if (item.kind === 'message') {
      if (!this.records.has(item.id)) {
        await this.whole(item.id);
        process.namespace = this.space(item.id);
      }
      const body = 'data' in item ? { data: item.data } : { raw: item.raw };
      return this.emit(item.event, { at: item.at, ...body, process });
    }
    if (kOwn[item.event]) {
      await this.whole(item.id); // also so that its logs are followed before it writes much
      if (item.event === 'start' || this.causes.get(item.id) === 'user') this.waiting.set(item.id, kOwn[item.event]);
      return;
    }
    if (['stopping', 'reloading', 'replaced', 'waiting restart', 'reset'].includes(item.event)) return;
    const now = await this.whole(item.id);
    if (item.event === 'stop' && now === null) return; // of a deletion, which is told
    this.tellProcess(item.event, item, !['online', 'exit', 'restart overlimit'].includes(item.event));
    if (item.event === 'delete') {
      this.records.delete(item.id);
      this.causes.delete(item.id);
      this.waiting.delete(item.id);
    }
    const word = item.event === 'online' ? this.waiting.get(item.id) : undefined;
    this.waiting.delete(item.id);
    if (word) this.tellProcess(word, item, true);
  }

  tellProcess(event, item, manually) {
    const whole = this.records.get(item.id);
    const { env, ...known } = whole ? whole.pm2_env : { name: item.name, pm_id: item.id };
    const process = { ...known, status: item.status, restart_time: item.restarts };
    this.emit('process:event', { event, manually, process, at: item.at });
  }

  space(id) {
    const whole = this.records.get(id);
    return whole ? whole.pm2_env.namespace : 'default';
  }

  // The record as it is now; null when there is none any more: then the last one is kept for what is still to be told.
  async whole(id) {
    try {
      const { apps } = await this.ask({ detail: 'full', targets: [String(id)] });
      const row = apps.find((r) => r.id === id);
      return row ? this.seen(row) : null;
    } catch {
      return undefined; // the daemon is gone: nothing is known, what was is still told
    }
  }

  // The daemon ended, or only its supervisor, which comes back on the same socket.
  async ended(error) {
    this.stream = null;
    if (this.closed || error === null) return;
    this.sock.emit('disconnect', error);
    await this.queue;
    for (const end = Date.now() + kGivenUpMs; !this.closed && Date.now() < end;) {
      try {
        await this.subscribe();
        return this.sock.emit('reconnect');
      } catch (problem) {
        if (nobodyListens(problem)) break;
        await new Promise((wake) => setTimeout(wake, kLookAgainMs));
      }
    }
    if (this.closed) return;
    this.emit('pm2:kill', { ...kKilled });
    this.isOver();
    if (!this.client.pm2) return this.close();
    await this.awaitNext();
  }

  // As PM2's bus does: who listens on hears the next daemon that somebody starts.
  async awaitNext() {
    for (const known of [this.records, this.causes, this.waiting]) known.clear();
    while (!this.closed) {
      await new Promise((wake) => setTimeout(wake, kNextDaemonMs));
      try {
        await this.subscribe();
        await this.refresh();
        return this.sock.emit('connect');
      } catch {
        // none yet
      }
    }
  }

  close() {
    if (this.closed) return;
    this.closed = true;
    if (this.stream) this.stream.cancel();
    this.follower.close();
    this.client.busGone(this);
    this.isOver();
    this.sock.emit('close');
  }
}

module.exports = { Bus };
