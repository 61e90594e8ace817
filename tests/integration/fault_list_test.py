"""The list of faults that the program survives: each has a test that bears its number, and man/tend.1 says what happens."""

import re
import unittest

from harness import ROOT

FAULTS = range(1, 51)

# What man/tend.1 says of each, by the heading there. The last one is a mixture of all others.
TOLD = {
    1: "A daemon that is killed, crashes or is picked when memory is short",
    2: "A daemon that is killed in the middle of a start, a stop or a reload",
    3: "A daemon that is killed in the middle of a start, a stop or a reload",
    4: "A daemon that is killed in the middle of a start, a stop or a reload",
    5: "A daemon that is stopped",
    6: "A daemon that is killed, crashes or is picked when memory is short",
    7: "A daemon that is killed, crashes or is picked when memory is short",
    8: "A daemon that gets no memory",
    9: "No descriptors left",
    10: "No room for another process",
    11: "A full disk",
    12: "A full disk",
    13: "A disk that fails or is read-only",
    14: "The power fails",
    15: "A state that is damaged",
    16: "A state of a newer version",
    17: "Hundreds of commands at once without a daemon",
    18: "Process ids in stale files, or that others have got",
    19: "Process ids in stale files, or that others have got",
    20: "A program that cannot be executed",
    21: "An app that leaves processes behind",
    22: "An app that leaves processes behind",
    23: "Children in sessions of their own, a tree that goes on forking",
    24: "An app that heeds no signal",
    25: "Orphans, as process 1",
    26: "A crash loop",
    27: "A hang, a stopped process",
    28: "A clock that jumps, a machine that slept, daylight saving",
    29: "A starved processor",
    30: "Endless lines, binary output, floods, slow or dead readers",
    31: "A log file that is removed, renamed, made a link, a pipe or a folder",
    32: "A daemon that is killed while files are put aside",
    33: "A reload whose successor fails or never listens",
    34: "Reload while connections are kept alive",
    35: "Fifty reloads at once",
    36: "Commands that meet",
    37: "Files of apps that are huge, deep, cyclic, bombs or no text",
    38: "A file of JavaScript that loops, exits or forks",
    39: "Callers that send garbage, send nothing or pass descriptors",
    40: "Callers of another user",
    41: "A worker that dies or accepts nothing",
    42: "A port that is taken or not permitted",
    43: "An update to another version and back",
    44: "A home that is deleted or moved away",
    45: "No control groups, or none that may be written",
    46: "More files to watch, or more changes, than the kernel allows for",
    47: "A probe that hangs, forks or finds no network",
    48: "systemd restarts the unit",
    49: "The power fails",
}


def outcomes():
    """Heading -> text, in the section of faults of the manual page."""
    page = (ROOT / "man/tend.1").read_text()
    section = page[page.index(".Sh FAULTS\n"):]
    section = section[:section.index(".Sh ", 4)]
    return {heading.replace("\\&", ""): re.split(r"(?m)^\.(?:El|Ss)", text)[0].strip()
            for heading, text in re.findall(r"(?ms)^\.It ([^\n]+)\n(.*?)(?=^\.It |\Z)", section)}


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
        self.assertEqual([n for n in FAULTS if n not in found], [])

    def test_no_test_bears_a_number_that_is_not_in_the_list(self):
        self.assertEqual({n: names for n, names in numbered().items() if n not in FAULTS}, {})

    def test_the_manual_page_tells_what_happens_in_each(self):
        self.assertEqual([n for n in FAULTS if n not in TOLD], [FAULTS[-1]])
        told = outcomes()
        self.assertEqual([(n, heading) for n, heading in TOLD.items() if not told.get(heading)], [])

    def test_no_word_of_a_heading_is_taken_for_a_macro(self):
        page = (ROOT / "man/tend.1").read_text()
        section = page[page.index(".Sh FAULTS\n"):page.index(".Sh STARTING AT BOOT")]
        self.assertEqual(re.findall(r"(?m)^\.It (?:.* )?(?:An|No|At|In|Do|Em|Li|Ar)\b.*", section), [])


if __name__ == "__main__":
    unittest.main()
