"""The frames of heartbeats (ipc/heartbeat_frames.h), for tests and benches that are one end of the channel."""

import struct

PING, PONG, HELLO = 1, 2, 3
LAG_VALID, FIRST, STATS, INSPECTABLE, DEBUGGED = 2, 4, 16, 32, 64
HEADER = 32

_TABLE = []
for _byte in range(256):
    _c = _byte
    for _ in range(8):
        _c = (_c >> 1) ^ (0x82F63B78 if _c & 1 else 0)
    _TABLE.append(_c)


def crc32c(data):
    c = 0xFFFFFFFF
    for byte in data:
        c = _TABLE[(c ^ byte) & 255] ^ (c >> 8)
    return c ^ 0xFFFFFFFF


def encode(kind, flags=0, stream=0, sequence=0, payload=b""):
    head = b"TND1" + struct.pack("<BBHIIQ", 1, kind, flags, stream, len(payload), sequence)
    return head + struct.pack("<II", crc32c(head + bytes(8) + payload), 0) + payload


def ping(sequence, mono_ns, stream=7):
    return encode(PING, 0, stream, sequence, struct.pack("<QQQI", 0, mono_ns, 0, 0))


def decode(data):
    """(frame as a dict, the bytes behind it), or (None, data) when more must come. A bad frame is a ValueError."""
    if len(data) < HEADER:
        return None, data
    version, kind, flags, stream, length, sequence, crc, reserved = struct.unpack_from("<BBHIIQII", data, 4)
    if data[:4] != b"TND1" or version != 1 or reserved != 0:
        raise ValueError(f"no frame: {data[:HEADER]!r}")
    if len(data) < HEADER + length:
        return None, data
    payload = data[HEADER:HEADER + length]
    if crc32c(data[:24] + bytes(8) + payload) != crc:
        raise ValueError("wrong checksum")
    frame = {"kind": kind, "flags": flags, "stream": stream, "sequence": sequence}
    if kind == PONG:
        frame["echo_sequence"], frame["mono_ns"], frame["echo_ns"], frame["lag_us"] = struct.unpack_from("<QQQI", payload)
        if flags & STATS:
            frame["heap"], frame["handles"] = struct.unpack_from("<QI", payload, 28)
    return frame, data[HEADER + length:]
