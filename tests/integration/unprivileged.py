"""Runs test modules as nobody, from a copy that nobody may read: `unprivileged.py start_test …`. Needs root, else skips (77)."""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

UID = 65534


def main():
    if os.geteuid() != 0:
        print("skipped: only root can become another user")
        return 77
    if not shutil.which("setpriv"):
        print("skipped: no setpriv")
        return 77
    here = Path(__file__).resolve().parent
    program = Path(os.environ.get("TEND_PROGRAM") or os.environ.get("TEND_BIN") or here.parents[1] / "build/release/cmd/tend")
    # root's own interpreter may lie in root's home.
    python = "/usr/bin/python3" if os.access("/usr/bin/python3", os.X_OK) else os.path.realpath(sys.executable)
    base = Path(tempfile.mkdtemp(prefix="tend-nobody-"))
    try:
        tests = base / "tests" / "integration"
        tests.mkdir(parents=True)
        for source in here.glob("*.py"):
            shutil.copy(source, tests)
        shutil.copy(program, base / "tend")
        (base / "tmp").mkdir()
        for path in (base, *base.rglob("*")):
            os.chown(path, UID, UID)
        path = ":".join(p for p in os.environ.get("PATH", "").split(":") if not p.startswith("/root"))
        environment = {**os.environ, "TEND_BIN": str(base / "tend"), "TMPDIR": str(base / "tmp"), "HOME": str(base),
                       "USER": "nobody", "LOGNAME": "nobody", "PATH": path or "/usr/bin:/bin"}
        for name in ("XDG_RUNTIME_DIR", "TEND_PROGRAM"):
            environment.pop(name, None)
        return subprocess.run(["setpriv", f"--reuid={UID}", f"--regid={UID}", "--clear-groups", python, "-B", "-m",
                               "unittest", "-v", *sys.argv[1:]], cwd=tests, env=environment, check=False).returncode
    finally:
        shutil.rmtree(base, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
