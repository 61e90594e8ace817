"""deploy over a real sshd on loopback and a real git repository; pull, forward, backward."""

import os
import shutil
import socket
import subprocess
import unittest

from harness import TendTest, free_port, wait_for

GIT = {"GIT_AUTHOR_NAME": "t", "GIT_AUTHOR_EMAIL": "t@example.org", "GIT_COMMITTER_NAME": "t",
       "GIT_COMMITTER_EMAIL": "t@example.org", "GIT_CONFIG_GLOBAL": "/dev/null"}


def git(folder, *words):
    done = subprocess.run(["git", "-c", "init.defaultBranch=main", *words], cwd=folder, env={**os.environ, **GIT},
                          capture_output=True, text=True, check=True)
    return done.stdout.strip()


class Repository:
    """A bare repository and a checkout that pushes to it."""

    def __init__(self, folder):
        self.bare, self.checkout = folder / "repo.git", folder / "checkout"
        git(folder, "init", "--quiet", "--bare", str(self.bare))
        git(folder, "init", "--quiet", str(self.checkout))
        git(self.checkout, "remote", "add", "origin", str(self.bare))

    def commit(self, text, push=True):
        (self.checkout / "version.txt").write_text(text)
        git(self.checkout, "add", ".")
        git(self.checkout, "commit", "--quiet", "-m", text)
        if push:
            git(self.checkout, "push", "--quiet", "-u", "origin", "HEAD:main")
        return git(self.checkout, "rev-parse", "HEAD")


class Deploy(TendTest):
    def setUp(self):
        super().setUp()
        for program in ("git", "ssh", "ssh-keygen"):
            self.need(program)
        self.repo = Repository(self.tend.dir)
        self.target = self.tend.dir / "target"

    def start_sshd(self):
        sshd = shutil.which("sshd", path=os.environ.get("PATH", "") + ":/usr/sbin")
        if not sshd:
            self.skipTest("no sshd")
        folder = self.tend.dir / "ssh"
        folder.mkdir(mode=0o700)
        for name in ("host", "user"):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)], check=True)
        port = free_port()
        config = folder / "sshd_config"
        config.write_text(f"Port {port}\nListenAddress 127.0.0.1\nHostKey {folder}/host\nPidFile none\n"
                          f"AuthorizedKeysFile {folder}/user.pub\nStrictModes no\nUsePAM no\n"
                          "PermitRootLogin prohibit-password\nPasswordAuthentication no\nLogLevel ERROR\n")
        if os.geteuid() == 0:
            os.makedirs("/run/sshd", mode=0o755, exist_ok=True)  # sshd as root insists on it
        child = subprocess.Popen([sshd, "-D", "-e", "-f", str(config)], stderr=subprocess.DEVNULL)
        self.addCleanup(lambda: (child.kill(), child.wait()))

        def answers():
            try:
                with socket.create_connection(("127.0.0.1", port), 1) as s:
                    return s.recv(4) == b"SSH-"
            except OSError:
                return False
        wait_for(answers, 10, "sshd on loopback")
        return {"host": "127.0.0.1", "port": port, "key": str(folder / "user"),
                "ssh_options": ["StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "LogLevel=ERROR",
                                "IdentitiesOnly=yes", "BatchMode=yes"]}

    def file(self, **section):
        section = {"repo": str(self.repo.bare), "ref": "origin/main", "path": str(self.target), **section}
        return self.tend.json_file("ecosystem.json", {"apps": [], "deploy": {"production": section}})

    def test_setup_update_revert_list_exec_and_ref_work_over_ssh(self):
        first = self.repo.commit("one")
        log = self.tend.dir / "hooks.txt"
        self.file(**self.start_sshd(), env={"COLOUR": "deep blue; exit 9"},
                  **{"pre-setup": f"echo pre-setup >>{log}", "post-setup": f"echo post-setup $PWD >>{log}",
                     "pre-deploy-local": f"echo local >>{log}", "pre-deploy": f"echo pre-deploy >>{log}",
                     "post-deploy": f'echo "post $COLOUR $SHARED" >>{log}; cat version.txt'})
        done = self.tend.ok("deploy", "production", "setup")
        for text in ("--> Deploying to production environment", "--> on host 127.0.0.1", "  ○ cloning", "--> Success"):
            self.assertIn(text, done.stdout)
        self.assertEqual(os.path.realpath(self.target / "current"), str(self.target / "source"))
        self.assertTrue((self.target / "shared/logs").is_dir() and (self.target / "shared/pids").is_dir())

        done = self.tend.ok("deploy", "production")
        self.assertIn("one", done.stdout)  # the hook's output is streamed
        self.assertEqual(git(self.target / "source", "rev-parse", "HEAD"), first)
        second = self.repo.commit("two")
        self.tend.ok("deploy", "ecosystem.json", "production", "update")
        self.assertEqual((self.target / "current/version.txt").read_text(), "two")
        commits = (self.target / ".deploys").read_text().split()
        self.assertEqual([first.startswith(commits[0]), second.startswith(commits[1])], [True, True])
        self.assertIn(commits[1], self.tend.ok("deploy", "production", "current").stdout)
        self.assertIn(commits[0], self.tend.ok("deploy", "production", "prev").stdout)
        self.assertIn("two", self.tend.ok("deploy", "production", "exec", "cat version.txt").stdout)
        self.tend.ok("deploy", "production", "revert", "1")
        self.assertEqual((self.target / "current/version.txt").read_text(), "one")
        self.tend.ok("deploy", "production", "ref", second)
        self.assertEqual((self.target / "current/version.txt").read_text(), "two")
        listed = self.tend.ok("deploy", "production", "list").stdout
        self.assertEqual([w for w in listed.split() if w in commits], [commits[0], commits[1], commits[0], commits[1]])
        lines = log.read_text().split("\n")
        self.assertEqual(lines[:2], ["pre-setup", f"post-setup {self.target}/current"])
        self.assertEqual(lines[2:5], ["local", "pre-deploy", f"post deep blue; exit 9 {self.target}/shared"])

    def test_a_failing_hook_fails_the_command_with_its_status_and_nothing_after_it_runs(self):
        self.repo.commit("one")
        self.file(**self.start_sshd(), **{"post-deploy": "echo seen; no-such-program-here; echo not-reached"})
        self.tend.ok("deploy", "production", "setup")
        done = self.tend.run("deploy", "production")
        self.assertEqual(done.returncode, 1)
        self.assertIn("seen", done.stdout)
        self.assertNotIn("not-reached", done.stdout)
        self.assertIn("Deploy failed", done.stderr)
        self.assertIn("exit status 127", done.stderr)

    def test_localhost_needs_no_ssh_and_an_unfinished_checkout_is_not_deployed(self):
        self.repo.commit("one")
        script = self.repo.checkout / "prepare.sh"
        script.write_text(f"echo from-a-file >{self.tend.dir}/prepared\n")
        path = self.file(host="localhost", fetch="fast", **{"pre-setup": "prepare.sh", "post-deploy": "true"})
        self.tend.ok("deploy", path, "production", "setup", cwd=self.repo.checkout)
        self.assertEqual((self.tend.dir / "prepared").read_text(), "from-a-file\n")
        (self.repo.checkout / "version.txt").write_text("not committed")
        done = self.tend.run("deploy", path, "production", cwd=self.repo.checkout)
        self.assertEqual((done.returncode, "commit or stash" in done.stderr), (1, True))
        self.repo.commit("two", push=False)
        done = self.tend.run("deploy", path, "production", cwd=self.repo.checkout)
        self.assertEqual((done.returncode, "push your changes" in done.stderr), (1, True))
        self.tend.ok("deploy", path, "production", "--force", cwd=self.repo.checkout)
        self.assertEqual((self.target / "current/version.txt").read_text(), "one")

    def test_what_is_missing_or_would_be_an_option_of_ssh_is_named(self):
        cases = [({"host": ""}, "deploy.production.host: missing"), ({"host": "h", "ref": ""}, "deploy.production.ref: missing"),
                 ({"host": "-oProxyCommand=touch x"}, "begin with -"), ({"host": "h", "ref": "--hard"}, "begin with -"),
                 ({"host": "h", "env": {"A;B": "1"}}, "letters, digits and _"), ({"host": []}, "the list is empty")]
        for section, text in cases:
            with self.subTest(section):
                self.file(**section)
                done = self.tend.run("deploy", "production", "--force")
                self.assertEqual((done.returncode, text in done.stderr), (1, True), done.stderr)
        done = self.tend.run("deploy", "staging")
        self.assertIn("staging environment is not defined in ecosystem.json file", done.stderr)
        (self.tend.work / "ecosystem.json").unlink()
        self.assertIn("Not any default deployment file", self.tend.run("deploy", "production").stderr)
        self.assertIn("setup", self.tend.ok("deploy").stdout)


class Checkout(TendTest):
    def setUp(self):
        super().setUp()
        self.need("git")
        self.repo = Repository(self.tend.dir)
        self.app = self.tend.dir / "app"

    def test_pull_backward_and_forward_move_the_checkout_run_the_hook_and_reload(self):
        (self.repo.checkout / "app.sh").write_text("cat version.txt; exec sleep 1000\n")
        commits = [self.repo.commit(text) for text in ("one\n", "two\n")]
        git(self.tend.dir, "clone", "--quiet", "-b", "main", str(self.repo.bare), str(self.app))
        file = self.tend.json_file("apps.json", {"apps": [
            {"name": "app", "script": "app.sh", "cwd": str(self.app), "post_update": ["touch updated"]}]})
        self.tend.ok("start", file)
        third = self.repo.commit("three\n")
        self.assertIn(third, self.tend.ok("pull", "app").stdout)
        self.assertTrue((self.app / "updated").exists())
        self.tend.wait_text(self.tend.out_log("app"), "two\nthree\n")
        self.assertIn("Already up-to-date", self.tend.ok("pull", "app").stdout)
        self.assertIn(commits[1], self.tend.ok("backward", "app").stdout)
        self.assertIn(commits[0], self.tend.ok("backward", "app").stdout)
        self.assertIn(commits[1], self.tend.ok("forward", "app").stdout)
        self.assertEqual(git(self.app, "rev-parse", "HEAD"), commits[1])
        self.assertIn(commits[0], self.tend.ok("pull", "app", commits[0]).stdout)
        self.assertEqual(self.tend.app("app")["pm2_env"]["restart_time"], 5)

    def test_a_failing_hook_leaves_the_running_process_alone(self):
        (self.repo.checkout / "app.sh").write_text("exec sleep 1000\n")
        self.repo.commit("one")
        git(self.tend.dir, "clone", "--quiet", "-b", "main", str(self.repo.bare), str(self.app))
        self.tend.ok("start", self.tend.json_file("apps.json", {"apps": [
            {"name": "app", "script": "app.sh", "cwd": str(self.app), "post_update": "exit 3"}]}))
        pid = self.tend.app("app")["pid"]
        self.repo.commit("two")
        done = self.tend.run("pull", "app")
        self.assertEqual((done.returncode, "post_update" in done.stderr), (1, True))
        self.assertEqual(self.tend.app("app")["pid"], pid)
        self.assertEqual(self.tend.run("pull", "nobody").returncode, 1)
        self.tend.sleeper()
        self.tend.ok("start", "sleeper.sh", "--cwd", self.tend.work)
        self.assertIn("No versioning system found", self.tend.ok("pull", "sleeper").stdout)


if __name__ == "__main__":
    unittest.main()
