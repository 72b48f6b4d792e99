# SPDX-License-Identifier: Apache-2.0
"""The search: nothing beats the front, figures are those of runs and builds, it goes on where it was."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from icsort.errors import IcsortError
from icsort.quant.training.checkpoint import STATE_FILE, Checkpoint
from icsort.sim.flows import families
from icsort.sim.flows.families import Candidate, family, front, search, smallest
from tests.sim.conftest import System, icsort


def test_family_is_all_combinations() -> None:
    found = family(["width=0.5,1", "weight-bits+activation-bits=2,4"])
    assert [candidate.words for candidate in found[:2]] == [
        ["--width", "0.5", "--weight-bits", "2", "--activation-bits", "2"],
        ["--width", "0.5", "--weight-bits", "4", "--activation-bits", "4"],
    ]
    assert len({candidate.name for candidate in found}) == 4
    for wrong in (["width"], ["width="], ["=1"], ["width=1,,2"], ["width=1", "depth+width=2"]):
        with pytest.raises(IcsortError, match="--try"):
            family(wrong)


@given(st.lists(st.tuples(*[st.integers(0, 4)] * 3), min_size=1, max_size=12))
def test_front_is_what_nothing_beats(rows: list[tuple[int, int, int]]) -> None:
    def beats(one: tuple[int, ...], other: tuple[int, ...]) -> bool:
        return one != other and all(a <= b for a, b in zip(one, other, strict=True))

    expected = [not any(beats(other, row) for other in rows) for row in rows]
    assert front(np.array(rows, float)).tolist() == expected


def test_smallest_that_is_enough() -> None:
    networks = [
        {"name": name, "front": on_front, "validation": accuracy, "share_of_board": share}
        for name, on_front, accuracy, share in (("a", True, 0.9, 0.5), ("b", True, 0.8, 0.2), ("c", False, 0.9, 0.1))
    ]
    assert smallest(networks, 0.85)["name"] == "a"
    assert smallest(networks, 0.8)["name"] == "b"
    assert smallest(networks, 0.95) is None


@pytest.mark.xdist_group("system")
def test_search_of_networks_that_are_there(system: System, tmp_path: Path) -> None:
    """One network of the family is trained and compiled already, the other is refused by `icsort train`."""
    out, words = tmp_path / "search", ["--generated", "--epochs", "4", "--learning-rate", "-1"]
    names = [Candidate((("seed", value),)).name for value in ("0", "1")]
    (out / names[0]).mkdir(parents=True)
    for kind, folder in (("run", system.run), ("package", system.package), ("build", system.build.folder)):
        shutil.copytree(folder, out / names[0] / kind)
    plan = {"candidates": names, "train": words, "board": "virtual"}
    (out / "plan.json").write_text(json.dumps(plan))
    found = json.loads(icsort("search", "--out", out, "--try", "seed=0,1", "--json", "--", *words))
    made, refused = found["networks"]
    metrics, build = json.loads((system.run / "metrics.json").read_text()), system.build
    assert made["validation"] == metrics["validation"]["balanced_accuracy"]
    assert made["test"] == metrics["test"]["balanced_accuracy"]
    assert made["latency_us"] * build.clock_mhz == pytest.approx(build.net_latency_cycles)
    layers = sum(layer.resources["LUT"] for layer in build.layers)
    assert made["resources"]["LUT"] == layers + build.glue_resources["LUT"]
    assert made["front"]
    assert found["smallest"]["name"] == names[0]
    assert "--learning-rate" in refused["refused"]
    assert json.loads((out / "search.json").read_text()) == found
    page = (out / "report.html").read_text()
    assert "data:image/png;base64," in page
    assert "http" not in page
    with pytest.raises(IcsortError, match="search of another plan"):
        icsort("search", "--out", out, "--try", "seed=0,2", "--", *words)


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], list[str]]:
    """Stands for `icsort`: runs a line of shell in its place, and returns what it was called with."""
    program, calls = tmp_path / "program", tmp_path / "calls"

    def behave(action: str) -> list[str]:
        program.write_text(f'#!/bin/sh\necho "$@" >> {calls}\n{action}\n')
        program.chmod(0o755)
        called = calls.read_text().splitlines() if calls.exists() else []
        calls.unlink(missing_ok=True)
        return called

    monkeypatch.setattr(families, "sys", SimpleNamespace(executable=str(program)))
    return behave


@pytest.mark.parametrize(
    ("action", "said"),
    [
        ("kill -9 $$", "was ended by signal 9"),
        ("kill -2 $$", "was ended by signal 2"),
        ("echo 'Aborted!' >&2; exit 1", r"ended with code 1 \(Aborted!\)"),
        ("exit 137", "ended with code 137"),
    ],
)
def test_a_killed_training_is_no_refusal_and_goes_on(
    action: str, said: str, fake: Callable[[str], list[str]], tmp_path: Path
) -> None:
    out, candidates = tmp_path / "search", family(["seed=1"])
    run = out / candidates[0].name / "run"
    state = Checkpoint(run).folder / STATE_FILE  # where `icsort train` keeps it
    fake(f"mkdir -p {state.parent}; touch {state}; {action}")
    with pytest.raises(IcsortError, match=f"{said}.*goes on from there"):
        search(out, candidates, ["--generated"], "virtual")
    assert fake("echo 'icsort: error: of other cells' >&2; exit 2") == [
        f"-m icsort train --out {run} --seed 1 --generated"
    ]
    with pytest.raises(IcsortError, match="cut short cannot go on: of other cells"):
        search(out, candidates, ["--generated"], "virtual")
    assert fake("exit 2") == [f"-m icsort train --out {run} --seed 1 --generated --resume"]


def test_a_refused_network_is_tried_without_resume(fake: Callable[[str], list[str]], tmp_path: Path) -> None:
    fake("echo 'icsort: error: too small\n' >&2; exit 2")
    for _ in range(2):
        with pytest.raises(IcsortError, match="no network of the search could be compiled; the first: too small"):
            search(tmp_path / "search", family(["seed=1"]), [], "virtual")
    assert not any("--resume" in call for call in fake(""))


@pytest.mark.full
def test_search_from_nothing(tmp_path: Path) -> None:
    out = tmp_path / "search"
    icsort("search", "--out", out, "--try", "height=24,40", "--", "--generated", "--limit", 30, "--epochs", 2)
    networks = json.loads((out / "search.json").read_text())["networks"]
    assert [network["refused"] for network in networks] == [None, None]
    assert networks[0]["latency_us"] < networks[1]["latency_us"]
