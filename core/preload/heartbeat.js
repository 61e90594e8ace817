
// Answers tend's pings from the event loop (TEND_HEARTBEAT): a loop that is blocked answers nothing. The bytes are those
// of ipc/heartbeat_frames.h. The socket and the timer hold the app's loop not open, and no error of theirs reaches it.
if (settings.heartbeat) (() => {
  // descriptor, ms between two looks at the loop's lag, ms between two reports of heap and handles (0: never), and
  // whether tend may open the inspector of a process that hangs
  const [fd, drift, every, inspected] = settings.heartbeat.split(':').map(Number);
  const HEADER = 32, BEAT = 28, STATS = 12, PING = 1, PONG = 2, HELLO = 3, LARGEST = 4096;
  const LAG_VALID = 2, FIRST = 4, WITH_STATS = 16, INSPECTABLE = 32, DEBUGGED = 64, AWAITS_ACK = 128;
  const clock = process.hrtime.bigint, now = performance.now.bind(performance);
  const { listenerCount } = require('events').prototype;

  const table = new Int32Array(256);  // CRC32C
  for (let i = 0; i < 256; i++) {
    let c = i;
    for (let k = 0; k < 8; k++) c = c & 1 ? (c >>> 1) ^ 0x82f63b78 : c >>> 1;
    table[i] = c;
  }
  // Over the frame with its CRC field zero.
  function crc(frame) {
    let c = -1;
    for (let i = 0; i < frame.length; i++) c = table[(c ^ (i >= 24 && i < 28 ? 0 : frame[i])) & 255] ^ (c >>> 8);
    return (c ^ -1) >>> 0;
  }
  function seal(frame, kind, flags, stream, sequence) {
    frame.write('TND1', 0, 'latin1');
    frame[4] = 1;
    frame[5] = kind;
    frame.writeUInt16LE(flags, 6);
    frame.writeUInt32LE(stream, 8);
    frame.writeUInt32LE(frame.length - HEADER, 12);
    frame.writeBigUInt64LE(BigInt(sequence), 16);
    frame.writeUInt32LE(crc(frame), 24);
    return frame;
  }

  let worst = 0, looked = now();
  function look() {
    const at = now();
    worst = Math.max(worst, at - looked - drift);
    looked = at;
  }
  let inspector;
  function state() {
    if (inspector === undefined) {
      try {
        inspector = require('inspector');
      } catch {
        inspector = null;  // a Node without one
      }
    }
    const own = listenerCount.call(process, 'SIGUSR1') > 0;
    return (inspected && inspector && !own ? INSPECTABLE : 0) | (inspector && inspector.url() ? DEBUGGED : 0);
  }

  let pongs = 0, told = -Infinity;
  function pong(ping) {
    const sent = ping.readBigUInt64LE(HEADER + 8), at = clock();
    if (drift) look();  // its own timer may not have come yet
    const lag = Math.max(worst, Number(at - sent) / 1e6);
    worst = 0;
    const stats = every > 0 && now() - told >= every;
    const frame = Buffer.alloc(HEADER + BEAT + (stats ? STATS : 0));
    ping.copy(frame, HEADER, 16, 24);  // the ping's number
    frame.writeBigUInt64LE(at, HEADER + 8);
    frame.writeBigUInt64LE(sent, HEADER + 16);
    frame.writeUInt32LE(Math.min(Math.max(Math.round(lag * 1000), 0), 0xffffffff), HEADER + 24);
    if (stats) {
      told = now();
      frame.writeBigUInt64LE(BigInt(require('v8').getHeapStatistics().used_heap_size), HEADER + BEAT);
      frame.writeUInt32LE(process.getActiveResourcesInfo ? process.getActiveResourcesInfo().length : 0,
        HEADER + BEAT + 8);
    }
    const flags = LAG_VALID | (pongs ? 0 : FIRST) | (stats ? WITH_STATS : 0) | state() |
      (Array.isArray(process._handleQueue) ? AWAITS_ACK : 0);  // a handle that it sent was not ACKed yet
    return seal(frame, PONG, flags, ping.readUInt32LE(8), ++pongs);
  }

  // The length of the frame at the front: 0 when more must come, negative for as many bytes that are none.
  function measure(bytes) {
    const magic = bytes.indexOf('TND1', 0, 'latin1');
    if (magic !== 0) return magic > 0 ? -magic : -Math.max(bytes.length - 3, 0);
    if (bytes.length < HEADER) return 0;
    const length = HEADER + bytes.readUInt32LE(12);
    if (bytes[4] !== 1 || length > HEADER + LARGEST) return -1;
    if (bytes.length < length) return 0;
    return crc(bytes.subarray(0, length)) === bytes.readUInt32LE(24) ? length : -1;
  }

  let held = Buffer.alloc(0);
  function hear(chunk) {
    held = held.length ? Buffer.concat([held, chunk]) : chunk;
    for (;;) {
      const length = held.length ? measure(held) : 0;
      if (length === 0) break;
      const frame = held.subarray(0, Math.abs(length));
      held = held.subarray(frame.length);
      if (length >= HEADER + BEAT && frame[5] === PING) socket.write(pong(frame));
    }
    if (held.length === 0) held = Buffer.alloc(0);
  }

  let socket;
  try {
    socket = new (require('net').Socket)({ fd, readable: true, writable: true });
    socket.on('error', () => {}).unref();
    const hello = Buffer.alloc(HEADER + process.versions.node.length);
    hello.write(process.versions.node, HEADER, 'latin1');
    require('fs').writeSync(fd, seal(hello, HELLO, inspected ? INSPECTABLE : 0, 0, 1));
    // A stream's first steps are ticks of Node's, and one that waits while the app loads shows in its stacks.
    setImmediate(() => socket.on('data', hear)).unref();
    if (inspected) process.debugPort = 0;  // a free one: others may be looked at too
    if (drift) setInterval(look, drift).unref();
  } catch {
    // No such descriptor: nobody asks.
  }
})();
