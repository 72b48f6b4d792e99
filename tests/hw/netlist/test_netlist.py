# SPDX-License-Identifier: Apache-2.0
"""The netlist in build.json is all there is: the RTL comes out of it again, and every stream has two ends."""

import json
import shutil
from collections import Counter
from pathlib import Path

import pytest

from icsort.errors import IcsortError
from icsort.formats.build import Build, load_build
from icsort.hw.compile import compile_package
from icsort.hw.netlist import verilog
from tests.hw.networks import Basic, BranchNetwork, make_package

RESIDUAL = BranchNetwork(height=7, width=6, blocks=(Basic(4), Basic(6, stride=2)))  # forks, joins, converters


@pytest.fixture(scope="module")
def residual(tmp_path_factory: pytest.TempPathFactory) -> Build:
    folder = tmp_path_factory.mktemp("residual")
    return compile_package(make_package(folder / "package", RESIDUAL, 3), folder / "build")


def test_the_rtl_is_written_again_from_build_json(residual: Build) -> None:
    text = verilog.network(residual.netlist, residual.manifest.name)
    assert text == (residual.folder / "rtl" / "icsort_net.sv").read_text()


def test_every_stream_has_one_end_that_gives_and_one_that_takes(residual: Build) -> None:
    netlist = residual.netlist
    given = Counter([netlist.input, *(stream for instance in netlist.instances for stream in instance.outputs)])
    taken = Counter([netlist.output, *(stream for part in netlist.instances for stream in part.inputs.values())])
    assert given == taken == Counter(netlist.streams.keys())
    assert len({instance.name for instance in netlist.instances}) == len(netlist.instances)


def test_fifos_stand_behind_layers_and_in_front_of_joins(residual: Build) -> None:
    netlist = residual.netlist
    about = [
        fifo.name for layer in netlist.layers for fifo in (*netlist.fifos_behind(layer), *netlist.join_fifos(layer))
    ]
    assert Counter(about) == Counter(instance.name for instance in netlist.between if instance.module == "fifo")
    joins = {layer.name: [fifo.name for fifo in netlist.join_fifos(layer)] for layer in netlist.layers}
    assert joins.pop("stream_add_0") == ["stream_add_0_lhs_fifo", "stream_add_0_rhs_fifo"]
    assert joins.pop("stream_add_1") == ["stream_add_1_lhs_fifo", "stream_add_1_rhs_fifo"]
    assert not any(joins.values())


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda data: data.pop("netlist"), "netlist"),
        (lambda data: data["netlist"].update(version=2), "version"),
        (lambda data: data["netlist"]["instances"][0].pop("module"), "module"),
        (lambda data: data["netlist"]["instances"][0].update(inputs={"s_axis": 3}), "inputs"),
    ],
)
def test_a_damaged_netlist_is_refused_in_one_line(damage, message: str, build: Build, tmp_path: Path) -> None:
    folder = tmp_path / "build"
    shutil.copytree(build.folder, folder)
    data = json.loads((folder / "build.json").read_text())
    damage(data)
    (folder / "build.json").write_text(json.dumps(data))
    with pytest.raises(IcsortError, match=rf"build\.json: .*{message}.*; compile again") as refused:
        load_build(folder)
    assert "\n" not in str(refused.value)
