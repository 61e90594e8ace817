"""The keeper is killed, alone and together with its supervisor."""

import http.client
import os
import re
import signal
import threading
import time
import unittest

from harness import TendTest, alive, free_port, processes_naming, wait_for

SERVER = """const http = require('http')
http.createServer((q, r) => r.end(String(process.pid))).listen(process.env.PORT)
process.on('disconnect', () => console.log('the channel ended'))
let n = 0
setInterval(() => console.log('line ' + n++), 5)
"""
WRITER = """import sys, time
n = 0
while True:
    print('line %d' % n, flush=True); n += 1
    time.sleep(0.002)
"""
KILLS = 10


class Load(threading.Thread):
    """Requests one after the other, half of them over new connections."""

    def __init__(self, port):
        super().__init__(daemon=True)
        self.port, self.done, self.failed, self.stopping = port, 0, [], False

    def run(self):
        kept = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        while not self.stopping:
            fresh = self.done % 2 == 0
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10) if fresh else kept
            try:
                connection.request("GET", "/")
                connection.getresponse().read()
                self.done += 1
            except OSError as error:
                self.failed.append(repr(error))
                kept.close()
            if fresh:
                connection.close()
        kept.close()

    def stop(self):
        self.stopping = True
        self.join()


class KeeperKill(TendTest):
    def setUp(self):
        super().setUp()
        self.tend.supervisor_may_die = True

    def kill_keeper(self):
        supervisor, keeper = self.tend.pids()
        os.kill(keeper, signal.SIGKILL)
        now = wait_for(lambda: (p := self.tend.pids())[1] != keeper and p, what="another keeper")
        wait_for(lambda: not alive(supervisor), what="the end of the first supervisor")
        return now

    def kill_both(self):
        supervisor, keeper = self.tend.pids()
        os.kill(supervisor, signal.SIGSTOP)  # it must not notice the other's end
        os.kill(keeper, signal.SIGKILL)
        os.kill(supervisor, signal.SIGKILL)
        wait_for(lambda: not alive(supervisor) and not alive(keeper), what="the end of both")

    @staticmethod
    def facts(records):
        return [(r["pm_id"], r["name"], r["pid"], r["pm2_env"]["status"], r["pm2_env"]["restart_time"],
                 r["pm2_env"]["pm_uptime"], r["pm2_env"]["created_at"], r["pm2_env"]["unstable_restarts"])
                for r in records]

    def assert_numbered(self, name, instance=None):
        text = self.tend.read(self.tend.out_log(name, instance))
        self.assertNotIn("the channel ended", text)
        numbers = [int(n) for n in re.findall(r"line (\d+)\n", text)]
        self.assertEqual(numbers, list(range(len(numbers))))
        self.assertGreater(len(numbers), 20)

    def test_apps_sockets_and_logs_live_through_ten_keepers(self):
        port = free_port()
        self.tend.script("server.js", SERVER)
        self.tend.script("writer.py", WRITER)
        self.tend.ok("start", "server.js", "-i", "2", "--name", "web", "--time",
                     env={"PORT": str(port)})
        self.tend.ok("start", "writer.py", "--name", "raw")
        self.tend.ok("start", "sleep", "--name", "rests", "-f", "--", "1000")
        self.tend.ok("stop", "rests")
        before = self.facts(self.tend.jlist())
        load = Load(port)
        load.start()
        for count in range(KILLS):
            self.kill_keeper()
            self.assertEqual(self.facts(self.tend.jlist()), before, f"after kill {count + 1}")
        load.stop()
        self.assertEqual(load.failed, [])
        self.assertGreater(load.done, 50)
        self.tend.ok("stop", "raw")
        self.assert_numbered("raw")
        self.tend.ok("reload", "web")
        self.assertEqual({r["pm2_env"]["status"] for r in self.tend.jlist() if r["name"] == "web"}, {"online"})

    def test_an_end_is_seen_and_its_status_is_not(self):
        self.tend.script("ends.sh", "#!/bin/sh\ntrap 'exit 3' TERM\nwhile :; do sleep 0.05; done\n")
        self.tend.ok("start", "ends.sh", "--name", "ends", "--stop-exit-codes", "3")
        pid = self.tend.app("ends")["pid"]
        self.kill_keeper()
        os.kill(pid, signal.SIGTERM)
        record = wait_for(lambda: (r := self.tend.app("ends"))["pid"] not in (pid, 0) and r, what="another process")
        # Which codes are good is no help where no code is known: it counts as a crash.
        self.assertEqual(record["pm2_env"]["restart_time"], 1)
        self.assertIn("exit status unknown (keeper lost)", self.tend.ok("describe", "ends").stdout)
        # The next one is the new keeper's own child.
        os.kill(record["pid"], signal.SIGTERM)
        self.tend.wait_status("ends", "stopped")
        self.assertIn("code 3", self.tend.ok("why", "ends").stdout)

    def test_stop_restart_and_kill_reach_adopted_trees(self):
        for groups in ({}, {"TEND_NO_CGROUP": "1"}):
            with self.subTest(groups):
                tend = self.make_tend(extra_env=groups)
                tend.supervisor_may_die = True
                self.tend, first = tend, self.tend
                tend.script("tree.sh", "#!/bin/sh\n(setsid sleep 1000 &)\nsleep 1000 &\nwait\n")
                for name in ("one", "two", "three"):
                    tend.ok("start", "tree.sh", "--name", name)
                mine = lambda: [p for p in processes_naming(str(tend.dir)) if "sleep 1000" in p[1]]
                wait_for(lambda: len(mine()) == 6, what="the trees")
                self.kill_keeper()
                self.assertEqual(len(mine()), 6)
                tend.ok("stop", "one")
                wait_for(lambda: len(mine()) == 4, what="the end of one tree")
                old = tend.app("two")["pid"]
                tend.ok("restart", "two")
                self.assertNotEqual(tend.app("two")["pid"], old)
                wait_for(lambda: len(mine()) == 4, what="one tree in the place of another")
                tend.ok("kill")
                wait_for(lambda: not mine(), what="the end of all trees")
                self.tend = first

    def test_the_keeper_dies_in_the_middle_of_a_hundred_starts(self):
        script = self.tend.script("mark.sh", "#!/bin/sh\nexec sleep 1000\n")
        self.tend.ok("ping")
        self.tend.json_file("many.json", {"apps": [{"name": f"a{n}", "script": str(script)} for n in range(100)]})
        child = self.tend.popen("start", "many.json")
        keeper = self.tend.pids()[1]
        wait_for(lambda: len(processes_naming(str(script)) or processes_naming(str(self.tend.dir))) > 20, what="some of them")
        os.kill(keeper, signal.SIGKILL)
        child.communicate()
        self.tend.ok("start", "many.json")
        records = self.tend.jlist()
        self.assertEqual(sorted(r["name"] for r in records), sorted(f"a{n}" for n in range(100)))
        self.assertEqual({r["pm2_env"]["status"] for r in records}, {"online"})
        # Each of them once: what the lost keeper had started without a word was found.
        wait_for(lambda: len([p for p in processes_naming(str(self.tend.dir)) if "sleep 1000" in p[1]]) == 100,
                 what="a hundred processes")

    def test_both_at_once_what_is_left_is_ended_and_comes_back_once(self):
        self.tend.script("server.js", SERVER)
        port = free_port()
        self.tend.ok("start", "server.js", "--name", "web", env={"PORT": str(port)})
        self.tend.ok("start", "sleep", "--name", "quiet", "--", "1000")
        self.tend.ok("start", "sleep", "--name", "rests", "-f", "--", "1000")
        self.tend.ok("stop", "rests")
        quiet = self.tend.app("quiet")["pid"]
        self.kill_both()
        self.assertTrue(alive(quiet))
        # Somebody else's process with the marks of another home is none of ours.
        stranger = os.posix_spawn("/bin/sleep", ["sleep", "1000"], {"TEND_ID": "1.1", "TEND_HOME": "/somewhere/else"})
        try:
            self.tend.ok("start", "web")  # a daemon comes up
            states = lambda: {r["name"]: r["pm2_env"]["status"] for r in self.tend.jlist()}
            wait_for(lambda: states() == {"web": "online", "quiet": "online", "rests": "stopped"}, what="all as wanted")
            self.assertTrue(alive(stranger))
        finally:
            os.kill(stranger, signal.SIGKILL)
            os.waitpid(stranger, 0)
        self.assertFalse(alive(quiet))
        self.assertEqual(len([p for p in processes_naming(str(self.tend.dir)) if "sleep 1000" in p[1]]), 1)
        self.assertEqual(len([p for p in processes_naming(str(self.tend.dir)) if "server.js" in p[1]]), 1)

    def test_descriptors_do_not_grow(self):
        self.tend.script("server.js", SERVER)
        self.tend.ok("start", "server.js", "-i", "2", "--name", "web", env={"PORT": str(free_port())})
        counts = []
        for _ in range(4):
            daemons = self.kill_keeper()
            self.tend.jlist()
            time.sleep(0.1)
            counts.append([len(os.listdir(f"/proc/{pid}/fd")) for pid in daemons])
        self.assertEqual(counts[1], counts[-1])


if __name__ == "__main__":
    unittest.main()
