"""What apps say on their channel, what is said to them, and the stream of events."""

import json
import os
import unittest

from harness import TendTest, wait_for


class MessagesTest(TendTest):
    def setUp(self):
        super().setUp()
        self.need("node")
        self.tend.script("talk.js", """
process.on('message', (m) => process.send({type: 'echo', data: {m, pid: process.pid}}));
process.send('hello');
process.send({type: 'axm:monitor', data: {x: {value: 1}}});
process.send({node_version: process.version});
process.send({cmd: 'NODE_private'});
process.send({type: 'exit', data: 'a word of the app, no event of tend'});
""")

    def events(self, name):
        stream = self.tend.popen("events", "--json")
        self.addCleanup(stream.communicate)
        self.addCleanup(stream.kill)
        fd, text = stream.stdout.fileno(), bytearray()
        os.set_blocking(fd, False)

        def seen(wanted=name):
            try:
                text.extend(os.read(fd, 1 << 20))
            except BlockingIOError:
                pass
            whole = bytes(text[:text.rfind(b"\n") + 1]).decode()
            return [e for e in map(json.loads, whole.splitlines()) if e["name"] == wanted]
        return seen

    def test_node_in_a_line_for_the_shell_has_its_channel(self):
        self.tend.script("says.js", "console.log(process.connected, typeof process.send);\nprocess.send('ready');\n"
                                    "setInterval(() => {}, 1000);\n")
        for name, words in (("line", ["node says.js"]), ("ready", ["node says.js", "--wait-ready", "--listen-timeout", "30s"])):
            self.tend.ok("start", *words, "--name", name)
            self.assertEqual(self.tend.wait_text(self.tend.out_log(name), "\n"), "true function\n")
        self.tend.ok("start", "env; exec sleep 1000", "--name", "other")
        self.assertNotIn("NODE_CHANNEL_FD", self.tend.wait_text(self.tend.out_log("other"), "PATH="))

    def test_what_a_program_says_is_on_the_stream_and_answers_reach_it(self):
        for mode in ("fork", "cluster"):
            with self.subTest(mode):
                self.tend.ok("start", self.tend.sleeper(), "--name", "first" + mode)
                seen = self.events("talk")
                # Nobody is subscribed before the daemon has the request: an event proves that it has.
                wait_for(lambda: self.tend.ok("restart", "first" + mode) and seen("first" + mode), what="a subscription")
                self.tend.ok("start", "talk.js", "--exec-mode", mode, "--no-autorestart")
                wait_for(lambda: any(e["event"] == "process:msg" for e in seen()), what="the first word")
                self.tend.ok("message", "talk", '{"n": [1, "ü"]}')
                self.tend.ok("message", "talk", "plain words")
                wait_for(lambda: sum(e["event"] == "echo" for e in seen()) == 2, what="both echoes")
                app = self.tend.app("talk")
                said = [(e["event"], e.get("data", e.get("raw"))) for e in seen() if e["kind"] == "message"]
                self.assertEqual(said, [("process:msg", "hello"), ("exit", "a word of the app, no event of tend"),
                                        ("echo", {"m": {"n": [1, "ü"]}, "pid": app["pid"]}),
                                        ("echo", {"m": "plain words", "pid": app["pid"]})])
                numbers = [e["n"] for e in seen()]
                self.assertEqual(numbers, sorted(set(numbers)))
                self.assertEqual(app["pm2_env"]["status"], "online")
                self.tend.ok("delete", "talk")

    def test_one_without_a_channel_is_told_of(self):
        self.tend.ok("start", self.tend.sleeper(), "--name", "shell")
        done = self.tend.run("message", "shell", "x")
        self.assertEqual(done.returncode, 1)
        self.assertIn("has no channel", done.stderr)


if __name__ == "__main__":
    unittest.main()
