"""The script that Node apps load first, driven as tend drives it: what it answers, and that the app goes on as without."""

import subprocess
import time
import unittest
from pathlib import Path

from peer import LIMIT, NODE, SCALE, PeerTest, WireTests, data_form, file_form, frames, node_version

# Does what standard input says, a word a line, and answers with a line.
APP = """
const block = (ms) => { for (const end = Date.now() + ms; Date.now() < end;); };
const acts = {
  block: () => block(300),
  listen: () => process.on('SIGUSR1', () => {}),
  unlisten: () => process.removeAllListeners('SIGUSR1'),
  inspect: () => require('inspector').open(0, '127.0.0.1'),
  uninspect: () => require('inspector').close(),
  port: () => process.debugPort,
  worker: () => {
    const { Worker } = require('worker_threads');
    new Worker(`for (;;);`, { eval: true });
  },
  end: () => process.exit(3),
};
require('readline').createInterface({ input: process.stdin }).on('line', (word) => {
  const said = acts[word]();
  console.log(word, typeof said === 'number' ? said : '');
});
"""

SPAWNS = """
const { spawn, fork } = require('child_process');
const cluster = require('cluster');
const fs = require('fs');
if (cluster.isPrimary && process.argv[2] !== 'child') {
  setInterval(() => {}, 1000);
  const told = (how) => (text) => console.log(how, String(text).trim());
  const loud = { stdio: ['ignore', 'pipe', 'inherit', 'ipc'] };
  spawn(process.execPath, [__filename, 'child'], { stdio: ['ignore', 'pipe', 'inherit'] }).stdout.once('data', told('spawn'));
  fork(__filename, ['child'], loud).stdout.once('data', told('fork'));
  cluster.setupPrimary({ ...loud, args: ['child'] });
  cluster.fork().process.stdout.once('data', told('cluster'));
} else {
  const fds = fs.readdirSync('/proc/self/fd').map((fd) => { try { return fs.readlinkSync(`/proc/self/fd/${fd}`); } catch { return ''; } });
  console.log(JSON.stringify([Object.keys(process.env).filter((k) => k.startsWith('TEND_')), process.execArgv, fds]));
  if (process.disconnect) process.disconnect();
  setTimeout(() => process.exit(), 100);
}
"""


class NodeTest(PeerTest):
    def setUp(self):
        super().setUp()
        if NODE is None:
            self.skipTest("no node in PATH")

    def node(self, text=APP, settings=":100:0:0", form=None, name="app.js", before=(), **words):
        path = self.write(name, text)
        return self.peer([NODE, *(self.form() if form is None else form), *before, path], settings, **words)


class PreloadTests(WireTests):
    def answering(self):
        return self.node()

    def do(self, peer, word):
        peer.say(word)
        return peer.line().split()

    def test_a_block_between_two_pings_is_the_lag_of_the_next_pong_alone(self):
        # The timer sees a block but for what was left of its period.
        for drift, least_us in ((40, 250_000), (100, 195_000)):
            with self.subTest(drift=drift):
                peer = self.node(settings=f":{drift}:0:0")
                peer.ping()
                self.do(peer, "block")
                time.sleep(0.15)
                self.assertGreaterEqual(peer.ping()["lag_us"], least_us)
                self.assertLess(peer.ping()["lag_us"], 150_000 * SCALE)

    def test_without_the_timer_the_lag_is_that_of_the_ping(self):
        peer = self.node(settings=":0:0:0")
        peer.ping()
        peer.say("block")
        time.sleep(0.05)
        self.assertGreaterEqual(peer.ping()["lag_us"], 150_000)
        self.do(peer, "block")
        peer.line()
        self.assertLess(peer.ping()["lag_us"], 150_000 * SCALE)

    def test_stats_ride_at_their_rate(self):
        peer = self.node(settings=":100:300:0")
        first = peer.ping()
        self.assertTrue(first["flags"] & frames.STATS)
        self.assertGreater(first["heap"], 1_000_000)
        self.assertGreaterEqual(first["handles"], 1)
        begin, with_stats = time.monotonic(), 0
        while time.monotonic() - begin < 1.0:
            with_stats += bool(peer.ping()["flags"] & frames.STATS)
            time.sleep(0.02)
        self.assertIn(with_stats, (1, 2, 3))

    def test_no_stats_ride_with_a_rate_of_0(self):
        peer = self.node()
        self.assertFalse(any(peer.ping()["flags"] & frames.STATS for _ in range(5)))

    def test_the_debug_port_is_free_to_choose_only_with_flag_1(self):
        for flag, port in ((0, 9229), (1, 0)):
            with self.subTest(flag=flag):
                self.assertEqual(self.do(self.node(settings=f":100:0:{flag}"), "port"), ["port", str(port)])

    def test_it_may_be_inspected_with_flag_1_while_the_app_does_not_listen_for_sigusr1(self):
        without = self.node(settings=":100:0:0")
        self.assertFalse(without.frame()["flags"] & frames.INSPECTABLE)
        self.assertFalse(without.ping()["flags"] & frames.INSPECTABLE)
        peer = self.node(settings=":100:0:1")
        seen = [peer.frame()["flags"], peer.ping()["flags"]]
        for word in ("listen", "unlisten"):
            self.do(peer, word)
            seen.append(peer.ping()["flags"])
        self.assertEqual([bool(flags & frames.INSPECTABLE) for flags in seen], [True, True, False, True])

    def test_an_open_debugger_is_told(self):
        peer = self.node()
        seen = [peer.ping()["flags"]]
        for word in ("inspect", "uninspect"):
            self.do(peer, word)
            seen.append(peer.ping()["flags"])
        self.assertEqual([bool(flags & frames.DEBUGGED) for flags in seen], [False, True, False])

    def test_a_worker_thread_is_not_asked_and_blocks_no_pong(self):
        peer = self.node()
        peer.ping()
        self.do(peer, "worker")
        time.sleep(0.2)
        for _ in range(20):
            self.assertEqual(peer.ping()["flags"] & frames.FIRST, 0)
        with self.assertRaises(TimeoutError):
            peer.socket.settimeout(0.1)
            peer.frame()  # a thread's hello would be one

    def test_children_of_the_app_see_neither_variable_nor_descriptor(self):
        peer = self.node(SPAWNS, env={"TEND_DRAIN": "100:200:0:0"})
        peer.ping()
        for how in sorted(peer.line().split(" ", 1) for _ in range(3)):
            with self.subTest(how=how[0]):
                self.assertTrue(how[1].startswith("[[],[],["), how)
                self.assertNotIn(f"socket:[{peer.inode}]", how[1])
        self.assertEqual(peer.ping()["sequence"], 2)

    def test_main_may_be_a_module_with_a_top_level_await(self):
        text = """await new Promise((done) => setTimeout(done, 400));
console.log('woke', process.env.TEND_HEARTBEAT);
setInterval(() => {}, 1000);
"""
        peer = self.node(text, name="app.mjs")
        peer.ping()
        self.assertEqual(peer.line(), "woke undefined")
        self.assertEqual(peer.ping()["sequence"], 2)

    def test_a_runner_with_hooks_in_a_thread_keeps_working(self):
        major = node_version()[:2]
        if major < (18, 19):
            self.skipTest("module.register() came with 18.19")
        self.write("hooks.mjs", """export async function load(url, context, next) {
  if (!url.endsWith('.odd')) return next(url, context);
  return { format: 'module', shortCircuit: true, source: `console.log('odd', process.env.TEND_HEARTBEAT); setInterval(() => {}, 1e3);` };
}""")
        self.write("runner.mjs", "import { register } from 'node:module'; register('./hooks.mjs', import.meta.url);")
        for words in (["--import", "./runner.mjs"], ["--no-warnings", "--experimental-loader", "./hooks.mjs"]):
            with self.subTest(words=words):
                peer = self.node("", name="app.odd", before=words)
                self.assertEqual(peer.line(), "odd undefined")
                self.assertEqual([peer.ping()["sequence"] for _ in range(3)], [1, 2, 3])

    def test_tsx_keeps_working(self):
        tsx = next((p for p in Path(__file__).parents if (p / "node_modules/tsx").is_dir()), None)
        if tsx is None:
            self.skipTest("tsx is not installed in node_modules of this folder or one above")
        (self.dir / "node_modules").symlink_to(tsx / "node_modules")
        peer = self.node("const x: number = 1; console.log('typed', x); setInterval(() => {}, 1000);", name="app.ts",
                         before=["--import", "tsx"])
        self.assertEqual(peer.line(), "typed 1")
        self.assertEqual(peer.ping()["sequence"], 1)

    def test_the_app_runs_when_the_descriptor_is_none_or_no_socket(self):
        for value in ("999:100:500:1", "x", ":", "-1:100:0:0", "99999999999:1:1:1", "3.5:0:0:0"):
            with self.subTest(value=value):
                peer = self.node("console.log('ran')", env={"TEND_HEARTBEAT": value})
                self.assertEqual(peer.result(), (0, "ran\n", ""))
        with open("/dev/null") as null:
            path = self.write("app.js", "console.log('ran')")
            done = subprocess.run([NODE, *self.form(), path], pass_fds=[null.fileno()], capture_output=True, timeout=LIMIT,
                                  env={"TEND_HEARTBEAT": f"{null.fileno()}:100:0:0"})
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, b"ran\n", b""))

    def test_the_app_does_its_work_when_the_other_end_is_closed(self):
        peer = self.node()
        peer.ping()
        peer.socket.close()
        self.assertEqual(self.do(peer, "block"), ["block"])
        self.assertEqual(self.do(peer, "end"), [])
        self.assertEqual(peer.result(), (3, "", ""))


class FileFormTest(PreloadTests, NodeTest):
    form = staticmethod(file_form)


class DataFormTest(PreloadTests, NodeTest):
    form = staticmethod(data_form)

    def setUp(self):
        super().setUp()
        if node_version() < (18, 18):
            self.skipTest("--import came with 18.18")


if __name__ == "__main__":
    unittest.main()
