# SPDX-License-Identifier: Apache-2.0
"""`icsort report`: figures of a job and of a recording, counted otherwise here, and what it refuses."""

import base64
import io
import json
import math
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pypdf
import pypdfium2
import pytest
from PIL import Image
from typer.testing import CliRunner

from icsort.cli.root import app
from icsort.errors import IcsortError
from icsort.formats.job import load_job
from icsort.formats.journal import Begun, Ended, JournalWriter, Progress, Run, Serials, identity_of
from icsort.host.link.registers import COUNTERS
from icsort.host.recorder import Recorder
from icsort.host.sort_report import JSON_FILE, gather, page, write_report
from icsort.host.sorter import Losses
from icsort.report.pdf import check_pdf
from icsort.sim.bit_true.scheduler import Outcome
from tests.host.jobs import write_job
from tests.host.recorded_cells import events_of, picture, record_sort
from tests.host.recordings import CLOCK_HZ, event, example, layout

SHAPES = """
format = "icsort-gate-set"
version = 1
scales = {wide = {kind = "logicle", t = 1000000, m = 5, w = 1}}
tests = [
    {name = "long", kind = "range", x = {value = "event length", min = 40}},
    {name = "box", kind = "range", x = {value = "logit S", min = -1}, y = {classes = ["M"], max = 0.5}},
    {name = "drawn", kind = "polygon", x = {value = "Total Intensity (PI)", scale = "wide"}, y = {value = "logit M"}, corners = [[0.1, -4], [0.9, -4], [0.5, 4]]},
    {name = "round", kind = "ellipse", x = {value = "logit G1"}, y = {value = "logit M"}, center = [0, 0], radii = [2, 1], angle = 30},
    {name = "sure", kind = "class", classes = ["S", "M"], posterior = 0.8},
    {name = "other", kind = "range", x = {value = "Size (DAPI)", min = 1}},
]
gates = [{name = "all", any = ["long", "box", "drawn", "round", "sure", "other"]}]
directions = [{output = 0, gate = "all"}]
"""  # noqa: E501
EVENTS = 500


def record(path: Path, first: int = 1, events: range = range(EVENTS), losses: Losses | None = None) -> None:
    with Recorder(
        path, layout(), {"ICSORT BUILD ID": "ab", "ICSORT GATE SET": "cd"}, losses or Losses(), first=first
    ) as recorder:
        for number in events:
            recorder.add(event(number))


def counters(**moved: int) -> dict[str, int]:
    return dict.fromkeys(COUNTERS, 2**32 - 5) | {name: (2**32 - 5 + count) % 2**32 for name, count in moved.items()}


@pytest.fixture
def job(package: Path) -> Path:
    """The folder of a job of two runs."""
    loaded = load_job(write_job(package.parent))
    loaded.folder.mkdir()
    manifest = example()
    with JournalWriter(loaded.folder) as journal:
        journal.add(
            Begun(time="2026-11-30T10:00:00+00:00", icsort="0.1.0", job=loaded.job, gates=loaded.gates,
                  model_id=manifest.model_id, model="<b>example</b>", classes=manifest.classes,
                  identity=identity_of(loaded, manifest.model_id))
        )  # fmt: skip
        for run, done in ((1, False), (2, True)):
            at, begun = {"time": "2026-11-30T10:00:01+00:00", "run": run}, 10**9 * run
            journal.add(
                Run(**at, build_id="b" * 16, clock_hz=CLOCK_HZ, gate_set="0123abcd", instrument=loaded.instrument,
                    stop=loaded.job.stop, serials=Serials(gate=1, front=1, schedule=run), board_time=begun,
                    counters=counters(), recording=None)
            )  # fmt: skip
            moved = {"ACCEPTED": 1000, "SORTED": 30, "SORTED_0": 20, "SORTED_1": 10, "LATE": 40, "MISSED": 500}
            for second in (1, 2, 3):
                now = {name: count * second // 4 for name, count in moved.items()}
                journal.add(
                    Progress(**at, seconds=second, board_time=begun + second * CLOCK_HZ, counters=counters(**now))
                )
            journal.add(
                Ended(**at, seconds=4.0, board_time=begun + 4 * CLOCK_HZ, counters=counters(**moved),
                      why="its targets are reached", done=done, exact=done)
            )  # fmt: skip
    record(loaded.folder / "events.fcs", losses=Losses(events=3))
    record(loaded.folder / "events.fcs", 2, range(EVENTS, 2 * EVENTS))
    return loaded.folder


def report(*words: object) -> Any:
    return CliRunner().invoke(app, ["report", *map(str, words)])


def test_a_job(job: Path) -> None:
    shown = report(job, "--json")
    assert shown.exit_code == 0, shown.exception
    document = json.loads(shown.stdout)
    assert (document["events"], document["aborts"], document["losses"]) == (2000, {"LATE": 80}, {"MISSED": 1000})
    assert (document["seconds"], document["exact"], len(document["runs"])) == (8.0, False, 2)
    recorded = document["recorded"]
    assert (recorded["events"], recorded["lost"]) == (2 * EVENTS, 3)
    events = [event(number) for number in range(2 * EVENTS)]
    for direction in document["directions"]:
        wished = [e.outcome for e in events if e.direction == direction["output"]]
        near = wished.count(Outcome.COINCIDENCE)
        assert direction["wished"] == len(wished)
        assert direction["coincidence"] == near / (near + wished.count(Outcome.SORTED))
    assert [d["sorted"] for d in document["directions"]] == [40, 20]
    assert document["directions"][0]["per_second"] == 5.0
    # Theory, for purity: neighbours of 1.5 cells an event that are not wished to go the same way, within 20 us on
    # both sides.
    halves = (events[:EVENTS], events[EVENTS:])  # runs: the time between them is nobody's
    seconds = sum(half[-1].time - half[0].time for half in halves) / CLOCK_HZ
    assert recorded["rate"] == pytest.approx(2 * (EVENTS - 1) / seconds)
    others = 1.5 * recorded["rate"] * (1 - document["directions"][0]["wished"] / (2 * EVENTS))
    expected = 1 - math.exp(-others * (4000 + 1) / CLOCK_HZ)
    assert document["directions"][0]["coincidence_expected"] == pytest.approx(expected, rel=1e-9)
    assert recorded["outcomes"] == {o.name: [e.outcome for e in events].count(o) for o in Outcome}
    text = (job / "report" / "report.html").read_text()
    shown_words = ("tube A", "812.5 us", "room 3", "may have been sorted than stands here", "&lt;b&gt;example", "late")
    for words in (*shown_words, "1 - exp(-rate x window)", document["signature"], "b" * 16, "0123abcd"):
        assert words in text
    assert text.count("data:image/png") == 4  # the course, two tests of classes, latency
    assert json.loads((job / "report" / JSON_FILE).read_text())["signature"] == document["signature"]
    again = report(job)
    assert isinstance(again.exception, IcsortError)
    assert "exists already" in str(again.exception)
    shown = report(job, "--force")
    assert re.fullmatch(rf".*report\.html: signature {document['signature'][:16]}\n", shown.stdout)  # the same sort


def test_a_job_has_its_own_gates(job: Path) -> None:
    result = report(job, "--gates", job.parent / "gates.toml")
    assert isinstance(result.exception, IcsortError)
    assert str(result.exception) == "--gates and --images are of a recording; a job has its own: leave them out"
    assert not (job / "report").exists()


def test_a_recording_alone(tmp_path: Path) -> None:
    path, gates = tmp_path / "monday.fcs", tmp_path / "gates.toml"
    record(path)
    gates.write_text(SHAPES)
    document = json.loads(report(path, "--gates", gates, "--json").stdout)
    assert document["recorded"]["events"] == EVENTS
    events = [event(number) for number in range(EVENTS)]
    for direction in document["directions"]:
        mine = [e for e in events if e.direction == direction["output"]]
        assert (direction["wished"], direction["sorted"]) == (len(mine), sum(e.outcome is Outcome.SORTED for e in mine))
        assert direction["coincidence_expected"] is None
    assert document["recorded"]["gates"] == {
        name: sum(e.gates >> bit & 1 for e in events)
        for bit, name in enumerate(("round", "bright, large".replace(",", ";")))
    }
    text = (tmp_path / "monday-report" / "report.html").read_text()
    assert text.count("data:image/png") == 6  # of the six tests one is over a channel that is not there; latency
    assert "Test drawn" in text
    assert "Test other" not in text
    told: list[tuple[str, int, int]] = []
    page(gather(path, gates), document, lambda *step: told.append(step))
    assert told == [("draw", 0, 0), *(("draw", number, 6) for number in range(6))]


def pictures_of(text: str) -> list[np.ndarray]:
    """Of the gallery, by Pillow."""
    found = re.findall(r'<figure><img alt="[^"]*" src="data:image/png;base64,([^"]+)"', text)
    return [np.asarray(Image.open(io.BytesIO(base64.b64decode(picture))).convert("L")) for picture in found]


def test_the_gallery_of_a_recording(tmp_path: Path) -> None:
    """At most so many of each kind, evenly over time, each with its own pixels and decision."""
    recording, images = record_sort(tmp_path, events_of(600))
    damaged = images / "image-000003-event-3.tiff"
    os.truncate(damaged, 900)
    document = json.loads(report(recording, "--images", images, "--json").stdout)
    events = [event(number) for number in range(600)]
    kinds = [[e for e in events if (e.outcome is Outcome.SORTED) == kind] for kind in (True, False)]
    assert (document["images"]["sorted"], document["images"]["not sorted"]) == tuple(map(len, kinds))
    assert document["images"]["kept"] == 600
    text = (tmp_path / "cells-report" / "report.html").read_text()
    captions = re.findall(r"<figcaption>([^<]*)</figcaption>", text)
    assert len(captions) == len(document["images"]["shown"]) == 48 - (3 in shown_events(captions))
    at = 0
    for kind, mine in zip((True, False), kinds, strict=True):
        numbers = shown_events(captions)[at : at + min(24, len(mine))]
        at += len(numbers)
        places = [[e.event_id for e in mine].index(number) for number in numbers]
        assert places[0] in (0, 1)
        assert places[-1] == len(mine) - 1
        assert np.ptp(np.diff(places)) <= 1 + (3 in [e.event_id for e in mine])
        for number, caption in zip(numbers, captions[at - len(numbers) :], strict=False):
            shown = events[number]
            name = example().classes[shown.class_index]
            assert caption.startswith(f"event {number}, {name} 0.") or f"{name} 1.00" in caption
            to = "" if shown.direction is None else f" {'to' if kind else 'for'} output {shown.direction}"
            assert caption.endswith(("sorted" if kind else shown.outcome.name.lower()) + to)
    for number, seen in zip(shown_events(captions), pictures_of(text), strict=True):
        channels = picture(number, example())
        assert np.array_equal(seen[:, :38], channels[..., 0])
        assert np.array_equal(seen[:, 39:], channels[..., 1])


def shown_events(captions: list[str]) -> list[int]:
    return [int(caption.split()[1].rstrip(",")) for caption in captions]


def test_a_damaged_image_is_named(tmp_path: Path) -> None:
    recording, images = record_sort(tmp_path, events_of(5), lost=lambda n: n == 2)
    os.truncate(images / "image-000003-event-3.tiff", 900)
    recording = recording.rename(tmp_path / "moved.fcs")
    document = json.loads(report(recording, "--images", images, "--json").stdout)
    notes = document["images"]["notes"]
    assert notes[0] == "cells-images: 1 images, no record of its event"
    assert re.search("image-000003-event-3.tiff: truncated or damaged image", notes[1])
    assert len(document["images"]["shown"]) == 3
    assert "Images that are not shown" in (tmp_path / "moved-report" / "report.html").read_text()


def test_the_gallery_of_a_job_as_pdf(job: Path) -> None:
    """By pypdf and PDFium: pages, words and pictures of the page; the directions have the job's names."""
    try:
        check_pdf()
    except IcsortError as error:
        pytest.skip(str(error))
    record_sort(job, events_of(60), name="kept")[1].rename(job / "images")
    (job / "images-002").mkdir()
    (job / "images-002" / "images.jsonl").write_text("{}")
    shown = report(job, "--pdf", "--json")
    assert shown.exit_code == 0, shown.exception
    document = json.loads(shown.stdout)
    assert "images-002/images.jsonl: line 1: channels is missing" in document["images"]["notes"][0]
    reader = pypdf.PdfReader(document["pdf"])
    text = " ".join(" ".join(page.extract_text() for page in reader.pages).split())
    pages = len(reader.pages)
    assert 3 <= pages <= 8
    for words in ("mitotic cells", "Directions", "Aborts", "Sorted cells", "tube A", document["signature"][:12]):
        assert words in text
    assert [f"{number} / {pages}" in reader.pages[number - 1].extract_text() for number in range(1, pages + 1)]
    drawn = pypdfium2.PdfDocument(document["pdf"])
    pictures = [item for page in drawn for item in page.get_objects() if item.type == pypdfium2.raw.FPDF_PAGEOBJ_IMAGE]
    html = (job / "report" / "report.html").read_text()
    assert len(pictures) == html.count("data:image/png") == 4 + len(document["images"]["shown"])
    for paper in drawn:  # nothing is cut off at the edges of the paper
        grey = np.asarray(paper.render(scale=1).to_pil().convert("L"))
        assert grey[:, :20].min() == grey[:, -20:].min() == grey[:20].min() == 255
        assert grey.min() < 100


@pytest.mark.parametrize(
    ("module", "raised", "problem"),
    [
        ("weasyprint", "ModuleNotFoundError('x', name='weasyprint')", "pip install 'icsort[pdf]'"),
        ("weasyprint", "OSError('cannot load library')", "apt install libpango-1.0-0"),
    ],
)
def test_what_pdf_needs_is_told_before_the_work(tmp_path: Path, module: str, raised: str, problem: str) -> None:
    record(tmp_path / "a.fcs", events=range(3))
    (tmp_path / "path").mkdir()
    (tmp_path / "path" / f"{module}.py").write_text(f"raise {raised}")
    done = subprocess.run(
        [sys.executable, "-m", "icsort", "report", str(tmp_path / "a.fcs"), "--pdf"],
        capture_output=True, text=True, check=False,
        env=os.environ | {"PYTHONPATH": f"{tmp_path / 'path'}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"},
        cwd=Path(__file__).parents[2],
    )  # fmt: skip
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert problem in done.stderr
    assert not (tmp_path / "a-report").exists()


def test_a_job_that_was_not_begun(package: Path) -> None:
    """Only the journal's first line: nothing was sorted."""
    loaded = load_job(write_job(package.parent))
    loaded.folder.mkdir()
    with JournalWriter(loaded.folder) as journal:
        journal.add(
            Begun(time="2026-11-30", icsort="0.1.0", job=loaded.job, gates=loaded.gates, model_id="m", model="m",
                  classes=("a",), identity="i")
        )  # fmt: skip
    sort = gather(loaded.folder)
    out = loaded.folder.parent / "out"
    out.mkdir()
    document = write_report(sort, out)
    assert [d["sorted"] for d in document["directions"]] == [0, 0]
    assert page(sort, document).title == "mitotic cells"


def test_what_is_no_sort(tmp_path: Path, package: Path) -> None:
    other = tmp_path / "notes.fcs"
    other.write_text("notes")
    for source, problem in (
        (tmp_path / "none.fcs", "there is no such file; give a job's folder, or a recording"),
        (package, "cannot be read (No such file or directory); give the folder that `icsort sort` made"),
        (other, "is no FCS file"),
    ):
        result = report(source)
        assert isinstance(result.exception, IcsortError)
        assert problem in str(result.exception)
        assert "\n" not in str(result.exception)


def test_many_events_are_shown_evenly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And each is counted, whatever the chunks."""
    record(tmp_path / "a.fcs")
    monkeypatch.setattr("icsort.host.sort_report.SHOWN", 100)
    monkeypatch.setattr("icsort.host.sort_report.CHUNK", 37)
    told: list[tuple[str, int, int]] = []
    recorded = gather(tmp_path / "a.fcs", progress=lambda *step: told.append(step)).recorded
    assert told == [("read", first, EVENTS) for first in range(0, EVENTS, 37)]
    assert recorded is not None
    assert (recorded.events, recorded.outcomes.total(), recorded.accepted) == (EVENTS, EVENTS, EVENTS - 1)
    column = recorded.column("event")
    assert column is not None
    assert np.array_equal(column, np.arange(0, EVENTS, 5))
