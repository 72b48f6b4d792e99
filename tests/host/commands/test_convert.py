# SPDX-License-Identifier: Apache-2.0
"""`icsort convert`: what dclab, tensorstore and FlowIO read, pixel by pixel and value by value."""

import functools
import json
import os
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import dclab
import flowio
import h5py
import numpy as np
import pytest
import tensorstore
from dclab.rtdc_dataset.check import check_dataset
from numpy.typing import NDArray
from typer.testing import CliRunner

from icsort.cli.root import app
from icsort.errors import IcsortError
from icsort.formats.acquisition import Acquisition, FeatureSpec, PreprocessSpec
from icsort.formats.event_record import Group
from icsort.formats.image_list import LIST_FILE, ImagesHead, read_list
from icsort.formats.package import Manifest
from icsort.formats.recording import Layout
from icsort.formats.rtdc import mask_level
from icsort.sim.bit_true.features import Settings, line_sums
from icsort.sim.bit_true.preprocess import preprocess
from tests.host.recorded_cells import events_of, picture, record_sort
from tests.host.recordings import CLOCK_HZ, event, example, layout

METADATA = """
[experiment]
sample = "donor 7"
[imaging]
"flash device" = "laser"
"flash duration" = 1
"frame rate" = 2.2e6
"pixel size" = 0.5
[setup]
"channel width" = 30
"flow rate" = 0.1
medium = "PBS"
"""
COUNT, KEPT = 40, [number for number in range(40) if number % 3 and number not in (4, 5)]


@pytest.fixture(scope="module")
def sort(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Of 40 events two thirds have an image, and the records of two of these are lost."""
    return record_sort(
        tmp_path_factory.mktemp("sort"),
        events_of(COUNT),
        pixels=lambda e: picture(e.event_id, example()) if e.event_id % 3 else None,
        lost=lambda number: number in (4, 5),
    )


def convert(*words: object) -> Any:
    return CliRunner().invoke(app, ["convert", *map(str, words)])


def refused(*words: object) -> str:
    result = convert(*words)
    assert isinstance(result.exception, IcsortError), result.output
    assert "\n" not in str(result.exception)
    return str(result.exception)


def pictures() -> NDArray[np.uint8]:
    return np.stack([picture(number, example()) for number in KEPT])


def recorded(path: Path) -> tuple[list[str], NDArray[np.float64]]:
    """Parameters of a recording, and the rows of the events that are kept, by FlowIO."""
    fcs = flowio.FlowData(path)
    rows = np.reshape(fcs.events, (-1, fcs.channel_count))
    names = list(fcs.pnn_labels)
    return names, rows[np.isin(rows[:, names.index("event")], KEPT)]


def test_rtdc(sort: tuple[Path, Path], tmp_path: Path) -> None:
    recording, images = sort
    metadata, out = tmp_path / "lab.toml", tmp_path / "cells.rtdc"
    metadata.write_text(METADATA)
    shown = convert(images, "--out", out, "--metadata", metadata, "--image-channel", "PI", "--json")
    assert shown.exit_code == 0, shown.exception
    account = json.loads(shown.stdout)
    assert (account["images"], account["written"], account["events"]) == (26, 24, 38)
    assert (account["images, no record of its event"], account["events without an image"]) == (2, 14)
    assert (account["events lost"], account["skipped"], account["cut short"]) == (2, 0, False)
    violations, _, said = check_dataset(out)
    assert violations == []
    assert "Compression: All" in said
    names, rows = recorded(recording)
    column = {name: rows[:, names.index(name)] for name in names}
    with dclab.new_dataset(out) as cells:
        assert np.array_equal(cells["image"][:], pictures()[..., 1])
        assert np.array_equal(cells["index_online"][:], KEPT)
        assert np.array_equal(cells["time"][:], column["Time"] / CLOCK_HZ)
        assert np.array_equal(cells["ml_class"][:], column["class"])
        for score, name in (("ml_score_00g", "G1"), ("ml_score_01s", "S"), ("ml_score_02m", "M")):
            assert np.array_equal(cells[score][:], column[f"posterior {name}"])
            assert cells.config["user"][score] == name
        assert cells.config["imaging"]["pixel size"] == 0.5
        assert cells.config["experiment"]["sample"] == "donor 7"
        assert cells.config["user"]["model id"] == example().model_id
        assert list(cells.tables["icsort"].keys()) == names
        for name in names:
            assert np.array_equal(cells.tables["icsort"][name], column[name])
        assert "images, no record of its event: 2" in cells.logs["icsort"]
        # Numbers of classes are places of the scores in dclab's order of them.
        scores = np.stack([cells[score][:] for score in ("ml_score_00g", "ml_score_01s", "ml_score_02m")])
        assert np.array_equal(scores[cells["ml_class"][:], range(len(KEPT))], scores.max(axis=0))
    with h5py.File(out) as file:
        for number, name in enumerate(example().channels):
            assert file[f"icsort/channels/{number}"].attrs["name"] == name
            assert np.array_equal(file[f"icsort/channels/{number}"], pictures()[..., number])


def test_the_mask_is_the_features_own_but_for_one_grey_level(seed: int) -> None:
    """Of all counts, made grey: what is brighter than the level is light to the features, what is darker is not."""
    draw = np.random.default_rng(seed)
    counts = np.arange(2**16, dtype=np.uint16)[:, np.newaxis, np.newaxis].repeat(2, axis=2)
    told = 0
    for _ in range(20):
        levels = {key: (int(draw.integers(1, 3000)),) * 2 for key in ("background", "threshold")}
        gain = 2**16 // int(draw.integers(1, 60))  # counts of a level
        constants = PreprocessSpec(background=(482, 34), gain=(gain, -5), shift=16)
        known = {key: getattr(example(), key) for key in Acquisition.model_fields}
        acquisition = Acquisition(**known | {"features": FeatureSpec(**levels), "preprocess": constants})
        head = ImagesHead(channels=example().channels, height=40, width=38, acquisition=acquisition)
        assert mask_level(head, 1) is None  # more light is darker there
        light = line_sums(counts, Settings(**levels)).size[:, 0] == 1
        grey = preprocess(counts, **constants.model_dump())[:, 0, 0]
        if (level := mask_level(head, 0)) is None:
            assert grey[light].min(initial=255) in (0, 255)
        else:
            assert light[grey > level].all()
            assert not light[grey < level].any()
            told += 1
    assert told
    assert mask_level(ImagesHead(channels=("a",), height=4, width=4), 0) is None


def test_the_mask_in_the_file(sort: tuple[Path, Path], tmp_path: Path) -> None:
    out = tmp_path / "cells.rtdc"
    assert convert(sort[1], "--out", out).exit_code == 0
    level = mask_level(read_list(sort[1]).head, 0)
    with dclab.new_dataset(out) as cells:
        assert np.array_equal(cells["mask"][:], pictures()[..., 0] >= (level or 0))
    # What the lab has not said is not made up.
    violations, _, _ = check_dataset(out)
    assert {line.rpartition("[")[2] for line in violations} == {
        "imaging] 'flash device'", "imaging] 'flash duration'", "imaging] 'frame rate'", "imaging] 'pixel size'",
        "setup] 'channel width'", "setup] 'flow rate'", "setup] 'medium'",
    }  # fmt: skip


def test_ome_zarr(sort: tuple[Path, Path], tmp_path: Path) -> None:
    recording, images = sort
    out = tmp_path / "cells.ome.zarr"
    shown = convert(images, "--out", out)
    assert shown.exit_code == 0, shown.exception
    assert "written: 24" in shown.stdout

    def stored(path: str) -> NDArray[Any]:
        kvstore = {"driver": "file", "path": str(out / path)}
        return np.asarray(tensorstore.open({"driver": "zarr3", "kvstore": kvstore}).result())

    names, rows = recorded(recording)
    assert np.array_equal(stored("0"), pictures().transpose(0, 3, 1, 2))
    assert np.array_equal(stored("events"), rows)
    assert json.loads((out / "events" / "zarr.json").read_text())["attributes"]["parameters"] == names
    attributes = json.loads((out / "zarr.json").read_text())["attributes"]
    # https://ngff.openmicroscopy.org/0.5: axes by type, time before channel before space; a path and scale each.
    (scales,) = attributes["ome"]["multiscales"]
    assert attributes["ome"]["version"] == "0.5"
    assert [(axis["name"], axis["type"]) for axis in scales["axes"]] == [
        ("t", "time"), ("c", "channel"), ("y", "space"), ("x", "space")
    ]  # fmt: skip
    assert scales["datasets"] == [{"path": "0", "coordinateTransformations": [{"type": "scale", "scale": [1.0] * 4}]}]
    assert [channel["label"] for channel in attributes["ome"]["omero"]["channels"]] == list(example().channels)
    assert attributes["icsort"]["events lost"] == 2


def test_a_damaged_image_leaves_no_gap(tmp_path: Path) -> None:
    _, images = record_sort(tmp_path, events_of(5))
    os.truncate(images / "image-000002-event-2.tiff", 500)
    for out in ("a.rtdc", "a.zarr"):
        shown = convert(images, "--out", tmp_path / out)
        assert "damaged: 1 (image-000002-event-2.tiff)" in shown.stdout
    with dclab.new_dataset(tmp_path / "a.rtdc") as cells:
        assert cells["index_online"][:].tolist() == [0, 1, 3, 4]
    kvstore = {"driver": "file", "path": str(tmp_path / "a.zarr" / "0")}
    stored = np.asarray(tensorstore.open({"driver": "zarr3", "kvstore": kvstore}).result())
    assert np.array_equal(stored, np.stack([picture(n, example()) for n in (0, 1, 3, 4)]).transpose(0, 3, 1, 2))


@pytest.mark.parametrize("name", ["cells.rtdc", "cells.zarr"])
def test_what_is_there_is_replaced_if_it_is_one_of_these(sort: tuple[Path, Path], tmp_path: Path, name: str) -> None:
    out = tmp_path / name
    assert convert(sort[1], "--out", out).exit_code == 0
    assert "exists already; choose another --out, or replace it with --force" in refused(sort[1], "--out", out)
    assert convert(sort[1], "--out", out, "--force").exit_code == 0
    if out.is_file():
        with h5py.File(out, "a") as file:  # somebody has worked on it
            file.attrs["setup:software version"] = "icsort 0.1.0 | dclab 0.73.4"
    else:
        (out / "notes").touch()
    assert "exists and is not" in (said := refused(sort[1], "--out", out, "--force")) or "icsort did not make" in said
    assert [path.name for path in tmp_path.iterdir()] == [name]


def odd_channels(names: tuple[str, ...]) -> tuple[Manifest, Layout]:
    manifest = example().model_copy(update={"channels": names, "classes": ("<b>", "Ünsicher, rund", "/")})
    return manifest, Layout(manifest, CLOCK_HZ, layout().groups, ("a/b",))


def test_odd_names(tmp_path: Path) -> None:
    manifest, laid_out = odd_channels(("../GFP, 488/20", 'µ"<&'))
    _, images = record_sort(
        tmp_path, events_of(4), lambda e: picture(e.event_id, manifest), manifest=manifest, layout=laid_out
    )
    out, group = tmp_path / "cells.rtdc", tmp_path / "cells.zarr"
    assert convert(images, "--out", out, "--image-channel", 'µ"<&').exit_code == 0
    assert convert(images, "--out", group).exit_code == 0
    with dclab.new_dataset(out) as cells:
        assert "ml_score_01n" in cells
        assert cells.config["user"]["ml_score_01n"] == "Ünsicher; rund"
        assert cells.config["user"]["channel of image"] == 'µ"<&'
        assert "Size (../GFP; 488/20)" in list(cells.tables["icsort"].keys())
        assert np.array_equal(cells["image"][2], picture(2, manifest)[..., 1])


def test_a_recording_without_logits(tmp_path: Path) -> None:
    groups = Group.BASE
    recorded_events = [event(number, groups) for number in range(6)]
    manifest = example()
    _, images = record_sort(
        tmp_path, recorded_events, manifest=manifest.model_copy(), layout=Layout(manifest, CLOCK_HZ, groups)
    )
    assert convert(images, "--out", tmp_path / "a.rtdc").exit_code == 0
    with dclab.new_dataset(tmp_path / "a.rtdc") as cells:
        assert cells["ml_class"][:].tolist() == [e.class_index for e in recorded_events]
        assert not [name for name in cells.features_innate if "score" in name]


def test_what_is_refused(sort: tuple[Path, Path], tmp_path: Path) -> None:
    out, lab = tmp_path / "a.rtdc", tmp_path / "lab.toml"
    assert "is neither FILE.rtdc nor FOLDER.zarr" in refused(sort[1], "--out", tmp_path / "a.h5")
    assert "no such channel; there are Brightfield, PI" in refused(sort[1], "--out", out, "--image-channel", "DAPI")
    assert "are of a file that is .rtdc" in refused(sort[1], "--out", tmp_path / "a.zarr", "--image-channel", "PI")
    assert "images.jsonl: cannot be read" in refused(tmp_path, "--out", out)
    assert "no such file" in refused(sort[1], "--out", out, "--recording", tmp_path / "none.fcs").lower()
    for text, problem in (
        ("[imaging]\n'pixel size' = 0", "imaging.pixel size is 0: it must be greater than 0"),
        ("[imaging]\n'pixels' = 1", "unknown key imaging.pixels"),
        ("[setup", "not a TOML file"),
    ):
        lab.write_text(text)
        assert problem in refused(sort[1], "--out", out, "--metadata", lab)
    assert [path.name for path in tmp_path.iterdir()] == [lab.name]


def test_images_that_are_all_damaged(tmp_path: Path) -> None:
    _, images = record_sort(tmp_path, events_of(3))
    for file in images.glob("*.tiff"):
        os.truncate(file, 100)
    for out in ("a.rtdc", "a.zarr"):
        assert "truncated or damaged image" in refused(images, "--out", tmp_path / out)
        assert not (tmp_path / out).exists()


@pytest.mark.parametrize("name", ["cells.rtdc", "cells.zarr"])
@pytest.mark.parametrize("limit", [100, 60_000])
def test_a_full_disk(sort: tuple[Path, Path], tmp_path: Path, name: str, limit: int) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "icsort", "convert", str(sort[1]), "--out", str(tmp_path / name)],
        capture_output=True, text=True, check=False,
        preexec_fn=functools.partial(resource.setrlimit, resource.RLIMIT_FSIZE, (limit, limit)),
    )  # fmt: skip
    assert done.returncode == 2, done.stderr
    assert f"{name}: cannot be written (" in done.stderr.splitlines()[-1]
    assert len(done.stderr.splitlines()) <= 2  # how far it was, and the error
    assert list(tmp_path.iterdir()) == []


def test_memory_does_not_grow_with_the_folder(tmp_path: Path) -> None:
    """Files that are one, by links: what is held is a batch."""
    _, images = record_sort(tmp_path, events_of(1500), lambda e: picture(0, example()) if e.event_id < 1 else None)
    listed = (images / LIST_FILE).read_text().splitlines()
    entry = json.loads(listed[1])
    entries = [entry | {"file": f"image-{n:06d}.tiff", "event": n, "tag": n % 256} for n in range(1500)]
    (images / LIST_FILE).write_text("\n".join([listed[0], *map(json.dumps, entries), listed[-1]]) + "\n")
    for other in entries:
        os.link(images / entry["file"], images / other["file"])
    code = (
        "import resource, sys; from icsort.cli.root import app; app(sys.argv[1:], standalone_mode=False); "
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)"
    )
    used = {}
    for count in (300, 1500):
        (images / LIST_FILE).write_text("\n".join([listed[0], *map(json.dumps, entries[:count])]) + "\n")
        words = ["convert", str(images), "--out", str(tmp_path / f"{count}.rtdc")]
        done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, check=True)
        assert f"written: {count:,}" in done.stdout
        used[count] = int(done.stdout.split()[-1])
    assert used[1500] - used[300] < 10  # 3.6 MB more of pixels, of which 256 images are held
