"""Answers tend's heartbeats from a Python program's own loop. One file, nothing to install. MIT licence.

    beat = Heartbeat()                      # before threads and children start
    asyncio.get_running_loop().add_reader(beat.fileno(), beat.answer)     # or select it among other sockets

tend asks an app with `heartbeat: on`; `if beat:` tells whether it does. A program without such a loop calls
notify("WATCHDOG=1") at least each watchdog_seconds() / 2 from where it does its work.

Run as a program it is an example: tend start tend_heartbeat.py --heartbeat on
"""

import os
import socket
import struct
import time

_HEADER, _BEAT, _LARGEST = 32, 28, 32 + 4096
_PING, _PONG, _HELLO = 1, 2, 3


def _table():
    for byte in range(256):
        for _ in range(8):
            byte = (byte >> 1) ^ (0x82F63B78 if byte & 1 else 0)
        yield byte


_TABLE = tuple(_table())


def _crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc = _TABLE[(crc ^ byte) & 255] ^ (crc >> 8)
    return crc ^ 0xFFFFFFFF


def _encode(kind, flags, stream, sequence, payload=b""):
    head = b"TND1" + struct.pack("<BBHIIQ", 1, kind, flags, stream, len(payload), sequence)
    return head + struct.pack("<II", _crc32c(head + bytes(8) + payload), 0) + payload


class Heartbeat:
    def __init__(self):
        self._socket = None
        self._held = b""
        self._sequence = 0
        text = os.environ.pop("TEND_HEARTBEAT", "")  # children are not asked
        try:
            self._socket = socket.socket(fileno=int(text.split(":")[0]))
        except (ValueError, OverflowError, OSError):
            return
        self._socket.setblocking(False)
        os.set_inheritable(self._socket.fileno(), False)
        self._send(_encode(_HELLO, 0, 0, 1))

    def __bool__(self):
        return self._socket is not None

    def fileno(self):
        return self._socket.fileno() if self._socket else -1

    def answer(self):
        """Takes what is there and answers it; never blocks."""
        while self._socket:
            try:
                data = self._socket.recv(8192)
            except BlockingIOError:
                return
            except OSError:
                data = b""
            if not data:
                self._socket.close()
                self._socket = None
                return
            self._held += data
            self._take()

    def _take(self):
        while self._held:
            at = self._held.find(b"TND1")
            if at != 0:
                self._held = self._held[at:] if at > 0 else self._held[-3:]
                if at < 0:
                    return
            if len(self._held) < _HEADER:
                return
            version, kind, _, stream, length, sequence, crc, _ = struct.unpack_from("<BBHIIQII", self._held, 4)
            whole = _HEADER + length
            if version != 1 or whole > _LARGEST:
                self._held = self._held[1:]
                continue
            if len(self._held) < whole:
                return
            frame = self._held[:whole]
            if _crc32c(frame[:24] + bytes(8) + frame[_HEADER:]) != crc:
                self._held = self._held[1:]
                continue
            self._held = self._held[whole:]
            if kind == _PING and length >= _BEAT:
                self._pong(stream, sequence, struct.unpack_from("<Q", frame, _HEADER + 8)[0])

    def _pong(self, stream, sequence, sent):
        now = time.monotonic_ns()
        self._sequence += 1
        lag = min(max((now - sent) // 1000, 0), 0xFFFFFFFF)
        flags = 2 | (4 if self._sequence == 1 else 0)
        self._send(_encode(_PONG, flags, stream, self._sequence, struct.pack("<QQQI", sequence, now, sent, lag)))

    def _send(self, frame):
        try:
            self._socket.send(frame)
        except OSError:
            pass  # full or closed: tend asks again, or never


def notify(state):
    """One datagram of sd_notify(3). False: there is no NOTIFY_SOCKET, or nobody reads it."""
    path = os.environ.get("NOTIFY_SOCKET")
    if not path:
        return False
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as end:
            end.sendto(state.encode(), "\0" + path[1:] if path[0] == "@" else path)
    except OSError:
        return False  # no reason for the program to end
    return True


def watchdog_seconds():
    """The time within which tend wants a WATCHDOG=1; 0: it wants none."""
    return int(os.environ.get("WATCHDOG_USEC", "0")) / 1e6


if __name__ == "__main__":
    import asyncio

    async def main():
        beat = Heartbeat()
        if beat:
            asyncio.get_running_loop().add_reader(beat.fileno(), beat.answer)
        notify("READY=1")
        while True:
            await asyncio.sleep(3600)

    asyncio.run(main())
