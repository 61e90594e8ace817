"""An app sees no trace of the script: run twice, with it and without, it says, writes and ends the same."""

import json
import time
import unittest

from peer import LIMIT, data_form, file_form, node_version
from preload_test import NodeTest

LOOK = """
const seen = () => ({
  env: process.env, execArgv: process.execArgv, argv: process.argv.slice(2), cache: Object.keys(require.cache),
  handles: process._getActiveHandles().map((h) => h.constructor.name).sort(),
  requests: process._getActiveRequests().length,
  resources: process.getActiveResourcesInfo().sort(),
  events: process.eventNames().map(String).sort(), messages: process.listenerCount('message'),
  usr1: process.listenerCount('SIGUSR1'), globals: Object.getOwnPropertyNames(globalThis).sort(),
  parent: String(module.parent), main: require.main === module, debugPort: process.debugPort,
});
const first = seen();
setTimeout(() => console.log(JSON.stringify([first, seen()])), 50);
"""


class TraceTests:
    def both(self, text, name="app.js", env=None, before=()):
        """The results without the script and with it."""
        plain = self.node(text, None, self.plain, name, before, env=env).result()
        settings = {**(env or {}), "TEND_DRAIN": "100:200:0:0"}
        return plain, self.node(text, ":100:500:0", None, name, before, env=settings).result()

    def test_a_program_without_work_ends_by_itself_at_once(self):
        for name in ("app.js", "app.mjs"):
            begin = time.monotonic()
            self.assertEqual(self.node("", name=name).result(), (0, "", ""))
            self.assertLess(time.monotonic() - begin, LIMIT / 5)

    def test_the_exit_code_is_the_apps(self):
        for text, code in (("", 0), ("process.exitCode = 7", 7), ("process.exit(7)", 7), ("process.abort", 0),
                           ("setTimeout(() => process.exit(9), 30)", 9)):
            with self.subTest(text=text):
                plain, loaded = self.both(text)
                self.assertEqual(plain, (code, "", ""))
                self.assertEqual(loaded, plain)

    def test_an_uncaught_error_ends_the_app_with_the_same_text(self):
        for text in ("function f() { throw new Error('lost'); }\nf();", "Promise.reject(new Error('lost'));", "require('absent');",
                     "setTimeout(() => { null.x; }, 10);", "syntax error", "console.log(new Error('told').stack);"):
            for name in ("app.js", "app.mjs"):
                with self.subTest(text=text, name=name):
                    plain, loaded = self.both(text, name)
                    self.assertEqual(loaded, plain)

    def test_nothing_is_to_be_seen_of_it(self):
        for before, env in (((), {}), (("--stack-size=900",), {"NODE_OPTIONS": "--no-warnings"})):
            with self.subTest(before=before):
                plain, loaded = self.both(LOOK, env=env, before=before)
                self.assertEqual((loaded[0], loaded[2]), (plain[0], plain[2]))
                for without, with_it in zip(json.loads(plain[1]), json.loads(loaded[1])):
                    without["execArgv"] = without["execArgv"][len(self.plain):]
                    self.assertEqual(with_it, without)


class FileFormTraceTest(TraceTests, NodeTest):
    form = staticmethod(file_form)
    plain = []

    def test_nothing_is_to_be_seen_of_it_in_a_thread(self):
        plain, loaded = self.both("""const { Worker } = require('worker_threads');
new Worker('console.log(JSON.stringify([process.execArgv, Object.keys(require.cache), process.env.TEND_HEARTBEAT]))',
  { eval: true });""")
        self.assertEqual(plain[0], 0)
        self.assertNotIn("preload", loaded[1])
        self.assertNotIn("tend", loaded[1])


class DataFormTraceTest(TraceTests, NodeTest):
    """Compared with an --import of nothing: with any, Node starts the main file from its module loader, which shows in
    its own frames and in a request of its own, and which no script can hide."""

    form = staticmethod(data_form)
    plain = ["--import=data:text/javascript,0"]

    def setUp(self):
        super().setUp()
        if node_version() < (18, 18):
            self.skipTest("--import came with 18.18")


if __name__ == "__main__":
    unittest.main()
