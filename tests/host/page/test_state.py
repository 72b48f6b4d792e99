# SPDX-License-Identifier: Apache-2.0
"""What the page's state makes of what a board sends, without a board."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from icsort.formats.event_record import Group
from icsort.formats.page_request import View
from icsort.host.link.protocol import ImagePiece, ImageReason
from icsort.host.page import state as states
from icsort.host.page.state import Acts, PageState, rates_of
from icsort.host.sorter import Gate
from icsort.sim.bit_true.event_flag import EventFlag
from icsort.sim.bit_true.scheduler import Outcome
from tests.host.recordings import event, example, layout

PLAIN = Group.BASE | Group.TIMING | Group.LOGITS


@pytest.fixture
def said() -> list[dict[str, Any]]:
    return []


@pytest.fixture
def state(said: list[dict[str, Any]]) -> PageState:
    return PageState(example(), layout(PLAIN, ()), "a port", Acts(said.append))


def take(state: PageState, numbers: range, groups: Group = PLAIN) -> None:
    """Events of these numbers, all of which are rows then."""
    for number in numbers:
        state.see(event(number, groups))
    if state._pending:
        state._hand()


def test_events_whose_records_get_or_lose_features(state: PageState) -> None:
    take(state, range(600))
    assert state.live_json(View())["events"] == {"kept": 600, "seen": 600}
    before = state.set_up
    take(state, range(600, 700), PLAIN | Group.FEATURES)
    assert state.set_up == before + 1
    assert state.live_json(View())["events"] == {"kept": 100, "seen": 100}
    assert "Size (PI)" in [value["name"] for value in state.set_up_json()["values"]]
    blind = next(number for number in range(700, 900) if event(number, PLAIN | Group.FEATURES).features is None)
    take(state, range(blind, blind + 1), PLAIN | Group.FEATURES)  # says nothing of the others
    assert state.set_up == before + 1
    take(state, range(900, 930))
    assert state.set_up == before + 2
    assert state.live_json(View())["events"]["kept"] == 30


def test_a_change_amid_a_batch_loses_no_more_than_those_before_it(state: PageState) -> None:
    for number in range(400):
        state.see(event(number, PLAIN))
    take(state, range(400, 600), PLAIN | Group.FEATURES)
    expected = 200 + sum(EventFlag.FEATURELESS in event(number, PLAIN).flags for number in range(400))
    assert state.live_json(View())["events"]["kept"] == expected


def test_gates_are_counted_under_the_set_in_force(state: PageState) -> None:
    take(state, range(1000))
    assert state.live_json(View())["gates"] == []  # which set that was, nobody knows
    state.found_gate(Gate(5, "0badcafe", 3, 2), ("one", "two"))
    own = [event(number, PLAIN) for number in range(500, 600)]
    assert {one.timing.gate_serial for one in own if one.timing} == {5}
    counted = [sum(one.gates >> bit & 1 for one in own) for bit in range(2)]
    assert state.live_json(View())["gates"] == [
        {"name": name, "events": count, "of": 100} for name, count in zip(("one", "two"), counted, strict=True)
    ]
    state.asks_gate = False
    take(state, range(1000, 1010))
    assert state.asks_gate  # their set is another


def test_an_image_waits_for_its_record(state: PageState, monkeypatch: pytest.MonkeyPatch) -> None:
    shape = example().input
    pixels = bytes(shape.height * shape.width * shape.channels)
    for number in (7, 2000):
        state.see(ImagePiece(0, number, number % 256, ImageReason.EVERY, 0, 1, pixels))
    assert state.live_json(View())["images"] == []
    take(state, range(10))
    (image,) = state.live_json(View())["images"]
    expected = event(7, PLAIN)
    assert (image["event"], image["class"]) == (7, example().classes[expected.class_index])
    assert image["outcome"] == expected.outcome.name.lower()
    name, shown = image["answer"].split(" · ")
    assert name == image["class"]
    assert 0 < float(shown) <= 1
    monkeypatch.setattr(states, "IMAGE_SECONDS", 0.0)
    late = state.live_json(View(images=image["number"]))["images"]
    assert [(one["event"], one["class"]) for one in late] == [(2000, None)]


def test_acts_are_told_once_and_to_all(said: list[dict[str, Any]]) -> None:
    acts = Acts(said.append)
    for number in range(700):
        acts.add("somebody", f"act {number}")
    assert [act["what"] for act in acts.since(698)] == ["act 698", "act 699"]
    assert len(acts.since(0)) == states.ACTS
    assert len(said) == 700


def test_rates_of_recorded_events() -> None:
    outcomes = np.array([Outcome.SORTED] * 6 + [Outcome.COINCIDENCE] * 3 + [Outcome.REJECTED])
    assert rates_of(outcomes, 20, 2.0) == {"events": 10.0, "sorted": 3.0, "aborts": {"COINCIDENCE": 1.5}}


def test_numbers_that_begin_anew_are_events_as_well(state: PageState) -> None:
    """As behind a reset of the board."""
    take(state, range(50))
    state.see(replace(event(3, PLAIN), time=0))
    state._hand()
    assert state.live_json(View())["event"] == 3
