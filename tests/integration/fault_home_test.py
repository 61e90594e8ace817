"""The home on a file system that lacks locks or sockets, moved, or deleted: one daemon, and it goes on."""

import os
import re
import shutil
import signal
import subprocess
import sys
import unittest
from pathlib import Path

from faults import MountTest
from harness import TendTest, alive, limit, mode, processes_naming, wait_for

POOR = Path(__file__).with_name("poor_fs.py")


class FaultPoorFs(MountTest):
    def setUp(self):
        self.servers = []
        self.addCleanup(self._end_servers)  # after the unmounting
        super().setUp()
        self.runtime = self.tend.dir / "runtime"
        self.runtime.mkdir(mode=0o700)
        self.tend.env["XDG_RUNTIME_DIR"] = str(self.runtime)

    def _end_servers(self):
        for server in self.servers:
            server.kill()
            server.wait()
            server.stdout.close()

    def home_without(self, *what):
        if not os.access("/dev/fuse", os.W_OK):
            self.skipTest("no /dev/fuse")
        home = self.tend.home
        home.mkdir(mode=0o700)
        server = subprocess.Popen([sys.executable, POOR, ".", *what], stdout=subprocess.PIPE, text=True,
                                  stderr=subprocess.DEVNULL, cwd=home)
        self.servers.append(server)
        if server.stdout.readline() != "mounted\n":
            self.skipTest("FUSE file systems cannot be mounted here")
        self.mounted.append(home)

    def place(self):
        return Path(self.tend.read(self.tend.home / "sock").strip())

    def one_daemon(self):
        """Many at once, and all speak with the same one."""
        asking = [self.tend.popen("ping", "--json", env={"XDG_RUNTIME_DIR": str(self.runtime) if i % 2 else ""})
                  for i in range(20)]
        self.tend.ok("start", "sleep", "--name", "s", "--", "1000")
        answers = {child.communicate(timeout=limit(60))[0] for child in asking}
        keepers = [pid for pid, words in processes_naming(str(self.tend.home)) if words.startswith("tend: keeper")]
        self.assertEqual(len(keepers), 1, answers)
        self.assertEqual(self.tend.pids()[1], keepers[0])
        return self.tend.app("s")["pid"]

    def lives_through_it_all(self, pid):
        supervisor, keeper = self.tend.pids()
        self.tend.supervisor_may_die = True
        os.kill(supervisor, signal.SIGKILL)
        wait_for(lambda: not alive(supervisor), what="the supervisor's end")
        self.assertEqual((self.tend.app("s")["pid"], self.tend.pids()[1]), (pid, keeper))
        os.kill(keeper, signal.SIGKILL)
        wait_for(lambda: not alive(keeper), what="the keeper's end")
        wait_for(lambda: self.tend.run("jlist").returncode == 0 and self.tend.pids()[1] != keeper, 20, "another keeper")
        self.assertEqual(self.tend.app("s")["pid"], pid)
        self.tend.ok("update")
        self.assertEqual(self.tend.app("s")["pid"], pid)
        self.tend.ok("kill")
        self.tend._first_supervisor = None
        self.assertFalse(alive(pid))

    def elsewhere(self, *what):
        self.home_without(*what)
        pid = self.one_daemon()
        place = self.place()
        self.assertTrue((place / "tend.sock").is_socket())
        self.assertEqual((mode(place), place.stat().st_uid), (0o700, os.geteuid()))
        self.assertFalse((self.tend.home / "tend.sock").exists())
        self.assertIn(f"both are in {place}", self.tend.run("doctor").stdout)
        self.lives_through_it_all(pid)
        self.assertFalse((place / "tend.sock").exists())
        # The same place again, whatever the caller's variables say.
        self.tend.env["XDG_RUNTIME_DIR"] = str(self.tend.work)
        self.tend.ok("start", "sleep", "--name", "s", "--", "1000")
        self.assertEqual(self.place(), place)
        self.tend.ok("kill")
        self.tend._first_supervisor = None
        shutil.rmtree(place)

    def test_44_a_home_without_locks_has_lock_and_socket_elsewhere(self):
        self.elsewhere("no-locks")

    def test_44_a_home_without_sockets_has_lock_and_socket_elsewhere(self):
        self.elsewhere("no-sockets")

    def test_44_a_home_without_either_and_a_folder_that_is_not_there_any_more(self):
        self.home_without("no-sockets", "no-locks")
        (self.tend.home / "sock").write_text("/run/nowhere/tend-0\n")
        self.tend.ok("start", "sleep", "--name", "s", "--", "1000")
        self.assertEqual(self.place().parent, self.runtime)
        self.assertEqual(self.tend.status("s"), "online")

    def test_44_without_a_folder_for_run_time_files_it_is_the_temporary_one(self):
        self.home_without("no-locks")
        temporary = self.tend.dir / "temporary"
        temporary.mkdir()
        self.tend.env.update(XDG_RUNTIME_DIR="", TMPDIR=str(temporary))
        self.tend.ok("start", "sleep", "--name", "s", "--", "1000")
        place = self.place()
        self.assertEqual(place.parent, temporary)
        self.tend.ok("kill")
        self.tend._first_supervisor = None
        os.chown(place, 65534, 65534)  # a stranger was there before
        self.tend.ok("start", "sleep", "--name", "s", "--", "1000")
        self.assertNotEqual(self.place(), place)
        self.assertEqual((mode(self.place()), self.place().stat().st_uid), (0o700, os.geteuid()))

    def test_44_a_home_with_both_is_used_itself(self):
        self.home_without()
        self.tend.ok("start", "sleep", "--name", "s", "--", "1000")
        self.assertTrue((self.tend.home / "tend.sock").is_socket())
        self.assertFalse((self.tend.home / "sock").exists())


if __name__ == "__main__":
    unittest.main(verbosity=2)
