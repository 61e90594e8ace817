"""The list of faults that the program survives: each has a test that bears its number, and man/tend.1 says what happens."""

import re
import unittest

from harness import ROOT

FAULTS = range(1, 51)
# Numbers whose tests are not here yet.
AWAITED = {5, *range(8, 20), 43, 44, 45, 46, 49, 50}


def numbered():
    """Number -> names of the tests that bear it."""
    found = {}
    for folder, ending, pattern in (("integration", "py", r"^\s+def (test_(\d+)_\w+)\(self"),
                                    ("unit", "cpp", r'^TEST_CASE\("((\d+): [^"]+)"')):
        for source in sorted((ROOT / "tests" / folder).rglob(f"*.{ending}")):
            for name, number in re.findall(pattern, source.read_text(), re.M):
                found.setdefault(int(number), []).append(f"{source.name}: {name}")
    return found


class FaultList(unittest.TestCase):
    def test_each_fault_has_a_test_with_its_number(self):
        found = numbered()
        self.assertEqual([n for n in FAULTS if n not in found and n not in AWAITED], [])

    def test_no_test_bears_a_number_that_is_not_in_the_list(self):
        self.assertEqual({n: names for n, names in numbered().items() if n not in FAULTS}, {})


if __name__ == "__main__":
    unittest.main()
