# SPDX-License-Identifier: Apache-2.0
"""The tool that changes code: what it changes, and whom it asks."""

from pathlib import Path

from tests.mutants import Clean, mutants, noticed

SOURCE = '''
LIMIT = 3


def half(number: int) -> float:
    """Half of it."""
    if number > 9:
        raise ValueError("text")
    return [part / 2 for _, part in zip("a", [number], strict=True)][0]
'''
TEST = """
from parts.half import half


def test_half():
    assert half(6) == 3
"""


def test_mutants_are_noticed_by_the_tests_that_reach_them(tmp_path: Path) -> None:
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / "half.py").write_text(SOURCE)
    (tmp_path / "parts" / "half_page.py").write_text(SOURCE)
    (tmp_path / "pytest.ini").write_text("[pytest]\npythonpath = .\n")
    (tmp_path / "test_half.py").write_text(TEST)
    found = {mutant.difference().splitlines()[-1].strip("+ "): mutant for mutant in mutants(tmp_path, "parts")}
    assert {mutant.file for mutant in found.values()} == {Path("parts/half.py")}  # pages are left to people
    assert not [code for code in found if "LIMIT" in code or "XXtext" in code or "strict=False" in code]
    wrong = found['return [part * 2 for _, part in zip("a", [number], strict=True)][0]']
    unseen = found["if number >= 9:"]
    test = "test_half.py::test_half"
    reached = {"parts/half.py": {wrong.line: [test], unseen.line: [test]}}
    assert (
        wrong.line
        == SOURCE.splitlines().index('    return [part / 2 for _, part in zip("a", [number], strict=True)][0]') + 1
    )
    for mutant, clean, is_noticed in (
        (wrong, Clean({test: 0.1}, reached), True),
        (unseen, Clean({test: 0.1}, reached), False),
        (wrong, Clean({test: 0.1}, {}), False),
    ):
        assert noticed(tmp_path, clean, mutant, tmp_path / "log") == is_noticed
        assert (tmp_path / "parts" / "half.py").read_text() == SOURCE
