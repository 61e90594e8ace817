"""update: another program takes the place of the running daemon, keeper included, and no app notices."""

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import time
import unittest
from pathlib import Path

from harness import BIN, ROOT, SCALE, TendTest, alive, free_port, limit, wait_for

FIXTURES = ROOT / "tests/fixtures/cluster"
LOAD_SECONDS = 4
WRITER = """import sys, time
n = 0
while True:
    for _ in range(20):
        print('line %d' % n); n += 1
    sys.stdout.flush()
    time.sleep(0.01)
"""
SLOW = "trap 'while [ ! -e go ]; do sleep 0.05; done; exit 7' INT; echo up; while :; do sleep 0.05; done\n"
ENDS = "trap 'exit 9' USR1; echo up; while :; do sleep 0.05; done\n"
JOURNAL_MAGIC = b"TENDJRNL"


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def of_version(journal, version):
    """The bytes of a journal with another version in its header."""
    head = journal[:8] + version.to_bytes(4, "little") + bytes(4) + journal[16:64]
    return head[:12] + crc32c(head).to_bytes(4, "little") + head[16:] + journal[64:]


class UpdateTest(TendTest):
    def setUp(self):
        super().setUp()
        self.tend.supervisor_may_die = True
        self.program = self.tend.dir / "tend"  # what the daemon is started as
        shutil.copy(BIN, self.program)
        self.version = self.by(self.program, "--version").stdout.split()[-1]

    def by(self, program, *words, good=True):
        done = subprocess.run([str(program), *map(str, words)], env=self.tend.env, cwd=self.tend.work, text=True,
                              capture_output=True, stdin=subprocess.DEVNULL, timeout=limit(60), check=False)
        if good:
            self.assertEqual(done.returncode, 0, f"{words}: {done.stdout}{done.stderr}{self.tend.daemon_log()}")
        return done

    def other(self):
        """The same program, which says that it is the next version: its text is replaced in a copy."""
        major, minor, patch = self.version.split(".")
        version = f"{major}.{minor}.{(int(patch) + 1) % 10}"
        path = self.tend.dir / "next"
        text = Path(BIN).read_bytes()
        self.assertIn(self.version.encode(), text)
        path.write_bytes(text.replace(self.version.encode(), version.encode()))
        path.chmod(0o755)
        return path, version

    def daemon(self):
        return json.loads(self.tend.ok("ping", "--json").stdout)

    def facts(self):
        return [(r["pm_id"], r["name"], r["pid"], r["pm2_env"]["status"], r["pm2_env"]["restart_time"],
                 r["pm2_env"]["pm_uptime"], r["pm2_env"]["created_at"], r["pm2_env"]["unstable_restarts"])
                for r in self.tend.jlist()]

    def last_end(self, name):
        ends = json.loads(self.tend.ok("why", name, "--json").stdout)["apps"][0]["ends"]
        return ends[-1] if ends else {}

    def assert_goes_on(self, before, apps):
        """The daemon is the one that it was."""
        now = self.daemon()
        self.assertEqual(now, before)
        self.assertEqual(self.facts(), apps)


class UnderLoad(UpdateTest):
    def start_apps(self):
        shutil.copy(FIXTURES / "server.js", self.tend.work)
        for name, text in (("writer.py", WRITER), ("slow.sh", SLOW), ("ends.sh", ENDS), ("crash.sh", "exit 3\n")):
            self.tend.script(name, text)
        self.port = free_port()
        self.by(self.program, "start", "sleep", "--name", "rests", "--", "1000")
        for words in (("server.js", "--name", "api", "-i", "2"), ("writer.py", "--name", "raw"),
                      ("writer.py", "--name", "timed", "--time", "-f"), ("slow.sh", "--kill-timeout", "60s"),
                      ("ends.sh",), ("sleep", "--name", "counted", "-f", "--", "1000")):
            self.tend.ok("start", *words, env={"PORT": str(self.port)})
        self.tend.run("start", "crash.sh", "--restart-delay", "600s")
        self.tend.ok("restart", "counted")
        self.tend.ok("stop", "rests")
        self.tend.wait_status("crash", "waiting restart")
        for name in ("slow", "ends"):
            self.tend.wait_text(self.tend.out_log(name), "up\n")
        stopping = self.tend.popen("stop", "slow")
        self.addCleanup(stopping.communicate)
        self.addCleanup((self.tend.work / "go").touch)
        self.tend.wait_status("slow", "stopping")

    def load(self, mode):
        return subprocess.Popen(["node", str(FIXTURES / "load.js"), f"http://127.0.0.1:{self.port}", "8",
                                 str(LOAD_SECONDS), mode], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def assert_numbered(self, name):
        text = self.tend.read(self.tend.out_log(name))
        numbers = [int(n) for n in re.findall(r"(?m)line (\d+)$", text[:text.rindex("\n") + 1])]
        wrong = next((n for n, (a, b) in enumerate(zip(numbers, range(len(numbers)))) if a != b), None)
        self.assertIsNone(wrong, wrong is not None and f"{name}: {numbers[max(0, wrong - 3):wrong + 3]}")
        self.assertGreater(len(numbers), 100)

    def test_43_there_and_back_changes_nothing_for_apps_of_all_sorts(self):
        self.need("node")
        following, version = self.other()
        self.start_apps()
        before, keeper = self.facts(), self.daemon()["keeper"]["pid"]
        loads = [self.load("keep"), self.load("close")]
        updates = 0
        while any(load.poll() is None for load in loads):
            program, expected = ((following, version), (self.program, self.version))[updates % 2]
            done = self.by(program, "update")
            updates += 1
            self.assertIn(f"keeper {keeper}, supervisor", done.stdout)
            self.assertIn(f"version {expected};", done.stdout)
            self.assertEqual(done.stderr, "")
            daemon = self.daemon()  # by a command line of the first version
            self.assertEqual((daemon["version"], daemon["keeper"]),
                             (expected, {"pid": keeper, "version": expected, "upgrades": updates}))
            self.assertEqual(os.readlink(f"/proc/{keeper}/exe"), str(program))
            self.assertEqual(self.facts(), before)
            self.assertIn("api", self.by(following, "list").stdout)
            time.sleep(0.05 * (updates % 4))
        self.assertGreater(updates, 2 if SCALE == 1 else 0)
        for load in loads:
            found = json.loads(load.communicate(timeout=limit(60))[0])
            self.assertGreater(found["ok"], 50, found)
            self.assertEqual(found["failed"], 0, f"{updates} updates: {found}")
        self.assert_ends_are_noticed()
        self.tend.ok("stop", "raw", "timed")
        self.assert_numbered("raw")
        self.assert_numbered("timed")

    def assert_ends_are_noticed(self):
        (self.tend.work / "go").touch()
        self.tend.wait_status("slow", "stopped")
        self.assertEqual(self.tend.app("slow")["pm2_env"]["exit_code"], 7)
        for name, number, end in (("ends", signal.SIGUSR1, ("code", 9)), ("counted", signal.SIGKILL, ("signal", "SIGKILL"))):
            record = self.tend.app(name)
            os.kill(record["pid"], number)
            wait_for(lambda: self.tend.app(name)["pid"] not in (0, record["pid"]), what=f"a successor of {name}")
            self.assertEqual(self.tend.app(name)["pm2_env"]["restart_time"], record["pm2_env"]["restart_time"] + 1)
            wait_for(lambda: self.last_end(name).get(end[0]) == end[1], what=f"{name}: {end}: {self.last_end(name)}")


class Refused(UpdateTest):
    def setUp(self):
        super().setUp()
        self.by(self.program, "start", "sleep", "--name", "app", "--", "1000")

    def refuse(self, words, *program):
        before, apps = self.daemon(), self.facts()
        done = self.tend.run("update", *program)
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertRegex(done.stderr, f"^tend: update: [^\n]*{words}[^\n]*; the daemon and its apps go on\n$")
        self.assert_goes_on(before, apps)

    def test_43_a_program_that_cannot_take_over_changes_nothing(self):
        text = self.tend.script("text", "no program\n")
        torn = self.tend.dir / "torn"
        torn.write_bytes(Path(BIN).read_bytes()[:5000])
        torn.chmod(0o755)
        silent = "it does not say that it can take over"
        for program, words in ((text, "Exec format error"), (torn, ""), ("/bin/false", silent), ("/bin/true", silent),
                               ("/nowhere", "No such file"), (self.tend.work, "not a regular file")):
            with self.subTest(program=program):
                self.refuse(words, program)
        # An app's end is still noticed by the keeper that went on, and the next update is none the worse.
        pid = self.tend.app("app")["pid"]
        os.kill(pid, signal.SIGKILL)
        wait_for(lambda: self.tend.app("app")["pid"] not in (0, pid), what="a successor")
        self.tend.ok("update")

    def test_43_one_that_never_answers_is_ended_and_the_daemon_works_meanwhile(self):
        self.need("cc")
        mute = self.tend.dir / "mute"
        subprocess.run(["cc", "-x", "c", "-o", str(mute), "-"], input="#include <unistd.h>\nint main() { for (;;) pause(); }\n",
                       text=True, check=True)
        before = self.daemon()
        child = self.tend.popen("update", mute)
        wait_for(lambda: any(str(mute) == program for program in self.programs()), what="the check")
        pid = self.tend.app("app")["pid"]
        os.kill(pid, signal.SIGKILL)
        wait_for(lambda: self.tend.app("app")["pid"] not in (0, pid), what="a successor")
        done = self.tend.run("update")
        self.assertEqual((done.returncode, "another update is under way" in done.stderr), (1, True), done.stderr)
        _, err = child.communicate(timeout=limit(60))
        self.assertEqual(child.returncode, 1)
        self.assertIn(f"{mute} does not answer", err)
        self.assertNotIn(str(mute), self.programs())
        self.assertEqual(self.daemon(), before)

    def programs(self):
        """What the keeper's children run."""
        keeper = self.daemon()["keeper"]["pid"]
        found = []
        for pid in Path(f"/proc/{keeper}/task/{keeper}/children").read_text().split():
            with contextlib.suppress(OSError):
                found.append(os.readlink(f"/proc/{pid}/exe"))
        return found

    def test_16_a_journal_of_a_newer_version_is_refused_and_left_alone(self):
        journal = self.tend.home / "journal"
        real, newer = journal.read_bytes(), of_version(journal.read_bytes(), 2)
        self.assertEqual(real[:8], JOURNAL_MAGIC)
        self.assertEqual(of_version(real, 1), real)
        apps = self.facts()
        journal.write_bytes(newer)
        self.refuse("journal version 2; this tend reads version 1")
        self.supervisor_refuses("journal version 2; this tend reads version 1")
        self.assertEqual(journal.read_bytes(), newer)
        journal.write_bytes(real)
        self.tend.ok("update")
        self.assertEqual(self.facts(), apps)

    def test_43_slots_of_a_newer_version_are_refused_and_left_alone(self):
        self.tend.ok("restart", "app")
        apps, supervisor = self.facts(), self.daemon()["supervisor"]["pid"]
        held = next(f"/proc/{supervisor}/fd/{fd}" for fd in os.listdir(f"/proc/{supervisor}/fd")
                    if "memfd:tend-slots" in os.readlink(f"/proc/{supervisor}/fd/{fd}"))
        slots = os.open(held, os.O_RDWR)
        self.addCleanup(os.close, slots)
        real = os.pread(slots, 4, 8)
        version = int.from_bytes(real, "little")
        newer = (version + 1).to_bytes(4, "little")
        words = f"slot table version {version + 1}; this tend reads version {version}"
        os.pwrite(slots, newer, 8)
        self.refuse(words)
        self.supervisor_refuses(words)
        self.assertEqual(os.pread(slots, 4, 8), newer)
        os.pwrite(slots, real, 8)
        self.tend.ok("update")
        self.assertEqual(self.facts(), apps)

    def supervisor_refuses(self, words):
        """One that has to go on from what is left says so to whoever asks, touches nothing and can be replaced."""
        os.kill(self.daemon()["supervisor"]["pid"], signal.SIGKILL)
        done = wait_for(lambda: (d := self.tend.run("list")).returncode != 0 and words in d.stderr and d,
                        what=f"a refusal: {words}")
        self.assertEqual(done.stdout, "")
        self.assertIn(words, self.tend.run("update").stderr)

    def test_a_daemon_that_is_about_to_end_takes_no_program(self):
        self.tend.script("slow.sh", SLOW.replace("INT", "INT TERM"))
        self.tend.ok("start", "slow.sh", "--kill-timeout", "60s")
        self.tend.wait_text(self.tend.out_log("slow"), "up\n")
        daemon = self.daemon()
        os.kill(daemon["keeper"]["pid"], signal.SIGTERM)
        self.tend.wait_status("slow", "stopping")
        done = self.tend.run("update")
        self.assertEqual(done.returncode, 1)
        self.assertIn("the daemon is about to end", done.stderr)
        self.assertEqual(self.daemon(), daemon)
        (self.tend.work / "go").touch()
        wait_for(lambda: not alive(daemon["keeper"]["pid"]), what="the keeper's end")


class Repeated(UpdateTest):
    def setUp(self):
        super().setUp()
        self.by(self.program, "start", "sleep", "--name", "app", "--", "1000")

    def open_files(self):
        daemon = self.daemon()
        return [len(os.listdir(f"/proc/{daemon[who]['pid']}/fd")) for who in ("keeper", "supervisor")]

    def test_43_twenty_updates_leave_no_descriptor(self):
        self.tend.ok("update")
        before, apps = self.open_files(), self.facts()
        for _ in range(20):
            self.tend.ok("update")
        wait_for(lambda: self.open_files() == before, what=f"{before} open files, found {self.open_files()}")
        self.assertEqual(self.facts(), apps)
        self.assertEqual(self.daemon()["keeper"]["upgrades"], 21)

    def test_43_each_end_in_the_middle_of_updates_is_seen_once(self):
        self.tend.script("ends.sh", "echo run >> runs; sleep 0.005; [ ! -e enough ] || exec sleep 1000; exit 3\n")
        self.tend.ok("start", "ends.sh", "--max-restarts", "1000000", "--no-wait", "-i", "4")
        for _ in range(15):
            self.tend.ok("update")
        wait_for(lambda: self.tend.read("runs").count("run") > 100, what="some runs")
        (self.tend.work / "enough").touch()

        def all_stay():
            return all("sleep 1000" in self.command(r["pid"]) for r in self.tend.jlist())
        wait_for(all_stay, what="four that stay")
        restarts = [r["pm2_env"]["restart_time"] for r in self.tend.jlist() if r["name"] == "ends"]
        self.assertEqual(sum(restarts) + 4, self.tend.read("runs").count("run"))

    @staticmethod
    def command(pid):
        with contextlib.suppress(OSError):
            return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
        return ""

    def test_updates_at_once_do_no_harm(self):
        apps, keeper = self.facts(), self.daemon()["keeper"]["pid"]
        children = [self.tend.popen("update") for _ in range(6)]
        answers = [(child.communicate(timeout=limit(60))[1], child.returncode) for child in children]
        for err, code in answers:
            self.assertIn(code, (0, 1))
            if code == 1:
                self.assertIn("another update is under way", err)
        self.assertIn(0, [code for _, code in answers])
        self.assertEqual(self.daemon()["keeper"]["pid"], keeper)
        self.assertEqual(self.facts(), apps)

    def test_44_a_program_that_is_gone_still_starts_supervisors(self):
        apps = self.facts()
        for what in ("replaced by no program", "removed"):
            os.unlink(self.program)
            if what != "removed":
                self.program.write_text("no program\n")
                self.program.chmod(0o755)
            with self.subTest(what):
                old = self.daemon()
                os.kill(old["supervisor"]["pid"], signal.SIGKILL)
                wait_for(lambda: not alive(old["supervisor"]["pid"]), what="its end")
                new = self.daemon()
                self.assertNotEqual(new["supervisor"], old["supervisor"])
                self.assertEqual(new["keeper"], old["keeper"])
                self.assertEqual(self.facts(), apps)
        # The next program is one that was put there later.
        following, version = self.other()
        os.rename(following, self.program)
        self.by(self.program, "update")
        self.assertEqual(self.daemon()["keeper"]["version"], version)
        self.assertEqual(os.readlink(f"/proc/{self.daemon()['keeper']['pid']}/exe"), str(self.program))


if __name__ == "__main__":
    unittest.main()
