"""What somebody who means harm can send, plant or name: refused in words, bounded in time and memory, harmless to others."""

import array
import contextlib
import os
import re
import resource
import shutil
import socket
import struct
import subprocess
import sys
import time
import unittest
from pathlib import Path

from harness import BIN, TendTest, limit, wait_for

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import frames  # noqa: E402

REQUEST = 16
SANITIZED = bool(os.environ.get("TEND_TEST_SCALE"))  # a sanitizer's shadow counts as resident
NOBODY = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]


def packed(value):
    """MessagePack of a small dict of texts and numbers."""
    if isinstance(value, int):
        return bytes([value])
    if isinstance(value, str):
        return bytes([0xa0 + len(value)]) + value.encode()
    return bytes([0x80 + len(value)]) + b"".join(packed(k) + packed(v) for k, v in value.items())


def hello():
    return frames.encode(frames.HELLO, sequence=1, payload=packed({"version": "0", "protocol": 1}))


def descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def resident(pid):
    return int(re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())[1]) << 10


class Hostile(TendTest):
    def setUp(self):
        super().setUp()
        self.tend.ok("start", self.tend.sleeper(), "--name", "calm")
        self.calm = self.tend.app("calm")["pid"]
        self.supervisor, self.keeper = self.tend.pids()

    def assert_unharmed(self):
        record = self.tend.app("calm")
        self.assertEqual((record["pid"], record["pm2_env"]["status"]), (self.calm, "online"))
        self.assertEqual(self.tend.pids(), (self.supervisor, self.keeper))

    def connect(self):
        caller = socket.socket(socket.AF_UNIX)
        self.addCleanup(caller.close)
        caller.settimeout(limit(10))
        caller.connect(str(self.tend.home / "tend.sock"))
        return caller

    def told(self, text):
        return text in self.tend.read(self.tend.home / "tend.log")


class ControlSocket(Hostile):
    def send_to_end(self, data):
        """What the daemon answers until it closes the connection."""
        caller = self.connect()
        answer = b""
        try:
            caller.sendall(data)
            while piece := caller.recv(65536):
                answer += piece
        except (ConnectionResetError, BrokenPipeError):
            pass
        return answer

    def test_39_what_is_no_frame_closes_its_own_connection_only(self):
        before = descriptors(self.supervisor)
        wrong = bytearray(frames.encode(REQUEST, stream=1, sequence=2, payload=packed({"method": "ping"})))
        wrong[-1] ^= 1
        huge = bytearray(frames.encode(REQUEST, stream=1, sequence=2))
        struct.pack_into("<I", huge, 12, 0xffffffff)
        tower = hello() + frames.encode(REQUEST, stream=1, sequence=2, payload=b"\x91" * 100_000)
        for name, data in (("text", b"GET / HTTP/1.1\r\n\r\n" * 10), ("zeroes", bytes(4096)), ("huge", hello() + huge),
                           ("flipped", hello() + wrong), ("rude", bytes(wrong)), ("twice", hello() + hello()),
                           ("again", hello() + frames.encode(REQUEST, stream=1, sequence=9))):
            with self.subTest(name):
                self.send_to_end(data)
        caller = self.connect()
        caller.sendall(tower)
        received = b""
        while b"error" not in received:
            received += caller.recv(65536)  # refused by itself, and the connection serves on
        caller.sendall(frames.encode(REQUEST, stream=3, sequence=3, payload=packed({"method": "ping"})))
        while b"supervisor" not in received and b"version" not in received[40:]:
            received += caller.recv(65536)
        caller.close()
        self.assertTrue(self.told("closed: a bad frame"))
        wait_for(lambda: descriptors(self.supervisor) < before + 8, what="as few descriptors as before")
        self.assert_unharmed()

    def test_39_ten_thousand_callers_that_say_nothing_keep_nobody_out(self):
        count = 10_000
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        if hard < count + 200:
            self.skipTest(f"no more than {hard} descriptors are allowed")
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        self.addCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        before = descriptors(self.supervisor)
        callers = []
        self.addCleanup(lambda: [c.close() for c in callers])
        for n in range(count):
            caller = socket.socket(socket.AF_UNIX)
            callers.append(caller)
            caller.connect(str(self.tend.home / "tend.sock"))
            if n % 4 == 0:
                caller.send(hello()[:20])  # a frame that never ends
            if n % 2000 == 1999:
                began = time.monotonic()
                self.assertIn("calm", self.tend.ok("list").stdout)
                self.assertLess(time.monotonic() - began, limit(5))
        self.assertLess(descriptors(self.supervisor), 1100)
        if not SANITIZED:
            self.assertLess(resident(self.supervisor), 64 << 20)
        for caller in callers:
            caller.close()
        wait_for(lambda: descriptors(self.supervisor) < before + 8, what="as few descriptors as before")
        self.assert_unharmed()

    def test_39_a_flood_of_passed_descriptors_leaves_none_open(self):
        before = descriptors(self.supervisor), descriptors(self.keeper)
        with open("/dev/null", "rb") as null:
            bomb = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [null.fileno()] * 250))]
            for first in (hello(), b"x"):
                for _ in range(40):
                    caller = self.connect()
                    for piece in (first[:1], first[1:]):
                        if piece:
                            caller.sendmsg([piece], bomb)
                    caller.close()
        self.assertIn("calm", self.tend.ok("list").stdout)
        # Of 40,000 that were passed none is left; a handful may come and go with the daemon's own work.
        wait_for(lambda: descriptors(self.supervisor) < before[0] + 8 and descriptors(self.keeper) < before[1] + 8,
                 what="as few descriptors as before")
        self.assert_unharmed()

    def test_40_another_user_is_refused_even_where_the_socket_can_be_reached(self):
        self.need_root()
        self.need("setpriv")
        for path, bits in ((self.tend.dir, 0o755), (self.tend.home, 0o755), (self.tend.home / "tend.sock", 0o777)):
            path.chmod(bits)
        program = self.tend.dir / "caller.py"
        program.write_text("import socket, sys\ns = socket.socket(socket.AF_UNIX)\ns.connect(sys.argv[1])\n"
                           "while p := s.recv(4096): sys.stdout.buffer.write(p)\n")
        done = subprocess.run([*NOBODY, "/usr/bin/env", "-i", shutil.which("python3", path="/usr/bin:/usr/local/bin"),
                               str(program), str(self.tend.home / "tend.sock")],
                              capture_output=True, timeout=limit(20), cwd="/")
        self.assertIn(b"user 65534 may not control this daemon", done.stdout, done.stderr)
        self.tend.home.chmod(0o700)
        self.assert_unharmed()


class Names(Hostile):
    STEERING = "a\033[2J\033]0;owned\007b\rc\x9b31m"

    def test_37_no_name_steers_the_terminal(self):
        apps = [{"name": self.STEERING, "script": str(self.tend.sleeper("s.sh")), "namespace": "n\033[31m",
                 "args": ["\033[5m"], "env": {"X": "\033[7m"}},
                {"name": "broken\033[1m", "script": "/nowhere\033[1m/x"}]
        file = self.tend.json_file("e.json", apps)
        shown = {"start": self.tend.run("start", file)}
        del apps[1:]
        self.tend.json_file("e.json", apps)
        shown["start again"] = self.tend.run("start", file)
        events = self.tend.popen("events")
        self.addCleanup(events.communicate)
        self.addCleanup(events.kill)
        identity = next(r["pm_id"] for r in self.tend.jlist() if r["name"] == self.STEERING)
        for words in (["list"], ["describe", identity], ["why", identity], ["env", identity], ["prettylist"],
                      ["logs", "--nostream"], ["logs", "--nostream", "--lines", "3", "--timestamp"], ["ls", "-v"],
                      ["describe", self.STEERING], ["stop", "none" + self.STEERING], ["describe", "x" + self.STEERING],
                      ["start", "/no" + self.STEERING + ".js"], ["trigger", identity, self.STEERING],
                      ["send", identity, "x"], ["scale", self.STEERING, "x" + self.STEERING],
                      [self.STEERING], ["start", "x", "--" + self.STEERING], ["set", "a" + self.STEERING, "b"],
                      ["get", "a" + self.STEERING], ["conf"], ["reload", identity], ["doctor"], ["flush", identity],
                      ["restart", self.STEERING], ["save"], ["resurrect"], ["pid", self.STEERING], ["id", self.STEERING]):
            shown[" ".join(map(str, words))] = self.tend.run(*words)
        events.kill()
        shown["events"] = subprocess.CompletedProcess((), 0, *events.communicate())
        self.assertIn("\\x1b", shown["events"].stdout)
        for command, done in shown.items():
            with self.subTest(command):
                said = done.stdout + done.stderr
                self.assertNotRegex(said, r"[\033\007\r\x9b]")
        self.assertTrue(any("\\x1b" in done.stdout for done in shown.values()))
        self.assertNotRegex(self.tend.read(self.tend.home / "tend.log"), r"[\033\007\r]")
        self.assert_unharmed()

    def test_37_file_names_made_of_names_stay_in_their_folder(self):
        before = {p for p in self.tend.dir.rglob("*") if "logs" not in p.parts and "pids" not in p.parts}
        names = ["../../evil", "/etc/evil", "..", ".", "a/../../b", "$(touch pwned)", "`touch pwned`", ";touch pwned",
                 "|touch pwned", "a\nb", "-rf", "x" * 200, "~root", "*"]
        self.tend.script("say.sh", "echo hello; exec sleep 1000\n")
        file = self.tend.json_file("e.json", [{"name": n, "script": str(self.tend.work / "say.sh")} for n in names])
        self.tend.ok("start", file)
        records = {r["name"]: r["pm2_env"] for r in self.tend.jlist()}
        for name in names:
            with self.subTest(name):
                out = Path(records[name]["pm_out_log_path"])
                self.assertEqual(out.parent, self.tend.home / "logs")
                self.assertEqual(Path(records[name]["pm_pid_path"]).parent, self.tend.home / "pids")
                self.tend.wait_text(out, "hello")
        self.tend.ok("delete", file)
        after = {p for p in self.tend.dir.rglob("*") if "logs" not in p.parts and "pids" not in p.parts}
        self.assertEqual({p.name for p in after - before} - {"e.json", "say.sh"}, set())
        self.assertFalse(any(p.name == "pwned" for p in self.tend.dir.rglob("*")))
        self.assert_unharmed()

    def test_37_no_shell_is_between_tend_and_a_program(self):
        self.need("strace")
        tend = self.make_tend()
        tend.env["ASAN_OPTIONS"] += ":detect_leaks=0"  # which does not work under ptrace
        trace = tend.dir / "trace"
        program = tend.script("plain.py", "import time\ntime.sleep(1000)\n")
        with_strace = lambda *w: subprocess.run(  # noqa: E731
            ["strace", "-f", "-qq", "-s", "400", "-e", "trace=execve", "-o", f"{trace}.{w[0]}", BIN, *map(str, w)], env=tend.env,
            cwd=tend.work, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=limit(60))
        tracer = subprocess.Popen(
            ["strace", "-f", "-qq", "-s", "400", "-e", "trace=execve", "-o", f"{trace}.daemon", BIN, "start", str(program), "--name",
             "$(touch pwned);sh"], env=tend.env, cwd=tend.work, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE)
        try:
            wait_for(lambda: tend.home.exists() and tend.status("$(touch pwned);sh") == "online", 30, "a start")
            for words in (("restart", "all"), ("stop", "all"), ("start", "all"), ("delete", "all")):
                done = with_strace(*words)
                self.assertEqual(done.returncode, 0, done.stderr)
            tend.ok("kill")
        finally:
            tracer.communicate(timeout=limit(30))
        tend._first_supervisor = None
        started = [line for file in tend.dir.glob("trace.*") for line in file.read_text().splitlines()
                   if "execve(" in line and "= 0" in line]
        self.assertTrue(any("plain.py" in line for line in started), started)
        self.assertEqual([line for line in started if re.search(r'execve\("[^"]*/(ba|da|z|k)?sh"', line)], [])


class Planted(Hostile):
    """A daemon of root, an app of another user who owns the folder of its log."""

    TICK = "i=0\nwhile :; do i=$((i+1)); echo tick $i $(printf %0200d 0); sleep 0.01; done\n"

    def setUp(self):
        super().setUp()
        self.need_root()
        for folder in (self.tend.dir, self.tend.work):
            folder.chmod(0o755)
        self.theirs, self.ours = self.tend.work / "theirs", self.tend.work / "ours"
        for folder in (self.theirs, self.theirs / "logs", self.theirs / "elsewhere", self.ours):
            folder.mkdir()
            if folder != self.ours:
                os.chown(folder, 65534, 65534)
        self.log = self.theirs / "logs/o.log"
        self.tend.script("tick.sh", self.TICK)
        self.tend.ok("start", "tick.sh", "--uid", "65534", "--gid", "65534", "-o", self.log, "--pid",
                     self.theirs / "logs/app.pid", "--log-max-size", "2K", "--log-retain", "2")
        self.tend.wait_text(self.log, "tick")
        self.pid_file = wait_for(lambda: [p.name for p in (self.theirs / "logs").glob("app*.pid")], what="a pid file")[0]

    def turn_to(self, folder):
        """The folder of the log is a link now that belongs to the app's user."""
        self.theirs.joinpath("logs").rename(self.theirs / f"was-{time.monotonic_ns()}")
        (self.theirs / "logs").symlink_to(folder)
        os.chown(self.theirs / "logs", 65534, 65534, follow_symlinks=False)

    def test_31_a_folder_that_became_a_link_to_somebody_elses_is_not_written_into(self):
        precious = self.ours / "o.log"
        precious.write_text("mine\n")
        (self.ours / self.pid_file).write_text("1\n")
        old = self.ours / "o__2020-01-01_00-00-00.log"
        old.write_text("old\n")
        before = {p: p.read_text() for p in self.ours.iterdir()}
        self.turn_to(self.ours)
        self.tend.wait_text(self.tend.home / "tend.log", "a link leads to a folder that is not user 65534's")
        self.tend.ok("reloadLogs")
        self.tend.run("rotate")
        self.tend.ok("restart", "tick")
        self.tend.run("flush", "tick")
        self.tend.ok("stop", "tick")
        self.assertEqual({p: p.read_text() for p in self.ours.iterdir()}, before)
        self.assert_unharmed()

    def test_31_a_link_to_a_folder_of_the_same_user_is_followed(self):
        self.turn_to("elsewhere")  # as a deployment does
        self.tend.wait_text(self.theirs / "elsewhere/o.log", "tick")
        wait_for(lambda: len(list((self.theirs / "elsewhere").glob("o__*.log"))) == 2, what="files put aside there")
        self.tend.ok("restart", "tick")
        wait_for((self.theirs / "elsewhere" / self.pid_file).exists, what="its pid file")

    def test_31_another_name_of_somebody_elses_file_is_not_written_into(self):
        precious = self.ours / "precious"
        precious.write_text("mine\n")
        self.tend.ok("stop", "tick")
        for name in ("o.log", self.pid_file):
            with contextlib.suppress(FileNotFoundError):
                (self.theirs / "logs" / name).unlink()
            os.link(precious, self.theirs / "logs" / name)
        self.tend.run("start", "tick")
        self.tend.wait_text(self.tend.home / "tend.log", "another name of a file of user 0")
        self.assertEqual(precious.read_text(), "mine\n")


if __name__ == "__main__":
    unittest.main()
