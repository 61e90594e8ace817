"""completion in real shells."""

import os
import pty
import re
import select
import subprocess
import time
import unittest

from harness import BIN, TendTest, limit


class Completion(TendTest):
    def setUp(self):
        super().setUp()
        (self.tend.bin / "tend").symlink_to(os.path.realpath(BIN))
        self.tend.sleeper()
        self.tend.ok("start", "sleeper.sh", "--name", "garden", "--namespace", "green")
        self.tend.ok("start", "sleeper.sh", "--name", "gar two", "-f")

    def shell(self, *words, **kwargs):
        return subprocess.run(words, env=self.tend.env, cwd=self.tend.work, capture_output=True, text=True,
                              timeout=limit(30), **kwargs)

    def test_bash_offers_commands_flags_live_names_and_files(self):
        self.need("bash")

        def offered(*words):
            line = " ".join(f"'{w}'" for w in words)
            script = (f'eval "$(tend completion bash)"; COMP_WORDS=({line}); COMP_CWORD={len(words) - 1}; _tend; '
                      'printf "%s\\n" "${COMPREPLY[@]}"; complete -p tend')
            done = self.shell("bash", "--norc", "-c", script)
            self.assertIn("-F _tend tend", done.stdout)
            return done.stdout.split("\n")[:-2]
        self.assertEqual(offered("tend", "resu"), ["resurrect"])
        self.assertEqual(offered("tend", "restart", "gar"), ["garden", "gar two"])
        self.assertEqual(offered("tend", "restart", "gre"), ["green"])
        self.assertEqual(offered("tend", "start", "slee"), ["sleeper.sh"])
        self.assertIn("--max-memory-restart", offered("tend", "start", "x", "--max"))
        self.assertEqual(offered("tend", "start", "--exec-mode", "c"), ["cluster"])

    def test_fish_offers_them_with_their_help(self):
        self.need("fish")
        done = self.shell("fish", "--no-config", "-c", "tend completion fish | source; complete -C 'tend resu'; complete -C 'tend stop gard'")
        self.assertIn("resurrect\tStart what was saved", done.stdout, done.stderr)
        self.assertIn("garden\tapp", done.stdout)

    def test_zsh_completes_on_the_tab_key(self):
        self.need("zsh")
        child, terminal = pty.fork()
        if child == 0:
            os.chdir(self.tend.work)
            os.execvpe("zsh", ["zsh", "-f", "-i"], {**self.tend.env, "TERM": "dumb", "PS1": "%% "})
        try:
            def type_in(text, until):
                os.write(terminal, text.encode())
                seen, end = "", time.monotonic() + limit(15)
                while time.monotonic() < end:
                    if select.select([terminal], [], [], 0.2)[0]:
                        seen += os.read(terminal, 65536).decode(errors="replace")
                    if re.search(until, seen):
                        return seen
                self.fail(f"{until!r} not seen in {seen!r}")
            type_in("autoload -U compinit && compinit -u -D; eval \"$(tend completion zsh)\"; echo re''ady\n", r"ready")
            type_in("echo tend resu\t", r"resu")
            type_in("\x15tend resu\t", r"resurrect")
            type_in("\x15tend stop gard\t", r"garden")
        finally:
            os.kill(child, 9)
            os.waitpid(child, 0)
            os.close(terminal)

    def test_install_is_done_once_keeps_the_rest_and_is_undone(self):
        home = self.tend.dir / "user"
        home.mkdir()
        real = self.tend.dir / "dotfiles-bashrc"
        real.write_text("alias x=y\n")
        real.chmod(0o640)
        (home / ".bashrc").symlink_to(real)
        env = {"HOME": str(home), "SHELL": "/bin/bash"}
        for _ in range(2):
            self.tend.ok("completion", "install", env=env)
        text = real.read_text()
        self.assertEqual((text.count("begin-tend-completion"), text.startswith("alias x=y\n")), (1, True))
        self.assertEqual(real.stat().st_mode & 0o777, 0o640)
        self.assertTrue((home / ".bashrc").is_symlink())
        done = self.shell("bash", "--norc", "-c", f"source {real}; complete -p tend")
        self.assertIn("_tend", done.stdout)
        self.tend.ok("completion", "uninstall", env=env)
        self.assertEqual(real.read_text(), "alias x=y\n")
        done = self.tend.run("completion", "csh")
        self.assertEqual((done.returncode, "bash, zsh, fish" in done.stderr), (2, True))


if __name__ == "__main__":
    unittest.main()
