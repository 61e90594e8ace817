"""What apps announce in PM2's words, and what they are asked for: metrics in the listings, actions by trigger."""

import json
import os
import random
import re
import signal
import subprocess
import time
import unittest

from harness import BIN, ROOT, TendTest, limit, wait_for

PROGRAMS = ROOT / "tests/fixtures/programs"

# Written by hand, as apps without a package do it.
APP = r"""
const action = (name, more) => process.send({type: 'axm:action', data: {action_name: name, ...more}});
action('echo', {arity: 1});
action('never');
action('die');
action('lines', {action_type: 'scoped'});
process.send({type: 'axm:monitor', data: {Orders: {value: 3, unit: 'o', historic: true}, Mood: {value: 'good'}}});
process.send({type: 'axm:monitor', data: {Orders: {value: 4, unit: 'o', historic: true}}});
process.send({type: 'axm:option:configuration', data: {name: 'other', custom: {a: 1}}});
process.send({node_version: '20.1.2'});
process.on('message', (m) => {
  console.log(JSON.stringify(m));
  const name = typeof m === 'string' ? m : m.msg;
  const reply = (type, data) => process.send({type, data: {action_name: name, uuid: m.uuid, ...data}});
  if (name === 'die') process.exit(0);
  if (name === 'echo') reply('axm:reply', {return: m});
  if (name !== 'lines') return;
  reply('axm:scoped_action:stream', {data: 'first'});
  reply('axm:scoped_action:stream', {data: {second: 2}});
  if (m.opts === 'fail') return reply('axm:scoped_action:error', {data: 'no more'});
  reply('axm:scoped_action:end', {data: 'done'});
});
setInterval(() => {}, 1000);
"""


class AxmTest(TendTest):
    def setUp(self):
        super().setUp()
        self.need("node")

    def record(self, name="app"):
        return self.tend.app(name)["pm2_env"]

    def start_app(self, *args, announced=4):
        self.tend.script("app.js", APP)
        self.tend.ok("start", "app.js", *args)
        wait_for(lambda: all(len(r["pm2_env"]["axm_actions"]) == announced and r["pm2_env"].get("node_version") == "20.1.2"
                             for r in self.tend.jlist()), what="the announcements")

    def pm2(self, *words):
        """The same home under PM2's name."""
        link = self.tend.bin / "pm2"
        if not link.exists():
            link.symlink_to(BIN)
        return subprocess.run([link, *words], env={**self.tend.env, "PM2_HOME": str(self.tend.home)}, cwd=self.tend.work,
                              text=True, capture_output=True, timeout=limit(30))

    def kill_supervisor(self):
        self.tend.supervisor_may_die = True
        os.kill(self.tend.pids()[0], signal.SIGKILL)


class Packaged(AxmTest):
    def test_a_metric_of_the_npm_package_is_listed_and_its_actions_answer(self):
        if not (PROGRAMS / "node_modules/@pm2/io").is_dir():
            self.skipTest("npm ci in tests/fixtures/programs first")
        self.tend.ok("start", PROGRAMS / "metrics.js", "--name", "m")
        wait_for(lambda: "Users" in self.record("m")["axm_monitor"], what="the metric")
        pid = self.tend.app("m")["pid"]
        self.assertEqual(json.loads(self.tend.ok("trigger", "m", "greet", "--json").stdout)["replies"][0]["return"],
                         {"hello": pid})
        self.assertEqual(self.tend.ok("trigger", "0", "set", "12").stdout, 'm (0): "12"\n')
        metric = wait_for(lambda: (m := self.record("m")["axm_monitor"]["Users"])["value"] == 12 and m,
                          what="the metric's new value")
        self.assertEqual(metric["unit"], "people")
        self.assertIn("greet", [a["action_name"] for a in self.record("m")["axm_actions"]])
        self.assertEqual(self.record("m")["axm_options"]["apm"]["type"], "node")
        version = subprocess.run(["node", "--version"], capture_output=True, text=True).stdout.strip()
        self.assertEqual("v" + self.record("m")["node_version"], version)
        shown = self.tend.ok("describe", "m").stdout
        self.assertRegex(shown, r"│ Users +│ 12 people +│")
        self.assertRegex(shown, r"│ greet +│")
        # Actions are told only once, metrics come again.
        self.kill_supervisor()
        self.assertEqual(json.loads(self.tend.ok("trigger", "m", "greet", "--json").stdout)["replies"][0]["return"],
                         {"hello": pid})
        self.assertIn("Users", self.record("m")["axm_monitor"])


class ByHand(AxmTest):
    def test_what_is_announced_is_in_the_record_until_the_process_ends(self):
        for mode in ("fork", "cluster"):
            with self.subTest(mode):
                self.start_app("--exec-mode", mode)
                r = self.record()  # axm_options.name renames nothing
                self.assertEqual([a["action_name"] for a in r["axm_actions"]], ["echo", "never", "die", "lines"])
                self.assertEqual(r["axm_actions"][0], {"action_name": "echo", "arity": 1})
                self.assertEqual(r["axm_monitor"]["Orders"], {"value": 4, "unit": "o", "historic": True})
                self.assertEqual(r["axm_options"], {"name": "other", "custom": {"a": 1}})
                self.assertEqual(r["node_version"], "20.1.2")
                shown = self.tend.ok("describe", "app").stdout
                self.assertRegex(shown, r"│ Orders +│ 4 o +│\n│ Mood +│ good │")
                self.assertRegex(shown, r"│ node.js version +│ 20.1.2 ")
                self.kill_supervisor()
                after = self.record()
                for key in ("axm_actions", "axm_options", "node_version"):
                    self.assertEqual(after[key], r[key])
                self.assertIn("Mood", after["axm_monitor"])
                self.tend.ok("stop", "app")
                r = self.record()
                self.assertEqual((r["axm_actions"], r["axm_monitor"], r["axm_options"]), ([], {}, {}))
                self.tend.ok("delete", "app")

    def test_pm2_shows_the_same_blocks_and_answers_as_pm2(self):
        self.start_app()
        shown = self.pm2("describe", "app").stdout
        self.assertRegex(shown, r" Actions available \n┌─+┐\n│ echo +│\n(.*\n)*? Trigger via: pm2 trigger app <action_name>\n")
        self.assertRegex(shown, r" Code metrics value \n┌─+┬─+┐\n│ Orders +│ 4 o ")
        done = self.pm2("trigger", "app", "echo", "p")
        self.assertEqual((done.returncode, done.stdout),
                         (0, '1 processes have received command echo\n'
                             '[app:0:default]={"msg":"echo","opts":"p","name":"app"}\n'))
        for words, text in ((("app", "no"), "Not any process has received a command (offline or unexistent)\n"),
                            (("0", "no"), "Action doesn't exist no for app\n"), (("9", "no"), "9 id unknown\n")):
            done = self.pm2("trigger", *words)
            self.assertEqual((done.returncode, done.stdout, done.stderr), (1, "", text))

    def test_an_action_gets_its_name_alone_or_with_its_parameter(self):
        self.start_app()
        self.assertEqual(self.tend.ok("trigger", "app", "echo").stdout, 'app (0): "echo"\n')
        self.assertEqual(self.tend.ok("trigger", "app", "echo", "x y").stdout,
                         'app (0): {"msg":"echo","opts":"x y","name":"app"}\n')
        self.assertEqual(self.tend.ok("trigger", "0", "echo", "7").stdout,
                         'app (0): {"msg":"echo","opts":"7","id":"0"}\n')

    def test_all_processes_that_have_the_action_answer_and_no_others_are_asked(self):
        self.start_app("-i", "2")
        self.tend.ok("start", self.tend.sleeper(), "--name", "other")
        answer = json.loads(self.tend.ok("trigger", "all", "echo", "--json").stdout)
        self.assertEqual(answer["asked"], 2)
        self.assertEqual(sorted(r["id"] for r in answer["replies"]), [0, 1])
        self.assertEqual([(r["name"], r["code"]) for r in answer["refused"]], [("other", "offline")])

    def test_who_does_not_answer_is_named(self):
        self.start_app()
        began = time.monotonic()
        done = self.tend.run("trigger", "app", "never", "--timeout", "300ms")
        self.assertEqual((done.returncode, done.stderr), (3, "tend: app (0) did not answer\n"))
        self.assertLess(time.monotonic() - began, 5)
        done = self.tend.run("trigger", "app", "die")
        self.assertEqual((done.returncode, done.stderr), (1, "tend: app (0) ended before it answered\n"))
        for words, text in ((("app", "none"), "app (0) has no action none"),
                            (("nobody", "echo"), "process or namespace not found: nobody"), (("app",), "missing operand")):
            wait_for(lambda: len(self.record()["axm_actions"]) == 4, what="the successor's announcements")
            done = self.tend.run("trigger", *words)
            self.assertIn(done.returncode, (1, 2))
            self.assertIn(text, done.stderr)
            self.assertEqual(done.stderr.count("\n"), 1)

    def test_a_scoped_action_shows_its_parts(self):
        self.start_app()
        self.assertEqual(self.tend.ok("trigger", "app", "lines").stdout,
                         'app (0) | first\napp (0) | {"second":2}\napp (0): "done"\n')
        done = self.tend.run("trigger", "app", "lines", "fail")
        self.assertEqual((done.returncode, done.stderr), (1, "tend: app (0) failed: no more\n"))

    def test_many_answers_are_all_shown_and_lost_parts_are_told(self):
        self.tend.script("app.js", r"""
process.send({type: 'axm:action', data: {action_name: 'much', action_type: 'scoped'}});
process.on('message', ({uuid, opts}) => {
  for (let n = 0; n < opts; ++n) process.send({type: 'axm:scoped_action:stream', data: {uuid, action_name: 'much', data: n}});
  process.send({type: 'axm:scoped_action:end', data: {uuid, action_name: 'much', data: 'end'}});
});""")
        self.tend.ok("start", "app.js")
        wait_for(lambda: self.record()["axm_actions"], what="the action")
        lines = self.tend.ok("trigger", "app", "much", "200").stdout.splitlines()
        self.assertEqual(lines, [f"app (0) | {n}" for n in range(200)] + ['app (0): "end"'])
        done = self.tend.run("trigger", "app", "much", "20000")
        shown = done.stdout.splitlines()
        self.assertEqual(shown[-1], 'app (0): "end"')
        lost = re.fullmatch(r"tend: trigger: (\d+) parts of answers came faster than they could be shown\n", done.stderr)
        self.assertEqual((done.returncode, int(lost[1]) + len(shown)), (1, 20001))

    def test_a_packet_and_a_word_arrive_as_they_are(self):
        self.start_app()
        packet = {"type": "process:msg", "topic": "t", "data": {"a": [1, None]}, "id": 0}
        self.tend.ok("message", "app", "shutdown")
        self.tend.ok("message", "app", json.dumps(packet))
        heard = wait_for(lambda: (t := self.tend.read(self.tend.out_log("app"))).count("\n") == 2 and t, what="both")
        self.assertEqual([json.loads(line) for line in heard.splitlines()], ["shutdown", packet])


    def test_the_process_that_an_app_names_is_measured_instead_of_its_main_one(self):
        self.tend.script("parent.js", r"""
const child = require('child_process').spawn('python3', ['-c', 'import time; x = b"x" * (150 << 20); time.sleep(1000)']);
process.send({type: 'axm:option:configuration', data: {pid: child.pid}});
setInterval(() => {}, 1000);""")
        self.tend.ok("start", "parent.js")
        wait_for(lambda: self.tend.app("parent")["monit"]["memory"] > 150 << 20, what="the child's memory")


class Bounds(AxmTest):
    def test_a_flood_of_announcements_is_bounded_and_others_are_served(self):
        self.tend.script("flood.js", r"""
let n = 0;
const text = 'x'.repeat(2000);
function more() {
  for (let i = 0; i < 50; ++i, ++n) {
    process.send({type: 'axm:action', data: {action_name: 'a' + n, opts: text.slice(n % 7)}});
    process.send({type: 'axm:monitor', data: {['m' + n]: {value: text}, same: {value: n}}});
    process.send({type: 'axm:option:configuration', data: {['o' + n]: text, same: text + n}});
  }
  require('fs').writeFileSync('sent', String(n));
  setTimeout(more, 1);
}
more();""")
        self.start_app()
        supervisor = self.tend.pids()[0]
        self.tend.ok("start", "flood.js")
        wait_for(lambda: int(self.tend.read("sent") or 0) > 4000, 30, "12,000 messages")
        for _ in range(3):
            began = time.monotonic()
            self.tend.ok("trigger", "app", "echo")
            self.assertLess(time.monotonic() - began, limit(3))
        r = self.record("flood")
        self.assertLessEqual(len(r["axm_actions"]), 256)
        for key, most in (("axm_actions", 64 << 10), ("axm_monitor", 140 << 10), ("axm_options", 64 << 10)):
            self.assertLess(len(json.dumps(r[key])), most)
            self.assertGreater(len(r[key]), 10)
        self.assertEqual(len(re.findall("announces too much", self.tend.read(self.tend.home / "tend.log"))), 1)
        if not os.environ.get("TEND_TEST_SCALE"):  # a sanitizer's shadow counts as resident
            peak = int(re.search(r"VmHWM:\s+(\d+) kB", self.tend.read(f"/proc/{supervisor}/status"))[1])
            self.assertLess(peak, 40 << 10)

    def test_no_action_is_lost_over_kills_of_the_supervisor(self):
        self.tend.script("many.js", r"""
let n = 0;
setInterval(() => n < 40 && process.send({type: 'axm:action', data: {action_name: 'a' + n++}}), 25);""")
        self.tend.ok("start", "many.js")
        for _ in range(6):
            time.sleep(random.random() / 5)
            self.kill_supervisor()
        wait_for(lambda: self.record("many")["axm_actions"][-1:] == [{"action_name": "a39"}], what="the last action")
        self.assertEqual([a["action_name"] for a in self.record("many")["axm_actions"]], [f"a{n}" for n in range(40)])


class Channel(TendTest):
    PYTHON = """import json, os, sys, time
fd = int(os.environ['NODE_CHANNEL_FD'])
say = lambda m: os.write(fd, json.dumps(m).encode() + b'\\n')
say({'type': 'axm:action', 'data': {'action_name': 'twice'}})
time.sleep(0.2)
say('ready')
for line in os.fdopen(fd, 'r', closefd=False):
    m = json.loads(line)
    if m.get('cmd', ''):
        continue
    say({'type': 'axm:reply', 'data': {'action_name': m['msg'], 'return': m['opts'] * 2}})
"""

    def test_a_python_program_that_is_given_the_channel_speaks_json_lines(self):
        self.tend.script("app.py", self.PYTHON)
        began = time.monotonic()
        self.tend.ok("start", "app.py", "--channel", "--wait-ready")
        self.assertGreater(time.monotonic() - began, 0.2)
        self.assertEqual(self.tend.ok("trigger", "app", "twice", "ab").stdout, 'app (0): "abab"\n')

    def test_without_asking_for_it_there_is_none(self):
        self.tend.script("app.py", "import os\nprint(os.environ.get('NODE_CHANNEL_FD'), flush=True)\n")
        self.tend.ok("start", "app.py", "--no-autorestart")
        self.tend.wait_text(self.tend.out_log("app"), "None\n")

    def test_a_shell_script_that_becomes_a_node_program_may_say_ready(self):
        self.need("node")
        self.tend.script("app.js", "setTimeout(() => process.send('ready'), 100); setInterval(() => {}, 1000);\n")
        self.tend.script("app.sh", "#!/bin/sh\nexec node app.js\n")
        self.tend.ok("start", "app.sh", "--wait-ready")


if __name__ == "__main__":
    unittest.main(verbosity=2)
