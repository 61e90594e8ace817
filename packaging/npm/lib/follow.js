'use strict';
// Follows log files: what is appended, over renames (a new inode) and truncation, without polling.

const fs = require('fs');
const path = require('path');
const { StringDecoder } = require('string_decoder');

const kChunk = 64 << 10;

class Follower {
  // text(label, string) for what comes; `label` is what the file was added with last.
  constructor(text) {
    this.text = text;
    this.files = new Map(); // path -> {label, fd, inode, at, decoder, busy, again}
    this.folders = new Map(); // path -> {watcher, sizes}: what was there when the folder was first looked at
    this.ended = false;
  }

  // What is there already is not told. A file that was not there when its folder was first looked at is told whole.
  add(file, label) {
    const known = this.files.get(file);
    if (known) {
      known.label = label;
      return;
    }
    const sizes = this.watch(path.dirname(file));
    const entry = { label, fd: -1, inode: 0, at: 0, decoder: new StringDecoder('utf8'), busy: false, again: false };
    this.files.set(file, entry);
    const before = sizes.get(path.basename(file));
    if (before !== undefined) {
      entry.inode = before.inode;
      entry.at = before.size;
    }
    this.look(file, entry);
  }

  watch(folder) {
    const known = this.folders.get(folder);
    if (known) return known.sizes;
    const sizes = new Map();
    let watcher = null;
    try {
      watcher = fs.watch(folder, { persistent: false }, (_, name) => {
        const file = path.join(folder, String(name));
        const entry = this.files.get(file);
        if (entry) this.look(file, entry);
      });
      watcher.on('error', () => {});
      for (const name of fs.readdirSync(folder)) {
        const stat = fs.statSync(path.join(folder, name), { throwIfNoEntry: false });
        if (stat && stat.isFile()) sizes.set(name, { inode: stat.ino, size: stat.size });
      }
    } catch {
      if (watcher === null) return sizes; // no such folder yet: the next one that is added tries again
    }
    this.folders.set(folder, { watcher, sizes });
    return sizes;
  }

  look(file, entry) {
    if (entry.busy) {
      entry.again = true;
      return;
    }
    entry.busy = true;
    this.read(file, entry)
      .catch(() => {})
      .then(() => {
        entry.busy = false;
        if (!entry.again || this.ended) return;
        entry.again = false;
        this.look(file, entry);
      });
  }

  async read(file, entry) {
    for (;;) {
      if (this.ended) return;
      if (entry.fd < 0) {
        entry.fd = fs.openSync(file, fs.constants.O_RDONLY | fs.constants.O_NONBLOCK);
        const stat = fs.fstatSync(entry.fd);
        if (stat.ino !== entry.inode) entry.at = 0;
        entry.inode = stat.ino;
      }
      await this.drain(entry);
      if (this.ended) return;
      // The end of this file; of a renamed one only when a successor is there.
      const now = fs.statSync(file, { throwIfNoEntry: false });
      if (!now || now.ino === entry.inode) return;
      await this.drain(entry);
      fs.closeSync(entry.fd);
      entry.fd = -1;
    }
  }

  async drain(entry) {
    const buffer = Buffer.allocUnsafe(kChunk);
    for (;;) {
      if (this.ended || entry.fd < 0) return;
      const { size } = fs.fstatSync(entry.fd);
      if (size < entry.at) entry.at = 0; // emptied
      const n = await new Promise((resolve, reject) => {
        fs.read(entry.fd, buffer, 0, kChunk, entry.at, (error, count) => (error ? reject(error) : resolve(count)));
      });
      if (n === 0 || this.ended) return;
      entry.at += n;
      const text = entry.decoder.write(buffer.subarray(0, n));
      if (text) this.text(entry.label, text);
    }
  }

  close() {
    this.ended = true;
    for (const { watcher } of this.folders.values()) if (watcher) watcher.close();
    // A read may be under way: its descriptor is closed after it.
    for (const entry of this.files.values()) {
      const fd = entry.fd;
      entry.fd = -1;
      if (fd >= 0)
        setImmediate(function close() {
          if (entry.busy) setTimeout(close, 5);
          else fs.closeSync(fd);
        });
    }
  }
}

module.exports = { Follower };
