"""What is found at the start is damaged, stale, of another version or gone: the last good state, and no stranger harmed."""

import os
import shutil
import signal
import socket
import subprocess
import unittest
from pathlib import Path

from faults import refusing
from harness import BIN, Tend, TendTest, alive, limit, processes_naming, wait_for

HEADER = 64


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


class FaultJournal(TendTest):
    def setUp(self):
        super().setUp()
        self.tend.supervisor_may_die = True
        self.journal = self.tend.home / "journal"

    def start(self, name):
        self.tend.ok("start", "sleep", "--name", name, "-f", "--", "1000")
        return self.tend.app(name)["pid"]

    def damage(self, change):
        """The supervisor dies, and its successor finds another journal."""
        supervisor = next(pid for pid, words in processes_naming(str(self.tend.home))
                          if words.startswith("tend: supervisor"))
        os.kill(supervisor, signal.SIGSTOP)
        self.journal.write_bytes(change(self.journal.read_bytes()))
        os.kill(supervisor, signal.SIGKILL)
        wait_for(lambda: not alive(supervisor), what="the supervisor's end")

    def log(self):
        return self.tend.read(self.tend.home / "tend.log")

    def test_15_what_is_torn_zeroed_or_foreign_at_the_end_costs_nothing_that_was_whole(self):
        pid = self.start("a")
        for tail in (b"\0" * 4096, b"\x10\0\0\0half a record", os.urandom(500)):
            self.damage(lambda text, tail=tail: text + tail)
            self.assertEqual((self.tend.app("a")["pid"], self.tend.status("a")), (pid, "online"))
        self.assertEqual(self.log().count("what follows is torn or damaged"), 3)
        # And it is written on behind what is good.
        self.start("b")
        self.damage(lambda text: text)
        self.assertEqual(sorted(r["name"] for r in self.tend.jlist()), ["a", "b"])

    def test_15_a_flipped_bit_stops_at_the_last_good_record_and_tells_of_what_it_no_longer_knows(self):
        a = self.start("a")
        size = self.journal.stat().st_size
        b = self.start("b")

        def flip(text):
            return text[:size + 20] + bytes([text[size + 20] ^ 4]) + text[size + 21:]
        self.damage(flip)
        self.assertEqual([(r["name"], r["pid"]) for r in self.tend.jlist()], [("a", a)])
        wait_for(lambda: not alive(b), what="the end of what nobody wants")
        self.assertIn(f"ending process {b}: nobody wants it", self.log())

    def test_16_a_journal_of_a_future_version_is_refused_with_words_and_untouched(self):
        pid = self.start("a")
        (_, keeper), before = self.tend.pids(), self.journal.read_bytes()
        head = bytearray(before[:HEADER])
        head[8:16] = b"\2\0\0\0\0\0\0\0"
        head[12:16] = crc32c(bytes(head)).to_bytes(4, "little")
        future = bytes(head) + before[HEADER:]
        self.damage(lambda _: future)
        for words in (["list"], ["stop", "a"], ["start", "sleep", "--name", "b", "--", "1"], ["kill"]):
            done = self.tend.run(*words)
            self.assertNotEqual(done.returncode, 0, words)
            self.assertIn("journal version 2; this tend reads version 1", done.stderr)
        self.assertIn(f"kill {keeper}", done.stderr)
        self.assertTrue(alive(pid))
        self.assertEqual(self.journal.read_bytes(), future)
        # The tend that wrote it goes on where it was.
        self.damage(lambda _: before)
        self.tend.wait_status("a", "online")
        self.assertEqual(self.tend.app("a")["pid"], pid)

    def test_16_a_daemon_that_refuses_still_ends_by_the_signal_that_it_names(self):
        pid = self.start("a")
        _, keeper = self.tend.pids()
        self.damage(lambda text: b"no journal" * 20)
        self.assertIn("not a journal", self.tend.run("list").stderr)
        os.kill(keeper, signal.SIGTERM)
        wait_for(lambda: not alive(keeper) and not alive(pid), 20, "the end of keeper and app")
        wait_for(lambda: not processes_naming(str(self.tend.dir)), 5, "an empty home")

    def test_16_a_dump_of_a_future_version_is_refused_and_untouched(self):
        self.start("a")
        self.tend.ok("save")
        dump = self.tend.home / "dump.json"
        text = dump.read_text()
        self.assertIn('"version":', text.replace(" ", ""))
        future = text.replace('"version": 1', '"version": 99').replace('"version":1', '"version":99')
        self.assertNotEqual(future, text)
        dump.write_text(future)
        done = self.tend.run("resurrect")
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("version 99", done.stderr)
        self.assertEqual(dump.read_text(), future)


class FaultStale(TendTest):
    def test_18_stale_socket_lock_and_pid_files_name_a_stranger_who_is_left_alone(self):
        stranger = subprocess.Popen(["sleep", "1000"])
        self.addCleanup(stranger.wait)
        self.addCleanup(stranger.kill)
        home = self.tend.home
        (home / "pids").mkdir(parents=True)
        for name in ("lock", "tend.pid", "pm2.pid", "pids/s-0.pid", "pids/s.pid"):
            (home / name).write_text(f"{stranger.pid}\n")
        with socket.socket(socket.AF_UNIX) as stale:
            stale.bind(str(home / "tend.sock"))
        pid_file = self.tend.work / "own.pid"
        pid_file.write_text(f"{stranger.pid}\n")
        self.tend.ok("list")  # nobody listens there
        self.tend.ok("start", "sleep", "--name", "s", "--pid", pid_file, "--", "1000")
        self.assertEqual(self.tend.status("s"), "online")
        for words in (["restart", "s"], ["reload", "s"], ["sendSignal", "SIGCONT", "s"], ["stop", "s"], ["delete", "s"],
                      ["kill"]):
            self.tend.ok(*words)
        self.tend._first_supervisor = None
        self.assertIsNone(stranger.poll())


class FaultPids(TendTest):
    """In a pid namespace, where the next pid can be chosen."""

    def setUp(self):
        super().setUp()
        self.need_root()
        for program in ("unshare", "nsenter"):
            self.need(program)
        holder = subprocess.Popen(["unshare", "--pid", "--fork", "--kill-child", "--mount-proc", "sh", "-c",
                                   "trap '' CHLD; exec sleep 1000"], stderr=subprocess.PIPE)
        self.addCleanup(holder.wait)
        self.addCleanup(holder.stderr.close)
        self.addCleanup(holder.kill)
        children = Path(f"/proc/{holder.pid}/task/{holder.pid}/children")
        self.init = wait_for(lambda: holder.poll() is None and children.read_text().split(), what="the namespace")[0]
        wait_for(lambda: Path(f"/proc/{self.init}/comm").read_text() == "sleep\n", what="its init")
        # Its daemon ends before the namespace does.
        self.tend = self.make_tend()
        self.tend.prefix = ["nsenter", "--target", self.init, "--pid", "--mount", f"--wd={self.tend.work}"]

    def inside(self, script):
        done = subprocess.run([*self.tend.prefix, "sh", "-c", script], capture_output=True, text=True,
                              timeout=limit(30), check=False)
        return done.stdout.strip()

    def stranger(self, pid=None):
        """A process in there that is not tend's, under that pid; returns its pid and a question: does it live?"""
        wanted = f"echo {pid - 1} > /proc/sys/kernel/ns_last_pid; " if pid else ""
        got = int(self.inside(f"{wanted}env -i setsid /bin/sleep 1000 >/dev/null 2>&1 & echo $!"))
        return got, lambda: self.inside(f"cat /proc/{got}/comm") == "sleep"

    def reuse(self, name):
        """The pid of that app is a stranger's before the supervisor hears of the app's end."""
        supervisor, _ = self.tend.pids()
        pid = self.tend.app(name)["pid"]
        self.inside(f"kill -STOP {supervisor}; kill -KILL {pid}; while [ -d /proc/{pid} ]; do :; done")
        got, lives = None, None
        for _ in range(20):
            got, lives = self.stranger(pid)
            if got == pid:
                break
        self.assertEqual(got, pid, "the pid could not be had again")
        return supervisor, lives

    def test_18_a_pid_that_a_stranger_has_got_is_never_signalled(self):
        self.tend.env["TEND_NO_CGROUP"] = ""
        for cgroups in (True, False):
            if cgroups:
                del self.tend.env["TEND_NO_CGROUP"]
            else:
                self.tend.env["TEND_NO_CGROUP"] = "1"
            for command in ("stop", "restart", "delete"):
                with self.subTest(command=command, cgroups=cgroups):
                    self.tend.ok("start", "sleep", "--name", "s", "-f", "--", "1000")
                    supervisor, lives = self.reuse("s")
                    child = self.tend.popen(command, "s")
                    self.inside(f"kill -CONT {supervisor}")
                    child.communicate(timeout=limit(30))
                    self.tend.ok("list")
                    self.assertTrue(lives())
                    self.tend.run("delete", "all")
            self.tend.ok("kill")
            self.tend._first_supervisor = None

    def test_19_pids_that_wrap_round_in_no_time_harm_no_stranger(self):
        if tuple(int(n) for n in os.uname().release.split("-")[0].split(".")[:2]) < (6, 14):
            self.skipTest("pid_max is the whole machine's before Linux 6.14")
        self.assertEqual(self.inside("echo 400 > /proc/sys/kernel/pid_max; cat /proc/sys/kernel/pid_max"), "400")
        strangers = [self.stranger()[1] for _ in range(5)]
        self.tend.script("forks.sh", "#!/bin/sh\nwhile :; do /bin/true; done\n")
        self.tend.script("ends.sh", "#!/bin/sh\nexit 1\n")
        self.tend.ok("start", "forks.sh", "--interpreter", "none")
        self.tend.run("start", "ends.sh", "--interpreter", "none", "--max-restarts", "1000")
        self.tend.ok("start", "sleep", "--name", "s", "-i", "5", "--", "1000")
        seen = [0]

        def came_round():
            seen.append(int(self.inside("sh -c 'echo $$'")))
            return seen[-1] < seen[-2]
        for command in ("restart", "stop", "start", "restart", "stop"):
            self.tend.ok(command, "s")
            wait_for(came_round, 20, "a round of the pids")
            self.assertTrue(all(lives() for lives in strangers), command)
        self.tend.ok("stop", "forks")
        self.assertEqual({r["pm2_env"]["status"] for r in self.tend.jlist() if r["name"] in ("s", "forks")}, {"stopped"})


if __name__ == "__main__":
    unittest.main(verbosity=2)
