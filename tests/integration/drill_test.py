"""drill: what a copy of an app loses, and that the app itself is not touched."""

import json
import os
import signal
import unittest

from harness import TendTest, free_port, limit, processes_naming, wait_for

GOOD = """const http = require('http')
const server = http.createServer((q, r) => setTimeout(() => r.end('ok'), 5)).listen(process.env.PORT)
process.on('SIGINT', () => { server.close(() => process.exit(0)); server.closeIdleConnections() })
"""
# Slow to come up, no end in order, deaf to a port that is taken.
BAD = """const http = require('http')
const server = http.createServer((q, r) => setTimeout(() => r.end('ok'), 50))
server.on('error', () => {})
setTimeout(() => server.listen(process.env.PORT), 600)
setInterval(() => {}, 1000)
"""
DEAF = "require('http').createServer((q, r) => r.end('ok')).listen(%d)\n"


class Drill(TendTest):
    def drill(self, *words, code):
        done = self.tend.run("drill", *words, "--json", timeout=90)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return {t["trial"]: t for t in json.loads(done.stdout)["trials"]}

    def facts(self):
        return [(r["name"], r["pid"], r["pm2_env"]["restart_time"]) for r in self.tend.jlist()]

    def nothing_left(self):
        wait_for(lambda: not processes_naming("tend-drill-"), what="the end of the copy")

    def test_a_good_app_loses_what_a_kill_takes_and_no_more(self):
        self.tend.script("good.js", GOOD)
        self.tend.ok("start", "good.js", "--name", "good", "-i", "2", "--time",
                     env={"PORT": str(free_port())})
        before = self.facts()
        trials = self.drill("good", code=1)
        self.assertEqual(set(trials), {"start", "reload", "stop", "kill -9", "port taken", "full disk"})
        self.assertTrue(all(t["tried"] for t in trials.values()))
        # Node's server.close() ends idle connections at once: what a client has just sent on one of them is cut off.
        self.assertLessEqual(trials["stop"]["figures"]["cut"], 4)
        self.assertEqual([name for name, t in trials.items() if t["lost"] and name != "stop"], ["kill -9"], trials)
        self.assertLessEqual(trials["kill -9"]["figures"]["cut"], 16)
        self.assertGreater(trials["reload"]["figures"]["answered"], 50)
        self.assertIn("EADDRINUSE", trials["port taken"]["words"])
        self.assertEqual(self.facts(), before)
        self.nothing_left()

    def test_a_bad_one_is_told_what_to_do(self):
        self.tend.script("bad.js", BAD)
        self.tend.ok("start", "bad.js", "--name", "bad", env={"PORT": str(free_port())})
        trials = self.drill("bad", code=1)
        self.assertEqual([name for name, t in trials.items() if t["lost"]],
                         ["start", "reload", "stop", "kill -9", "port taken"], trials)
        self.assertIn("wait_ready", trials["start"]["advice"])
        self.assertGreater(trials["reload"]["figures"]["refused"], 0)
        self.assertGreater(trials["stop"]["figures"]["cut"], 0)
        self.assertGreater(trials["kill -9"]["figures"]["gap_ms"], 300)
        self.assertIn("nobody is told", trials["port taken"]["words"])
        self.nothing_left()

    def test_an_app_that_does_not_heed_the_port_and_one_that_is_not_there(self):
        port = free_port()
        self.tend.script("deaf.js", DEAF % port)
        self.tend.ok("start", "deaf.js", "--name", "deaf")
        done = self.tend.run("drill", "deaf", timeout=60)
        self.assertEqual((done.returncode, len(done.stderr.splitlines())), (1, 1))
        self.assertRegex(done.stderr, r"^tend: drill: the copy does not (start|answer)")
        for words, said in ((("nobody",), "no app is called nobody"), (("deaf", "--path", "x"), "a path that begins with /")):
            done = self.tend.run("drill", *words)
            self.assertNotEqual(done.returncode, 0)
            self.assertIn(said, done.stderr)
        self.nothing_left()

    def test_ctrl_c_leaves_nothing(self):
        self.tend.script("good.js", GOOD)
        self.tend.ok("start", "good.js", "--name", "good", env={"PORT": str(free_port())})
        child = self.tend.popen("drill", "good")
        wait_for(lambda: processes_naming("tend-drill-"), what="the copy")
        os.kill(child.pid, signal.SIGINT)
        child.communicate(timeout=limit(60))
        self.assertEqual(child.returncode, 130)
        self.nothing_left()


if __name__ == "__main__":
    unittest.main()
