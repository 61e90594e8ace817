"""The home on a file system that lacks locks or sockets, moved, or deleted: one daemon, and it goes on."""

import os
import shutil
import signal
import subprocess
import sys
import time
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


class FaultStart(TendTest):
    def test_44_a_daemon_that_cannot_start_says_why_at_once(self):
        lock = self.tend.home / "lock"
        lock.mkdir(parents=True)
        for words in (["start", "sleep", "--", "1000"], ["runtime", "sleep", "--", "1000"]):
            began = time.monotonic()
            done = self.tend.run(*words)
            self.assertEqual(done.returncode, 1)
            self.assertIn(f"tend: the daemon cannot start: open {lock}: Is a directory\n", done.stderr)
            self.assertLess(time.monotonic() - began, limit(2))


class FaultHome(TendTest):
    def setUp(self):
        super().setUp()
        self.tend.supervisor_may_die = True
        self.tend.ok("start", "sleep", "--name", "s", "--", "1000")
        self.tend.ok("start", "sleep", "--name", "t", "-i", "2", "--", "1000")
        self.tend.ok("stop", "s")
        self.tend.ok("start", "s")
        self.before = self.apps()
        self.daemons = self.tend.pids()

    def apps(self):
        return [(r["name"], r["pm_id"], r["pid"], r["pm2_env"]["status"]) for r in self.tend.jlist()]

    def answers(self):
        """By a command that starts no daemon: the one that is there has its home again."""
        wait_for(lambda: " s " in self.tend.run("list").stdout, what="the home again")

    def made_again(self, words="was made again, with all that runs"):
        self.answers()
        self.assertIn(words, self.tend.daemon_log())
        self.assertEqual(self.apps(), self.before)
        self.assertEqual(self.tend.pids()[1], self.daemons[1])
        self.assertEqual(mode(self.tend.home), 0o700)
        # What is asked for from here on is kept as ever.
        self.tend.ok("start", "sleep", "--name", "later", "--", "1000")
        self.tend.ok("stop", "s")
        os.kill(self.tend.pids()[0], signal.SIGKILL)
        self.answers()
        self.assertEqual({name: status for name, _, _, status in self.apps()},
                         {"s": "stopped", "t": "online", "later": "online"})
        self.tend.ok("save")

    def test_44_a_home_that_is_deleted_is_made_again(self):
        shutil.rmtree(self.tend.home, ignore_errors=True)
        self.made_again()

    def test_44_a_home_that_is_moved_away_is_made_again_and_what_was_moved_starts_nothing_twice(self):
        moved = self.tend.dir / "moved"
        self.tend.home.rename(moved)
        self.made_again()
        other = self.make_tend(home=moved)
        other.ok("start", "sleep", "--name", "o", "--", "1000")
        self.assertEqual([r["name"] for r in other.jlist()], ["o"])

    def test_44_a_home_that_goes_with_the_folder_around_it_is_made_again_with_the_next_change(self):
        self.tend.ok("kill")
        self.tend._first_supervisor = None
        self.tend.home = self.tend.dir / "around/home"
        self.tend.env["TEND_HOME"] = str(self.tend.home)
        self.tend.ok("start", "sleep", "--name", "s", "--", "1000")
        app, supervisor = self.tend.app("s")["pid"], self.tend.pids()[0]
        self.tend.home.parent.rename(self.tend.dir / "elsewhere")
        os.kill(supervisor, signal.SIGKILL)
        self.answers()
        self.assertEqual((self.tend.app("s")["pid"], self.tend.status("s")), (app, "online"))

    def test_44_a_home_that_is_deleted_while_no_supervisor_can_notice_costs_no_app(self):
        os.kill(self.daemons[0], signal.SIGSTOP)
        shutil.rmtree(self.tend.home)
        os.kill(self.daemons[0], signal.SIGKILL)
        self.made_again()

    def test_44_a_socket_that_is_deleted_is_bound_again(self):
        (self.tend.home / "tend.sock").unlink()
        self.made_again("its socket was deleted")

    def test_44_another_daemon_that_has_the_home_meanwhile_and_the_first_leave_each_other_alone(self):
        supervisor, keeper = self.daemons
        pids = [pid for _, _, pid, _ in self.before]
        os.kill(supervisor, signal.SIGSTOP)
        shutil.rmtree(self.tend.home)
        self.tend.ok("start", "sleep", "--name", "new", "--", "1000")
        new = self.tend.app("new")["pid"]
        # It ends what nobody cares for any more only if that is so.
        self.assertTrue(all(map(alive, pids)))
        os.kill(supervisor, signal.SIGCONT)
        os.kill(pids[0], signal.SIGKILL)
        children = Path(f"/proc/{keeper}/task/{keeper}/children")
        wait_for(lambda: len(children.read_text().split()) == len(pids) + 1 and str(pids[0]) not in children.read_text(),
                 what="the first daemon's care")
        os.kill(supervisor, signal.SIGKILL)
        wait_for(lambda: "another daemon has it now" in self.tend.daemon_log(), what="the word")
        self.assertTrue(all(map(alive, pids[1:])))
        self.assertEqual([r["pid"] for r in self.tend.jlist()], [new])
        os.kill(keeper, signal.SIGTERM)
        wait_for(lambda: not alive(keeper) and not any(map(alive, pids)), 20, "the first daemon's end")
        self.assertEqual((self.tend.app("new")["pid"], self.tend.status("new")), (new, "online"))


if __name__ == "__main__":
    unittest.main(verbosity=2)
