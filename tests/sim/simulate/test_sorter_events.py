# SPDX-License-Identifier: Apache-2.0
"""Events of a real sorter, each of its own length, through the RTL as they are: extent, window, features and logits
are the model's."""

from pathlib import Path

import numpy as np
import pytest

from icsort.formats import package as manifest
from icsort.formats.acquisition import InputSpec, LineSpec
from icsort.formats.heldout import HeldOut
from icsort.hw.compile import compile_package
from icsort.quant.acquire.choose import Rules, choose_setup
from icsort.quant.cells.find import read_pieces
from icsort.sim.simulate.lines import flow_past
from icsort.sim.simulate.sorter import simulate
from tests.hw import networks
from tests.quant.cells.files import real

FOLDERS = ("bd_cellview", "bd_cellview_pbmc")
LINE_RATE = 2.2e6


@pytest.mark.full
def test_every_event_of_each_file(tmp_path: Path, seed: int) -> None:
    pieces = [piece for folder in FOLDERS for piece in read_pieces(real(folder), labelled=False)]
    images = tuple(image for piece in pieces for image in piece.images)
    assert (min(map(len, images)), max(map(len, images)), len(images)) == (17, 169, 14)
    channels = tuple(f"channel{i}" for i in range(8))
    setup = choose_setup(images, channels, height=48, rules=Rules(pre_lines=4, dip=1))
    narrow = {"input": InputSpec(height=48, width=40, channels=8), "line": LineSpec(width=104, centred=True)}
    package = packaged(tmp_path / "package", setup.acquisition.model_copy(update=narrow), seed)
    build = compile_package(package, tmp_path / "build", line_rate=LINE_RATE)
    assert build.line_pixels == 4
    cells = HeldOut(images, np.zeros(len(images), np.int64), build.manifest.classes, channels, setup.background)
    found = simulate(build, cells, cells_per_second=8000, line_rate=LINE_RATE)
    assert found.cells_triggered >= 13
    assert found.events == found.events_equal == found.decisions_equal >= found.cells_triggered
    assert found.logits_equal == found.logits_compared
    assert found.features_equal == found.features_compared == found.events * 128
    stream = flow_past(build, cells, 8000, LINE_RATE)
    assert len(np.unique(stream.events.length)) > 8
    assert len(np.unique(stream.events.flags)) > 1


def packaged(folder: Path, acquisition: manifest.Acquisition, seed: int) -> Path:
    """A package of a small random network that takes what the acquisition gives."""
    shape = acquisition.input
    blocks = (networks.Basic(4, stride=2),)
    network = networks.BranchNetwork(*shape.shape, stem=4, stem_stride=2, blocks=blocks)
    networks.make_package(folder, network, seed)
    loaded = manifest.load(folder)
    values = {key: getattr(acquisition, key) for key in manifest.Acquisition.model_fields}
    contents = {key: getattr(loaded, key) for key in type(loaded).model_fields if key != "model_id"}
    manifest.save(manifest.Manifest(**contents | values), folder)
    return folder
