# SPDX-License-Identifier: Apache-2.0
"""A model that predicts a value, from the record of an event to the gate that asks for it: never a class."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import flowio
import numpy as np
import pytest

from icsort.errors import IcsortError
from icsort.formats import package as manifest
from icsort.formats.compile_gate import board_values, compile_gate
from icsort.formats.fcs import FcsFile
from icsort.formats.gate_set import Bounds, Direction, GateSet, GateSpec, RangeTest, of_classes
from icsort.formats.page_request import View
from icsort.formats.recording import Layout, Recording
from icsort.host.commands.watch import _event_json
from icsort.host.gallery import gather_gallery
from icsort.host.link.protocol import EventRecord, ImagePiece, ImageReason
from icsort.host.page.state import Acts, PageState
from icsort.host.preview import preview
from icsort.host.recorder import Recorder
from icsort.host.sorter import Losses
from icsort.sim.bit_true import gate_engine as engine
from tests.host.recorded_cells import record_sort
from tests.host.recordings import ALL, CLOCK_HZ, event, example

SCALE = 72_700.0


def model() -> manifest.Manifest:
    """The example's channels, and one value."""
    rest = {name: getattr(example(), name) for name in manifest.Manifest.model_fields if name != "model_id"}
    changes: dict[str, Any] = {
        "classes": ("PI",),
        "values": (manifest.ValueSpec(scale=SCALE, unit="counts"),),
        "accuracy": None,
        "fit": manifest.FitSpec(pearson=0.9, cells=100),
    }
    return manifest.Manifest(**(rest | changes))


def events(seed: int) -> list[EventRecord]:
    outputs = np.random.default_rng(seed).integers(-2000, 4000, 300).tolist()
    return [replace(event(n), logits=(output,), class_index=0) for n, output in enumerate(outputs)]


def gates(**bounds: float) -> GateSet:
    """One range of the value."""
    test = RangeTest(name="DNA", kind="range", x=Bounds(value="PI", **bounds))
    return GateSet(
        tests=(test,), gates=(GateSpec(name="sort", all=("DNA",)),), directions=(Direction(output=2, gate="sort"),)
    )


def test_a_value_is_recorded_by_its_name_and_previewed(tmp_path: Path, seed: int) -> None:
    made, wanted = events(seed), model()
    with Recorder(tmp_path / "a.fcs", Layout(wanted, CLOCK_HZ, ALL), {}, Losses()) as recorder:
        for one in made:
            recorder.add(one)
    data = flowio.FlowData(tmp_path / "a.fcs")
    columns = dict(zip(data.pnn_labels, data.as_array().reshape(-1, data.channel_count).T, strict=True))
    integers = np.array([one.logits for one in made])[:, 0]
    assert columns["PI"] == pytest.approx(integers * example().logits.scale * SCALE, rel=1e-6)
    assert not [name for name in columns if name.startswith(("logit", "posterior "))]
    assert data.text["icsort values"] == "0 PI"
    unit = example().logits.scale * SCALE
    at, top = int(np.median(integers)), int(integers.max())
    for bounds, passing in (
        ({"min": at * unit}, integers >= at),
        ({"min": (at + 0.001) * unit}, integers > at),
        ({"min": (at + 0.5) * unit, "max": (top - 0.5) * unit}, (integers > at) & (integers < top)),
    ):
        found = preview(gates(**bounds), [Recording(FcsFile(tmp_path / "a.fcs"), wanted)], wanted, True)
        assert found.directions[2].events == passing.sum() > 0
        assert found.changed == 0


def test_the_engine_tests_the_output_itself() -> None:
    board = board_values(model(), CLOCK_HZ)
    assert board.values["PI"].index == engine.VALUE_LOGIT
    assert board.values["PI"].unit == "counts"
    assert "logit PI" not in board.values
    program = compile_gate(gates(min=0.0), board).program
    assert engine.unpack(program.words()) == program


def test_classes_and_posteriors_are_refused() -> None:
    board = board_values(model(), CLOCK_HZ)
    drawn = RangeTest(name="sure", kind="range", x=Bounds(classes=("PI",), min=0.5))
    asks = GateSet(
        tests=(drawn,), gates=(GateSpec(name="sort", all=("sure",)),), directions=(Direction(output=0, gate="sort"),)
    )
    for source in (of_classes(("PI",), 0.5), asks):
        with pytest.raises(IcsortError, match="has no classes, it predicts PI: give a gate set with a range") as caught:
            compile_gate(source, board)
        assert "\n" not in str(caught.value)


def test_watch_tells_the_value_and_no_class() -> None:
    one = replace(event(3), logits=(1000,), class_index=0)
    told = _event_json(one, model())
    assert told["values"] == {"PI": pytest.approx(1000 * example().logits.scale * SCALE)}
    assert {"class", "class_name", "posterior"}.isdisjoint(told)
    assert {"class", "class_name", "posterior"} < set(_event_json(event(3), example()))
    assert "values" not in _event_json(event(3), example())


def test_the_gallery_of_a_report_tells_the_value_and_no_posterior(tmp_path: Path, seed: int) -> None:
    made, wanted = events(seed)[:20], model()
    recording, images = record_sort(tmp_path, made, manifest=wanted, layout=Layout(wanted, CLOCK_HZ, ALL))
    found = gather_gallery([images], {}, recording)
    shown = [cell for cells in found.cells.values() for cell in cells]
    assert shown
    units = {one.event_id: one.logits[0] * wanted.unit_values[0] for one in made if one.logits}
    for cell in shown:
        name, number = cell.answer.split(" ")
        assert name == "PI"
        assert float(number.replace(",", "")) == pytest.approx(units[cell.event], abs=1, rel=1e-6)


def test_the_page_tells_the_value_and_no_posterior() -> None:
    wanted, one = model(), replace(event(7), logits=(1000,), class_index=0)
    state = PageState(wanted, Layout(wanted, CLOCK_HZ, ALL), "a port", Acts(lambda _: None))
    shape = wanted.input
    state.see(ImagePiece(0, 7, 7, ImageReason.EVERY, 0, 1, bytes(shape.height * shape.width * shape.channels)))
    state.see(one)
    state._hand()
    (image,) = state.live_json(View())["images"]
    assert image["answer"] == f"PI · {1000 * wanted.unit_values[0]:,.0f}"
    assert state.set_up_json()["classes"] == []
