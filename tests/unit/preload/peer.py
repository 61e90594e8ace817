"""tend's end of a heartbeat channel, and a program at the other end of it.

TEND_PRELOAD    the assembled script (default: of build/dev)
TEND_EXAMPLE    packaging/clients/example.c, compiled
TEND_CXX        a C++ compiler
TEND_TEST_SCALE multiplies every time limit
"""

import base64
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "tests"))

import frames  # noqa: E402

PRELOAD = os.environ.get("TEND_PRELOAD") or str(ROOT / "build/dev/core/preload/node_preload.js")
EXAMPLE = os.environ.get("TEND_EXAMPLE") or str(ROOT / "build/dev/tests/heartbeat_example")
NODE = shutil.which("node")
SCALE = float(os.environ.get("TEND_TEST_SCALE", "1"))
LIMIT = 10 * SCALE  # only a fault reaches it

_SCRUB = ("TEND_", "NODE_", "npm_", "NOTIFY_")


def clean_environment():
    return {k: v for k, v in os.environ.items() if not k.startswith(_SCRUB)}


def node_version():
    text = subprocess.run([NODE, "--version"], capture_output=True, text=True, check=True).stdout
    return tuple(int(part) for part in text.strip()[1:].split("."))


def file_form():
    return ["-r", PRELOAD]


def data_form():
    """What preload_argument() of core/preload/node_preload.cpp makes."""
    head = "import{createRequire}from'node:module';const require=createRequire('file:///');"
    text = base64.b64encode(head.encode() + Path(PRELOAD).read_bytes()).decode()
    return ["--import=data:text/javascript;tend;base64," + text]


class Peer:
    """A started program. `settings` follow the descriptor in TEND_HEARTBEAT; None: the variable is not set."""

    def __init__(self, argv, cwd, settings="", env=None):
        self.socket, other = socket.socketpair()
        self.socket.settimeout(LIMIT)
        self.inode = os.fstat(other.fileno()).st_ino
        self.buffer = b""
        self.sequence = 0
        environment = {**clean_environment(), **(env or {})}
        if settings is not None:
            environment.setdefault("TEND_HEARTBEAT", f"{other.fileno()}{settings}")
        try:
            self.process = subprocess.Popen(argv, cwd=cwd, env=environment, pass_fds=[other.fileno()],
                                            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        finally:
            other.close()

    def frame(self):
        """The next frame; a bad one is a ValueError, none in time a TimeoutError, the end an EOFError."""
        while True:
            found, self.buffer = frames.decode(self.buffer)
            if found:
                return found
            data = self.socket.recv(4096)
            if not data:
                raise EOFError("the program closed the channel")
            self.buffer += data

    def next_ping(self, stream=7):
        self.sequence += 1
        return frames.ping(self.sequence, time.monotonic_ns(), stream)

    def ping(self, stream=7):
        """The pong to a new ping."""
        self.socket.sendall(self.next_ping(stream))
        return self.pong_to(self.sequence)

    def pong_to(self, sequence):
        while True:
            frame = self.frame()
            if frame["kind"] == frames.PONG and frame["echo_sequence"] == sequence:
                return frame

    def next_ping_is_the_next_answered(self):
        """Sends a good ping; the number of the next pong."""
        self.socket.sendall(self.next_ping())
        while True:
            frame = self.frame()
            if frame["kind"] == frames.PONG:
                return frame["echo_sequence"]

    def is_silent(self, seconds=0.2):
        self.socket.settimeout(seconds)
        try:
            self.frame()
        except TimeoutError:
            return True
        finally:
            self.socket.settimeout(LIMIT)
        return False

    def line(self):
        """The next line of standard output; the test's own time limit ends a wait in vain."""
        return self.process.stdout.readline().decode().rstrip("\n")

    def say(self, word):
        self.process.stdin.write(word.encode() + b"\n")
        self.process.stdin.flush()

    def result(self):
        """(exit code, stdout, stderr) once it has ended by itself."""
        out, err = self.process.communicate(timeout=LIMIT)
        return self.process.returncode, out.decode(), err.decode()

    def close(self):
        self.socket.close()
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            if not pipe.closed:
                try:
                    pipe.close()
                except BrokenPipeError:
                    pass


class PeerTest(unittest.TestCase):
    def setUp(self):
        self.dir = Path(tempfile.mkdtemp(prefix="tend-preload-"))
        self.addCleanup(shutil.rmtree, self.dir, ignore_errors=True)

    def peer(self, argv, settings="", env=None):
        peer = Peer(argv, self.dir, settings, env)
        self.addCleanup(peer.close)
        return peer

    def write(self, name, text):
        path = self.dir / name
        path.write_text(text)
        return str(path)


class WireTests:
    """What every program that answers does, whatever its language. `answering()` starts one."""

    def test_it_says_hello_before_it_is_asked(self):
        hello = self.answering().frame()
        self.assertEqual((hello["kind"], hello["stream"], hello["sequence"]), (frames.HELLO, 0, 1))

    def test_a_pong_carries_the_pings_number_time_and_stream(self):
        peer = self.answering()
        peer.frame()
        for number, stream in ((1, 7), (2, 0xFFFFFFFF), (2**64 - 1, 0)):
            before = time.monotonic_ns()
            peer.socket.sendall(frames.ping(number, before, stream))
            pong = peer.frame()
            self.assertEqual((pong["kind"], pong["echo_sequence"], pong["echo_ns"], pong["stream"]),
                             (frames.PONG, number, before, stream))
            self.assertTrue(before <= pong["mono_ns"] <= time.monotonic_ns())

    def test_pongs_are_counted_from_one_and_only_the_first_says_so(self):
        peer = self.answering()
        pongs = [peer.ping() for _ in range(3)]
        self.assertEqual([pong["sequence"] for pong in pongs], [1, 2, 3])
        self.assertEqual([bool(pong["flags"] & frames.FIRST) for pong in pongs], [True, False, False])
        self.assertTrue(all(pong["flags"] & frames.LAG_VALID for pong in pongs))

    def test_the_lag_is_at_least_the_time_the_ping_lay_there(self):
        peer = self.answering()
        peer.ping()
        for sent in (time.monotonic_ns() - 700_000_000, 1):
            waited_us = (time.monotonic_ns() - sent) // 1000
            peer.socket.sendall(frames.ping(50, sent))
            self.assertGreaterEqual(peer.pong_to(50)["lag_us"], min(waited_us, 0xFFFFFFFF))

    def test_a_ping_of_the_future_has_no_lag_below_zero(self):
        peer = self.answering()
        peer.ping()
        peer.socket.sendall(frames.ping(9, time.monotonic_ns() + 60_000_000_000))
        self.assertLess(peer.pong_to(9)["lag_us"], 1_000_000 * SCALE)

    def test_a_ping_is_answered_after_garbage(self):
        peer = self.answering()
        for garbage in (b"\0", b"T", b"TND", b"TND1", b"TNDTND1TN", b"GET / HTTP/1.1\r\n\r\n", os.urandom(20_000),
                        b"TND1" * 3000, b"\xff" * 31, frames.encode(frames.HELLO), frames.encode(99, payload=b"x" * 28),
                        frames.encode(frames.PING), frames.encode(frames.PING, payload=b"x" * 27)):
            with self.subTest(garbage=garbage[:24]):
                peer.socket.sendall(garbage)
                self.assertEqual(peer.ping()["kind"], frames.PONG)

    def test_a_ping_with_a_flipped_bit_is_not_answered_and_the_next_is(self):
        peer = self.answering()
        peer.ping()
        for at in [*range(0, 12), *range(16, 28), *range(32, 60)]:
            with self.subTest(byte=at):
                bad = bytearray(peer.next_ping())
                bad[at] ^= 1 << at % 8
                peer.socket.sendall(bytes(bad))
                self.assertEqual(peer.next_ping_is_the_next_answered(), peer.sequence)

    def test_a_wrong_length_costs_no_more_than_the_pings_it_covers(self):
        peer = self.answering()
        peer.ping()
        bad = bytearray(peer.next_ping())
        bad[13] ^= 4  # 1024 more
        peer.socket.sendall(bytes(bad) + b"".join(peer.next_ping() for _ in range(40)))
        self.assertEqual(peer.pong_to(peer.sequence)["kind"], frames.PONG)

    def test_an_overlong_frame_is_skipped_and_its_length_not_waited_for(self):
        peer = self.answering()
        for length in (4097, 65536, 0xFFFFFFFF):
            with self.subTest(length=length):
                whole = bytearray(frames.encode(frames.PING, payload=b"x" * 28))
                whole[12:16] = length.to_bytes(4, "little")
                peer.socket.sendall(bytes(whole))
                self.assertEqual(peer.ping()["kind"], frames.PONG)
        peer.socket.sendall(frames.encode(frames.PING, 0, 1, 77, b"x" * 4097))
        self.assertEqual(peer.next_ping_is_the_next_answered(), peer.sequence)

    def test_a_longer_ping_of_a_later_version_is_answered(self):
        peer = self.answering()
        peer.frame()
        payload = frames.ping(5, 6)[frames.HEADER:] + b"later".ljust(4096 - 28)
        peer.socket.sendall(frames.encode(frames.PING, 0, 3, 5, payload))
        self.assertEqual(peer.frame()["echo_sequence"], 5)

    def test_frames_may_come_byte_by_byte_and_many_at_once(self):
        peer = self.answering()
        for byte in peer.next_ping():
            peer.socket.sendall(bytes([byte]))
            time.sleep(0.002)
        self.assertEqual(peer.pong_to(peer.sequence)["sequence"], 1)
        first = peer.sequence + 1
        peer.socket.sendall(b"".join(peer.next_ping() for _ in range(100)))
        self.assertEqual([peer.frame()["echo_sequence"] for _ in range(100)], list(range(first, first + 100)))

    def test_it_lives_on_when_the_other_end_is_closed(self):
        for with_answers_under_way in (False, True):
            with self.subTest(with_answers_under_way=with_answers_under_way):
                peer = self.answering()
                peer.ping()
                if with_answers_under_way:
                    peer.socket.sendall(b"".join(peer.next_ping() for _ in range(20)))
                peer.socket.close()
                time.sleep(0.3)
                self.assertIsNone(peer.process.poll())
