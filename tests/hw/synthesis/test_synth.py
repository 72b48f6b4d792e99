# SPDX-License-Identifier: Apache-2.0
"""`icsort synth`: every part of a build through Yosys, and the sorter without the network."""

from icsort.hw.compile import compile_package
from icsort.hw.synthesis.synth import SORTER, synthesize_build


def test_every_part_of_a_build_is_synthesized(package, tmp_path):
    build = compile_package(package, tmp_path / "build", board="pynq_z2", rate=20_000.0)
    found = synthesize_build(build, timeout=600)
    parts = {part.name: part for part in found.parts}
    assert found.complete
    assert {layer["instance"] for layer in build.data["layers"]} <= parts.keys()
    network = [part for name, part in parts.items() if name != SORTER]
    assert all(part.synthesized["LUT"] > 0 for part in network)
    assert found.total()["LUT"] == sum(part.synthesized["LUT"] for part in parts.values())
    assert parts[SORTER].model is None
    assert not found.exceeded()
