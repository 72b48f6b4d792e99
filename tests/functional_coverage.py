# SPDX-License-Identifier: Apache-2.0
"""How often the benches met each situation that the RTL names by a `cover property`.

Verilator counts them (`--coverage-user`); each simulation leaves a file in the run's folder, which pytest-xdist's
workers share, and pytest's last lines tell what none of them met.
"""

import atexit
import os
import re
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from icsort.sim.verilator.bench import COVERAGE_FOLDER

# A line of a file: 'key value' pairs, each between control characters, and a count.
_LINE = re.compile(r"^C '(?P<pairs>.*)' (?P<count>\d+)$")


def begin() -> None:
    """Make the folder of this run, for as long as this process lives, unless it is a worker of one."""
    if COVERAGE_FOLDER not in os.environ:
        folder = tempfile.mkdtemp(prefix="icsort-coverage-")
        os.environ[COVERAGE_FOLDER] = folder
        atexit.register(shutil.rmtree, folder, ignore_errors=True)


def met(files: Iterable[Path]) -> Counter[tuple[str, str]]:
    """How often each (block, situation) was met, 0 of those that are in a simulated block and were not.

    files: as Verilator writes them. A file that a killed simulation left unfinished counts as far as it goes.
    """
    counts: Counter[tuple[str, str]] = Counter()
    for path in files:
        for line in path.read_text(errors="replace").splitlines():
            if match := _LINE.match(line):
                pairs = dict(pair.split("\x02", 1) for pair in match["pairs"].split("\x01") if "\x02" in pair)
                counts[Path(pairs["f"]).stem, pairs["o"]] += int(match["count"])
    return counts


def report(table: Path) -> str:
    """Write the table of this run to a file; what to say of it: one line, empty where nothing was simulated."""
    counts = met(Path(os.environ[COVERAGE_FOLDER]).glob("*.dat"))
    if not counts:
        return ""
    table.parent.mkdir(parents=True, exist_ok=True)
    rows = (f"{block:<20} {situation:<32} {count:>9}" for (block, situation), count in sorted(counts.items()))
    table.write_text("\n".join(rows) + "\n")
    missing = [f"{block}.{situation}" for (block, situation), count in sorted(counts.items()) if not count]
    line = f"functional coverage: {len(counts) - len(missing)} of {len(counts)} situations met ({table})"
    return f"{line}; not met: {', '.join(missing)}" if missing else line
