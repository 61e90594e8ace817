"""Real servers from npm and Debian, unmodified, on several processes: replaced under load without a lost request."""

import http.client
import json
import shutil
import socket
import subprocess
import threading
import time
import unittest
from collections import Counter

from cluster_test import ClusterTest, get
from harness import ROOT, limit, wait_for

PROGRAMS = ROOT / "tests/fixtures/programs"


class ProgramsTest(ClusterTest):
    def program(self, name, count=2, *words, **env):
        if not (PROGRAMS / "node_modules").is_dir():
            self.skipTest("its packages are not installed: packaging/bootstrap test does that")
        self.tend.ok("start", PROGRAMS / name, "--name", "api", "-i", count, *words,
                     env={"PORT": str(self.port), **{k: str(v) for k, v in env.items()}})

    def all_answer(self, count=2):
        seen = set()

        def asked():
            try:
                seen.add(get(self.port).split()[0])
            except OSError:
                pass
            return len(seen) >= count
        wait_for(asked, what=f"answers of {count} processes")

    def reload_under(self, mode, seconds=4):
        load = self.load(mode, seconds)
        reloads = 0
        while load.poll() is None:
            self.tend.ok("reload", "api", "--timeout", "60s")
            reloads += 1
        found = self.found(load)
        self.assertGreater(reloads, 0)
        return found


class Node(ProgramsTest):
    def test_frameworks(self):
        for name in ("express.js", "fastify.js", "koa.js"):
            self.program(name)
            self.all_answer()
            for mode in ("keep", "close"):
                with self.subTest(f"{name} {mode}"):
                    found = self.reload_under(mode)
                    self.assertEqual(found["failed"], 0, found)
            self.tend.ok("delete", "api")

    def test_34_a_websocket_is_told_that_the_server_goes_away(self):
        self.program("ws.js", 2, "--drain-timeout", "1s")
        self.all_answer()
        client = subprocess.Popen(["node", PROGRAMS / "ws_client.js", str(self.port)], stdin=subprocess.PIPE,
                                  stdout=subprocess.PIPE, text=True)
        time.sleep(0.5)
        before = self.pids()
        found = self.reload_under("keep", 3)
        self.assertEqual(found["failed"], 0, found)
        time.sleep(0.5)
        told = json.loads(client.communicate(timeout=limit(20))[0])
        self.assertEqual(list(told["closes"]), ["1001"], told)
        self.assertTrue(set(told["pids"]) & set(before), told)
        self.assertTrue(set(told["pids"]) & set(self.pids()), told)

    def test_34_socket_io_by_long_polling_needs_sticky_and_nothing_else(self):
        self.program("sio.js", 3, "--balance", "sticky")
        self.serving()
        for _ in range(3):
            done = subprocess.run(["node", PROGRAMS / "sio_client.js", str(self.port)], capture_output=True, text=True,
                                  timeout=limit(60))
            found = json.loads(done.stdout)
            self.assertEqual((len(found["pids"]), found["errors"]), (1, []), found)
            self.assertIn(found["pids"][0], self.pids())
            self.tend.ok("reload", "api")

    def test_no_datagram_is_lost_in_a_reload(self):
        self.program("dgram.js", 2)
        wait_for(lambda: {r["pm2_env"]["status"] for r in self.tend.jlist()} == {"online"}, what="both online")
        seen, lost, done = Counter(), 0, threading.Event()

        def reload():
            for _ in range(3):
                self.tend.ok("reload", "api")
            done.set()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.connect(("127.0.0.1", self.port))
            client.settimeout(limit(5))

            def bound():  # online is before that
                try:
                    client.send(b"first")
                    return client.recv(100)
                except ConnectionRefusedError:
                    return None
            wait_for(bound, what="the first answer")
            reloading = threading.Thread(target=reload)
            reloading.start()
            number = 0
            while not done.is_set():
                number += 1
                client.send(str(number).encode())
                try:
                    pid, echoed = client.recv(100).decode().split()
                    self.assertEqual(int(echoed), number)
                    seen[pid] += 1
                except TimeoutError:
                    lost += 1
            reloading.join()
        self.assertEqual(lost, 0, f"of {number}")
        self.assertGreater(len(seen), 2, seen)


class Others(ProgramsTest):
    def listening(self, script, args, count=2, **more):
        path = self.tend.json_file("e.json", {"apps": [{
            "name": "api", "script": str(script), "args": args, "interpreter": "none", "instances": count,
            "cwd": str(PROGRAMS), "exec_mode": "fork", "kill_signal": "SIGTERM", "kill_timeout": "10s",
            "listen": [f"tcp://127.0.0.1:{self.port}"], **more}]})
        self.tend.ok("start", path)
        self.all_answer(count)

    def gunicorn(self, *words, **more):
        self.need("gunicorn")
        self.listening(shutil.which("gunicorn"), ["web:wsgi", *words], wait_ready=True,
                       listen_timeout="30s", **more)

    def test_gunicorn_sync(self):
        self.gunicorn("-w", "2")
        found = self.reload_under("close", 6)
        self.assertEqual(found["failed"], 0, found)

    def test_gunicorn_gthread(self):
        self.gunicorn("-w", "1", "-k", "gthread", "--threads", "4", "--keep-alive", "1")
        found = self.reload_under("close", 6)
        self.assertEqual(found["failed"], 0, found)

    def uvicorn(self, **more):
        self.need("uvicorn")
        self.listening(shutil.which("uvicorn"), ["web:asgi", "--fd", "{fd}", "--log-level", "warning"],
                       **more)

    def test_uvicorn(self):
        self.uvicorn()
        found = self.reload_under("close", 6)
        self.assertEqual(found["failed"], 0, found)

    def test_a_c_server_by_systemds_convention(self):
        self.need("cc")
        program = self.tend.work / "server"
        subprocess.run(["cc", "-O2", "-o", program, PROGRAMS / "server.c"], check=True)
        self.listening(program, [], kill_signal="SIGINT")
        found = self.reload_under("close")
        self.assertEqual(found["failed"], 0, found)

    def test_a_client_that_keeps_its_connection_is_waited_for(self):
        self.uvicorn(count=1, drain_timeout="20s")
        old = str(self.pids()[0])
        link = http.client.HTTPConnection("127.0.0.1", self.port, timeout=limit(10))
        self.addCleanup(link.close)

        def ask():
            link.request("GET", "/")
            return link.getresponse().read().decode().split()[0]
        self.assertEqual(ask(), old)
        with self.tend.popen("reload", "api", "--timeout", "60s") as reload:
            wait_for(lambda: get(self.port).split()[0] != old, what="the successor to get what is new")
            for _ in range(10):
                self.assertEqual(ask(), old)
                self.assertNotEqual(get(self.port).split()[0], old)
                time.sleep(0.1)
            self.assertIsNone(reload.poll(), "it waits for the client")
            link.close()
            began = time.monotonic()
            out, err = reload.communicate(timeout=limit(30))
            self.assertEqual(reload.returncode, 0, out + err)
            self.assertLess(time.monotonic() - began, limit(5))
        self.assertNotIn(int(old), self.pids())


del ClusterTest  # else its tests would be found here too

if __name__ == "__main__":
    unittest.main()
