"""What a clustered Node app is and sees: its number, its stop signal in a reload, its sources, how connections reach it."""

import subprocess
import time
import unittest
from collections import Counter

from cluster_test import get
from harness import TendTest, free_port, limit, port_is_free, wait_for

TIDY = """const s = require('http').createServer((q, r) => r.end(String(process.pid))).listen(PORT);
const d = require('dgram').createSocket('udp4');
d.bind(PORT);
console.log('worker', require('cluster').worker.id);
process.on('SIGINT', async () => {
  try {
    await new Promise((done, failed) => s.close((e) => (e ? failed(e) : done())));
    await new Promise((done) => d.close(done));
    console.log('tidied up');
    process.exit(0);
  } catch (e) {
    console.log('failed', e.code);
    process.exit(1);
  }
});
"""


class Workers(TendTest):
    def setUp(self):
        super().setUp()
        self.need("node")

    def said(self):
        return "".join(p.read_text() for p in (self.tend.home / "logs").glob("app-out*")).split("\n")

    def test_a_stop_handler_that_closes_its_servers_succeeds_in_a_reload_too(self):
        for options in ((), ("--balance", "rr")):
            port = free_port()
            self.tend.script("app.js", TIDY.replace("PORT", str(port)))
            self.tend.ok("start", "app.js", "-i", "2", *options)
            wait_for(lambda: not port_is_free(port), what="its port")  # it is online with the first of its two
            self.tend.ok("reload", "app")
            self.tend.ok("scale", "app", "1")
            wait_for(lambda: self.said().count("tidied up") == 3, what="three ends")
            self.assertFalse([line for line in self.said() if line.startswith("failed")])
            self.tend.ok("delete", "app")
            self.tend.ok("flush")
            for log in (self.tend.home / "logs").glob("app-out*"):
                log.unlink()

    def test_one_that_closes_its_server_at_the_shutdown_message_finishes_its_requests(self):
        port = free_port()
        self.tend.script("app.js", "const s = require('http').createServer((q, r) => {\n"
                                   "  setTimeout(() => r.end(String(process.pid)), q.url === '/slow' ? 1500 : 0);\n"
                                   f"}}).listen({port});\n"
                                   "process.on('message', (m) => m === 'shutdown' && s.close(() => process.exit(0)));\n")
        self.tend.ok("start", "app.js", "-i", "1", "--shutdown-with-message")
        wait_for(lambda: not port_is_free(port), what="its port")
        old = get(port)
        with subprocess.Popen(["curl", "-s", f"http://127.0.0.1:{port}/slow"], stdout=subprocess.PIPE, text=True) as slow:
            time.sleep(0.3)
            self.tend.ok("reload", "app")
            self.assertEqual(slow.communicate(timeout=limit(10))[0], old)
        self.assertNotEqual(get(port), old)

    def test_workers_are_numbered_as_nodes_primary_does(self):
        self.tend.script("app.js", "console.log('worker', require('cluster').worker.id);\n"
                         f"require('http').createServer(() => {{}}).listen({free_port()});\n")
        self.tend.ok("start", "app.js", "-i", "3")
        numbers = lambda: sorted(int(line.split()[1]) for line in self.said() if line.startswith("worker "))
        wait_for(lambda: numbers() == [1, 2, 3], what="1, 2, 3")
        self.tend.supervisor_may_die = True
        self.tend.ok("kill", "--supervisor")
        self.tend.ok("restart", "app")
        wait_for(lambda: numbers() == [1, 2, 3, 4, 5, 6], what="no number twice")

    def test_traces_name_the_sources(self):
        self.tend.script("app.js", '"use strict";\nfunction boom() { throw new Error("b"); }\nboom();\n//# sourceMappingURL=app.js.map\n')
        self.tend.json_file("app.js.map", {"version": 3, "sources": ["app.ts"], "names": [], "mappings": ";AAGA;AACA"})
        self.tend.run("start", "app.js", "--source-map-support", "--no-autorestart")
        self.tend.wait_text(self.tend.err_log("app"), "app.ts:4")

    def test_a_program_that_simply_accepts_waits_on_the_socket_that_it_is_given(self):
        port = free_port()
        self.tend.script("plain.py", "import os, socket\ns = socket.socket(fileno=3)\nprint(os.get_blocking(3), flush=True)\n"
                         "while True:\n    c, _ = s.accept()\n    c.recv(4096)\n    c.sendall(b'HTTP/1.0 200 OK\\r\\n\\r\\npong')\n    c.close()\n")
        self.tend.ok("start", "plain.py", "--listen", f"127.0.0.1:{port}")
        self.assertEqual(get(port), "pong")
        self.assertEqual(self.tend.app("plain")["pm2_env"]["restart_time"], 0)
        self.assertEqual(self.tend.read(self.tend.out_log("plain")), "True\n")

    def test_a_changed_balance_counts_from_the_next_restart(self):
        port = free_port()
        self.tend.script("app.js", "require('http').createServer((q, r) => r.end(String(process.pid)))"
                         f".listen({port}, '127.0.0.1', () => console.log('listens'));\n")
        workers = lambda: len(Counter(get(port) for _ in range(20)))
        self.tend.ok("start", "app.js", "-i", "2", "--balance", "sticky")
        wait_for(lambda: self.said().count("listens") == 2, what="two that listen")
        wait_for(lambda: workers() == 1, what="one for this client")
        self.tend.ok("restart", "app", "--balance", "rr")
        wait_for(lambda: self.said().count("listens") == 4, what="two that listen again")
        wait_for(lambda: workers() == 2, what="each in turn")


if __name__ == "__main__":
    unittest.main()
