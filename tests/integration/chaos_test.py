"""A quarter of a minute of the chaos drill; chaos.py runs it for longer."""

import subprocess
import sys
import unittest
from pathlib import Path

from harness import SCALE, limit


class Chaos(unittest.TestCase):
    def test_50_all_records_agree_after_daemons_were_killed_disks_filled_and_programs_replaced(self):
        if SCALE > 1:
            self.skipTest("fifty apps and a sanitizer are more than two cores have time for")
        done = subprocess.run([sys.executable, "-B", Path(__file__).with_name("chaos.py"), "--keeper", "--update"],
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
                              timeout=limit(200), check=False)
        print(done.stdout, file=sys.stderr)
        self.assertEqual(done.returncode, 0)


if __name__ == "__main__":
    unittest.main()
