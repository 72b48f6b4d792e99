# SPDX-License-Identifier: Apache-2.0
"""Whether the tests notice when the code is wrong: `make mutants`, and the end of `make test-full`.

A mutant is a module with one change, as `<` for `<=`, an argument that is left out, True for False (mutmut's operators,
inside functions; texts are left alone). A seeded random sample of each package's mutants is tried in a copy of the
tree: of the tests that run the changed line, found once by coverage, one must fail. Each mutant is a fork of one
process that has imported the large libraries, and ends by a time limit; so does a package.

    python -m tests.mutants [--count 30] [--minutes 15] [--seed 1] [PACKAGE ...]
"""

import argparse
import difflib
import json
import os
import random
import re
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FLOOR = 0.75  # of a sample: 90 % is aimed at, and 30 mutants tell it to 5 %
# Package and the tests of it.
PACKAGES = {
    "sim/bit_true": ("tests/sim/bit_true",),
    "hw/folding": ("tests/hw/folding",),
    "quant/training": ("tests/quant/training",),
    "quant/evaluation": ("tests/quant/evaluation", "tests/quant/training/test_folds.py"),
}
LARGE = ("scipy.stats", "pandas", "sklearn.metrics", "matplotlib.figure", "torch", "onnx", "onnxruntime", "qonnx")
FOLDERS = ("icsort", "boards", "host", "hw", "quant", "sim", "tests", "docs")
FILES = ("pyproject.toml", "README.md", "CONTRIBUTING.md")
PICTURES = "_page.py"  # texts and pictures, which people judge
# Arguments that say what happens anyway where the input is right.
INDIFFERENT = re.compile(r",?\s*(strict|encoding|progress|total|description|help)=(\"[^\"]*\"|[\w.]+)")
SLOWER = 5  # times the unchanged tests' time, and then it hangs
PATIENCE = 30.0  # seconds on top


@dataclass(frozen=True)
class Mutant:
    """file: relative to the tree. line: of the change, from 1. source, code: the whole module before and after."""

    file: Path
    line: int
    source: str
    code: str

    def difference(self) -> str:
        """The changed lines."""
        lines = difflib.unified_diff(self.source.splitlines(), self.code.splitlines(), lineterm="", n=0)
        return "\n".join(f"    {line}" for line in lines if not line.startswith(("---", "+++", "@@")))


@dataclass(frozen=True)
class Clean:
    """What the unchanged tests did. seconds: test -> its time. reached: file -> line -> tests that run it."""

    seconds: dict[str, float]
    reached: dict[str, dict[int, list[str]]]

    def tests(self, mutant: Mutant) -> list[str]:
        """Those that run a mutant's line, the fastest first."""
        return sorted(self.reached.get(str(mutant.file), {}).get(mutant.line, []), key=lambda test: self.seconds[test])


class Recorder:
    """A plugin of pytest: the time of each test, its fixtures with it."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.seconds[report.nodeid] = self.seconds.get(report.nodeid, 0.0) + report.duration


def mutants(tree: Path, package: str) -> list[Mutant]:
    """All of a package's functions, in the order of its files."""
    from libcst import BaseString
    from mutmut.mutation.file_mutation import create_mutations

    made = []
    for path in sorted((tree / package).glob("*.py")):
        if path.name.endswith(PICTURES):
            continue
        source = path.read_text(encoding="utf-8")
        module, mutations, *_ = create_mutations(str(path), source)
        for mutation in mutations:
            if mutation.contained_by_top_level_function is None or isinstance(mutation.original_node, BaseString):
                continue
            code = module.deep_replace(mutation.original_node, mutation.mutated_node).code
            if INDIFFERENT.sub("", source) == INDIFFERENT.sub("", code):
                continue
            pairs = zip(source.splitlines(), code.splitlines(), strict=False)
            line = next((i for i, (old, new) in enumerate(pairs, start=1) if old != new), None)
            if line is not None:
                made.append(Mutant(path.relative_to(tree), line, source, code))
    return made


def run_forked(tree: Path, arguments: list[str], log: Path, limit: float, plugin: Recorder | None = None) -> int | None:
    """pytest's exit code in a fork, inside a tree; None where it ran past `limit` seconds. Output goes to a file."""
    child = os.fork()
    if child == 0:
        code = 70
        try:
            os.setsid()
            file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            for descriptor in (1, 2):
                os.dup2(file, descriptor)
            os.chdir(tree)
            for name in [name for name in sys.modules if name.split(".")[0] in ("tests", "icsort")]:
                del sys.modules[name]
            sys.path[:] = [str(tree), *(entry for entry in sys.path if entry not in ("", str(ROOT)))]
            os.environ["PYTHONPATH"] = str(tree)
            quick = ["-q", "-p", "no:cacheprovider", "-m", "not full"]
            code = int(pytest.main([*quick, *arguments], [plugin] if plugin else []))
            if plugin is not None:
                log.with_suffix(".json").write_text(json.dumps(plugin.seconds))
        finally:
            os._exit(code)
    end = time.monotonic() + limit
    while time.monotonic() < end:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            with suppress(ProcessLookupError):
                os.killpg(child, signal.SIGKILL)  # what a test left behind
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.05)
    os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return None


def run_clean(tree: Path, package: str, folder: Path) -> Clean:
    """The tests of a package on the unchanged tree, with what each runs."""
    from coverage import CoverageData

    data, log = folder / "coverage", folder / "clean.log"
    os.environ["COVERAGE_FILE"] = str(data)
    options = [f"--cov=icsort.{package.replace('/', '.')}", "--cov-context=test", "--cov-report="]
    if run_forked(tree, [*PACKAGES[package], *options], log, 1800.0, Recorder()):
        raise SystemExit(f"{package}: the unchanged tests fail\n{log.read_text()[-4000:]}")
    seconds = json.loads(log.with_suffix(".json").read_text())
    measured = CoverageData(str(data))
    measured.read()
    reached: dict[str, dict[int, list[str]]] = {}
    for name in measured.measured_files():
        file = str(Path(name).resolve().relative_to(tree.resolve()))
        for line, contexts in measured.contexts_by_lineno(name).items():
            tests = {context.rpartition("|")[0] for context in contexts if context.endswith("|run")}
            if any(context.endswith("|setup") for context in contexts):  # a fixture, whoever uses it first
                tests = set(seconds)
            reached.setdefault(file, {})[line] = sorted(tests & set(seconds))
    return Clean(seconds, reached)


def noticed(tree: Path, clean: Clean, mutant: Mutant, log: Path) -> bool:
    """Whether a test fails, or nothing runs any more, with a mutant in the tree."""
    tests = clean.tests(mutant)
    if not tests:
        return False
    file = tree / mutant.file
    file.write_text(mutant.code, encoding="utf-8")
    try:
        limit = PATIENCE + SLOWER * sum(clean.seconds[test] for test in tests)
        return run_forked(tree, ["-x", *tests], log, limit) != 0
    finally:
        file.write_text(mutant.source, encoding="utf-8")


def score(tree: Path, package: str, count: int, minutes: float, seed: int) -> float:
    """Share of a sample of a package's mutants that its tests notice; those that they do not are printed."""
    begin = time.monotonic()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        everything = mutants(tree, package)
        sample = random.Random(seed).sample(everything, min(count, len(everything)))
        clean = run_clean(tree, package, folder)
        spent = (time.monotonic() - begin) / 60
        print(f"{package}: {len(clean.seconds)} tests, {spent:.1f} min with what each reaches")
        killed = tried = 0
        for mutant in sample:
            if time.monotonic() - begin > 60 * minutes:
                break
            tried += 1
            if noticed(tree, clean, mutant, folder / "mutant.log"):
                killed += 1
            else:
                what = "no test reaches it" if not clean.tests(mutant) else "unnoticed"
                print(f"{mutant.file}:{mutant.line}: {what}\n{mutant.difference()}")
    spent = (time.monotonic() - begin) / 60
    share = killed / max(tried, 1)
    print(
        f"{package}: {killed} of {tried} noticed, {share:.0%} "
        f"({len(everything)} mutants in all, seed {seed}, {spent:.1f} min)"
    )
    return share


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code 1 where a package's score is below FLOOR."""
    parser = argparse.ArgumentParser(description="Change the code in one place at a time; tests must notice.")
    parser.add_argument("packages", nargs="*", metavar="PACKAGE", help=", ".join(PACKAGES))
    parser.add_argument("--count", type=int, default=30, help="mutants a package, at random (default: 30)")
    parser.add_argument("--minutes", type=float, default=15.0, help="then no further mutant of a package (default: 15)")
    parser.add_argument("--seed", type=int, default=1, help="of the sample (default: 1)")
    options = parser.parse_args(arguments)
    unknown = [package for package in options.packages if package not in PACKAGES]
    if unknown:
        parser.error(f"{unknown[0]} is none of {', '.join(PACKAGES)}")
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    sys.dont_write_bytecode = True  # a mutant may be of the same size and second as the one before
    os.environ.update(PYTHONDONTWRITEBYTECODE="1", ICSORT_TEST_SEED=str(options.seed), OMP_NUM_THREADS="1")
    for name in LARGE:
        import_module(name)
    with tempfile.TemporaryDirectory() as scratch:
        tree = Path(scratch) / "tree"
        for name in FOLDERS:
            shutil.copytree(ROOT / name, tree / name, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
        for name in FILES:
            shutil.copy(ROOT / name, tree)
        scores = {
            package: score(tree, package, options.count, options.minutes, options.seed)
            for package in options.packages or PACKAGES
        }
    low = {package: share for package, share in scores.items() if share < FLOOR}
    for package, share in low.items():
        print(f"{package}: {share:.0%} is below {FLOOR:.0%}; write tests that notice these mutants", file=sys.stderr)
    return 1 if low else 0


if __name__ == "__main__":
    sys.exit(main())
