
// Lets the app's servers finish what they have when they are closed (TEND_DRAIN). Node itself resets keep-alive
// connections that are idle at that moment, and with them requests on their way, and goes on promising keep-alive on the
// others. Here a closing server answers `Connection: close`, waits a while for requests under way, and only then closes
// what is idle. No handle, no listener for messages is left in the app's sight.
if (settings.drain) (() => {
  // ms for idle connections, ms for upgraded ones, whether the manager counts open connections, and whether it is a
  // spare
  const [grace, limit, report, spare] = settings.drain.split(':').map(Number);
  const channels = require('diagnostics_channel');
  const net = require('net');
  const known = new WeakMap();  // server -> what is open on it

  function track(server) {
    let open = known.get(server);
    if (open) return open;
    const http1 = typeof server.closeIdleConnections === 'function';
    const tls = typeof server.setSecureContext === 'function';
    // plain: what the channel below tells of is what responses are written to
    open = { sockets: new Set(), upgraded: new Set(), sessions: new Set(), plain: http1 && !tls };
    known.set(server, open);
    const http2 = /^Http2/.test(server.constructor && server.constructor.name);
    if (http1 && tls) server.prependListener('secureConnection', (socket) => keep(open.sockets, socket));
    if (http2) server.prependListener('session', (session) => keep(open.sessions, session));
    if (http1 && server.listenerCount('upgrade') > 0) {
      server.prependListener('upgrade', (request, socket) => {
        if (/websocket/i.test(request.headers.upgrade)) keep(open.upgraded, socket);
      });
    }
    if ((http1 || http2) && !Object.hasOwn(server, 'close')) {
      const close = server.close;  // a subclass may have its own
      Object.defineProperty(server, 'close', {
        configurable: true, enumerable: false, writable: true,
        value: function (...words) {
          if (this.listening) drain(server, open, http1);
          if (!http1 || Object.hasOwn(this, 'closeIdleConnections')) return close.apply(this, words);
          this.closeIdleConnections = () => {};  // what Node's close() begins with
          try {
            return close.apply(this, words);
          } finally {
            delete this.closeIdleConnections;
          }
        },
      });
    }
    return open;
  }

  function keep(set, emitter) {
    set.add(emitter);
    emitter.once('close', () => set.delete(emitter));
  }

  function drain(server, open, http1) {
    for (const socket of open.sockets) {
      const response = socket._httpMessage;  // of the request under way
      if (response && !response.headersSent) response.shouldKeepAlive = false;
    }
    refuseKeepAlive();
    for (const session of open.sessions) session.close();  // GOAWAY; streams under way end by themselves
    const timers = [];
    const stop = () => timers.forEach(clearTimeout);
    const after = (ms, act) => timers.push(setTimeout(() => (server.listening ? stop() : act()), ms).unref());
    const closeIdle = () => {
      server.closeIdleConnections();
      after(50, closeIdle);
    };
    if (http1) after(grace, closeIdle);
    after(limit, () => {
      for (const socket of open.upgraded) {
        if (!socket.destroyed) socket.end(Buffer.from([0x88, 0x02, 0x03, 0xe9]));  // 1001: going away
      }
      for (const session of open.sessions) session.destroy();
    });
    server.once('close', stop);
  }

  let closed = 0;  // connections since the last report
  function count() {
    if (closed++ > 0) return;
    setImmediate(() => {
      if (process.connected) process.send({ cmd: 'NODE_TEND_CLOSED', count: closed });
      closed = 0;
    });
  }

  channels.channel('net.server.socket').subscribe(({ socket }) => {
    if (!socket || !socket.server) return;
    const open = track(socket.server);
    if (open.plain) keep(open.sockets, socket);
    if (report) socket.once('close', count);
  });

  // From the first close on: until then no request pays for this.
  let refusing = false;
  function refuseKeepAlive() {
    if (refusing) return;
    refusing = true;
    channels.channel('http.server.request.start').subscribe(({ server, response }) => {
      if (!server.listening) response.shouldKeepAlive = false;
    });
  }

  // The first request of a process costs three times what the tenth does, as all code it touches is compiled then. A
  // spare has the time to do that beforehand for Node's part: with a server of its own, never seen by the app, and a
  // stream for a connection.
  function warm() {
    const http = require('http');
    const { Duplex } = require('stream');
    const server = http.createServer((request, response) => {
      request.resume();
      response.setHeader('Content-Type', 'text/plain');
      response.end('warm');
    });
    const socket = new Duplex({ read() {}, write(chunk, encoding, done) { done(); } });
    const self = () => socket;
    Object.assign(socket, { setTimeout: self, setNoDelay: self, setKeepAlive: self, ref: self, unref: self });
    socket.on('error', () => {});
    server.emit('connection', socket);
    socket.push('GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n');
    server.close(() => {});  // Node 18 has a timer from the beginning
  }
  if (spare) {
    try {
      warm();
    } catch {
      // A Node that wants more of a connection starts cold.
    }
  }

  // What the app tidies up at its stop signal often begins with server.close(), and ends there if that fails. A server
  // that was closed by the drain answers as if it had been the app that closed it.
  const drained = new WeakSet(), over = new WeakSet();
  let draining = false;
  function forgive(type) {
    const close = type.prototype.close;
    type.prototype.close = function (...words) {
      if (draining && !drained.has(this)) {
        drained.add(this);
        this.once('close', () => over.add(this));
      } else if (drained.has(this) && !this.listening && !draining) {
        const done = words[0];
        if (typeof done === 'function') over.has(this) ? process.nextTick(done) : this.once('close', () => done());
        return this;
      }
      return close.apply(this, words);
    };
  }
  let forgiving = false;
  function begin() {
    draining = true;
    if (forgiving) return;
    forgiving = true;
    forgive(net.Server);
    forgive(require('dgram').Socket);
  }
  // A manager that was killed is followed by one that asks again. Node forgets at the first order what it waits for, so
  // that the second would be the end of it: it is not to be seen.
  if (process.channel && require('cluster').isWorker) {
    const asked = (m) => m && m.cmd === 'NODE_CLUSTER' && m.act === 'disconnect';
    let before = false;
    process.prependListener('internalMessage', (message) => {  // before Node's own
      if (!asked(message)) return;
      if (before) message.act = 'disconnecting';
      before = true;
      begin();
    });
    process.on('internalMessage', () => (draining = false));
  }

  // A worker that has nothing left would end before it hears the stop signal, which comes then: one that listens for
  // signals waits for it, so that what it tidies up at its end is tidied up.
  if (process.channel && require('cluster').isWorker) {
    process.once('disconnect', () => {
      const signals = ['SIGINT', 'SIGTERM', 'SIGQUIT', 'SIGHUP', 'SIGUSR2'];
      if (signals.some((name) => process.listenerCount(name) > 0)) setTimeout(() => {}, 2000);
    });
  }

  // Outside of Node's cluster nobody closes the servers of a process that is being replaced.
  if (process.channel && !process.env.NODE_UNIQUE_ID) {
    let left = 0, asked = false;
    const answer = () => left === 0 && process.connected && process.send({ cmd: 'NODE_TEND_DRAINED' });
    const closed = () => {
      left--;
      answer();
    };
    process.on('internalMessage', (message) => {
      if (!message || message.cmd !== 'NODE_TEND_DRAIN') return;
      if (asked) return answer();  // what was said may have been lost with the one who had asked
      asked = true;
      const servers = process._getActiveHandles().filter((h) => h instanceof net.Server);
      left = servers.length;
      answer();
      begin();
      for (const server of servers) {
        track(server);
        server.close(closed);
      }
      draining = false;
    });
  }
})();
