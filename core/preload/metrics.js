// What @pm2/io tells of every Node app under PM2, for an app of a tend that is called pm2: the version, the heap, the
// loop's lag, and HTTP once it is served (shapes: PM2 7.0.4's jlist). Keeps no app alive, queues at most one message.
if (settings.asPm2 === 'io' && process.send && require('worker_threads').isMainThread) (() => {
  const send = process.send, v8 = require('v8'), EVERY = 2000, KEPT = 60, KEPT_REQUESTS = 200;
  const lags = [], times = [], minute = [];  // ms late; ms an answer took; when requests came
  const place = (list, share) => [...list].sort((a, b) => a - b)[Math.floor((list.length - 1) * share)] || 0;
  const add = (list, value, most) => list.push(value) > most && list.shift();
  const metric = (type, value, unit) => ({ historic: true, ...(unit && { unit }), type, value });

  try {
    const channel = require('diagnostics_channel'), began = new WeakMap();
    channel.channel('http.server.request.start').subscribe(({ request }) => {
      began.set(request, performance.now());
      add(minute, Date.now(), 100_000);
    });
    channel.channel('http.server.response.finish').subscribe(({ request }) => {
      if (began.has(request)) add(times, performance.now() - began.get(request), KEPT_REQUESTS);
    });
  } catch {
    // a Node without these channels: the rest is told
  }

  function look() {
    const heap = v8.getHeapStatistics(), mib = (n) => (n / 1048576).toFixed(2);
    const data = {
      'Used Heap Size': metric('internal/v8/heap/used', mib(heap.used_heap_size), 'MiB'),
      'Heap Usage': metric('internal/v8/heap/usage',
        Math.round(heap.used_heap_size / heap.total_heap_size * 10000) / 100, '%'),
      'Heap Size': metric('internal/v8/heap/total', mib(heap.total_heap_size), 'MiB'),
      'Event Loop Latency p95': metric('internal/libuv/latency/p95', place(lags, 0.95).toFixed(2), 'ms'),
      'Event Loop Latency': metric('internal/libuv/latency/p50', place(lags, 0.5).toFixed(2), 'ms'),
      'Active handles': metric('internal/libuv/handles', process._getActiveHandles().length),
      'Active requests': metric('internal/libuv/requests', process._getActiveRequests().length),
    };
    while (minute.length && minute[0] < Date.now() - 60000) minute.shift();
    if (times.length) {
      data.HTTP = metric('internal/http/builtin/reqs', minute.length, 'req/min');
      data['HTTP P95 Latency'] = metric('internal/http/builtin/latency/p95', Math.round(place(times, 0.95)), 'ms');
      data['HTTP Mean Latency'] = metric('internal/http/builtin/latency/p50', Math.round(place(times, 0.5)), 'ms');
    }
    return data;
  }

  let busy = false;
  function tell(message) {
    if (busy || !process.connected) return;
    busy = true;
    try {
      send.call(process, message, () => (busy = false));
    } catch {
      // the app has taken the channel away
    }
  }
  let due = performance.now() + EVERY;
  setInterval(() => {
    add(lags, Math.max(performance.now() - due, 0), KEPT);
    due = performance.now() + EVERY;
    tell({ type: 'axm:monitor', data: look() });
  }, EVERY).unref();
  tell({ node_version: process.versions.node });
})();
