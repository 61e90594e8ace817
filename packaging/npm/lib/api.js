'use strict';
// The methods on one object: each takes a callback (error, result) last, or gives a promise.

const { Client } = require('./client');
const lifecycle = require('./lifecycle');
const looking = require('./looking');
const commands = require('./commands');

// Outside the promise, so that what a callback throws is an exception of the program.
function settle(promise, callback, spread) {
  promise.then(
    (result) => setImmediate(() => (spread ? callback(null, result, result.sock) : callback(null, result))),
    (error) => setImmediate(() => callback(error)),
  );
}

class Tend {
  constructor(settings, pm2) {
    // Not in sight: programs print the object.
    Object.defineProperty(this, 'client', { value: new Client(settings, pm2) });
  }

  get pm2_home() {
    return this.client.home;
  }

  get cwd() {
    return this.client.cwd;
  }

  // for await (const event of tend.events()): what happens and what apps say, until the loop is left.
  async *events() {
    const connection = await this.client.connection();
    const queue = [];
    let wake = () => {};
    let end = null;
    const stream = connection.open('subscribe', {}, (item) => {
      queue.push(item);
      wake();
    });
    stream.done
      .then(
        () => (end = { error: null }),
        (error) => (end = { error }),
      )
      .then(() => wake());
    try {
      for (;;) {
        while (queue.length > 0) {
          yield queue.shift();
          stream.credit();
        }
        if (end && end.error) throw end.error;
        if (end) return;
        await new Promise((resolve) => (wake = resolve));
      }
    } finally {
      stream.cancel();
    }
  }
}

for (const [name, method] of Object.entries({ ...commands, ...looking, ...lifecycle })) {
  Object.defineProperty(Tend.prototype, name, {
    configurable: true,
    writable: true,
    value: function (...args) {
      while (args.length > 0 && args[args.length - 1] === undefined) args.pop();
      const callback = typeof args[args.length - 1] === 'function' ? args.pop() : null;
      const promise = method(this.client, ...args.filter((a) => typeof a !== 'function'));
      // A program of PM2's that gives no callback does not care: its failures end nothing. Who awaits is told.
      if (!callback && this.client.pm2) promise.catch(() => {});
      if (!callback) return promise;
      settle(promise, callback, name === 'launchBus');
      return undefined;
    },
  });
}

module.exports = { Tend };
