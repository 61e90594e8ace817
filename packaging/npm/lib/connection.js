'use strict';
// One connection to tend's socket: many requests at once, each a stream of its own.

const fs = require('fs');
const net = require('net');
const path = require('path');
const { EventEmitter } = require('events');
const msgpack = require('./msgpack');
const { kind, kMaxPayload, encode, FrameReader } = require('./frame');
const { TendError } = require('./error');
const version = require('../package.json').version;

const kProtocol = 1;
const kConnectMs = 5000;
const kRetryMs = 20; // a full backlog
const kMostQueued = 64 << 20; // what the daemon itself lets wait before it gives a peer up
const kCreditBatch = 128;
// Items that a stream may be ahead of its reader: what is beyond is dropped by the daemon (a gap in `n` tells).
const kAhead = 65536;
const kLongestSocketPath = 107;

// The socket's path, or one through the open folder where it is longer than an address holds.
function address(socketPath) {
  if (Buffer.byteLength(socketPath) <= kLongestSocketPath) return { path: socketPath, done() {} };
  const folder = fs.openSync(path.dirname(socketPath), fs.constants.O_RDONLY | fs.constants.O_DIRECTORY);
  return { path: `/proc/self/fd/${folder}/${path.basename(socketPath)}`, done: () => fs.closeSync(folder) };
}

function connectOnce(socketPath) {
  return new Promise((resolve, reject) => {
    let to;
    try {
      to = address(socketPath);
    } catch (error) {
      return reject(error);
    }
    const socket = net.connect({ path: to.path });
    socket.once('connect', () => {
      to.done();
      socket.removeAllListeners('error');
      resolve(socket);
    });
    socket.once('error', (error) => {
      to.done();
      reject(error);
    });
  });
}

// Error: its code is ENOENT or ECONNREFUSED when nobody listens.
async function connectSocket(socketPath) {
  const end = Date.now() + kConnectMs;
  for (;;) {
    try {
      return await connectOnce(socketPath);
    } catch (error) {
      if (error.code !== 'EAGAIN' || Date.now() > end) throw error;
      await new Promise((wake) => setTimeout(wake, kRetryMs));
    }
  }
}

class Connection extends EventEmitter {
  // `close` is emitted once, with the reason, after every open request has failed with it.
  static async open(socketPath) {
    return new Connection(await connectSocket(socketPath));
  }

  constructor(socket) {
    super();
    this.socket = socket;
    this.reader = new FrameReader();
    this.streams = new Map(); // number -> {method, resolve, reject, item?}
    this.sent = 0;
    this.received = 0;
    this.stream = 0;
    this.pid = 0;
    this.daemonVersion = '';
    this.closed = null; // the error, once it is
    this.kept = false;
    socket.unref();
    socket.on('data', (chunk) => this.read(chunk));
    socket.on('error', (error) => this.fail(error));
    socket.on('close', () => this.fail(null));
    this.write(kind.hello, 0, msgpack.encode({ version, protocol: kProtocol, pid: process.pid }));
  }

  // Whether an idle connection keeps the process alive; one with open requests always does.
  keep(on) {
    this.kept = on;
    this.hold();
  }

  hold() {
    if (this.kept || [...this.streams.values()].some((s) => s.holds)) this.socket.ref();
    else this.socket.unref();
  }

  daemon() {
    return this.pid ? `the daemon (pid ${this.pid})` : 'the daemon';
  }

  write(frameKind, stream, payload) {
    return this.socket.write(encode(frameKind, stream, ++this.sent, payload));
  }

  begin(method, params, entry) {
    if (this.closed) throw this.closed;
    const payload = msgpack.encode({ method, params });
    if (payload.length > kMaxPayload) {
      throw new TendError(
        `the request '${method}' is ${payload.length} bytes, more than a frame takes (${kMaxPayload})`,
        'EMSGSIZE',
      );
    }
    if (this.socket.writableLength + payload.length > kMostQueued) {
      throw new TendError(`${this.daemon()} does not read: ${this.socket.writableLength} bytes wait for it`, 'EAGAIN');
    }
    do {
      this.stream = (this.stream + 1) >>> 0;
    } while (this.stream === 0 || this.streams.has(this.stream));
    this.streams.set(this.stream, entry);
    this.hold();
    this.write(kind.request, this.stream, payload);
    return this.stream;
  }

  // `timeout` in ms; 0: none.
  call(method, params = {}, timeout = 0) {
    return new Promise((resolve, reject) => {
      const entry = { method, resolve, reject, holds: true, timer: null };
      const number = this.begin(method, params, entry);
      if (timeout > 0) {
        entry.timer = setTimeout(() => {
          this.cancel(number);
          reject(new TendError(`no answer to '${method}' from ${this.daemon()} within ${timeout} ms`, 'ETIMEDOUT'));
        }, timeout);
      }
    });
  }

  // item(value) for each; more are sent as fast as credit(n) tells that they were taken. {done, credit, cancel}.
  open(method, params, item, holds = true) {
    let number = 0;
    let owed = kAhead;
    const done = new Promise((resolve, reject) => {
      number = this.begin(method, params, { method, resolve, reject, item, holds });
    });
    const credit = (n = 1) => {
      owed += n;
      if (owed < kCreditBatch || !this.streams.has(number)) return;
      const payload = Buffer.alloc(4);
      payload.writeUInt32LE(owed);
      owed = 0;
      this.write(kind.credit, number, payload);
    };
    credit(0);
    return { done, credit, cancel: () => this.cancel(number) };
  }

  cancel(number) {
    const entry = this.streams.get(number);
    if (!entry) return;
    this.finish(number);
    if (!this.closed) this.write(kind.cancel, number, Buffer.alloc(0));
    if (entry.item) entry.resolve();
  }

  finish(number) {
    const entry = this.streams.get(number);
    if (!entry) return null;
    this.streams.delete(number);
    clearTimeout(entry.timer);
    this.hold();
    return entry;
  }

  read(chunk) {
    this.reader.push(chunk);
    try {
      for (let frame; !this.closed && (frame = this.reader.next());) this.handle(frame);
    } catch (error) {
      this.fail(new TendError(`${this.daemon()} sent a bad frame: ${error.message}`, 'EPROTO'));
    }
  }

  handle(frame) {
    if (frame.sequence !== ++this.received) throw new Error('out of sequence');
    if (frame.kind === kind.hello) {
      const hello = msgpack.decode(frame.payload);
      this.daemonVersion = String(hello.version);
      this.pid = hello.pid || 0;
    } else if (frame.kind === kind.ping) {
      this.write(kind.pong, frame.stream, frame.payload);
    } else if (frame.kind === kind.reply) {
      const answer = msgpack.decode(frame.payload);
      const error =
        answer && 'ok' in answer
          ? null
          : new TendError((answer && answer.error) || `${this.daemon()} sent an empty answer`, answer && answer.code);
      if (frame.stream === 0) return this.fail(error || new TendError(`${this.daemon()} answered unasked`, 'EPROTO'));
      const entry = this.finish(frame.stream);
      if (!entry) return; // given up before
      if (error) error.method = entry.method;
      if (error) entry.reject(error);
      else entry.resolve(answer.ok);
    } else if (frame.kind === kind.item) {
      const entry = this.streams.get(frame.stream);
      if (entry && entry.item) entry.item(msgpack.decode(frame.payload));
    }
  }

  fail(error) {
    if (this.closed) return;
    this.closed = error || new TendError(`${this.daemon()} closed the connection`, 'ECONNRESET');
    this.socket.destroy();
    for (const number of [...this.streams.keys()]) {
      const entry = this.finish(number);
      entry.reject(
        error ||
          new TendError(`${this.daemon()} closed the connection before it answered '${entry.method}'`, 'ECONNRESET'),
      );
    }
    this.emit('close', this.closed);
  }

  close() {
    if (this.closed) return;
    this.closed = new TendError('disconnected', 'ENOTCONN');
    for (const number of [...this.streams.keys()]) {
      const entry = this.finish(number);
      if (entry.item) entry.resolve();
      else entry.reject(new TendError(`disconnected before '${entry.method}' was answered`, 'ENOTCONN'));
    }
    this.socket.end();
    this.socket.unref();
    this.emit('close', this.closed);
  }
}

const nobodyListens = (error) => error.code === 'ENOENT' || error.code === 'ECONNREFUSED';

module.exports = { Connection, nobodyListens };
