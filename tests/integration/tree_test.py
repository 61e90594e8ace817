"""stop and delete leave nothing of an app's tree behind, whatever its processes did to hide."""

import os
import time
import unittest

from harness import TendTest, alive, free_port, limit, port_is_free, wait_for

# Writes the pid of each process of the tree, one a line, then sleeps.
SETSID = """import os, sys, time
def note():
    with open('pids', 'a') as f: f.write('%d\\n' % os.getpid())
note()
for _ in range(3):
    if os.fork() == 0:
        os.setsid(); note(); time.sleep(1000)
time.sleep(1000)
"""
DOUBLE_FORK = """import os, sys, time
def note():
    with open('pids', 'a') as f: f.write('%d\\n' % os.getpid())
note()
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        note(); time.sleep(1000)
    os._exit(0)
os.wait()
time.sleep(1000)
"""
DEAF = """import os, signal, time
signal.signal(signal.SIGINT, signal.SIG_IGN)
if os.fork() == 0:
    with open('pids', 'a') as f: f.write('%d\\n' % os.getpid())
    time.sleep(1000)
with open('pids', 'a') as f: f.write('%d\\n' % os.getpid())
time.sleep(1000)
"""
LISTENER = """import socket, sys, time
s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind(('127.0.0.1', int(sys.argv[1]))); s.listen(); print('listening', flush=True)
time.sleep(1000)
"""


class Tree(TendTest):
    def start(self, text, count, *flags):
        """Starts `text` and returns the pids that it noted."""
        self.tend.script("tree.py", text)
        self.tend.ok("start", "tree.py", *flags)
        wait_for(lambda: self.tend.read("pids").count("\n") >= count, what=f"{count} processes")
        pids = [int(x) for x in self.tend.read("pids").split()]
        self.assertTrue(all(map(alive, pids)))
        return pids

    def assert_gone(self, pids):
        self.assertEqual([p for p in pids if alive(p)], [])

    def test_the_child_of_a_shell_goes_with_it(self):
        self.tend.script("parent.sh", "sleep 1000 & echo $! > pids; echo $$ >> pids; wait\n")
        self.tend.ok("start", "parent.sh")
        wait_for(lambda: self.tend.read("pids").count("\n") == 2, what="two pids")
        pids = [int(x) for x in self.tend.read("pids").split()]
        self.tend.ok("stop", "parent")
        self.assert_gone(pids)

    def test_23_children_in_sessions_of_their_own_go(self):
        pids = self.start(SETSID, 4)
        self.tend.ok("stop", "tree")
        self.assert_gone(pids)

    def test_a_double_forked_grandchild_goes(self):
        pids = self.start(DOUBLE_FORK, 2)
        self.tend.ok("delete", "tree")
        self.assert_gone(pids)

    def test_21_a_grandchild_goes_when_the_app_died_by_itself(self):
        pids = self.start(DOUBLE_FORK, 2, "--no-autorestart")
        os.kill(pids[0], 9)
        self.tend.wait_status("tree", "stopped")
        wait_for(lambda: not any(map(alive, pids)), what="an empty tree")

    def test_24_a_tree_deaf_to_sigint_is_killed_at_kill_timeout(self):
        pids = self.start(DEAF, 2, "--kill-timeout", "400")
        began = time.monotonic()
        self.tend.ok("stop", "tree")
        took = time.monotonic() - began
        self.assert_gone(pids)
        self.assertGreaterEqual(took, 0.39)
        self.assertLess(took, limit(2.5))

    def test_a_tree_that_heeds_sigint_is_not_kept_waiting(self):
        self.tend.ok("start", "sleep", "--name", "s", "--kill-timeout", "60s", "--", "1000")
        began = time.monotonic()
        self.tend.ok("stop", "s")
        self.assertLess(time.monotonic() - began, limit(3))

    def test_the_port_is_free_when_stop_returns(self):
        port = free_port()
        self.tend.script("listen.py", LISTENER)
        self.tend.ok("start", "listen.py", "--", str(port))
        self.tend.wait_text(self.tend.out_log("listen"), "listening")
        self.assertFalse(port_is_free(port))
        self.tend.ok("stop", "listen")
        self.assertTrue(port_is_free(port))

    def test_restart_of_a_listener_never_meets_its_own_port(self):
        port = free_port()
        self.tend.script("listen.py", LISTENER)
        self.tend.ok("start", "listen.py", "--", str(port))
        for count in range(1, 6):
            wait_for(lambda: self.tend.read(self.tend.out_log("listen")).count("listening") == count,
                     what=f"{count} starts")
            self.tend.ok("restart", "listen")
        self.assertNotIn("Address already in use", self.tend.read(self.tend.err_log("listen")))

    def test_without_treekill_only_the_main_process_is_signalled(self):
        pids = self.start(SETSID, 4, "--no-treekill")
        try:
            self.tend.ok("stop", "tree")
            self.assertFalse(alive(pids[0]))
            self.assertTrue(all(map(alive, pids[1:])))
        finally:
            for pid in pids[1:]:
                os.kill(pid, 9)

    def test_25_the_keeper_leaves_no_zombie(self):
        pids = self.start(DOUBLE_FORK, 2)
        _, keeper = self.tend.pids()
        self.tend.ok("delete", "all")

        def zombies():
            found = []
            for entry in os.listdir("/proc"):
                try:
                    fields = open(f"/proc/{entry}/stat").read().rsplit(")", 1)[1].split()
                except (OSError, IndexError):
                    continue
                if entry.isdigit() and int(fields[1]) == keeper and fields[0] == "Z":
                    found.append(entry)
            return found
        wait_for(lambda: not zombies(), 3, "a keeper without zombies")
        self.assert_gone(pids)


if __name__ == "__main__":
    unittest.main(verbosity=2)
