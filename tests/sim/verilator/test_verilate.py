# SPDX-License-Identifier: Apache-2.0
"""A program is made wherever the cache, the sources and Verilator itself lie, and made again where it is damaged."""

import shutil
import subprocess
from pathlib import Path

import pytest

from icsort.errors import IcsortError
from icsort.sim.verilator import verilate

MODULE = "module tiny (input logic [7:0] a, output logic [7:0] b); assign b = ~a; endmodule\n"
MAIN = """
#include "Vtiny.h"
#include "harness.h"
int main() { Vtiny model; model.a = 0x5a; model.eval(); return model.b; }
"""


@pytest.fixture(autouse=True)
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CCACHE_DIR", str(verilate.cache_root() / "ccache"))  # Verilator's own files, compiled once
    monkeypatch.chdir(tmp_path)


def compile_tiny(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "tiny.sv").write_text(MODULE)
    (folder / "main.cpp").write_text(MAIN)
    return verilate.compile_program("tiny", "tiny", [folder / "tiny.sv"], folder / "main.cpp")


def answer(executable: Path) -> int:
    return subprocess.run([executable], check=False).returncode


@pytest.mark.parametrize(
    ("cache", "sources"), [("with space", "src"), ("it's $HOME: 100 %", "src"), ("relative/folder", 'my "icsort"; #1')]
)
def test_any_path(cache: str, sources: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ICSORT_CACHE", cache)
    executable = compile_tiny(tmp_path / sources)
    assert answer(executable) == 0xA5
    assert executable.is_relative_to(tmp_path / cache)
    assert verilate.compile_seconds(executable) > 0


def test_verilator_in_a_folder_with_a_space(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    original = verilate.environment()
    package = tmp_path / "my environment" / "verilator"
    shutil.copytree(original["VERILATOR_ROOT"], package)
    path = original["PATH"].replace(original["VERILATOR_ROOT"], str(package))
    monkeypatch.setenv("ICSORT_CACHE", "cache")
    monkeypatch.setattr(verilate, "environment", lambda: {**original, "VERILATOR_ROOT": str(package), "PATH": path})
    assert answer(compile_tiny(tmp_path / "src")) == 0xA5


def test_a_damaged_program_is_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ICSORT_CACHE", "cache")
    executable = compile_tiny(tmp_path)
    before = executable.stat().st_mtime_ns
    assert compile_tiny(tmp_path).stat().st_mtime_ns == before
    executable.write_bytes(b"")
    assert answer(compile_tiny(tmp_path)) == 0xA5
    (executable.parent / "made.json").write_text("{")
    assert answer(compile_tiny(tmp_path)) == 0xA5
    assert verilate.compile_seconds(executable) > 0


def test_no_plain_path_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ICSORT_CACHE", "with space")
    monkeypatch.setattr(verilate.tempfile, "gettempdir", lambda: "/tmp/with space too")
    with pytest.raises(IcsortError, match="with space too: set TMPDIR to a plain path"):
        compile_tiny(tmp_path)


def test_what_cannot_be_compiled_names_its_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ICSORT_CACHE", "cache")
    (tmp_path / "main.cpp").write_text(MAIN)
    (tmp_path / "tiny.sv").write_text(MODULE.replace("~a", "~c"))
    with pytest.raises(IcsortError, match=r"could not compile tiny, see .*/log: %Error: tiny\.sv"):
        verilate.compile_program("tiny", "tiny", [tmp_path / "tiny.sv"], tmp_path / "main.cpp")
