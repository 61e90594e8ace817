"""packaging/npm, the client for Node: its parts, its methods, and programs written for PM2's module."""

import json
import shutil
import subprocess
import unittest

from harness import BIN, ROOT, TendTest, limit

PACKAGE = ROOT / "packaging/npm"
FIXTURES = ROOT / "tests/fixtures/npm"
REAL_PM2 = FIXTURES / "node_modules/pm2"


class NpmTest(TendTest):
    def setUp(self):
        super().setUp()
        self.need("node")
        major = int(subprocess.check_output(["node", "-p", "process.versions.node.split('.')[0]"], text=True))
        if major < 18:
            self.skipTest("needs Node 18 or newer")
        for file in FIXTURES.glob("*.js"):
            shutil.copy(file, self.tend.work)
        (self.tend.work / "node_modules").mkdir()

    def link(self, name, package):
        (self.tend.work / "node_modules" / name).symlink_to(package)

    def node(self, *words, **env):
        done = subprocess.run(["node", *map(str, words)], cwd=self.tend.work, stdin=subprocess.DEVNULL, capture_output=True,
                              text=True, timeout=limit(60), check=False,
                              env={**self.tend.env, "TEND_PROGRAM": BIN, "PM2_HOME": str(self.tend.dir / "pm2"), **env})
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr + self.tend.daemon_log())
        return done.stdout


class Parts(NpmTest):
    def test_codec_frames_and_log_files(self):
        said = self.node("wire.js", PACKAGE).splitlines()
        self.assertEqual(len(said), 8, said)

    def test_the_package_holds_what_it_needs_and_nothing_else(self):
        self.need("npm")
        done = subprocess.run(["npm", "pack", "--dry-run", "--json", "--offline"], cwd=PACKAGE, capture_output=True, text=True,
                              timeout=limit(60), check=True, env={**self.tend.env, "HOME": str(self.tend.dir)})
        files = {f["path"] for f in json.loads(done.stdout)[0]["files"]}
        there = {str(f.relative_to(PACKAGE)) for f in PACKAGE.rglob("*") if f.is_file()}
        self.assertEqual(files, there)
        described = json.loads((PACKAGE / "package.json").read_text())
        self.assertNotIn("dependencies", described)
        self.assertIn(f"project(tend VERSION {described['version']} ", (ROOT / "CMakeLists.txt").read_text())


class Later(NpmTest):
    def test_failures_that_nobody_asks_for_end_nothing_and_the_bus_hears_the_next_daemon(self):
        self.link("pm2", PACKAGE / "pm2")
        said = self.node("later.js").splitlines()
        self.assertEqual(said, ["processes 1 restarts 1", "killed", "heard start next"])


class Own(NpmTest):
    def part(self, name):
        self.link("tend", PACKAGE)
        said = self.node("own.js", name).splitlines()
        self.assertEqual(said[-1], f"done {name}")
        skipped = [line for line in said if line.startswith("skip ")]
        if skipped:
            self.skipTest("; ".join(skipped))

    def test_apps(self):
        self.part("apps")

    def test_records_are_those_of_jlist_in_both_homes(self):
        self.part("records")

    def test_files_of_apps(self):
        self.part("files")

    def test_events_and_logs_arrive_all_and_in_order_and_after_the_supervisor_died(self):
        self.tend.supervisor_may_die = True
        self.part("events")

    def test_what_waits_fails_when_the_daemon_dies_and_the_next_call_finds_another(self):
        self.tend.supervisor_may_die = True
        self.part("daemon")

    def test_homes(self):
        self.part("homes")

    def test_the_process_lives_as_long_as_it_is_connected(self):
        self.part("process")


class Pm2Programs(NpmTest):
    """The transcript was written by PM2 7.0.4."""

    def transcript(self, package):
        self.link("pm2", package)
        text = self.node("transcript.js").replace(str(self.tend.work), "DIR")
        return [json.loads(line) for line in text.splitlines() if line.startswith('["')]

    @staticmethod
    def expected():
        return [json.loads(line) for line in (FIXTURES / "transcript.jsonl").read_text().splitlines()]

    def test_a_program_sees_what_it_sees_of_pm2(self):
        self.assertEqual(self.transcript(PACKAGE / "pm2"), self.expected())

    def test_also_when_the_package_itself_is_called_pm2(self):
        self.assertEqual(self.transcript(PACKAGE), self.expected())

    def test_the_transcript_is_what_pm2_does(self):
        if not REAL_PM2.exists():
            self.skipTest("PM2 is not installed: packaging/bootstrap test does that, from the registry")
        home = {**self.tend.env, "PM2_HOME": str(self.tend.dir / "pm2")}
        self.addCleanup(subprocess.run, ["node", REAL_PM2.resolve() / "bin/pm2", "kill"], env=home, stdin=subprocess.DEVNULL,
                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=limit(30), check=False)
        self.assertEqual(self.transcript(REAL_PM2.resolve()), self.expected())


if __name__ == "__main__":
    unittest.main()
