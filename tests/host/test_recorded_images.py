# SPDX-License-Identifier: Apache-2.0
"""Which event an image is of, against what the made-up board knows of it; and lists that are not what was written."""

import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import flowio
import numpy as np
import pytest
import tifffile

from icsort.errors import IcsortError
from icsort.formats import recorded_images
from icsort.formats.image_list import LIST_FILE, read_list
from icsort.formats.recorded_images import RecordedImages, match, recording_of
from icsort.host.link.protocol import EventRecord
from tests.host.recorded_cells import events_of, picture, record_sort
from tests.host.recordings import example


def of_a_board_that_is_reset(draw: random.Random, count: int) -> Iterator[EventRecord]:
    """Events numbered anew behind each reset, which tags follow; `time` alone is of one event, and tells it."""
    number = 0
    for index, event in enumerate(events_of(count)):
        number = 0 if draw.random() < 0.02 else number + draw.choice((1, 1, 1, 3))
        yield replace(event, event_id=number, tag=number % 256, time=1000 * index)


@pytest.mark.parametrize("chunk", [7, 20_000])
@pytest.mark.parametrize("most", [40, 10_000])
def test_each_image_is_of_its_event_or_of_none(
    seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chunk: int, most: int
) -> None:
    """Through resets, lost records and files that follow each other: the image shows the time of its event."""
    monkeypatch.setattr(recorded_images, "CHUNK", chunk)
    draw = random.Random(seed)
    events = list(of_a_board_that_is_reset(draw, 300))
    shape = example().input.shape
    sent, lost = [], set()

    def image(event: EventRecord) -> np.ndarray | None:
        index = event.time // 1000
        first = event.event_id == 0  # a reset takes the rule by which images are sent
        if first or draw.random() < 0.5:
            return None
        sent.append(index)
        pixels = np.zeros(shape, np.uint8)
        pixels[0, 0, 0], pixels[0, 1, 0] = divmod(index, 256)
        return pixels

    def is_lost(index: int) -> bool:
        if events[index].event_id and draw.random() < 0.1:
            lost.add(index)
            return True
        return False

    recording, folder = record_sort(tmp_path, events, image, is_lost, max_events=most)
    recorded = RecordedImages.of(folder)
    pairs = {}
    for cells in recorded.cells(13):
        for pixels, row in zip(cells.pixels, cells.values, strict=True):
            index = int(pixels[0, 0, 0]) * 256 + int(pixels[0, 1, 0])
            pairs[index] = row
            assert (row[0], row[1]) == (1000 * index, events[index].event_id)
    assert set(pairs) == set(sent) - lost
    account = recorded.account()
    assert account["images, no record of its event"] + account["written"] == len(sent) == account["images"]
    assert account["events without an image"] == 300 - len(lost) - len(pairs)
    assert recorded.match.resets == sum(b.event_id <= a.event_id for a, b in pairwise(events))
    # FlowIO, of all files together, in the same order.
    files = sorted(recording.parent.glob("cells*.fcs"), key=lambda path: (len(path.stem), path.stem))
    assert len(files) == len(recorded.match.files) == -(-(300 - len(lost)) // most)
    table = np.concatenate(
        [np.reshape(flowio.FlowData(path).events, (-1, len(recorded.match.files[0].names))) for path in files]
    )
    known = recorded.match.matched
    assert np.array_equal(recorded.match.values(known), table[recorded.match.rows[known]])


def test_resets_of_which_nothing_but_a_number_tells(tmp_path: Path) -> None:
    """Behind the first event, which comes again; and images of all events, over the ends of files."""
    numbers = [0, 0, 0, 1, 2, 0, 1, 2, 3, 2, 3]
    events = [
        replace(event, event_id=number, tag=number, time=1000 * index)
        for index, (number, event) in enumerate(zip(numbers, events_of(len(numbers)), strict=True))
    ]
    images = [np.full(example().input.shape, index, np.uint8) for index in range(len(numbers))]
    _, folder = record_sort(tmp_path, events, pixels=lambda e: images[e.time // 1000], max_events=4)
    recorded = RecordedImages.of(folder)
    (cells,) = recorded.cells(99)
    assert cells.pixels[:, 0, 0, 0].tolist() == list(range(len(numbers)))
    assert cells.values[:, 0].tolist() == [1000 * index for index in range(len(numbers))]
    assert (recorded.match.resets, len(recorded.match.files)) == (4, 3)


def test_what_does_not_agree_is_left_out_and_counted(tmp_path: Path) -> None:
    _, folder = record_sort(tmp_path, events_of(20), pixels=lambda e: picture(e.event_id, example()))
    lines = (folder / LIST_FILE).read_text().splitlines()
    entries = [json.loads(line) for line in lines[1:-1]]
    entries[3]["tag"] = 200
    entries[5], entries[6] = entries[6], entries[5]
    entries[12]["event"] = entries[11]["event"]
    text = "\n".join([lines[0], *map(json.dumps, entries), lines[-1]])
    (folder / LIST_FILE).write_text(text + "\n")
    os.truncate(folder / entries[9]["file"], 700)
    (folder / entries[10]["file"]).unlink()
    (folder / "image-000099-event-7.tiff").write_bytes(b"")
    recorded = RecordedImages.of(folder)
    assert sum(len(cells.pixels) for cells in recorded.cells(6)) == 15
    account = recorded.account()
    assert account["images, another tag than its record"] == 1
    assert account["images, out of order, so that its event cannot be told"] == 2
    assert account["damaged"] == [entries[9]["file"], entries[10]["file"]]
    assert (account["images that the list does not name"], account["written"], account["cut short"]) == (1, 15, False)


@pytest.mark.quick(2)
@pytest.mark.parametrize("number", range(20))
def test_kept_until_it_is_killed(seed: int, tmp_path: Path, number: int) -> None:
    """At any moment: each image of the list is there and whole."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.host.recorded_cells", str(tmp_path)],
        cwd=Path(__file__).parents[2], stdout=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline() == b"\n"
    time.sleep(random.Random(f"{seed} {number}").uniform(0, 0.3))
    process.kill()
    process.communicate(timeout=20)
    kept = read_list(tmp_path)
    assert kept.events.tolist() == list(range(len(kept.files)))
    assert 0 <= len(list(tmp_path.glob("*.tiff"))) - len(kept.files) <= 1
    for file, event in zip(kept.files, kept.events.tolist(), strict=True):
        assert np.array_equal(np.moveaxis(tifffile.imread(tmp_path / file), 0, -1), picture(event, example()))


def test_of_a_program_that_was_killed(tmp_path: Path) -> None:
    """A list without its end, or with half a line, is a list."""
    _, folder = record_sort(tmp_path, events_of(5))
    text = (folder / LIST_FILE).read_bytes()
    whole = text[: text.rindex(b'{"incomplete')]
    for cut, count in ((whole, 5), (whole[:-1], 5), (whole[:-9], 4), (whole[: whole.index(b"\n") + 1], 0)):
        (folder / LIST_FILE).write_bytes(cut)
        listed = read_list(folder)
        assert (len(listed.files), listed.end) == (count, None)
    with pytest.raises(IcsortError, match="none of its 0 images is of one of the 5 events"):
        RecordedImages.of(folder)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda lines: lines[:0], "is empty; give a folder of"),
        (lambda lines: lines[1:], "line 1: .* is missing"),
        (lambda lines: [lines[0], "{}", *lines[1:]], "line 2: is no image"),
        (lambda lines: [*lines, lines[1]], "line 5: is behind the list's end"),
        (lambda lines: [lines[0], lines[1], lines[1]], "line 3: names image-000000-event-0.tiff twice"),
        (lambda lines: [lines[0], lines[1].replace('"image-', '"../image-')], "line 2: is no image"),
        (lambda lines: [lines[0].replace('"height":40', '"height":41', 1)], "its acquisition is of other images"),
        (lambda lines: [lines[0].replace("icsort-images", "x")], "line 1: format is 'x'"),
        (lambda lines: ["\0" * len(lines)], "line 1: not JSON"),
    ],
)
def test_a_list_that_is_none(tmp_path: Path, change: Callable[[list[str]], list[str]], problem: str) -> None:
    _, folder = record_sort(tmp_path, events_of(2))
    lines = (folder / LIST_FILE).read_text().splitlines()
    (folder / LIST_FILE).write_text("".join(line + "\n" for line in change(lines)))
    with pytest.raises(IcsortError, match=problem) as raised:
        read_list(folder)
    assert "\n" not in str(raised.value)


def test_the_recording_of_the_images_and_no_other(tmp_path: Path) -> None:
    recording, folder = record_sort(tmp_path, events_of(5))
    other, _ = record_sort(tmp_path, events_of(5), name="others")
    images = read_list(folder)
    assert recording_of(images)[0].path.resolve() == recording
    with pytest.raises(IcsortError, match="is not the recording of the images in"):
        recording_of(images, other)
    moved = recording.rename(tmp_path / "moved.fcs")
    with pytest.raises(IcsortError, match=r"cells\.fcs: there is no such file; say with --recording where"):
        recording_of(images)
    assert len(match(images, recording_of(images, moved)).matched) == 5
    text = (folder / LIST_FILE).read_text()
    alone = text.replace(f'"recording":"../{recording.name}"', '"recording":null')
    (folder / LIST_FILE).write_text(
        alone.replace(f'"recording_id":"{images.head.recording_id}"', '"recording_id":null')
    )
    with pytest.raises(IcsortError, match="names no recording of the same events; give it with --recording"):
        recording_of(read_list(folder))
    assert len(RecordedImages.of(folder, other).match.matched) == 5  # whoever recorded the same events
    (folder / LIST_FILE).write_text(text.replace(example().model_id, "0" * 16))
    with pytest.raises(IcsortError, match=rf"is of model {example().model_id}, the images of 0{{16}}"):
        recording_of(read_list(folder), moved)


def test_numbers_alone_do_not_tell_before_from_behind_a_reset(tmp_path: Path) -> None:
    events = [replace(e, event_id=e.event_id % 3, tag=e.tag % 3) for e in events_of(6)]
    recording, folder = record_sort(tmp_path, events)
    text = (folder / LIST_FILE).read_text()
    number = read_list(folder).head.recording_id
    (folder / LIST_FILE).write_text(text.replace(f'"recording_id":"{number}"', '"recording_id":null'))
    with pytest.raises(IcsortError, match="the board was reset within it, and the images of"):
        RecordedImages.of(folder, recording)
