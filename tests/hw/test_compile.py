# SPDX-License-Identifier: Apache-2.0
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from typer import Typer
from typer.testing import CliRunner

from icsort.errors import IcsortError
from icsort.formats import package as manifest
from icsort.formats.board import BOARDS
from icsort.formats.build import load_build
from icsort.hw import compile as compiler
from icsort.hw.commands import compile as cli
from icsort.hw.compile import compile_package
from icsort.hw.netlist import verilog
from icsort.hw.reference import finn_logits, finn_tensors, qonnx_logits
from icsort.output import RECORD_FILE
from tests.hw.networks import Network, random_images, write_manifest


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_same_package_gives_the_same_bytes(build, package, tmp_path):
    again = compile_package(package, tmp_path / "again")
    assert contents(again.folder) == contents(build.folder)


def test_build_folder_is_complete(build):
    names = set(contents(build.folder))
    sources = {str(path.relative_to(build.folder)) for path in build.sources()}
    library = {f"rtl/{path.relative_to(compiler.RTL)}" for path in compiler.RTL.rglob("*.sv")}
    own = {f"rtl/kernels/{instance.name}.sv" for instance in build.netlist.instances if instance.generated}
    assert own
    assert sources == library | own | {"rtl/icsort_net.sv", "rtl/icsort_build.sv"}
    memories = {f"mem/{instance.memory.file}" for instance in build.netlist.instances if instance.memory}
    assert names == sources | memories | {
        "build.json",
        "files.f",
        "graph.onnx",
        "model.onnx",
        "manifest.json",
        RECORD_FILE,
    }
    assert (build.clock_is, build.clock_mhz) == ("target", 100.0)


def test_one_weight_gives_another_build(build, package, tmp_path):
    """One weight's integer changes by its lowest bit."""
    other = tmp_path / "package"
    shutil.copytree(package, other)
    model = onnx.load(other / "model.onnx")
    weight = next(tensor for tensor in model.graph.initializer if tensor.name == "weight_linear")
    scale = next(tensor for tensor in model.graph.initializer if tensor.name == "weight_linear_quant_scale")
    values = np.array(numpy_helper.to_array(weight))
    step = numpy_helper.to_array(scale)
    values[0, 0] = (int(np.rint(values[0, 0] / step)) ^ 1) * step
    weight.CopyFrom(numpy_helper.from_array(values, weight.name))
    onnx.save(model, other / "model.onnx")
    write_manifest(other, Network(), build.manifest.logits.scale)
    changed = compile_package(other, tmp_path / "build")
    assert changed.build_id != build.build_id
    assert changed.manifest.model_id != build.manifest.model_id
    before, after = contents(build.folder), contents(changed.folder)
    memory = {name for name in before if name.startswith("mem/") and before[name] != after[name]}
    assert memory == {"mem/mvau_2_weights.hex"}


def test_folding_gives_another_build_of_the_same_model(build, package, tmp_path):
    (tmp_path / "folding.json").write_text('{"MVAU_0": {"fifo_depth": 3}}')
    changed = compile_package(package, tmp_path / "build", folding=tmp_path / "folding.json")
    assert changed.build_id != build.build_id
    assert changed.manifest.model_id == build.manifest.model_id


def test_rtl_source_gives_another_build(build, package, tmp_path, monkeypatch):
    shutil.copytree(compiler.RTL, tmp_path / "rtl")
    with (tmp_path / "rtl" / "kernels" / "fifo.sv").open("a") as stream:
        stream.write("// a comment\n")
    monkeypatch.setattr(compiler, "RTL", tmp_path / "rtl")
    assert compile_package(package, tmp_path / "build").build_id != build.build_id


def test_a_boards_gate_engine_is_the_builds(build, package, tmp_path):
    """Of the size that the board's description asks for, the largest where it says nothing."""
    board = json.loads((BOARDS / "virtual/board.json").read_text())
    sizes = {"tests": 12, "gates": 9, "scales": 2, "corners": 3}
    (tmp_path / "board.json").write_text(json.dumps({**board, "gate_engine": sizes}))
    small = compile_package(package, tmp_path / "build", board=str(tmp_path))
    for of, expected in ((build, {"tests": 32, "gates": 16, "scales": 16, "corners": 16}), (small, sizes)):
        assert load_build(of.folder).gate_engine.model_dump() == expected
        bound = re.findall(r"\.(\w+) +\((\d+)\)", (of.folder / "rtl/icsort_build.sv").read_text())
        assert {name: int(value) for name, value in bound}.items() >= {
            k.upper(): v for k, v in expected.items()
        }.items()
    assert small.build_id != build.build_id


@pytest.mark.parametrize("what", ["wrapper", "version"])
def test_wrapper_and_version_give_another_build(what, build, package, tmp_path, monkeypatch):
    if what == "version":
        monkeypatch.setattr(compiler, "__version__", "0.0.0")
    else:
        original = verilog.wrapper
        monkeypatch.setattr(verilog, "wrapper", lambda *given: f"{original(*given)}// another\n")
    changed = compile_package(package, tmp_path / "build")
    assert changed.build_id != build.build_id
    assert changed.tools["icsort"] == ("0.0.0" if what == "version" else build.tools["icsort"])
    assert changed.build_id in (changed.folder / "rtl" / "icsort_build.sv").read_text().replace("_", "").lower()


def test_an_error_leaves_nothing_and_keeps_what_was_there(build, package, tmp_path, monkeypatch):
    shutil.copytree(build.folder, tmp_path / "build")
    before = contents(tmp_path)

    def fail(*arguments: object) -> str:
        raise IcsortError(f"out of luck with {len(arguments)} arguments")

    with monkeypatch.context() as patch:
        patch.setattr(verilog, "wrapper", fail)
        with pytest.raises(IcsortError, match="out of luck"):
            compile_package(package, tmp_path / "build", force=True)
    assert contents(tmp_path) == before

    original = Path.write_bytes

    def full(self: Path, data: bytes) -> int:
        if self.name == "build.json":
            raise OSError(28, "No space left on device")
        return original(self, data)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", full)
        with pytest.raises(IcsortError, match="the disk is full"):
            compile_package(package, tmp_path / "build", force=True)
    assert contents(tmp_path) == before


def test_existing_output(build, package, tmp_path):
    """Not replaced unless asked, and never what is not a build."""
    out = tmp_path / "out"
    shutil.copytree(build.folder, out)
    (out / "build.json").write_text("edited")
    with pytest.raises(IcsortError, match="exists already; choose another --out, or replace it with --force"):
        compile_package(package, out)
    compile_package(package, out, force=True)
    assert contents(out) == contents(build.folder)

    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "thesis.txt").write_text("years of work")
    with pytest.raises(IcsortError, match="is not an earlier result of this command"):
        compile_package(package, precious, force=True)
    assert contents(precious) == {"thesis.txt": b"years of work"}


def test_other_package_version_is_refused(package, tmp_path):
    other = tmp_path / "package"
    shutil.copytree(package, other)
    data = json.loads((other / "manifest.json").read_text())
    data["version"] = 99
    (other / "manifest.json").write_text(json.dumps(data))
    with pytest.raises(IcsortError, match="version is 99"):
        compile_package(other, tmp_path / "build")
    assert not (tmp_path / "build").exists()


def test_features_are_built_where_they_fit(build, package, tmp_path):
    """By default, unless the board is too small beside the network or lines are too long; or as asked."""
    channels = build.manifest.input.channels
    assert build.features == 9 * channels + channels * (channels - 1)
    without = compile_package(package, tmp_path / "without", features=False)
    assert (without.features, without.build_id == build.build_id) == (0, False)
    for made, value in ((build, 1), (without, 0)):
        assert re.search(rf"\.FEATURES +\({value}\)", (made.folder / "rtl" / "icsort_build.sv").read_text())
    budget = {"LUT": 11_000, "DSP": 200, "BRAM_18K": 280, "URAM": 0}
    small = board_with(tmp_path / "small", budget=budget, budget_is="limit")
    assert compile_package(package, tmp_path / "tight", board=small).features == 0
    assert compile_package(package, tmp_path / "asked", board=small, features=True).features == build.features


def test_features_of_long_lines_are_refused(build, package, tmp_path):
    other = tmp_path / "package"
    shutil.copytree(package, other)
    line = build.manifest.line.model_copy(update={"width": 300})
    values = {key: getattr(build.manifest, key) for key in type(build.manifest).model_fields if key != "model_id"}
    manifest.save(manifest.Manifest(**values | {"line": line}), other)
    assert compile_package(other, tmp_path / "build").features == 0
    with pytest.raises(IcsortError, match=r"--features: lines of 300 pixels, . channels; at most 256 and 8 have"):
        compile_package(other, tmp_path / "asked", features=True)


@pytest.mark.parametrize(
    ("board", "message"),
    [("none", "no board 'none'; known are .*virtual"), ("./", "no board")],
)
def test_unknown_board_is_refused(board, message, package, tmp_path):
    with pytest.raises(IcsortError, match=message):
        compile_package(package, tmp_path / "build", board=board)


def board_with(folder: Path, **changes: object) -> str:
    board = json.loads((BOARDS / "virtual" / "board.json").read_text())
    folder.mkdir()
    (folder / "board.json").write_text(json.dumps({**board, **changes}))
    return str(folder)


def test_board_of_the_users_own(build, package, tmp_path):
    board = board_with(tmp_path / "mine", name="mine", clock_mhz=50.0, baud=1_000_000)
    mine = compile_package(package, tmp_path / "build", board=board)
    assert mine.build_id != build.build_id
    assert (mine.board, mine.clock_mhz, mine.clks_per_bit) == ("mine", 50.0, 50)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"budget": {"LUT": 100, "DSP": 0, "BRAM_18K": 0, "URAM": 0}, "budget_is": "limit"},
            "LUT for a cell each 168 cycles, board 'virtual' has 100; MVAU_.*does not fit at any",
        ),
        ({"clock_mhz": "fast"}, "clock_mhz is 'fast': it must be a valid number"),
    ],
)
def test_boards_that_cannot_be_are_refused(changes, message, package, tmp_path):
    with pytest.raises(IcsortError, match=message):
        compile_package(package, tmp_path / "build", board=board_with(tmp_path / "mine", **changes))
    assert not (tmp_path / "build").exists()


@pytest.mark.parametrize("damage", ["graph.onnx", "files.f", "rtl/icsort_net.sv", "build.json", "manifest.json"])
def test_incomplete_build_is_refused(damage, build, tmp_path):
    shutil.copytree(build.folder, tmp_path / "build")
    (tmp_path / "build" / damage).unlink()
    with pytest.raises(IcsortError):
        load_build(tmp_path / "build")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"version": 3}, "version is 3: it must be 2; compile again with this icsort"),
        ({"clock_mhz": "100"}, "clock_mhz is '100': it must be a valid number"),
        ({"budget_is": "limits"}, "budget_is is 'limits': it must be 'limit' or 'for comparison'"),
        ({"build_id": "42"}, "build_id is '42': .*match pattern"),
        ({"layers": [{}]}, r"layers\[0\]\.name is missing"),
        ({"netlist": {}}, r"netlist\.input is missing"),
        ({"colour": "green"}, "unknown key colour"),
    ],
)
def test_a_build_with_another_description_is_refused(change, message, build, tmp_path):
    shutil.copytree(build.folder, tmp_path / "build")
    (tmp_path / "build" / "build.json").write_text(json.dumps({**build.to_json(), **change}))
    with pytest.raises(IcsortError, match=message) as refused:
        load_build(tmp_path / "build")
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("kind", "where"),
    [("source", "absolute"), ("source", "above"), ("source", "link"), ("memory", "above"), ("memory", "link")],
)
def test_a_build_names_no_file_outside(kind, where, build, tmp_path):
    """Whoever hands a build on cannot have another's files read."""
    folder, secret = tmp_path / "build", tmp_path / "secret.sv"
    shutil.copytree(build.folder, folder)
    secret.write_text("module secret; endmodule")
    (folder / "rtl" / "link.sv").symlink_to(secret)
    named = {"absolute": str(secret), "above": "../secret.sv", "link": "rtl/link.sv"}[where]
    if kind == "source":
        with (folder / "files.f").open("a") as stream:
            stream.write(f"{named}\n")
    else:
        data = build.to_json()
        instance = next(instance for instance in data["netlist"]["instances"] if "memory" in instance)
        instance["memory"]["file"] = f"../{named}"
        (folder / "build.json").write_text(json.dumps(data))
    with pytest.raises(IcsortError, match="is outside of the build"):
        load_build(folder)


def test_a_build_is_what_its_file_says(build):
    assert build.to_json() == json.loads((build.folder / "build.json").read_text())
    for kind, amount in build.resources.items():
        assert amount == build.glue_resources[kind] + sum(layer.resources[kind] for layer in build.layers)


def test_build_of_another_model_is_refused(build, tmp_path):
    shutil.copytree(build.folder, tmp_path / "build")
    data = {**build.to_json(), "model_id": "0" * 16}
    (tmp_path / "build" / "build.json").write_text(json.dumps(data))
    with pytest.raises(IcsortError, match="is of model 0000000000000000"):
        load_build(tmp_path / "build")


def command() -> Typer:
    app = Typer()
    app.command()(cli.compile_)
    return app


def test_command_prints_layers_and_json(build, package, tmp_path):
    result = CliRunner().invoke(command(), [str(package), "--out", str(tmp_path / "a")], env={"COLUMNS": "120"})
    assert result.exit_code == 0, result.output
    for word in (build.build_id, "mvau_2", "a target"):
        assert word in result.output
    result = CliRunner().invoke(command(), [str(package), "-o", str(tmp_path / "b"), "--json"])
    assert json.loads(result.stdout) == build.to_json()


def test_finn_tensors_end_with_the_logits(build):
    image = random_images(Network(), 1, 2)[0]
    tensors = finn_tensors(build, image)
    assert list(tensors) == [layer.name for layer in build.layers]
    np.testing.assert_array_equal(tensors["MVAU_2"], finn_logits(build, image[np.newaxis]))
    assert tensors["Thresholding_0"].shape == (1, 10, 12, 4)
    assert set(np.unique(tensors["Thresholding_0"])) <= set(range(16))


def test_qonnx_logits_of_package_and_build_agree(build, package):
    images = random_images(Network(), 3, 4)
    integers, floats = qonnx_logits(package, images)
    np.testing.assert_array_equal(qonnx_logits(build, images)[0], integers)
    np.testing.assert_allclose(floats, integers * build.manifest.logits.scale, rtol=1e-5, atol=1e-5)


def test_references_refuse_other_images(build):
    for images in (
        np.zeros((1, 12, 14, 3), np.uint8),
        np.zeros((1, 12, 14, 2), np.float32),
        np.zeros((12, 14, 2), np.uint8),
    ):
        for reference in (finn_logits, qonnx_logits):
            with pytest.raises(IcsortError, match="the network takes uint8"):
                reference(build, images)


def test_logits_beside_the_scale_are_refused(build, tmp_path):
    shutil.copytree(build.folder, tmp_path / "package")
    write_manifest(tmp_path / "package", Network(), build.manifest.logits.scale * 1.01)
    with pytest.raises(IcsortError, match="beside a multiple of the manifest's scale"):
        qonnx_logits(tmp_path / "package", random_images(Network(), 3, 4))


def test_no_finn_is_imported_to_read_a_build():
    """`icsort board` must start at once."""
    code = "import sys, icsort.hw.compile; sys.exit(bool({'finn', 'torch', 'qonnx'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], cwd=compiler.RTL.parent.parent, check=False).returncode == 0
