"""A file system in memory, mounted by FUSE, that refuses what some file systems do not have: sockets and locks.

Run as a program it serves until it is unmounted: poor_fs.py FOLDER [no-sockets] [no-locks]
"""

import ctypes
import errno
import os
import stat
import struct
import sys
import time

LOOKUP, FORGET, GETATTR, SETATTR, MKNOD, MKDIR, UNLINK, RMDIR, RENAME = 1, 2, 3, 4, 8, 9, 10, 11, 12
OPEN, READ, WRITE, STATFS, RELEASE, FSYNC, FLUSH, INIT = 14, 15, 16, 17, 18, 20, 25, 26
OPENDIR, READDIR, RELEASEDIR, FSYNCDIR, SETLK, SETLKW, CREATE = 27, 28, 29, 30, 32, 33, 35
INTERRUPT, BATCH_FORGET, RENAME2 = 36, 42, 45
FLOCK_LOCKS, BIG_WRITES = 1 << 10, 1 << 5
HEADER = struct.Struct("<IIQQIIII")
MOST = 1 << 17
SET_MODE, SET_UID, SET_GID, SET_SIZE = 1, 2, 4, 8


class Node:
    def __init__(self, mode, uid=0, gid=0):
        self.mode, self.uid, self.gid = mode, uid, gid
        self.bytes = bytearray()
        self.children = {}
        self.changed = time.time_ns()


class PoorFs:
    def __init__(self, fd, sockets, locks):
        self.fd, self.sockets, self.locks = fd, sockets, locks
        self.nodes = {1: Node(stat.S_IFDIR | 0o700)}
        self.next = 2

    def attributes(self, number):
        node = self.nodes[number]
        seconds, rest = divmod(node.changed, 10**9)
        links = 2 if stat.S_ISDIR(node.mode) else 1
        return struct.pack("<6Q10I", number, len(node.bytes), (len(node.bytes) + 511) // 512, seconds, seconds, seconds,
                           rest, rest, rest, node.mode, links, node.uid, node.gid, 0, 4096, 0)

    def entry(self, number):
        return struct.pack("<4Q2I", number, 0, 0, 0, 0, 0) + self.attributes(number)

    def child(self, parent, name):
        found = self.nodes[parent].children.get(name)
        if found is None:
            raise OSError(errno.ENOENT, "")
        return found

    def make(self, parent, name, mode, uid, gid):
        if name in self.nodes[parent].children:
            raise OSError(errno.EEXIST, "")
        number, self.next = self.next, self.next + 1
        self.nodes[number] = Node(mode, uid, gid)
        self.nodes[parent].children[name] = number
        return number

    def answer(self, opcode, number, uid, gid, body):
        """The reply to one request; None: none is due."""
        node = self.nodes.get(number)
        if opcode == INIT:
            minor = struct.unpack_from("<II", body)[1]
            flags = struct.unpack_from("<I", body, 12)[0] & (BIG_WRITES | (0 if self.locks else FLOCK_LOCKS))
            return struct.pack("<IIIIHHIII", 7, min(minor, 31), 4096, flags, 12, 10, MOST, 1, 0) + bytes(28)
        if opcode in (FORGET, BATCH_FORGET, INTERRUPT):
            return None
        if opcode == LOOKUP:
            return self.entry(self.child(number, body[:-1]))
        if opcode == GETATTR:
            return struct.pack("<QII", 0, 0, 0) + self.attributes(number)
        if opcode == SETATTR:
            valid, _, _, size = struct.unpack_from("<IIQQ", body)
            mode, _, new_uid, new_gid = struct.unpack_from("<4I", body, 68)
            if valid & SET_MODE:
                node.mode = stat.S_IFMT(node.mode) | stat.S_IMODE(mode)
            if valid & SET_UID:
                node.uid = new_uid
            if valid & SET_GID:
                node.gid = new_gid
            if valid & SET_SIZE:
                del node.bytes[size:]
                node.bytes.extend(bytes(size - len(node.bytes)))
                node.changed = time.time_ns()
            return struct.pack("<QII", 0, 0, 0) + self.attributes(number)
        if opcode == MKNOD:
            mode = struct.unpack_from("<I", body)[0]
            if stat.S_ISSOCK(mode) and not self.sockets:
                raise OSError(errno.EPERM, "")
            return self.entry(self.make(number, body[16:-1], mode, uid, gid))
        if opcode == MKDIR:
            mode = struct.unpack_from("<I", body)[0]
            return self.entry(self.make(number, body[8:-1], stat.S_IFDIR | stat.S_IMODE(mode), uid, gid))
        if opcode == CREATE:
            mode = struct.unpack_from("<II", body)[1]
            made = self.make(number, body[16:-1], mode, uid, gid)
            return self.entry(made) + struct.pack("<QII", 0, 0, 0)
        if opcode in (UNLINK, RMDIR):
            gone = self.child(number, body[:-1])
            if opcode == RMDIR and self.nodes[gone].children:
                raise OSError(errno.ENOTEMPTY, "")
            del node.children[body[:-1]]
            return b""
        if opcode in (RENAME, RENAME2):
            at = 8 if opcode == RENAME else 16
            target = struct.unpack_from("<Q", body)[0]
            if opcode == RENAME2 and struct.unpack_from("<I", body, 8)[0] != 0:
                raise OSError(errno.EINVAL, "")
            old, new = body[at:-1].split(b"\0")
            self.nodes[target].children[new] = self.child(number, old)
            if (target, new) != (number, old):
                del node.children[old]
            return b""
        if opcode in (OPEN, OPENDIR):
            return struct.pack("<QII", 0, 0, 0)
        if opcode == READ:
            _, offset, size = struct.unpack_from("<QQI", body)
            return bytes(node.bytes[offset:offset + size])
        if opcode == WRITE:
            _, offset, size = struct.unpack_from("<QQI", body)
            node.bytes.extend(bytes(max(0, offset - len(node.bytes))))
            node.bytes[offset:offset + size] = body[40:40 + size]
            node.changed = time.time_ns()
            return struct.pack("<II", size, 0)
        if opcode == READDIR:
            _, offset, size = struct.unpack_from("<QQI", body)
            out = b""
            names = [(b".", number), (b"..", 1), *node.children.items()]
            for index, (name, inode) in enumerate(names[offset:], offset + 1):
                one = struct.pack("<QQII", inode, index, len(name), self.nodes[inode].mode >> 12) + name
                one += bytes(-len(one) % 8)
                if len(out) + len(one) > size:
                    break
                out += one
            return out
        if opcode == STATFS:
            return struct.pack("<5Q4I", 1 << 20, 1 << 20, 1 << 20, 1 << 20, 1 << 20, 4096, 255, 4096, 0) + bytes(24)
        if opcode in (RELEASE, RELEASEDIR, FSYNC, FSYNCDIR, FLUSH):
            return b""
        if opcode in (SETLK, SETLKW):
            raise OSError(errno.ENOLCK, "")
        raise OSError(errno.ENOSYS, "")

    def serve(self):
        while True:
            try:
                request = os.read(self.fd, MOST + 4096)
            except OSError as error:
                if error.errno == errno.ENODEV:
                    return  # unmounted
                if error.errno in (errno.EINTR, errno.ENOENT, errno.EAGAIN):
                    continue
                raise
            _, opcode, unique, number, uid, gid, _, _ = HEADER.unpack_from(request)
            code = 0
            try:
                reply = self.answer(opcode, number, uid, gid, request[HEADER.size:])
            except OSError as error:
                reply, code = b"", -error.errno
            if reply is not None:
                try:
                    os.write(self.fd, struct.pack("<IiQ", 16 + len(reply), code, unique) + reply)
                except OSError as error:
                    if error.errno != errno.ENOENT:  # who asked was killed
                        raise


def main(folder, *without):
    fd = os.open("/dev/fuse", os.O_RDWR)
    libc = ctypes.CDLL(None, use_errno=True)
    options = f"fd={fd},rootmode=40000,user_id={os.getuid()},group_id={os.getgid()},allow_other"
    if libc.mount(b"poor", os.fsencode(folder), b"fuse", 0, options.encode()) != 0:
        sys.exit(f"mount: {os.strerror(ctypes.get_errno())}")
    print("mounted", flush=True)
    PoorFs(fd, "no-sockets" not in without, "no-locks" not in without).serve()


if __name__ == "__main__":
    main(*sys.argv[1:])
