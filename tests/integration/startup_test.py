"""startup, unstartup and the unit's main process: files against golden ones, a fake manager's socket, and a real systemd."""

import contextlib
import json
import os
import plistlib
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import unittest
from pathlib import Path

from harness import BIN, ROOT, TendTest, alive, limit, mode, wait_for

GOLDEN = ROOT / "tests/fixtures/boot"
PLATFORMS = ("systemd", "openrc", "launchd", "rcd", "rcd-openbsd", "upstart", "systemv")
PLAIN = "/usr/local/bin:/usr/bin:/bin"
# Where a first process that is not systemd runs, /run and the cgroups are made so that a user's manager works.
REAL_SYSTEMD = """
set -eu
for h in /sys/fs/cgroup/systemd /sys/fs/cgroup/unified /sys/fs/cgroup; do
  [ -e $h/cgroup.procs ] && mkdir -p $h/$GROUP && echo $$ > $h/$GROUP/cgroup.procs || true
done
mount -t tmpfs none /run
mkdir -p /run/systemd/system /run/user/0
chmod 700 /run/user/0
export XDG_RUNTIME_DIR=/run/user/0
/lib/systemd/systemd --user --log-target=null > /dev/null 2>&1 &
manager=$!
trap 'kill -KILL $manager' EXIT
i=0
until systemctl --user list-units > /dev/null 2>&1; do i=$((i+1)); [ $i -lt 100 ] || exit 77; sleep 0.1; done
"""


class Boot(TendTest):
    def setUp(self):
        super().setUp()
        self.named = Path(tempfile.mkdtemp(prefix="tend-boot-"))
        self.addCleanup(shutil.rmtree, self.named, True)
        for name in ("tend", "pm2"):
            (self.named / name).symlink_to(BIN)
        self.user_home = self.named / "alice"
        self.user_home.mkdir()
        self.path = f"{self.named}:{PLAIN}"

    def boot(self, name, *words, env=None, prefix=(), path=None):
        environment = {k: v for k, v in self.tend.env.items() if k not in ("TEND_HOME", "XDG_RUNTIME_DIR")}
        environment.update({"PATH": path or self.path, "HOME": str(self.user_home), "USER": "alice", **(env or {})})
        return subprocess.run([*prefix, str(self.named / name), *map(str, words)], env=environment, cwd=self.tend.work, text=True,
                              stdin=subprocess.DEVNULL, capture_output=True, timeout=limit(30), check=False)

    def printed(self, name, platform, *words, **kwargs):
        done = self.boot(name, "startup", platform, "--print", "-u", "alice", "--hp", "/home/alice", *words, **kwargs)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        return done.stdout.replace(str(self.named), "@BIN@")


class Files(Boot):
    def test_the_file_of_each_platform_is_the_golden_one_under_both_names(self):
        for platform in PLATFORMS:
            for name in ("tend", "pm2"):
                with self.subTest(platform=platform, name=name):
                    golden = GOLDEN / f"{name}-{platform}.txt"
                    found = self.printed(name, platform)
                    if os.environ.get("TEND_WRITE_GOLDEN"):
                        golden.parent.mkdir(exist_ok=True)
                        golden.write_text(found)
                    self.assertEqual(found, golden.read_text())

    def test_scripts_are_scripts_and_the_property_list_is_one(self):
        for platform in ("openrc", "rcd", "upstart", "systemv"):
            text = self.printed("tend", platform, env={"TEND_HOME": "/srv/it's \"$here\""})
            with self.subTest(platform=platform):
                done = subprocess.run(["sh", "-n"], input=text, text=True, capture_output=True, check=False)
                self.assertEqual((done.returncode, done.stderr), (0, ""))
        plist = plistlib.loads(self.printed("tend", "launchd", env={"TEND_HOME": "/srv/a&<b>"}).encode())
        self.assertEqual(plist["EnvironmentVariables"]["TEND_HOME"], "/srv/a&<b>")
        self.assertTrue(plist["RunAtLoad"])

    def test_a_script_gives_the_program_the_home_that_was_named(self):
        home = "/srv/it's \"$here\" \\and"
        text = self.printed("tend", "upstart", env={"TEND_HOME": home})
        su = self.named / "su"  # -s /bin/sh USER -c LINE
        su.write_text('#!/bin/sh\nexec /bin/sh -c "$5"\n')
        show = self.named / "show"
        show.write_text('#!/bin/sh\nprintf %s "$TEND_HOME|$*"\n')
        for file in (su, show):
            file.chmod(0o755)
        done = subprocess.run(["sh", "-s", "start"], input=text.replace("@BIN@/tend", str(show)), text=True, capture_output=True,
                              env={"PATH": f"{self.named}:{PLAIN}"}, check=False)
        self.assertEqual(done.stdout, f"{home}|resurrect")

    def test_systemd_finds_no_fault_with_the_unit_whatever_the_home(self):
        self.need("systemd-analyze")
        homes = {"": None, "/srv/100% \"of\" \\it $HOME": 1, "/srv/ü": 1}
        for n, home in enumerate(homes):
            for flags in ((), ("--wait-ip",), ("--systemd-user",)):
                with self.subTest(home=home, flags=flags):
                    done = self.boot("tend", "startup", "systemd", "--print", "-u", "root", "--hp", "/root", *flags,
                                     env={"TEND_HOME": home} if home else None)
                    unit = self.named / f"verify{n}.service"
                    unit.write_text(done.stdout)
                    verify = subprocess.run(["systemd-analyze", "verify", "--man=no", str(unit)], text=True, capture_output=True,
                                            timeout=limit(30), check=False)
                    # The key is of systemd 254; an older one says so and goes on.
                    said = [line for line in verify.stderr.splitlines() if unit.name in line and "Unknown key 'DelegateSubgroup'" not in line]
                    self.assertEqual(said, [], done.stdout)

    def test_two_homes_have_two_services_and_the_usual_home_has_the_plain_name(self):
        self.need_root()
        names = set()
        for home in (None, "/srv/one", "/srv/two", "/other/two"):
            done = self.boot("tend", "unstartup", "systemd", "-u", "alice", "--print", env={"TEND_HOME": home} if home else None)
            names.add(done.stdout.split()[-1])
        self.assertEqual(len(names), 4)
        self.assertIn("/etc/systemd/system/tend-alice.service", names)

    def test_the_home_of_another_user_is_that_users(self):
        text = self.boot("tend", "startup", "systemd", "--print", "-u", "nobody").stdout
        home = pwd.getpwnam("nobody").pw_dir
        self.assertIn(f'"TEND_HOME={home}/.tend"', text)
        self.assertIn("\nUser=nobody\n", text)

    def test_wrong_words_are_named(self):
        for words, accepted in ((["amiga"], "openrc"), (["smf"], "launchd"), (["systemd", "-u", "a b"], "user"),
                                (["systemd", "--service-name", "../x"], "letters"), (["openrc", "--systemd-user"], "systemd")):
            done = self.boot("tend", "startup", *words, "--print")
            self.assertEqual(done.returncode, 1 if words == ["smf"] else 2, words)
            self.assertEqual(len(done.stderr.splitlines()), 1, done.stderr)
            self.assertIn(accepted, done.stderr)
            self.assertEqual(done.stdout, "")
        done = self.boot("pm2", "startup", "amiga")
        self.assertEqual(done.returncode, 1)
        self.assertIn("Unknown platform / init system name", done.stderr)


class Machine(Boot):
    """As root, in a mount namespace of its own: /etc/systemd/system is empty and systemctl is a stub that notes its words."""

    def setUp(self):
        super().setUp()
        self.notes = self.named / "notes"
        self.stub("systemctl")

    def stub(self, name, status=0):
        file = self.named / name
        file.write_text(f'#!/bin/sh\necho "{name} $*" >> {self.notes}\nexit {status}\n')
        file.chmod(0o755)

    def inside(self, *lines):
        """The commands in the namespace; their exit statuses are in the output."""
        self.need_root()
        self.need("unshare")
        script = "mount -t tmpfs none /etc/systemd/system || exit 77\n" + "\n".join(f"{line}; echo \"exit $?\"" for line in lines)
        environment = {**self.tend.env, "PATH": self.path, "HOME": "/root", "USER": "root"}
        environment.pop("TEND_HOME")
        done = subprocess.run(["unshare", "-m", "sh", "-c", script], env=environment, text=True, capture_output=True,
                              timeout=limit(60), check=False)
        if done.returncode == 77 or "unshare failed" in done.stderr:
            self.skipTest("no mount namespace here")
        return done.stdout

    def test_startup_writes_a_public_unit_and_enables_it_and_unstartup_takes_it_away(self):
        unit = "/etc/systemd/system/tend-root.service"
        out = self.inside("tend startup", f"stat -c %a {unit}", "tend unstartup", f"ls {unit}", "tend unstartup")
        self.assertIn("644\n", out)
        self.assertEqual([line for line in out.splitlines() if line.startswith("exit")],
                         ["exit 0", "exit 0", "exit 0", "exit 2", "exit 1"])
        self.assertEqual(self.notes.read_text().splitlines(),
                         ["systemctl enable tend-root", "systemctl stop tend-root", "systemctl disable tend-root"])

    def test_as_pm2_the_words_are_pm2s(self):
        out = self.inside("pm2 startup", "pm2 unstartup systemd")
        lines = out.splitlines()
        self.assertEqual(lines[:3], ["[PM2] Init System found: systemd", "Platform systemd", "Template"])
        end = lines.index("Target path")
        self.assertEqual(lines[end:], [
            "Target path", "/etc/systemd/system/pm2-root.service", "Command list", "[ 'systemctl enable pm2-root' ]",
            "[PM2] Writing init configuration in /etc/systemd/system/pm2-root.service",
            "[PM2] Making script booting at startup...",
            "[PM2] [-] Executing: systemctl enable pm2-root...", "[PM2] [v] Command successfully executed.",
            "+---------------------------------------+", "[PM2] Freeze a process list on reboot via:", "$ pm2 save", "",
            "[PM2] Remove init script via:", "$ pm2 unstartup systemd", "exit 0",
            "[PM2] Init System found: systemd", "", "[PM2] Init file disabled.", "exit 0"])

    def test_a_command_that_fails_fails_startup(self):
        self.stub("systemctl", 3)
        self.assertIn("[ERROR] Exit code : 3\n", self.inside("pm2 startup"))
        self.assertIn("exit 1", self.inside("tend startup"))

    def test_another_home_of_pm2_does_not_take_the_units_place(self):
        out = self.inside("PM2_HOME=/srv/second2 pm2 startup --service-name pm2-root >/dev/null", "PM2_HOME=/srv/second pm2 startup >/dev/null", "ls /etc/systemd/system",
                          "grep -h PM2_HOME= /etc/systemd/system/*.service")
        self.assertIn('PM2_HOME=/srv/second2"', out)
        self.assertIn('PM2_HOME=/srv/second"', out)
        self.assertIn("pm2-root.service\n", out)

    def test_the_init_system_is_the_first_whose_tool_is_there(self):
        (self.named / "systemctl").unlink()
        for tool, init in (("rcctl", "rcd-openbsd"), ("rc-update", "openrc"), ("chkconfig", "systemv"), ("systemctl", "systemd")):
            self.stub(tool)
            done = self.boot("pm2", "startup", "amiga", path=str(self.named))  # writes nothing: there is no such word
            self.assertTrue(done.stdout.startswith(f"[PM2] Init System found: {init}\n"), done.stdout)
            self.assertIn(f" PM2 detected {init} but you precised amiga\n", done.stdout)
        (self.named / "empty").mkdir()
        done = self.boot("pm2", "startup", path=str(self.named / "empty"))
        self.assertEqual((done.returncode, done.stdout, done.stderr), (1, "", "[PM2][ERROR] Init system not found\n"))

    def test_without_root_the_last_line_is_the_command_for_root(self):
        self.need_root()
        self.need("setpriv")
        public = Path(tempfile.mkdtemp(prefix="tend-public-"))
        self.addCleanup(shutil.rmtree, public, True)
        public.chmod(0o755)
        shutil.copy(BIN, public / "tend")
        (public / "pm2").symlink_to("tend")
        (public / "tools").mkdir()
        for folder in (public, public / "tools"):
            (folder / "systemctl").symlink_to("/bin/true")
        (public / "node").symlink_to("/bin/true")
        for name, home in (("tend", None), ("pm2", None), ("tend", "/srv/x")):
            environment = {"PATH": f"{public}:/usr/bin:/bin", "HOME": "/nonexistent/bob", "USER": "bob", "NO_COLOR": "1"}
            if home:
                environment["TEND_HOME"] = home
            done = subprocess.run(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", str(public / name), "startup"],
                                  env=environment, cwd="/", text=True, capture_output=True, timeout=limit(30), check=False)
            self.assertEqual(done.returncode, 1, done.stderr)
            extra = f" TEND_HOME={home}" if home else ""
            self.assertEqual(done.stdout.splitlines()[-1], f"sudo env PATH=$PATH:{public}{extra} {public / name} startup systemd -u bob "
                             "--hp /nonexistent/bob")
            # Called by its place, which PATH does not name: the name is kept, as it tells the home.
            tools = {**environment, "PATH": str(public / "tools")}
            done = subprocess.run(["/usr/bin/setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", str(public / name), "startup"],
                                  env=tools, cwd="/", text=True, capture_output=True, timeout=limit(30), check=False)
            self.assertIn(f" {public / name} startup systemd -u bob ", done.stdout.splitlines()[-1])
            if name == "pm2":
                self.assertEqual(done.stdout.splitlines()[:2], ["[PM2] Init System found: systemd",
                                 "[PM2] To setup the Startup Script, copy/paste the following command:"])


class Unit(TendTest):
    """unit-run before a listener that is what systemd is to it."""

    def setUp(self):
        super().setUp()
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(self.listener.close)
        self.listener.bind(str(self.tend.dir / "notify"))
        self.listener.settimeout(limit(20))
        self.tend.sleeper()
        self.tend.ok("start", "sleeper.sh", "--name", "app", env={"TASTE": "salt"})
        self.tend.ok("save")

    def run_unit(self):
        unit = self.tend.popen("unit-run", env={"NOTIFY_SOCKET": str(self.tend.dir / "notify")})
        self.addCleanup(unit.wait, limit(20))
        self.addCleanup(unit.kill)
        for stream in (unit.stdout, unit.stderr):
            self.addCleanup(stream.close)
        self.assertIn("READY=1", self.listener.recv(4096).decode().splitlines())
        return unit

    def reboot(self):
        self.tend.ok("kill")
        self.tend._first_supervisor = None

    def test_it_is_ready_when_the_list_is_restored_and_apps_do_not_see_the_managers_socket(self):
        self.reboot()
        unit = self.run_unit()
        record = self.tend.app("app")
        self.assertEqual(record["pm2_env"]["status"], "online")
        environment = Path(f"/proc/{record['pid']}/environ").read_bytes().split(b"\0")
        self.assertIn(b"TASTE=salt", environment)
        self.assertNotIn(f"NOTIFY_SOCKET={self.tend.dir}/notify".encode(), environment)
        unit.send_signal(signal.SIGTERM)
        self.assertEqual(unit.wait(limit(20)), 0)
        self.assertFalse(alive(record["pid"]))
        self.assertEqual(self.listener.recv(4096), b"STOPPING=1")

    def test_48_a_restart_of_the_unit_leaves_apps_and_daemon_alone(self):
        unit, before, pids = self.run_unit(), self.tend.app("app")["pid"], self.tend.pids()
        unit.send_signal(signal.SIGHUP)
        self.assertEqual(unit.wait(limit(20)), 0)
        unit = self.run_unit()
        self.assertEqual((self.tend.app("app")["pid"], self.tend.pids()), (before, pids))

    def test_it_survives_the_supervisor_and_stops_everything_all_the_same(self):
        unit = self.run_unit()
        self.tend.supervisor_may_die = True
        os.kill(self.tend.pids()[0], signal.SIGKILL)
        pid = self.tend.app("app")["pid"]
        self.assertIsNone(unit.poll())
        unit.send_signal(signal.SIGTERM)
        self.assertEqual(unit.wait(limit(20)), 0)
        self.assertFalse(alive(pid))

    def test_it_ends_well_when_the_daemon_was_killed_by_command_and_badly_when_it_was_lost(self):
        unit = self.run_unit()
        self.reboot()
        self.assertEqual(unit.wait(limit(20)), 0)
        unit = self.run_unit()
        self.tend.supervisor_may_die = True
        keeper = self.tend.pids()[1]
        os.kill(keeper, signal.SIGKILL)  # its supervisor finds another one
        supervisor, keeper = wait_for(lambda: (p := self.tend.pids())[1] != keeper and p, what="another keeper")
        self.assertIsNone(unit.poll())
        os.kill(supervisor, signal.SIGSTOP)
        os.kill(keeper, signal.SIGKILL)
        os.kill(supervisor, signal.SIGKILL)
        self.assertEqual(unit.wait(limit(20)), 1)
        unit = self.run_unit()  # as Restart=on-failure does
        self.tend.wait_status("app", "online")

    def test_a_home_without_a_saved_list_is_ready_too(self):
        self.reboot()
        for file in self.tend.home.glob("dump.json*"):
            file.unlink()
        self.run_unit()
        self.assertEqual(self.tend.jlist(), [])


class RealSystemd(TendTest):
    @staticmethod
    def removed(group):
        for folder, _, _ in os.walk(group, topdown=False):
            with contextlib.suppress(OSError):
                os.rmdir(folder)  # busy while the last process ends
        return not os.path.exists(group)

    def setUp(self):
        super().setUp()
        self.need_root()
        for program in ("unshare", "systemctl", "/lib/systemd/systemd"):
            self.need(program)
        self.tend.sleeper()
        self.user_home = self.tend.dir / "user"
        self.user_home.mkdir()
        self.bin_dir = self.tend.dir / "two words"
        self.bin_dir.mkdir()
        for name in ("tend", "pm2"):
            (self.bin_dir / name).symlink_to(BIN)

    def under_systemd(self, script, **environment):
        """What the script prints, in a user's manager of its own."""
        group = f"tend-test-{os.getpid()}"
        environment = {**self.tend.env, "HOME": str(self.user_home), "TEND_HOME": str(self.tend.home), "GROUP": group,
                       "PATH": f"{self.bin_dir}:{self.tend.env['PATH']}", **environment}
        try:
            done = subprocess.run(["unshare", "-m", "bash", "-c", REAL_SYSTEMD + script], env=environment, cwd=self.tend.work,
                                  text=True, capture_output=True, timeout=limit(60), check=False)
        finally:
            for top in ("systemd", "unified", "."):
                wait_for(lambda top=top: self.removed(f"/sys/fs/cgroup/{top}/{group}"), 5, "an empty control group")
        if done.returncode == 77 or "unshare failed" in done.stderr:
            self.skipTest("a user's systemd does not come up here")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return done.stdout

    def test_start_restart_reload_crash_and_stop_under_systemd(self):
        self.tend.home = self.user_home / "100% \"of\" it"
        out = self.under_systemd("""
show() { echo "$1 $(systemctl --user is-active $unit) $(tend pid app) $(tend ping --json)"; }
tend startup --systemd-user > /dev/null 2>&1
unit=$(basename $HOME/.config/systemd/user/*.service)
tend start sleeper.sh --name app > /dev/null; tend save > /dev/null; tend kill > /dev/null
systemctl --user daemon-reload
systemctl --user start $unit; show start
systemctl --user restart $unit; show restart
systemctl --user reload $unit; show reload
keeper() { tend ping --json | sed 's/.*keeper":{"pid":\\([0-9]*\\).*/\\1/'; }
supervisor() { tend ping --json | sed 's/.*supervisor":{"pid":\\([0-9]*\\).*/\\1/'; }
kill -9 $(keeper); show keeper; kept=$(keeper)
first=$(supervisor); kill -STOP $first; kill -9 $kept $first
i=0; until [ "$(systemctl --user show -p NRestarts --value $unit)" = 1 ] && systemctl --user -q is-active $unit; do i=$((i+1)); [ $i -lt 100 ]; sleep 0.1; done
show crash
systemctl --user stop $unit
echo "stop $(systemctl --user is-active $unit) $(tend pid app)"
""")
        at = {line.split()[0]: line.split(maxsplit=3)[1:] for line in out.splitlines()}
        who = {step: json.loads(words[2]) for step, words in at.items() if len(words) == 3}
        self.assertEqual({step: words[0] for step, words in at.items()},
                         {"start": "active", "restart": "active", "reload": "active", "keeper": "active", "crash": "active",
                          "stop": "inactive"})
        self.assertEqual(at["start"][1], at["restart"][1])
        self.assertEqual(who["start"], who["restart"])
        self.assertEqual(at["start"][1], at["reload"][1])
        self.assertNotEqual(who["restart"]["supervisor"], who["reload"]["supervisor"])
        self.assertEqual(at["keeper"][1], at["start"][1])
        self.assertNotEqual(who["keeper"]["keeper"], who["start"]["keeper"])
        self.assertNotEqual(at["crash"][1], at["start"][1])
        self.assertEqual(len(at["stop"]), 1)


    def test_the_unit_that_pm2_itself_wrote_runs_this_program_under_the_name_pm2(self):
        units = self.user_home / ".config/systemd/user"
        units.mkdir(parents=True)
        home = self.user_home / ".pm2"
        (self.user_home / "pm2").symlink_to(BIN)
        (units / "pm2-root.service").write_text(
            "[Unit]\nDescription=PM2 process manager\n[Service]\nType=forking\n"
            f"Environment=PM2_HOME={home}\nPIDFile={home}/pm2.pid\nRestart=on-failure\n"
            f"ExecStart={self.user_home}/pm2 resurrect\nExecReload={self.user_home}/pm2 reload all\n"
            f"ExecStop={self.user_home}/pm2 kill\n")
        out = self.under_systemd("""
pm2 start sleeper.sh --name app > /dev/null 2>&1; pm2 save > /dev/null; pm2 kill > /dev/null
for job in start restart reload; do
  systemctl --user $job pm2-root; echo "$job $(systemctl --user is-active pm2-root) $(pm2 pid app)"
done
systemctl --user stop pm2-root
echo "stop $(systemctl --user is-active pm2-root || true) $(pm2 pid app)"
""", PM2_HOME=str(home))
        at = {line.split()[0]: line.split()[1:] for line in out.splitlines()}
        self.assertEqual({step: words[0] for step, words in at.items()},
                         {"start": "active", "restart": "active", "reload": "active", "stop": "inactive"})
        self.assertEqual([len(words) for words in at.values()], [2, 2, 2, 1])
        self.assertNotEqual(at["start"][1], at["restart"][1])


if __name__ == "__main__":
    unittest.main(verbosity=2)
