# SPDX-License-Identifier: Apache-2.0
"""Nothing of the user's is deleted: not without --force, and never what icsort did not make."""

import errno
import json
from pathlib import Path

import pytest

from icsort.errors import IcsortError
from icsort.output import RECORD_FILE, check_target, planned_folder, result_file, result_folder, work_folder

KIND = "config.json"  # a name that other programs use too


def contents(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}


def make(out: Path, text: str = "first", force: bool = False) -> None:
    with result_folder(out, KIND, force) as folder:
        (folder / KIND).write_text(text)
        (folder / "rtl").mkdir()
        (folder / "rtl" / "net.sv").write_text(text)


def test_a_result_is_replaced_with_force_alone(tmp_path: Path) -> None:
    out = tmp_path / "out"
    make(out)
    before = contents(tmp_path)
    with pytest.raises(IcsortError, match="exists already; choose another --out, or replace it with --force"):
        make(out, "second")
    assert contents(tmp_path) == before
    make(out, "second", force=True)
    assert (out / "rtl" / "net.sv").read_text() == "second"
    assert list(tmp_path.iterdir()) == [out]


@pytest.mark.parametrize("precious", ["thesis.txt", "rtl/mine.sv", "deep/er/thesis.txt", ".hidden"])
def test_what_the_user_put_into_a_result_is_kept(precious: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    make(out)
    (out / precious).parent.mkdir(parents=True, exist_ok=True)
    (out / precious).write_text("years of work")
    before = contents(tmp_path)
    with pytest.raises(IcsortError, match=f"holds {precious}, which icsort did not make; move it away first"):
        make(out, "second", force=True)
    assert contents(tmp_path) == before


def test_a_file_put_there_meanwhile_is_kept(tmp_path: Path) -> None:
    out = tmp_path / "out"
    make(out)

    def replace() -> None:
        with result_folder(out, KIND, force=True) as folder:
            (folder / KIND).write_text("second")
            (out / "thesis.txt").write_text("years of work")

    with pytest.raises(IcsortError, match=r"holds thesis\.txt"):
        replace()
    assert (out / "thesis.txt").read_text() == "years of work"
    assert list(tmp_path.iterdir()) == [out]


@pytest.mark.parametrize("record", [None, "", "[]", '{"format": "icsort-result", "version": 1, "kind": "build.json"}'])
def test_folders_of_others_with_a_file_of_that_name(record: str | None, tmp_path: Path) -> None:
    """A `config.json` makes no run."""
    out = tmp_path / "project"
    out.mkdir()
    (out / KIND).write_text("{}")
    if record is not None:
        (out / RECORD_FILE).write_text(record)
    before = contents(tmp_path)
    for attempt in (lambda: make(out, force=True), lambda: work_folder(out, KIND, [], force=True)):
        with pytest.raises(IcsortError, match="is not an earlier result of this command"):
            attempt()
    assert contents(tmp_path) == before


def test_a_folder_of_several_results(tmp_path: Path) -> None:
    """What a flow left, also cut short, goes with --force; a file beside or inside its results stays."""
    out = tmp_path / "demo"
    work_folder(out, "demo", ["report.html", "events.jsonl"])
    make(out / "run")
    (out / "report.html").write_text("page")
    partial = result_folder(out / "build", "build.json")
    (partial.__enter__() / "half.sv").write_text("killed here")  # never left
    with pytest.raises(IcsortError, match="--force"):
        work_folder(out, "demo", [])
    for precious in (out / "thesis.txt", out / "run" / "thesis.txt"):
        precious.write_text("years of work")
        with pytest.raises(IcsortError, match=r"thesis\.txt, which icsort did not make"):
            work_folder(out, "demo", [], force=True)
        precious.unlink()
    work_folder(out, "demo", [], force=True)
    assert [path.name for path in out.iterdir()] == [RECORD_FILE]


def test_a_link_to_the_users_folder_is_not_followed(tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "thesis.txt").write_text("years of work")
    out = tmp_path / "out"
    make(out)
    (out / "link").symlink_to(mine)
    with pytest.raises(IcsortError, match="holds link"):
        check_target(out, KIND, force=True)
    assert (mine / "thesis.txt").exists()


def test_an_error_of_an_input_is_not_blamed_on_the_output(tmp_path: Path) -> None:
    def read(path: Path) -> None:
        with result_folder(tmp_path / "results" / "out", KIND):
            path.read_text()

    with pytest.raises(IcsortError, match=r"inputs/cells\.npz: No such file"):
        read(tmp_path / "inputs" / "cells.npz")

    def fill_the_disk() -> None:
        with result_folder(tmp_path / "results" / "out", KIND):
            raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(IcsortError, match=r"results: the disk is full"):
        fill_the_disk()
    (tmp_path / "file").write_text("mine")
    with pytest.raises(IcsortError, match=r"file/out: cannot be written .*choose another --out"):
        make(tmp_path / "file" / "out")
    assert (tmp_path / "file").read_text() == "mine"


def test_planned_folder_goes_on_with_its_plan_alone(tmp_path: Path) -> None:
    out = tmp_path / "search"
    planned_folder(out, "plan.json", {"seeds": (1, 2)}, "search")
    (out / "done").mkdir()
    planned_folder(out, "plan.json", {"seeds": (1, 2)}, "search")
    assert (out / "done").is_dir()
    assert json.loads((out / "plan.json").read_text()) == {"seeds": [1, 2]}
    with pytest.raises(IcsortError, match="search of another plan"):
        planned_folder(out, "plan.json", {"seeds": (1,)}, "search")
    (out / "plan.json").write_text("{")
    with pytest.raises(IcsortError, match=r"plan\.json: cannot be read"):
        planned_folder(out, "plan.json", {"seeds": (1, 2)}, "search")


def test_a_file_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    out = tmp_path / "new" / "table.csv"
    with pytest.raises(TypeError), result_file(out, "a,b") as stream:
        stream.write(0)  # type: ignore[arg-type]
    assert list(out.parent.iterdir()) == []
    with result_file(out, "a,b") as stream:
        stream.write("a,b\n1,2\n")
        assert not out.exists()
    assert out.read_text() == "a,b\n1,2\n"
    with pytest.raises(IcsortError, match="replace it with --force"), result_file(out, "a,b"):
        pass
    with pytest.raises(IcsortError, match="not an earlier result"), result_file(out, "a,c", force=True):
        pass
    with pytest.raises(IcsortError, match="not an earlier result"), result_file(tmp_path, "a,b", force=True):
        pass
    with pytest.raises(TypeError), result_file(out, "a,b", force=True) as stream:
        stream.write(0)  # type: ignore[arg-type]
    assert out.read_text() == "a,b\n1,2\n"
    with result_file(out, "a,b", force=True) as stream:
        stream.write("a,b\n")
    assert out.read_text() == "a,b\n"
    assert list(out.parent.iterdir()) == [out]
