"""Apps that cannot be executed, do not want to end, hang or break while they are replaced; and files of apps that mean harm."""

import contextlib
import errno
import json
import os
import shutil
import signal
import socket
import struct
import subprocess
import time
import unittest
import urllib.request
from pathlib import Path

from harness import BIN, TendTest, alive, free_port, limit, wait_for

SERVER = """require('http').createServer((q, r) => r.end(String(process.pid))).listen(+process.env.PORT);
if (process.env.FALLS) setTimeout(() => process.exit(7), +process.env.FALLS);
"""
# A thousand children, each in a session of its own and without its mother, until it is killed.
STORM = """import os, signal, time
signal.signal(signal.SIGINT, signal.SIG_IGN)
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
made = 0
while True:
    if made < 1000:
        if os.fork() == 0:
            os.setsid()
            if os.fork(): os._exit(0)
            time.sleep(1000)
        made += 1
    if made == 100: open("many", "w").close()
    if made == 1000: time.sleep(0.01)
"""


def foreign_program():
    """An ELF file for a machine that this one is not."""
    head = b"\x7fELF\x02\x01\x01" + bytes(9)
    machine = 0xF3 if os.uname().machine != "riscv64" else 0x3E
    return head + struct.pack("<HHIQQQIHHHHHH", 2, machine, 1, 0x400000, 64, 0, 0, 64, 56, 1, 0, 0, 0) + \
        struct.pack("<IIQQQQQQ", 1, 5, 0, 0x400000, 0x400000, 120, 120, 4096)


class Execution(TendTest):
    def refused(self, path, reason):
        done = self.tend.run("start", path, "--interpreter", "none", "--name", "app", "--max-restarts", "0")
        self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
        self.assertIn(reason, done.stdout + done.stderr)
        self.assertEqual(self.tend.status("app"), "errored")
        self.assertIn(reason, self.tend.ok("describe", "app").stdout)
        self.tend.ok("delete", "app")

    def test_20_each_way_in_which_a_program_cannot_be_executed_has_its_reason(self):
        no = {code: os.strerror(code) for code in (errno.ENOENT, errno.EACCES, errno.ENOEXEC, errno.ETXTBSY)}
        plain = self.tend.script("plain", "no program\n")
        self.refused(plain, no[errno.ENOEXEC])
        self.refused(self.tend.script("interpreted", "#!/no/such/interpreter\n"), no[errno.ENOENT])
        plain.chmod(0o600)
        self.refused(plain, no[errno.EACCES])
        foreign = self.tend.work / "foreign"
        foreign.write_bytes(foreign_program())
        foreign.chmod(0o755)
        self.refused(foreign, no[errno.ENOEXEC])
        busy = self.tend.work / "busy"
        shutil.copy("/bin/sleep", busy)
        with open(busy, "ab"):
            self.refused(busy, no[errno.ETXTBSY])

    def test_20_an_app_that_ends_before_anything_else_has_its_exit_told(self):
        self.tend.script("gone.sh", "exit 43\n")
        self.tend.run("start", "gone.sh", "--max-restarts", "0")
        self.tend.wait_status("gone", "errored")
        self.assertIn("43", self.tend.ok("why", "gone").stdout)


class Endings(TendTest):
    def test_22_a_grandchild_that_holds_the_output_delays_nothing(self):
        self.tend.script("leaver.py", """import os, sys, time
print("mother", os.getpid(), flush=True)
if os.fork() == 0:
    os.setsid()
    with open("child", "w") as f: f.write(str(os.getpid()))
    while not os.path.exists("go"): time.sleep(0.01)
    print("last words", flush=True)
    time.sleep(1000)
while not os.path.exists("child"): time.sleep(0.01)
sys.exit(9)
""")
        self.tend.run("start", "leaver.py", "--no-treekill", "--no-autorestart")
        wait_for(lambda: self.tend.status("leaver") == "stopped", 3, "the end of the app")
        child = int(self.tend.read("child"))
        try:
            self.assertTrue(alive(child))
            self.assertIn("9", self.tend.ok("why", "leaver").stdout)
            (self.tend.work / "go").touch()
            self.tend.wait_text(self.tend.out_log("leaver"), "last words")  # what it says is still written
            (self.tend.work / "go").unlink()
            self.tend.run("start", "leaver")  # and a successor has a pipe of its own
            wait_for(lambda: self.tend.read(self.tend.out_log("leaver")).count("mother") == 2, what="the successor")
        finally:
            self.tend.ok("delete", "leaver")
            for pid in {child, int(self.tend.read("child"))}:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)

    def test_23_a_storm_of_children_that_leave_the_session_ends_with_the_app(self):
        for name, env in (("groups", {}), ("walks", {"TEND_NO_CGROUP": "1"})):
            with self.subTest(name):
                tend = self.make_tend(extra_env=env)
                script = tend.script("storm.py", STORM)
                tend.ok("start", script, "--kill-timeout", "1000")
                wait_for((tend.work / "many").exists, what="the first hundred")
                done = tend.run("stop", "storm", timeout=30)  # while it goes on forking
                self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
                left = [e for e in os.listdir("/proc") if e.isdigit() and str(script).encode() in self.command(e)]
                self.assertEqual(left, [])

    @staticmethod
    def command(pid):
        try:
            return Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            return b""

    def test_24_a_process_that_no_signal_reaches_is_told_of_and_holds_up_nobody(self):
        freezer = Path(f"/sys/fs/cgroup/freezer/tend-test-{os.getpid()}")
        try:
            freezer.mkdir()
        except OSError as error:
            self.skipTest(f"no freezer to make a process uninterruptible with: {error}")
        self.addCleanup(freezer.rmdir)
        self.tend.ok("start", self.tend.sleeper(), "--name", "stuck", "--kill-timeout", "200")
        self.tend.ok("start", self.tend.sleeper(), "--name", "other")
        pid = self.tend.app("stuck")["pid"]
        (freezer / "cgroup.procs").write_text(str(pid))
        (freezer / "freezer.state").write_text("FROZEN")
        try:
            wait_for(lambda: self.state(pid) == "D", what="a process in state D")
            stop = self.tend.popen("stop", "stuck")
            began = time.monotonic()
            self.tend.ok("restart", "other")
            self.assertLess(time.monotonic() - began, limit(5))
            out, err = stop.communicate(timeout=limit(30))
            self.assertEqual(stop.returncode, 1, out + err)
            self.assertIn(f"process {pid} could not be stopped", out + err)
            self.assertEqual(self.tend.status("stuck"), "stopping")
        finally:
            (freezer / "freezer.state").write_text("THAWED")
        self.tend.wait_status("stuck", "stopped")
        self.assertFalse(alive(pid))

    @staticmethod
    def state(pid):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


class Replacement(TendTest):
    def setUp(self):
        super().setUp()
        self.need("node")
        self.port = free_port()

    def ask(self):
        with contextlib.suppress(OSError):
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/", timeout=limit(2)) as answer:
                return int(answer.read())
        return None

    def start(self, *words):
        self.tend.script("server.js", SERVER)
        self.tend.ok("start", "server.js", "--name", "api", *words, env={"PORT": str(self.port)})
        return wait_for(self.ask, what="an answer")

    def test_33_a_successor_that_falls_after_it_was_ready_is_started_again(self):
        self.start("-i", "1")
        self.tend.run("reload", "api", "--update-env", env={"PORT": str(self.port), "FALLS": "150"})
        wait_for(lambda: self.tend.app("api")["pm2_env"]["restart_time"] >= 2, what="a restart after the fall")
        self.assertIn("code 7", self.tend.ok("why", "api").stdout)
        self.tend.ok("reload", "api", "--update-env", env={"PORT": str(self.port)})  # and a good one ends it
        wait_for(self.ask, what="an answer")
        count = self.tend.app("api")["pm2_env"]["restart_time"]
        time.sleep(0.5)
        self.assertEqual(self.tend.app("api")["pm2_env"]["restart_time"], count)

    def test_42_a_port_that_becomes_free_is_taken_by_the_restart_policy(self):
        with socket.socket() as stranger:
            stranger.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            stranger.bind(("127.0.0.1", self.port))
            stranger.listen()
            self.tend.script("server.js", SERVER)
            self.tend.run("start", "server.js", "--name", "api", "-i", "2", "--restart-delay", "100", "--min-uptime", "0",
                          env={"PORT": str(self.port)})
            wait_for(lambda: self.tend.jlist()[0]["pm2_env"]["restart_time"] > 1, what="attempts")
            self.assertIn("EADDRINUSE", self.tend.read(self.tend.home / "logs/api-error-0.log"))
        wait_for(self.ask, what="an answer on the port that is free now")
        wait_for(lambda: len({self.ask() for _ in range(8)} - {None}) == 2, what="both workers")

    def test_42_a_port_of_the_privileged_is_refused_to_a_daemon_of_somebody_else(self):
        if os.geteuid() != 0 or not shutil.which("setpriv"):
            self.skipTest("needs root, to begin as somebody who is not")
        first = int(Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").read_text())
        if first <= 1:
            self.skipTest("no port is privileged here")
        program = self.tend.dir / "tend"
        shutil.copy(BIN, program)
        script = self.tend.script("server.js", SERVER)
        for folder in (self.tend.dir, self.tend.work, self.tend.bin):
            os.chown(folder, 65534, 65534)
        done = subprocess.run(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", program, "start", script,
                               "--name", "low", "-i", "2", "--no-autorestart"], stdin=subprocess.DEVNULL,
                              env={**self.tend.env, "HOME": str(self.tend.dir), "PORT": str(first - 1)},
                              capture_output=True, text=True, cwd=self.tend.work, timeout=limit(30))
        self.assertIn(done.returncode, (0, 1), done.stdout + done.stderr)
        self.tend.wait_text(self.tend.home / "logs/low-error-0.log", "EACCES")


class Files(TendTest):
    def refused(self, path, *words, within=10):
        began = time.monotonic()
        done = self.tend.run("start", path)
        self.assertLess(time.monotonic() - began, limit(within))
        self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
        self.assertEqual(done.stdout, "")
        self.assertEqual(len(done.stderr.splitlines()), 1, done.stderr[:2000])
        for word in words:
            self.assertIn(word, done.stderr)
        self.assertFalse(self.tend.home.exists() and self.tend.jlist())

    def write(self, name, text):
        path = self.tend.work / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    def test_37_a_file_that_is_a_bomb_is_refused_in_one_line(self):
        bomb = "a0: &a0 [x, x]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 12))
        self.refused(self.write("bomb.yaml", bomb + "apps: *a11\n"), "bomb.yaml:")
        self.refused(self.write("cycle.yaml", "apps: &a\n  - script: x\n    args: *a\n"), "cycle.yaml")
        self.refused(self.write("tower.json", "[" * 200_000), "tower.json:1")
        self.refused(self.write("tower.yaml", "[" * 200_000), "tower.yaml")
        self.refused(self.write("bytes.json", b'{"apps": [{"name": "\xff\xfe", "script": "/bin/true", "cwd": 5}]}'), "bytes.json")
        with open(self.tend.work / "huge.json", "wb") as file:
            file.truncate(100 << 20)
        self.refused(self.tend.work / "huge.json", "larger than 16 MiB")
        self.refused(self.write("evil.json", json.dumps({"apps": [
            {"script": "/bin/true", "max_memory_restart": "1" * 100_000 + "!"}]})), "max_memory_restart")

    def test_37_ten_thousand_apps_are_read_in_a_moment(self):
        path = self.tend.json_file("many.json", {"apps": [
            {"name": f"a{n}", "script": "/bin/sleep", "args": "1000"} for n in range(10_000)]})
        began = time.monotonic()
        done = self.tend.ok("check", path, "--json")
        self.assertLess(time.monotonic() - began, limit(10))
        self.assertIn("a9999", done.stdout)

    def test_38_a_file_of_javascript_that_prints_exits_forks_or_loops_is_no_matter_of_the_daemon(self):
        self.need("node")
        self.tend.ok("start", self.tend.sleeper(), "--name", "calm")
        pid, daemons = self.tend.app("calm")["pid"], self.tend.pids()
        self.write("prints.config.js", "console.log('[{\"script\": \"/bin/false\"}]'); console.error('x'.repeat(1e6));\n"
                   "module.exports = {apps: [{name: 'printed', script: '/bin/sleep', args: '1000'}]};\n")
        self.assertEqual(self.tend.run("start", "prints.config.js").returncode, 0)
        self.assertEqual(self.tend.status("printed"), "online")
        self.write("exits.config.js", "process.exit(0);\n")
        self.write("forks.config.js", "const c = require('child_process').spawn('sleep', ['1000'], {stdio: 'inherit'});\n"
                   "require('fs').writeFileSync('child', String(c.pid)); process.exit(3);\n")
        self.write("loops.config.js", "for (;;);\n")
        for name, within in (("exits", 5), ("forks", 12), ("loops", 15)):
            with self.subTest(name):
                began = time.monotonic()
                child = self.tend.popen("start", f"{name}.config.js")
                self.assertIn("calm", self.tend.ok("list").stdout)
                out, err = child.communicate(timeout=limit(30))
                self.assertLess(time.monotonic() - began, limit(within))
                self.assertEqual(child.returncode, 1, out + err)
                self.assertIn(f"{name}.config.js", err)
        with contextlib.suppress(ProcessLookupError, ValueError):
            os.kill(int(self.tend.read("child")), signal.SIGKILL)
        self.assertEqual((self.tend.app("calm")["pid"], self.tend.pids()), (pid, daemons))


class Probes(TendTest):
    def test_47_a_probe_that_forks_and_hangs_is_ended_with_all_it_started(self):
        self.tend.script("probe.sh", "#!/bin/sh\necho $$ >> probes\nsleep 1000 &\nsleep 1000\n")
        self.tend.ok("start", self.tend.sleeper(), "--name", "api", "--probe", f"exec:{self.tend.work}/probe.sh",
                     "--probe-interval", "300ms", "--probe-timeout", "200ms", "--probe-action", "report",
                     "--probe-for", "liveness")
        pid = self.tend.app("api")["pid"]
        wait_for(lambda: self.tend.read("probes").count("\n") >= 4, what="four probes")
        began = time.monotonic()
        self.tend.ok("list")
        self.assertLess(time.monotonic() - began, limit(3))
        wait_for(lambda: sum(alive(int(p)) for p in self.tend.read("probes").split()) <= 1, what="one probe at a time")
        self.assertEqual(self.tend.app("api")["pid"], pid)


if __name__ == "__main__":
    unittest.main()
