"""Clustered apps: unmodified Node servers on all cores, replaced and crashed under load."""

import contextlib
import http.client
import json
import os
import shutil
import signal
import subprocess
import time
import unittest
import urllib.request
from collections import Counter

from harness import ROOT, TendTest, alive, free_port, limit, port_is_free, wait_for

FIXTURES = ROOT / "tests/fixtures/cluster"
SECONDS = 4


def get(port, path="/", host="127.0.0.1"):
    with urllib.request.urlopen(f"http://{host}:{port}{path}", timeout=limit(10)) as answer:
        return answer.read().decode()


class ClusterTest(TendTest):
    def setUp(self):
        super().setUp()
        self.need("node")
        self.port = free_port()
        for name in ("server.js", "https.js", "tls.pem", "activated.py"):
            shutil.copy(FIXTURES / name, self.tend.work)

    def start(self, count=4, *words, script="server.js", **env):
        self.tend.ok("start", script, "--name", "api", "-i", count, *words,
                     env={"PORT": str(self.port), **{k: str(v) for k, v in env.items()}})
        self.serving()

    def serving(self, port=None):
        def asked():
            try:
                return get(port or self.port)
            except OSError:
                return None
        return wait_for(asked, what="an answer")

    def both_answer(self, pids):
        with contextlib.suppress(OSError):
            return {int(get(self.port).split()[0]) for _ in range(20)} == set(pids)
        return False

    def pids(self):
        return sorted(r["pid"] for r in self.tend.jlist())

    def load(self, mode, seconds=SECONDS, clients=20, scheme="http"):
        return subprocess.Popen(["node", str(FIXTURES / "load.js"), f"{scheme}://127.0.0.1:{self.port}", str(clients),
                                 str(seconds), mode], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def found(self, load, least=50):
        out, err = load.communicate(timeout=limit(60))
        self.assertEqual(err, "")
        found = json.loads(out)
        self.assertGreater(found["ok"], least, found)
        return found


class Serving(ClusterTest):
    def test_each_worker_answers_and_has_its_number(self):
        self.start(4)
        answers = Counter()
        def all_answer():
            answers[get(self.port)] += 1
            return len(answers) == 4
        wait_for(all_answer, what="answers of four workers")
        self.assertEqual(sorted(int(a.split()[0]) for a in answers), self.pids())
        self.assertEqual(sorted(a.split()[1] for a in answers), ["0", "1", "2", "3"])
        self.assertEqual({r["pm2_env"]["exec_mode"] for r in self.tend.jlist()}, {"cluster_mode"})

    def test_scale_up_and_down_under_load_loses_nothing(self):
        self.start(2)
        for mode in ("keep", "close"):
            load = self.load(mode, seconds=6)
            time.sleep(0.5)
            for word, count in (("+2", 4), ("-1", 3), ("1", 1), ("3", 3)):
                self.tend.ok("scale", "api", word)
                self.assertEqual(sorted(r["pm2_env"]["NODE_APP_INSTANCE"] for r in self.tend.jlist()),
                                 list(range(count)), word)
            found = self.found(load)
            self.assertEqual(found["failed"], 0, f"{mode}: {found}")
            self.tend.ok("scale", "api", "2")

    def test_a_wrong_scale_is_told_and_changes_nothing(self):
        self.start(2)
        before = self.pids()
        for words, said in ((("api", "-2"), "accepted: 1.."), (("api", "many"), "accepted: 1.., +n, -n, max"),
                            (("nobody", "2"), "nobody"), (("api",), "missing operand")):
            found = self.tend.run("scale", *words)
            self.assertNotEqual(found.returncode, 0, words)
            self.assertIn(said, found.stderr)
            self.assertEqual(len(found.stderr.splitlines()), 1, found.stderr)
        self.assertEqual(self.pids(), before)
        self.tend.ok("scale", "api", "max")
        self.assertEqual(len(self.pids()), len(os.sched_getaffinity(0)))

    def test_every_policy_serves(self):
        for policy in ("shared", "rr", "least", "sticky"):
            with self.subTest(policy):
                self.port = free_port()
                self.start(2, "--balance", policy, "--heartbeat", "off")
                self.assertIn(int(get(self.port).split()[0]), self.pids())
                if policy == "rr":
                    wait_for(lambda: len({get(self.port) for _ in range(4)}) == 2, what="both to accept")
                    count = Counter(get(self.port) for _ in range(40))
                    self.assertEqual(sorted(count.values()), [20, 20], count)
                self.tend.ok("delete", "api")

    def test_least_fills_the_worker_whose_connections_closed(self):
        self.start(2, "--balance", "least")
        wait_for(lambda: len({get(self.port) for _ in range(4)}) == 2, what="both to accept")

        def held():
            link = http.client.HTTPConnection("127.0.0.1", self.port, timeout=limit(10))
            self.addCleanup(link.close)
            link.request("GET", "/")
            return link, link.getresponse().read().decode().split()[0]

        time.sleep(0.3)  # what came before is closed, and told
        links = [held() for _ in range(8)]
        self.assertEqual(sorted(Counter(pid for _, pid in links).values()), [4, 4])
        gone = links[0][1]
        for link, pid in links:
            if pid == gone:
                link.close()
        time.sleep(0.3)
        self.assertEqual([held()[1] for _ in range(4)], [gone] * 4)

    def test_the_port_is_free_when_stop_returns(self):
        self.start(2)
        self.tend.ok("stop", "api")
        self.assertTrue(port_is_free(self.port))
        self.tend.ok("start", "api")
        self.serving()

    def test_42_a_taken_port_is_the_apps_own_error(self):
        self.start(1)
        done = self.tend.run("start", "server.js", "--name", "second", "-i", "2", "--no-autorestart",
                             env={"PORT": str(self.port)})
        self.assertEqual(done.returncode, 0, done.stderr)
        wait_for(lambda: all(r["pm2_env"]["status"] == "stopped" for r in self.tend.jlist() if r["name"] == "second"),
                 what="the second app to give up")
        self.assertIn("EADDRINUSE", self.tend.read(self.tend.home / "logs/second-error-1.log"))
        self.assertEqual(int(get(self.port).split()[0]), self.tend.app("api")["pid"])

    def test_two_ports_port_zero_and_a_unix_socket(self):
        self.tend.script("many.js", """
const http = require('http'), fs = require('fs');
const answer = (q, r) => r.end(String(process.pid));
const a = http.createServer(answer).listen(+process.env.PORT, '127.0.0.1');
const b = http.createServer(answer).listen(0, () => {
  fs.writeFileSync('port' + process.env.NODE_APP_INSTANCE, String(b.address().port));
  http.createServer(answer).listen('s.sock', () => fs.writeFileSync('up' + process.env.NODE_APP_INSTANCE, ''));
});
""")
        self.start(2, script="many.js")
        wait_for(lambda: all((self.tend.work / f"up{n}").exists() for n in (0, 1)), what="both to listen")
        ports = {self.tend.read(f"port{n}") for n in (0, 1)}
        self.assertEqual(len(ports), 1, "workers share the port that 0 became")
        self.assertIn(int(get(ports.pop())), self.pids())
        done = subprocess.run(["curl", "-s", "--unix-socket", self.tend.work / "s.sock", "http://x/"],
                              capture_output=True, text=True, check=True)
        self.assertIn(int(done.stdout), self.pids())

    def test_udp(self):
        self.tend.script("udp.js", """
const s = require('dgram').createSocket('udp4');
s.on('message', (m, from) => s.send(String(process.pid), from.port, from.address));
s.bind(+process.env.PORT, '127.0.0.1', () => require('fs').writeFileSync('up' + process.env.NODE_APP_INSTANCE, ''));
""")
        self.tend.ok("start", "udp.js", "-i", 2, env={"PORT": str(self.port)})
        wait_for(lambda: all((self.tend.work / f"up{n}").exists() for n in (0, 1)), what="both to listen")
        import socket
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.settimeout(limit(5))
            client.sendto(b"x", ("127.0.0.1", self.port))
            self.assertIn(int(client.recv(100)), self.pids())

    def test_an_app_that_clusters_or_forks_by_itself(self):
        self.tend.script("own.js", """
const cluster = require('cluster'), http = require('http');
if (cluster.isPrimary) { cluster.fork(); cluster.fork(); }
else http.createServer((q, r) => r.end(process.pid + ' ' + process.ppid)).listen(+process.env.PORT);
""")
        self.tend.ok("start", "own.js", env={"PORT": str(self.port)})
        self.serving()
        self.assertEqual(int(get(self.port).split()[1]), self.tend.app("own")["pid"])
        self.tend.script("parent.js", """
const child = require('child_process').fork('./child.js');
child.on('message', (m) => require('fs').writeFileSync('said', m));
setInterval(() => {}, 1e6);
""")
        self.tend.script("child.js", "process.send(JSON.stringify([process.env.NODE_UNIQUE_ID, process.execArgv]));\n")
        self.tend.ok("start", "parent.js", "-i", 1)
        self.tend.wait_text("said", "[null,[]]")

    def test_a_path_with_a_space_and_a_hash_and_modules(self):
        self.tend.script("my app #1/server.mjs", """
import http from 'node:http';
await Promise.resolve();
http.createServer((q, r) => r.end(String(process.pid))).listen(+process.env.PORT);
""")
        self.start(2, script="my app #1/server.mjs")
        self.assertIn(int(get(self.port)), self.pids())


class Reloading(ClusterTest):
    def reload_under(self, mode):
        self.start(4)
        before = self.pids()
        load = self.load(mode)
        reloads = 0
        while load.poll() is None:
            self.tend.ok("reload", "api")
            reloads += 1
        found = self.found(load)
        self.assertGreater(reloads, 0)
        self.assertEqual(found["failed"], 0, f"{reloads} reloads: {found}")
        self.assertFalse(set(before) & set(self.pids()), "every process is a new one")
        self.assertFalse([p for p in before if alive(p)])

    def test_34_keep_alive_clients_lose_nothing(self):
        self.reload_under("keep")

    def test_clients_that_close_lose_nothing(self):
        self.reload_under("close")

    def test_a_tls_server_loses_nothing(self):
        self.tend.ok("start", "https.js", "--name", "api", "-i", 2, env={"PORT": str(self.port)})
        wait_for(lambda: not port_is_free(self.port), what="a listener")  # online comes before
        for mode in ("keep", "close"):
            load = self.load(mode, scheme="https", clients=8)
            while load.poll() is None:
                self.tend.ok("reload", "api")
            found = self.found(load)
            self.assertEqual(found["failed"], 0, f"{mode}: {found}")

    def test_a_request_in_flight_is_answered_by_the_old_process(self):
        self.start(1)
        old = self.pids()[0]
        with subprocess.Popen(["curl", "-s", f"http://127.0.0.1:{self.port}/slow"], stdout=subprocess.PIPE,
                              text=True) as slow:
            time.sleep(0.1)
            self.tend.ok("reload", "api")
            self.assertEqual(slow.communicate(timeout=limit(10))[0], f"{old} slow")

    def test_a_worker_that_would_live_on_without_connections_is_signalled(self):
        self.tend.script("on.js", "require('http').createServer((q, r) => r.end()).listen(0);\nsetInterval(() => {}, 1000);\n")
        self.tend.ok("start", "on.js", "-i", 2)
        began = time.monotonic()
        self.tend.ok("reload", "on")
        self.assertLess(time.monotonic() - began, limit(4))  # drain_timeout is 10 s for each of the two

    def test_a_worker_hears_the_stop_signal_when_it_has_finished(self):
        self.tend.script("tidy.js", "require('http').createServer((q, r) => r.end()).listen(0);\n"
                                    "process.on('SIGINT', () => { console.log('tidied up'); process.exit(0); });\n")
        self.tend.ok("start", "tidy.js", "-i", 2)
        self.tend.ok("reload", "tidy")
        for log in self.tend.home.glob("logs/tidy-out*.log"):
            self.assertEqual(log.read_text(), "tidied up\n")

    def test_33_a_successor_that_fails_leaves_the_old_one_serving(self):
        self.start(2)
        before = self.pids()
        # One that does not listen yet has nothing that its successor would have to listen on.
        wait_for(lambda: self.both_answer(before), what="answers of both")
        self.tend.script("server.js", "console.error('no such thing'); process.exit(3);\n")
        done = self.tend.run("reload", "api")
        self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
        self.assertIn("exited with code 3", done.stdout + done.stderr)
        self.assertEqual(self.pids(), before)
        self.assertIn(int(get(self.port).split()[0]), before)
        self.assertEqual({r["pm2_env"]["status"] for r in self.tend.jlist()}, {"online"})

    def test_33_a_successor_that_does_not_listen_is_no_successor(self):
        self.start(1, "--listen-timeout", "600")
        before = self.pids()
        self.tend.script("server.js", "setInterval(() => {}, 1e6);\n")
        done = self.tend.run("reload", "api")
        self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
        self.assertRegex(done.stdout + done.stderr, "not ready within 600")
        self.assertEqual(self.pids(), before)
        self.assertEqual(int(get(self.port).split()[0]), before[0])

    def test_35_reloads_that_come_during_one_are_one_more(self):
        self.tend.script("server.js", f"""
setTimeout(() => require('http').createServer((q, r) => r.end(String(process.pid))).listen(+process.env.PORT),
           process.env.QUICK ? 0 : {int(limit(2000))});
""")
        self.start(1, "--listen-timeout", "60s", QUICK="1")
        self.tend.ok("restart", "api", "--update-env", env={"PORT": str(self.port)})  # the next ones take their time
        self.serving()
        before = self.tend.app("api")["pm2_env"]["restart_time"]
        calls = [self.tend.popen("reload", "api") for _ in range(50)]
        for call in calls:
            out, err = call.communicate(timeout=limit(60))
            self.assertEqual(call.returncode, 0, out + err)
        self.assertEqual(self.tend.app("api")["pm2_env"]["restart_time"], before + 2)


class CanaryTest(ClusterTest):
    WORDS = ()

    def setUp(self):
        super().setUp()
        self.tend.script("versions.js", """
// Slow: it blocks its loop for 150 ms every 200.
if (process.env.VERSION === 'slow') setInterval(() => { for (const t = Date.now(); Date.now() - t < 150;); }, 200);
if (process.env.VERSION === 'bad') setTimeout(() => process.exit(3), 200);
require('http').createServer((q, r) => r.end(process.env.VERSION)).listen(+process.env.PORT);
""")
        self.start(2, *self.WORDS, script="versions.js", VERSION="old")

    def canary(self, percent, version):
        return self.tend.run("reload", "api", "--canary", percent, "--update-env",
                             env={"PORT": str(self.port), "VERSION": version})

    def answers(self, count=300):
        return Counter(get(self.port) for _ in range(count))


class CanariesByLag(CanaryTest):
    WORDS = ("--heartbeat-interval", "200ms")

    def test_a_canary_that_lags_twice_as_much_as_the_others_is_taken_back(self):
        before = self.pids()
        self.assertEqual(self.canary(10, "slow").returncode, 0)
        wait_for(lambda: len(self.tend.jlist()) == 2, timeout=20, what="the canary to be taken back")
        self.assertEqual(self.pids(), before)
        self.assertIn("failed its trial and is taken back: its event loop lags by", self.tend.read(self.tend.home / "tend.log"))

    def test_a_canary_that_is_no_slower_stays(self):
        self.assertEqual(self.canary(10, "new").returncode, 0)
        time.sleep(4)  # more answers than a verdict needs
        self.assertEqual(len(self.tend.jlist()), 3)


class Canaries(CanaryTest):
    def test_a_part_of_the_connections_reaches_a_canary_until_it_is_taken_back(self):
        before = self.pids()
        self.assertEqual(self.canary("20%", "new").returncode, 0)
        self.assertTrue(25 <= self.answers()["new"] <= 110, "60 of 300 within 6 standard deviations")
        self.assertEqual(self.tend.jlist()[2]["pm2_env"]["NODE_APP_INSTANCE"], 2)
        self.assertIn("canary 20%", self.tend.ok("list").stdout)
        second = self.canary("30%", "newer")
        self.assertEqual(second.returncode, 1)
        self.assertIn("found a canary, id 2; accepted: one", second.stderr)
        load = self.load("keep")
        self.tend.ok("rollback", "api")
        self.assertEqual(self.found(load)["failed"], 0)
        self.assertEqual(self.answers(), {"old": 300})
        self.assertEqual(self.pids(), before)

    def test_a_promoted_canary_is_what_the_others_become(self):
        self.assertEqual(self.canary(10, "new").returncode, 0)
        self.tend.supervisor_may_die = True
        os.kill(self.tend.pids()[0], signal.SIGKILL)
        load = self.load("close")
        self.tend.ok("promote", "api")
        found = self.found(load)
        self.assertEqual(found["failed"], 0, found)
        self.assertEqual(self.answers(), {"new": 300})
        self.assertEqual([r["pm2_env"]["NODE_APP_INSTANCE"] for r in self.tend.jlist()], [0, 1])
        nothing = self.tend.run("promote", "api")
        self.assertEqual((nothing.returncode, nothing.stderr), (1, "tend: promote: api has no canary\n"))

    def test_a_canary_that_exits_is_gone(self):
        before = self.pids()
        self.assertEqual(self.canary(10, "bad").returncode, 0)
        wait_for(lambda: len(self.tend.jlist()) == 2, what="the canary to be taken back")
        self.assertEqual(self.pids(), before)
        self.assertEqual(self.answers(50), {"old": 50})

    def test_a_canary_that_hangs_is_taken_back(self):
        before = self.pids()
        self.assertEqual(self.canary(50, "new").returncode, 0)
        wait_for(lambda: self.answers(10)["new"], what="the canary to answer")
        os.kill(self.tend.jlist()[2]["pid"], signal.SIGSTOP)

        def taken_back():
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{self.port}/", timeout=0.2).close()
            except OSError:
                pass
            return len(self.tend.jlist()) == 2
        wait_for(taken_back, timeout=20, what="the canary to be taken back")
        self.assertEqual(self.pids(), before)
        self.assertEqual(self.answers(50), {"old": 50})
        self.assertIn("failed its trial and is taken back: does not accept connections",
                      self.tend.read(self.tend.home / "tend.log"))

    def test_a_file_can_be_tried(self):
        path = self.tend.json_file("e.json", {"apps": [{
            "name": "api", "script": "versions.js", "instances": 2, "env": {"PORT": self.port, "VERSION": "file"}}]})
        self.tend.ok("reload", path, "--canary", "50%")
        self.assertTrue(80 <= self.answers()["file"] <= 220)
        self.tend.ok("promote", "api")
        self.assertEqual(self.answers(), {"file": 300})

    def test_every_policy_gives_a_canary_its_part(self):
        for policy in ("rr", "least"):
            with self.subTest(policy):
                self.tend.ok("delete", "api")
                self.start(2, "--balance", policy, script="versions.js", VERSION="old")
                self.assertEqual(self.canary(25, "new").returncode, 0)
                found = self.answers()["new"]
                self.assertEqual(len(self.tend.jlist()), 3, self.tend.daemon_log())
                # One that is slow to take what it was given is passed over meanwhile: on a loaded machine it gets less.
                self.assertTrue(40 <= found <= 80, found)

    def test_what_cannot_have_one_is_told(self):
        self.tend.ok("start", self.tend.sleeper(), "--name", "plain")
        for words, said in (("plain", "needs an app in cluster mode, or one with listen"), ("nobody", "nobody")):
            found = self.tend.run("reload", words, "--canary", "10%")
            self.assertEqual(found.returncode, 1)
            self.assertIn(said, found.stderr)
        found = self.tend.run("reload", "api", "--canary", "200%")
        self.assertEqual(found.returncode, 2)
        self.assertIn("accepted: 1%..99%", found.stderr)


class Hanging(ClusterTest):
    def stop_one(self, policy):
        self.start(2, "--balance", policy, "--heartbeat", "off")
        wait_for(lambda: len({get(self.port) for _ in range(8)}) == 2, what="both to accept")
        stopped, other = self.pids()
        self.addCleanup(lambda: alive(stopped) and os.kill(stopped, signal.SIGCONT))
        os.kill(stopped, signal.SIGSTOP)
        return stopped, other

    def ask(self):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/", timeout=0.3) as answer:
                return int(answer.read().decode().split()[0])
        except OSError:
            return None

    def test_41_a_worker_that_accepts_no_more_gets_no_more(self):
        for policy in ("reuseport", "rr"):
            with self.subTest(policy):
                stopped, other = self.stop_one(policy)
                wait_for(lambda: [self.ask() for _ in range(6)] == [other] * 6, timeout=20, what="the other one alone")
                self.assertEqual({self.ask() for _ in range(30)}, {other})
                os.kill(stopped, signal.SIGCONT)
                wait_for(lambda: {self.ask() for _ in range(20)} == {stopped, other}, what="both again")
                self.tend.ok("delete", "api")


class Crashing(ClusterTest):
    def test_41_a_killed_worker_costs_what_it_was_serving(self):
        self.start(2)
        load = self.load("close")
        time.sleep(1)
        os.kill(self.pids()[0], signal.SIGKILL)
        found = self.found(load)
        self.assertLessEqual(found["failed"], 20, found)  # each client has one request at a time
        self.assertFalse(set(found["errors"]) - {"ECONNRESET"}, found)
        wait_for(lambda: len({get(self.port) for _ in range(20)}) == 2, what="both to answer again")

    def statuses(self):
        return {r["pm2_env"]["NODE_APP_INSTANCE"]: r["pm2_env"]["status"] for r in self.tend.jlist()}

    def one_of_two_with_a_spare(self):
        self.start(2, "--spare", 1)
        wait_for(lambda: self.statuses() == {0: "online", 1: "online", 2: "standby"}, what="a spare that has loaded")
        time.sleep(1.1)  # longer than min_uptime
        return self.tend.jlist()

    def test_a_spare_serves_nobody_until_it_takes_the_place_of_a_dead_worker(self):
        apps = self.one_of_two_with_a_spare()
        serving, spare = {r["pid"] for r in apps[:2]}, apps[2]["pid"]
        self.assertEqual({int(get(self.port).split()[0]) for _ in range(40)}, serving)
        os.kill(apps[0]["pid"], signal.SIGKILL)
        wait_for(lambda: {int(get(self.port).split()[0]) for _ in range(40)} == {apps[1]["pid"], spare},
                 what="the spare to serve")
        wait_for(lambda: self.statuses() == {0: "standby", 1: "online", 2: "online"}, what="the dead one as the spare")
        self.assertEqual({int(get(self.port).split()[0]) for _ in range(40)}, {apps[1]["pid"], spare})
        self.tend.ok("scale", "api", 1)  # spares are not counted
        self.assertEqual(self.statuses(), {0: "standby", 1: "online"})

    def test_a_spare_outlives_reloads_and_a_killed_supervisor(self):
        self.one_of_two_with_a_spare()
        self.tend.supervisor_may_die = True
        load = self.load("keep")
        self.tend.ok("reload", "api")
        found = self.found(load)
        self.assertEqual(found["failed"], 0, found)
        self.assertEqual(self.statuses(), {0: "online", 1: "online", 2: "standby"})
        apps = self.tend.jlist()
        os.kill(self.tend.pids()[0], signal.SIGKILL)
        wait_for(lambda: self.statuses() == {0: "online", 1: "online", 2: "standby"}, what="a new supervisor")
        self.assertEqual(self.pids(), sorted(r["pid"] for r in apps))
        os.kill(apps[1]["pid"], signal.SIGKILL)
        wait_for(lambda: {int(get(self.port).split()[0]) for _ in range(40)} == {apps[0]["pid"], apps[2]["pid"]},
                 what="the spare to serve")

    def test_a_killed_supervisor_costs_nothing(self):
        self.start(2)
        before = self.pids()
        self.tend.supervisor_may_die = True
        load = self.load("keep")
        for _ in range(5):
            time.sleep(0.5)
            os.kill(self.tend.pids()[0], signal.SIGKILL)
        found = self.found(load)
        self.assertEqual(found["failed"], 0, found)
        self.assertEqual(self.pids(), before)
        self.tend.ok("reload", "api")  # the successor knows the workers' sockets
        self.assertFalse(set(self.pids()) & set(before))
        self.assertIn(int(get(self.port).split()[0]), self.pids())

    # The next supervisor asks again who was finishing, and to Node a second order is the end of the first.
    def requests_in_flight_outlive_the_supervisor(self, *command, instances, on=None, **app):
        self.tend.script("slow.js", "require('http').createServer((q, r) => {\n"
                                    "  const answer = () => r.end(String(process.pid));\n"
                                    "  q.url === '/slow' ? setTimeout(answer, 2500) : answer();\n"
                                    f"}}).listen({on or self.port});\n")
        self.tend.ok("start", self.tend.json_file("slow.json", {"apps": [
            {"name": "slow", "script": "slow.js", "instances": instances, **app}]}))
        wait_for(lambda: self.both_answer(self.pids()), what="all to serve")
        self.tend.supervisor_may_die = True
        before = set(self.pids())
        with contextlib.ExitStack() as ends:
            slow = [ends.enter_context(subprocess.Popen(["curl", "-s", f"http://127.0.0.1:{self.port}/slow"],
                                                        stdout=subprocess.PIPE, text=True)) for _ in range(12)]
            time.sleep(0.3)
            ends.enter_context(self.tend.popen(*command))
            time.sleep(0.9)
            os.kill(self.tend.pids()[0], signal.SIGKILL)
            answers = [one.communicate(timeout=limit(10))[0] for one in slow]
        self.assertEqual({int(answer or -1) for answer in answers}, before, answers)
        return before

    def test_a_supervisor_killed_while_a_replaced_worker_finishes_cuts_no_request(self):
        old = self.requests_in_flight_outlive_the_supervisor("reload", "slow", instances=1, exec_mode="cluster")
        wait_for(lambda: not any(alive(pid) for pid in old), what="the end of the replaced one")

    def test_a_supervisor_killed_while_a_server_of_listen_finishes_cuts_no_request(self):
        old = self.requests_in_flight_outlive_the_supervisor(
            "reload", "slow", instances=1, exec_mode="fork", on="{fd: 3}", listen=[f"tcp://127.0.0.1:{self.port}"])
        wait_for(lambda: not any(alive(pid) for pid in old), what="the end of the replaced one")

    def test_a_supervisor_killed_while_a_scaled_away_worker_finishes_cuts_no_request(self):
        self.requests_in_flight_outlive_the_supervisor("scale", "slow", 1, instances=2, exec_mode="cluster")
        wait_for(lambda: len(self.pids()) == 1, what="the end of the one too many")

    # What a successor has said is known to the next supervisor, or it would wait for it in vain and take the reload back.
    def test_a_supervisor_killed_between_two_ports_of_a_successor_goes_on_with_the_reload(self):
        for policy in ("reuseport", "rr"):
            with self.subTest(policy):
                second = free_port()
                self.tend.script("two.js", "const http = require('http');\n"
                                           "const serve = (port) => http.createServer((q, r) => r.end(String(process.pid)))"
                                           ".listen(port);\n"
                                           f"serve({self.port});\nsetTimeout(() => serve({second}), 1500);\n")
                self.tend.ok("start", "two.js", "--name", policy, "-i", 1, "--balance", policy, "--listen-timeout", "4s")
                self.serving(second)
                old = self.pids()
                self.tend.supervisor_may_die = True
                with self.tend.popen("reload", policy):
                    wait_for(lambda: set(self.pids()) != set(old), what="a successor")
                    time.sleep(0.8)
                    os.kill(self.tend.pids()[0], signal.SIGKILL)
                wait_for(lambda: not alive(old[0]), what="the end of the replaced one")
                self.assertEqual({get(self.port), get(second)}, {str(self.pids()[0])})
                self.tend.ok("delete", policy)

    def test_a_supervisor_killed_in_the_middle_of_reloads_costs_nothing(self):
        self.start(2)
        self.tend.supervisor_may_die = True
        load = self.load("keep", seconds=6)
        kills = 0
        while load.poll() is None:
            with self.tend.popen("reload", "api") as reload:
                time.sleep(0.1 * (kills % 5))
                os.kill(self.tend.pids()[0], signal.SIGKILL)
                kills += 1
                reload.communicate(timeout=limit(30))  # done, or told that its answer is lost
        found = self.found(load)
        self.assertEqual(found["failed"], 0, f"{kills} kills: {found}")
        wait_for(lambda: {r["pm2_env"]["status"] for r in self.tend.jlist()} == {"online"}, what="all online")
        self.tend.ok("reload", "api")
        self.assertEqual(len(self.pids()), 2)
        self.assertEqual({int(get(self.port).split()[0]) for _ in range(40)}, set(self.pids()))


class Listening(ClusterTest):
    def start_activated(self, count=1, **more):
        path = self.tend.json_file("e.json", {"apps": [{
            "name": "py", "script": "activated.py", "args": "{fd}", "interpreter": "python3", "instances": count,
            "exec_mode": "fork", "listen": [f"tcp://127.0.0.1:{self.port}"], **more}]})
        self.tend.ok("start", path)
        self.serving()
        return path

    def test_another_language_gets_the_socket(self):
        self.start_activated(2)
        wait_for(lambda: len({get(self.port) for _ in range(10)}) == 2, what="answers of both")

    def test_restart_refuses_no_connection(self):
        self.start_activated()
        load = self.load("close", clients=10)
        while load.poll() is None:
            self.tend.ok("restart", "py")
            self.serving()
        found = self.found(load, 10)
        self.assertNotIn("ECONNREFUSED", found["errors"])

    def test_reload_with_clients_that_close(self):
        path = self.start_activated(2, wait_ready=True, listen_timeout="30s")
        load = self.load("close", clients=10)
        words = ["py", path]
        while load.poll() is None:
            self.tend.ok("reload", words[0])
            words.reverse()
        found = self.found(load)
        self.assertEqual(found["failed"], 0, found)

    def test_a_reload_of_a_file_takes_new_settings_and_a_failed_one_keeps_the_old_process(self):
        path = self.start_activated(1, wait_ready=True, listen_timeout="30s")
        old = self.tend.app("py")["pid"]
        apps = json.loads(open(path).read())
        apps["apps"][0].update(kill_timeout=777, wait_ready=True)
        self.tend.json_file("e.json", apps)
        done = self.tend.ok("reload", path)
        self.assertIn("reloaded", done.stdout)
        self.assertNotEqual(self.tend.app("py")["pid"], old)
        self.assertEqual(self.tend.app("py")["pm2_env"]["kill_timeout"], 777)
        old = self.tend.app("py")["pid"]
        apps["apps"][0]["args"] = "77"
        self.tend.json_file("e.json", apps)
        done = self.tend.run("reload", path)
        self.assertEqual(done.returncode, 1)
        self.assertIn("the old process goes on", done.stderr)
        self.assertEqual(self.tend.app("py")["pid"], old)
        self.assertEqual(get(self.port).split()[0], str(old))

    def test_connections_find_the_socket_of_one_that_was_replaced_and_started_anew(self):
        self.start_activated(2, wait_ready=True, listen_timeout="30s")
        self.tend.ok("reload", "py")
        self.tend.ok("reload", 0)
        self.tend.ok("stop", "py")
        self.tend.ok("start", "py")
        for _ in range(40):
            get(self.port)

    def test_what_cannot_be_is_told_before_anything_starts(self):
        for app, said in (({"listen": ["tcp://example.org:80"]}, "with a numeric address"),
                          ({"spare": 1}, "spare: found 1 in mode fork"),
                          ({"interpreter": str(self.tend.sleeper("bun")), "exec_mode": "cluster"},
                           "found cluster with bun")):
            path = self.tend.json_file("e.json", {"apps": [{"script": "activated.py", **app}]})
            for verb in ("check", "start"):
                done = self.tend.run(verb, path)
                self.assertEqual(done.returncode, 1, done.stdout)
                self.assertIn(said, done.stdout + done.stderr)
        self.assertEqual(self.tend.jlist(), [])

    def test_a_failed_start_ends_with_the_last_lines_of_its_log(self):
        self.tend.script("broken.js", "require('./nowhere');\n")
        done = self.tend.run("start", "broken.js", "-i", 1, "--wait-ready")
        self.assertEqual(done.returncode, 1)
        self.assertIn("  | Error: Cannot find module './nowhere'", done.stderr)


class PackageScripts(ClusterTest):
    def setUp(self):
        super().setUp()
        self.need("npm")
        self.tend.script("package.json", '{"name": "shop", "scripts": {"start": "MODE=live node server.js", '
                                         '"both": "node server.js & node server.js"}}')

    def test_npm_start_is_clustered_as_the_program_that_it_runs(self):
        self.tend.ok("start", "npm", "--name", "api", "-i", 2, "--", "start", env={"PORT": str(self.port)})
        wait_for(lambda: self.serving() and len({get(self.port) for _ in range(10)}) == 2, what="answers of both")
        for pid in self.pids():
            with open(f"/proc/{pid}/environ", "rb") as env:
                found = env.read().split(b"\0")
            self.assertIn(b"MODE=live", found)
            self.assertIn(b"npm_package_name=shop", found)
            with open(f"/proc/{pid}/cmdline", "rb") as line:
                self.assertTrue(line.read().rstrip(b"\0").endswith(b"/server.js"))
        load = self.load("keep", seconds=3)
        self.tend.ok("reload", "api")
        self.assertEqual(self.found(load)["failed"], 0)

    def test_a_script_of_two_commands_runs_through_npm_and_cannot_be_clustered(self):
        done = self.tend.run("start", "npm", "--name", "two", "-i", 2, "--", "run", "both")
        self.assertEqual(done.returncode, 1)
        self.assertIn("node server.js & node server.js", done.stderr)
        self.assertEqual(len(done.stderr.splitlines()), 1)


class Unnoticed(ClusterTest):
    """What tend loads before an app changes nothing that the app can see."""

    def test_no_argument_and_no_variable_is_left(self):
        real = self.tend.dir / "real"
        real.mkdir()
        link = self.tend.dir / "link"
        link.symlink_to(real)
        self.tend.env["TEND_HOME"] = str(link / "home")
        self.tend.home = link / "home"
        self.tend.script("app.js", "require('fs').writeFileSync('said', JSON.stringify("
                                   "[process.execArgv, process.env.TEND_DRAIN]));\nsetInterval(() => {}, 1e6);\n")
        self.tend.ok("start", "app.js", "-i", 1, "--node-args=--no-warnings")
        self.tend.wait_text("said", '[["--no-warnings"],null]')

    def test_a_servers_own_close_is_called(self):
        self.tend.script("server.js", """
const http = require('http');
class Own extends http.Server {
  close(...words) { require('fs').writeFileSync('closed', ''); return super.close(...words); }
}
new Own((q, r) => r.end(String(process.pid))).listen(+process.env.PORT);
""")
        self.start(1)
        self.tend.ok("reload", "api")
        self.assertTrue((self.tend.work / "closed").exists())

    def test_a_server_that_listens_again_keeps_connections_alive_again(self):
        self.tend.script("server.js", """
const http = require('http');
const server = http.createServer((q, r) => {
  r.end(String(process.pid));
  if (q.url === '/again') server.close(() => server.listen(+process.env.PORT));
});
server.listen(+process.env.PORT);
""")
        self.start(1)

        def connection(path="/"):
            link = http.client.HTTPConnection("127.0.0.1", self.port, timeout=limit(10))
            self.addCleanup(link.close)
            link.request("GET", path)
            answer = link.getresponse()
            answer.read()
            return answer.getheader("Connection")

        self.assertEqual(connection(), "keep-alive")
        connection("/again")
        self.serving()
        wait_for(lambda: connection() == "keep-alive", timeout=5, what="keep-alive after the server listens again")


class Channel(ClusterTest):
    def test_send_exists_and_does_not_hold_the_app(self):
        self.tend.script("app.js", "require('fs').writeFileSync('said', typeof process.send);\n")
        self.tend.ok("start", "app.js", "--no-autorestart")
        self.tend.wait_text("said", "function")
        self.tend.wait_status("app", "stopped")

    def test_shutdown_with_message(self):
        self.tend.script("app.js", """
process.on('message', (m) => { require('fs').writeFileSync('got', m); process.exit(0); });
process.on('SIGINT', () => require('fs').writeFileSync('signalled', ''));
""")
        self.tend.ok("start", "app.js", "--shutdown-with-message")
        time.sleep(0.3)
        self.tend.ok("stop", "app")
        self.assertEqual(self.tend.read("got"), "shutdown")
        self.assertFalse((self.tend.work / "signalled").exists())


if __name__ == "__main__":
    unittest.main()
