'use strict';
// The frames of tend's socket: 32 bytes little-endian, then the payload.
//   magic4 "TND1", version1, kind1, flags2, stream4, length4, sequence8, crc32c4, reserved4 = 0
// The CRC (Castagnoli) is over the header with its crc field zero, and the payload.

const kHeaderSize = 32;
const kMaxPayload = 16 << 20;
const kMaxPing = 4096;
const kCrcAt = 24;
const kind = { ping: 1, pong: 2, hello: 3, request: 16, reply: 17, item: 18, cancel: 19, credit: 20 };

// Four tables: four bytes a step.
const tables = [new Int32Array(256), new Int32Array(256), new Int32Array(256), new Int32Array(256)];
for (let n = 0; n < 256; ++n) {
  let c = n;
  for (let bit = 0; bit < 8; ++bit) c = c & 1 ? (c >>> 1) ^ 0x82f63b78 : c >>> 1;
  tables[0][n] = c;
}
for (let n = 0; n < 256; ++n) {
  for (let t = 1; t < 4; ++t) {
    const before = tables[t - 1][n];
    tables[t][n] = (before >>> 8) ^ tables[0][before & 0xff];
  }
}

// crc32c(b, crc32c(a)) is that of a followed by b.
function crc32c(bytes, seed = 0) {
  const [t0, t1, t2, t3] = tables;
  let c = ~seed;
  let i = 0;
  for (const end = bytes.length - 3; i < end; i += 4) {
    c ^= bytes[i] | (bytes[i + 1] << 8) | (bytes[i + 2] << 16) | (bytes[i + 3] << 24);
    c = t3[c & 0xff] ^ t2[(c >>> 8) & 0xff] ^ t1[(c >>> 16) & 0xff] ^ t0[c >>> 24];
  }
  for (; i < bytes.length; ++i) c = (c >>> 8) ^ t0[(c ^ bytes[i]) & 0xff];
  return ~c >>> 0;
}

function encode(frameKind, stream, sequence, payload) {
  if (payload.length > kMaxPayload) {
    throw new RangeError(`a frame of ${payload.length} bytes; accepted: up to ${kMaxPayload}`);
  }
  const frame = Buffer.alloc(kHeaderSize + payload.length);
  frame.write('TND1', 0, 'latin1');
  frame[4] = 1;
  frame[5] = frameKind;
  frame.writeUInt32LE(stream, 8);
  frame.writeUInt32LE(payload.length, 12);
  frame.writeBigUInt64LE(BigInt(sequence), 16);
  payload.copy(frame, kHeaderSize);
  frame.writeUInt32LE(crc32c(frame), kCrcAt);
  return frame;
}

// Chunks in, whole frames out. Holds no more than one frame and what came with it.
class FrameReader {
  constructor() {
    this.chunks = [];
    this.size = 0;
    this.needed = kHeaderSize;
  }
  push(chunk) {
    this.chunks.push(chunk);
    this.size += chunk.length;
  }
  // {kind, stream, sequence, payload}, or null until more is there. Throws for a bad frame.
  next() {
    if (this.size < this.needed) return null;
    const bytes = this.chunks.length === 1 ? this.chunks[0] : Buffer.concat(this.chunks, this.size);
    this.chunks = [bytes];
    const length = this.judge(bytes);
    const whole = kHeaderSize + length;
    this.needed = whole;
    if (bytes.length < whole) return null;
    const header = Buffer.from(bytes.subarray(0, kHeaderSize));
    header.writeUInt32LE(0, kCrcAt);
    const payload = bytes.subarray(kHeaderSize, whole);
    if (crc32c(payload, crc32c(header)) !== bytes.readUInt32LE(kCrcAt)) throw new Error('wrong checksum');
    this.chunks = bytes.length > whole ? [bytes.subarray(whole)] : [];
    this.size = bytes.length - whole;
    this.needed = kHeaderSize;
    return { kind: bytes[5], stream: bytes.readUInt32LE(8), sequence: Number(bytes.readBigUInt64LE(16)), payload };
  }
  judge(bytes) {
    if (bytes.toString('latin1', 0, 4) !== 'TND1') throw new Error('wrong magic');
    if (bytes[4] !== 1) throw new Error('unknown version');
    if (bytes.readUInt32LE(28) !== 0) throw new Error('reserved bytes set');
    const length = bytes.readUInt32LE(12);
    const most = bytes[5] === kind.ping || bytes[5] === kind.pong ? kMaxPing : kMaxPayload;
    if (length > most) throw new Error(`${length} bytes, too long`);
    return length;
  }
}

module.exports = { kind, kMaxPayload, crc32c, encode, FrameReader };
