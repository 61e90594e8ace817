"""The daemon itself: one per home, however it is asked; none after kill."""

import json
import os
import shutil
import subprocess
import time
import unittest
from pathlib import Path

from harness import BIN, SCALE, TendTest, alive, limit, processes_naming, wait_for


def titled(tend, title):
    return [pid for pid, command in processes_naming(str(tend.home)) if command.startswith(title)]


class Daemon(TendTest):
    def test_17_two_hundred_commands_at_once_on_an_empty_home_make_one_daemon(self):
        # What only looks starts no daemon, so these start an app each. A sanitizer's 200 processes need 25 GB.
        count = 200 if SCALE == 1 else 30
        children = [self.tend.popen("start", "sleep", "--name", f"n{n}", "--", "1000") for n in range(count)]
        for child in children:
            out, err = child.communicate(timeout=limit(60))
            self.assertEqual((child.returncode, err), (0, ""), out)
        self.assertEqual(sorted(r["name"] for r in self.tend.jlist()), sorted(f"n{n}" for n in range(count)))
        self.assertEqual(len(titled(self.tend, "tend: keeper")), 1)
        self.assertEqual(len(titled(self.tend, "tend: supervisor")), 1)

    def test_ping_json_tells_version_home_and_the_two_pids(self):
        self.tend.sleeper()
        self.tend.ok("start", "sleeper.sh")
        answer = json.loads(self.tend.ok("ping", "--json").stdout)
        self.assertEqual(set(answer), {"version", "home", "supervisor", "keeper"})
        self.assertEqual(answer["home"], str(self.tend.home))
        for role in ("supervisor", "keeper"):
            command = Path(f"/proc/{answer[role]['pid']}/cmdline").read_bytes()
            self.assertTrue(command.startswith(b"tend: " + role.encode()), command)
        self.assertEqual(answer["version"], self.tend.ok("--version").stdout.split()[-1])

    def test_a_long_home_path_works(self):
        base = self.tend.dir / ("long-" + "x" * 180)
        tend = self.make_tend(home=base / "home")
        tend.ok("start", "sleep", "--name", "s", "--", "1000")
        self.assertEqual(tend.status("s"), "online")
        tend.ok("kill")
        tend._first_supervisor = None

    def test_two_homes_know_nothing_of_each_other(self):
        other = self.make_tend()
        self.tend.ok("start", "sleep", "--name", "mine", "--", "1000")
        self.assertEqual(other.jlist(), [])

    def test_kill_ends_apps_and_both_daemons(self):
        self.tend.ok("start", "sleep", "--name", "s", "--", "1000")
        pid = self.tend.app("s")["pid"]
        daemons = self.tend.pids()
        self.tend.ok("kill")
        self.assertFalse(alive(pid))
        wait_for(lambda: not any(map(alive, daemons)), 2, "the daemons' end")
        self.assertFalse((self.tend.home / "tend.sock").exists())
        self.tend._first_supervisor = None

    def test_a_daemon_starts_again_after_kill(self):
        self.tend.ok("start", "sleep", "--name", "s", "--", "1000")
        self.tend.ok("kill")
        self.tend._first_supervisor = None
        self.tend.ok("start", "sleep", "--name", "s", "--", "1000")
        self.assertEqual([r["pm_id"] for r in self.tend.jlist()], [0])

    def test_sigterm_to_the_keeper_is_a_clean_end(self):
        self.tend.ok("start", "sleep", "--name", "s", "--", "1000")
        pid = self.tend.app("s")["pid"]
        _, keeper = self.tend.pids()
        os.kill(keeper, 15)
        wait_for(lambda: not alive(keeper) and not alive(pid), what="the end of keeper and app")
        wait_for(lambda: not processes_naming(str(self.tend.dir)), 3, "an empty home")

    def test_the_daemon_holds_no_terminal_no_folder_and_no_descriptor_of_its_caller(self):
        read_end, write_end = os.pipe()
        child = self.tend.popen("start", "sleep", "--name", "s", "--", "1000", pass_fds=(write_end,))
        os.close(write_end)
        child.communicate(timeout=limit(30))
        # Every copy of the write end is gone once the command ended, or this read waits for ever.
        os.set_blocking(read_end, False)
        wait_for(lambda: os.read(read_end, 1) == b"" if not self._blocks(read_end) else False, 3, "the pipe's end")
        os.close(read_end)
        for pid in self.tend.pids():
            self.assertEqual(os.readlink(f"/proc/{pid}/cwd"), "/")
            self.assertNotEqual(os.getsid(pid), os.getsid(0))

    @staticmethod
    def _blocks(fd):
        import select
        return not select.select([fd], [], [], 0)[0]

    def test_40_a_home_of_strangers_is_refused(self):
        self.need_root()
        self.need("setpriv")
        self.tend.ok("start", "sleep", "--name", "s", "--", "1000")
        self.tend.dir.chmod(0o755)
        self.tend.home.chmod(0o755)
        (self.tend.home / "tend.sock").chmod(0o777)  # so that the peer's uid alone decides
        program = self.tend.dir / "tend"
        shutil.copy(BIN, program)
        done = subprocess.run(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", program, "jlist"],
                              env={**self.tend.env, "HOME": "/"}, stdin=subprocess.DEVNULL, capture_output=True,
                              text=True, cwd="/", timeout=limit(60))
        self.assertNotEqual(done.returncode, 0)
        self.assertNotIn("pm2_env", done.stdout)
        self.assertEqual(self.tend.status("s"), "online")

    def test_an_idle_daemon_does_not_wake(self):
        self.tend.ok("start", "sleep", "--name", "s", "--", "1000")

        def switches():
            total = 0
            for pid in daemons:
                for task in os.listdir(f"/proc/{pid}/task"):
                    text = Path(f"/proc/{pid}/task/{task}/status").read_text()
                    total += int(text.split("voluntary_ctxt_switches:")[1].split()[0])
            return total
        daemons = self.tend.pids()
        time.sleep(limit(0.3))  # the last command's own work ends
        before = switches()
        time.sleep(2)  # idleness is the matter of the test
        self.assertLessEqual(switches() - before, 1)

    def test_an_unknown_command_is_a_usage_error(self):
        self.assertEqual(self.tend.run("frobnicate").returncode, 2)

    def test_what_only_looks_starts_no_daemon(self):
        self.tend.ok("--version")
        self.tend.ok("jlist")
        self.tend.ok("list")
        self.assertEqual(processes_naming(str(self.tend.dir)), [])


if __name__ == "__main__":
    unittest.main(verbosity=2)
