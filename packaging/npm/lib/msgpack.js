'use strict';
// MessagePack for the RPC's payloads: what JSON can say, no extension types. Both directions are bounded, so that
// neither a program's cyclic object nor a stranger's bytes end in a stack overflow.

const kMaxDepth = 32; // what the daemon's reader takes (ipc/msgpack.h)
const kMaxDecodeDepth = 64;
const kMaxItems = 10000000;
const kKeys = 1024; // a power of two

class Writer {
  constructor() {
    this.buffer = Buffer.allocUnsafe(1024);
    this.at = 0;
  }
  room(n) {
    if (this.at + n <= this.buffer.length) return;
    const larger = Buffer.allocUnsafe(Math.max(this.buffer.length * 2, this.at + n));
    this.buffer.copy(larger, 0, 0, this.at);
    this.buffer = larger;
  }
  head(tag, width, n) {
    this.room(9);
    this.buffer[this.at++] = tag;
    if (width === 1) this.buffer[this.at] = n;
    if (width === 2) this.buffer.writeUInt16BE(n, this.at);
    if (width === 4) this.buffer.writeUInt32BE(n, this.at);
    this.at += width;
  }
  integer(n) {
    if (n >= 0 && n < 0x80) return this.head(n, 0);
    if (n < 0 && n >= -0x20) return this.head(0x100 + n, 0);
    this.head(0xd3, 0);
    this.buffer.writeBigInt64BE(BigInt(n), this.at);
    this.at += 8;
  }
  number(n) {
    if (Number.isSafeInteger(n) && !Object.is(n, -0)) return this.integer(n);
    if (!Number.isFinite(n)) return this.head(0xc0, 0); // as JSON has it
    this.head(0xcb, 0);
    this.buffer.writeDoubleBE(n, this.at);
    this.at += 8;
  }
  string(text) {
    const n = Buffer.byteLength(text);
    if (n < 32) this.head(0xa0 | n, 0);
    else if (n < 0x100) this.head(0xd9, 1, n);
    else if (n < 0x10000) this.head(0xda, 2, n);
    else this.head(0xdb, 4, n);
    this.room(n);
    this.at += this.buffer.write(text, this.at, n, 'utf8');
  }
  // `short`: the tag of a small count, `long`: of a 16-bit one; a 32-bit one follows it.
  count(n, short, long) {
    if (n < 16) this.head(short | n, 0);
    else if (n < 0x10000) this.head(long, 2, n);
    else this.head(long + 1, 4, n);
  }
  value(v, depth) {
    if (v !== null && typeof v === 'object' && typeof v.toJSON === 'function') v = v.toJSON();
    switch (typeof v) {
      case 'boolean':
        return this.head(v ? 0xc3 : 0xc2, 0);
      case 'number':
        return this.number(v);
      case 'bigint':
        if (BigInt.asIntN(64, v) !== v) throw new RangeError(`${v} does not fit into 64 bits`);
        return this.integer(v);
      case 'string':
        return this.string(v);
      case 'object':
        if (v !== null) return this.container(v, depth + 1);
    }
    this.head(0xc0, 0);
  }
  container(v, depth) {
    if (depth > kMaxDepth) throw new RangeError(`a value is nested deeper than ${kMaxDepth}`);
    if (Array.isArray(v)) {
      this.count(v.length, 0x90, 0xdc);
      for (const element of v) this.value(element, depth);
      return;
    }
    const keys = Object.keys(v).filter((k) => !['undefined', 'function', 'symbol'].includes(typeof v[k]));
    this.count(keys.length, 0x80, 0xde);
    for (const key of keys) {
      this.string(key);
      this.value(v[key], depth);
    }
  }
}

function encode(value) {
  const writer = new Writer();
  writer.value(value, 0);
  return writer.buffer.subarray(0, writer.at);
}

class Reader {
  constructor(bytes) {
    this.bytes = bytes;
    this.at = 0;
    this.items = 0;
    this.keys = new Array(kKeys);
  }
  take(n) {
    const from = this.at;
    if (n > this.bytes.length - from) throw new Error('MessagePack: cut off');
    this.at += n;
    return from;
  }
  // Exact, or a decimal text: a BigInt in a record would make JSON.stringify throw.
  big(n) {
    return n >= Number.MIN_SAFE_INTEGER && n <= Number.MAX_SAFE_INTEGER ? Number(n) : String(n);
  }
  text(n) {
    const from = this.take(n);
    return this.bytes.toString('utf8', from, from + n);
  }
  // Of a list of records the same few hundred come again and again: each is decoded once a place.
  key(n) {
    const from = this.take(n);
    const bytes = this.bytes;
    let hash = n;
    for (let i = from; i < from + n; ++i) hash = (hash * 31 + bytes[i]) & (kKeys - 1);
    const known = this.keys[hash];
    if (known !== undefined && known.length === n) {
      let i = 0;
      while (i < n && known.charCodeAt(i) === bytes[from + i]) ++i;
      if (i === n) return known;
    }
    return (this.keys[hash] = bytes.toString('utf8', from, from + n));
  }
  list(n, depth) {
    this.fits(n);
    const list = new Array(n);
    for (let i = 0; i < n; ++i) list[i] = this.value(depth + 1);
    return list;
  }
  map(n, depth) {
    this.fits(2 * n);
    const map = {};
    for (let i = 0; i < n; ++i) {
      const tag = this.bytes[this.at];
      const short = tag >= 0xa0 && tag < 0xc0;
      if (short) ++this.at;
      const key = short ? this.key(tag & 0x1f) : this.value(depth + 1);
      if (typeof key !== 'string') throw new Error('MessagePack: a key that is no text');
      const value = this.value(depth + 1);
      if (key === '__proto__') {
        Object.defineProperty(map, key, { value, enumerable: true, configurable: true, writable: true });
      } else {
        map[key] = value;
      }
    }
    return map;
  }
  // Each element takes at least a byte: a count beyond what is there is refused before anything is made for it.
  fits(n) {
    if (n > this.bytes.length - this.at) throw new Error('MessagePack: cut off');
  }
  value(depth) {
    if (depth > kMaxDecodeDepth) throw new Error('MessagePack: nested too deep');
    if (++this.items > kMaxItems) throw new Error('MessagePack: too many items');
    const tag = this.bytes[this.take(1)];
    if (tag < 0x80) return tag;
    if (tag >= 0xe0) return tag - 0x100;
    if (tag < 0x90) return this.map(tag & 0x0f, depth);
    if (tag < 0xa0) return this.list(tag & 0x0f, depth);
    if (tag < 0xc0) return this.text(tag & 0x1f);
    const b = this.bytes;
    switch (tag) {
      case 0xc0:
        return null;
      case 0xc2:
        return false;
      case 0xc3:
        return true;
      case 0xca:
        return b.readFloatBE(this.take(4));
      case 0xcb:
        return b.readDoubleBE(this.take(8));
      case 0xcc:
        return b.readUInt8(this.take(1));
      case 0xcd:
        return b.readUInt16BE(this.take(2));
      case 0xce:
        return b.readUInt32BE(this.take(4));
      case 0xcf:
        return this.big(b.readBigUInt64BE(this.take(8)));
      case 0xd0:
        return b.readInt8(this.take(1));
      case 0xd1:
        return b.readInt16BE(this.take(2));
      case 0xd2:
        return b.readInt32BE(this.take(4));
      case 0xd3:
        return this.big(b.readBigInt64BE(this.take(8)));
      case 0xd9:
        return this.text(b.readUInt8(this.take(1)));
      case 0xda:
        return this.text(b.readUInt16BE(this.take(2)));
      case 0xdb:
        return this.text(b.readUInt32BE(this.take(4)));
      case 0xdc:
        return this.list(b.readUInt16BE(this.take(2)), depth);
      case 0xdd:
        return this.list(b.readUInt32BE(this.take(4)), depth);
      case 0xde:
        return this.map(b.readUInt16BE(this.take(2)), depth);
      case 0xdf:
        return this.map(b.readUInt32BE(this.take(4)), depth);
    }
    throw new Error(`MessagePack: a type that is never sent (0x${tag.toString(16)})`);
  }
}

// Throws for anything that is not exactly one whole value.
function decode(bytes) {
  const reader = new Reader(bytes);
  const value = reader.value(0);
  if (reader.at !== bytes.length) throw new Error('MessagePack: bytes after the value');
  return value;
}

module.exports = { encode, decode };
