# SPDX-License-Identifier: Apache-2.0
"""Verilator's lint over every hand-written RTL module, each as its own top: `python -m sim.lint_rtl`, part of `make lint`."""

import os
import subprocess
import sys
from pathlib import Path

from sim import verilate

RTL = Path(__file__).resolve().parent.parent / "hw" / "rtl"


def main() -> int:
    """Exit code 0 where every module passes `verilator --lint-only -Wall`, 1 with the warnings where one does not."""
    sources = sorted(RTL.rglob("*.sv"))
    environment = {**os.environ, **verilate.environment()}
    failed = []
    for source in sources:
        if "package" in source.read_text().split("module", maxsplit=1)[0]:
            continue
        folders = sorted({f"-y{path.parent}" for path in sources})
        command = ["verilator", "--lint-only", "-Wall", *folders, "--top-module", source.stem, str(source)]
        if subprocess.run(command, env=environment, check=False).returncode:
            failed.append(source.name)
    print(f"{len(sources)} RTL files" + (f", with warnings: {', '.join(failed)}" if failed else " without a warning"))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
