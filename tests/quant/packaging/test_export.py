# SPDX-License-Identifier: Apache-2.0
"""Export: the package means the trained network, and its constants mean its logits."""

import json
import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from qonnx.core.modelwrapper import ModelWrapper

from icsort.errors import IcsortError
from icsort.formats import package as manifest
from icsort.formats.known import KNOWN_FILE
from icsort.output import RECORD_FILE
from icsort.quant.networks.architectures import build_model
from icsort.quant.packaging import export
from icsort.quant.training.seen import SEEN_FILE
from icsort.sim.bit_true import gate


def test_package(package_folder: Path, run_folder: Path) -> None:
    package = manifest.load(package_folder)
    config = json.loads((run_folder / "config.json").read_text())
    metrics = json.loads((run_folder / "metrics.json").read_text())
    assert sorted(path.name for path in package_folder.iterdir()) == [
        RECORD_FILE,
        SEEN_FILE,
        KNOWN_FILE,
        "manifest.json",
        "model.onnx",
    ]
    assert list(package.classes) == config["classes"]
    assert list(package.channels) == config["channels"]
    assert package.data.hash == config["data"]["hash"]
    assert package.data.split_seed == 1
    assert (package.input.height, package.input.width, package.input.channels) == (40, 40, 3)
    assert package.trigger.model_dump(mode="json") == config["trigger"]
    assert package.accuracy.cells == metrics["test"]["cells"]
    assert package.accuracy.accuracy == metrics["test"]["accuracy"]


def test_the_same_run_gives_the_same_package(package_folder: Path, run_folder: Path, tmp_path: Path) -> None:
    again = export.export_package(run_folder, tmp_path / "package")
    assert again.model_id == manifest.load(package_folder).model_id
    assert (tmp_path / "package" / "model.onnx").read_bytes() == (package_folder / "model.onnx").read_bytes()
    assert export.export_package(run_folder, tmp_path / "named", name="other").model_id != again.model_id


def test_the_model_reads_bytes_and_names_no_place(package_folder: Path) -> None:
    path = package_folder / "model.onnx"
    model = ModelWrapper(str(path))
    source = model.graph.input[0].name
    assert model.get_tensor_shape(source) == [1, 3, 40, 40]
    assert model.get_tensor_datatype(source).name == "UINT8"
    quantizers = model.get_nodes_by_op_type("Quant")
    assert [float(model.get_initializer(node.input[3])) for node in quantizers] == [4.0] * 5
    assert str(Path(onnx.__file__).parents[1]).encode() not in path.read_bytes()
    assert str(package_folder.parent).encode() not in path.read_bytes()


def test_integer_weights_and_activations_reproduce_the_logits(run_folder: Path, package_folder: Path) -> None:
    """The head in int64 from Brevitas' own integers: accumulators times the manifest's scale are the logits."""
    run = export.load_run(run_folder)
    package = manifest.load(package_folder)
    seen: list[torch.Tensor] = []
    handle = run.model.head.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    with torch.no_grad():
        logits = run.model(run.heldout_pixels).numpy()
        activations = torch.round(seen[0] / run.model.trunk[2].act.step()).numpy().astype(np.int64)
        weights = run.model.head.quant_weight().int().numpy().astype(np.int64)
    handle.remove()
    assert 0 <= activations.min() < activations.max() <= 15
    assert -8 <= weights.min() < weights.max() <= 7
    accumulators = activations @ weights.T
    assert logits == pytest.approx(accumulators * package.logits.scale, abs=1e-4)
    found = export.run_qonnx(package_folder / "model.onnx", run.heldout_pixels.numpy())
    assert (np.rint(found / package.logits.scale) == accumulators).all()


def test_a_changed_weight_is_caught_by_the_check(package_folder: Path, run_folder: Path, tmp_path: Path) -> None:
    run = export.load_run(run_folder)
    scale = run.model.logit_scale()
    export.check_export(run.model, package_folder / "model.onnx", run.heldout_pixels, scale)
    model = ModelWrapper(str(package_folder / "model.onnx"))
    head = next(n for n in model.get_nodes_by_op_type("Quant") if model.get_tensor_shape(n.input[0]) == [5, 1024])
    weights = model.get_initializer(head.input[0]).copy()
    weights[0, int(np.argmax(np.abs(weights[0])))] *= -1
    model.set_initializer(head.input[0], weights)
    model.save(str(tmp_path / "model.onnx"))
    with pytest.raises(IcsortError, match="differ"):
        export.check_export(run.model, tmp_path / "model.onnx", run.heldout_pixels, scale)
    with pytest.raises(IcsortError, match="whole multiples"):
        export.check_export(run.model, package_folder / "model.onnx", run.heldout_pixels, scale * 1.0137)


def test_posterior_constants_are_the_gates(package_folder: Path) -> None:
    package = manifest.load(package_folder)
    constants = gate.calibrate(package.logits.scale, package.logits.temperature)
    assert (package.posterior.multiplier, package.posterior.shift) == constants


def test_runs_that_cannot_be_exported(run_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(IcsortError, match="is not a run"):
        export.export_package(tmp_path / "nowhere", tmp_path / "package")
    for name in ("metrics.json", "checkpoint.pt", "heldout.npz", "validation.npz", SEEN_FILE):
        for damage in ("missing", "half", "text"):
            broken = tmp_path / "broken"
            shutil.copytree(run_folder, broken)
            content = (broken / name).read_bytes()
            (broken / name).unlink()
            if damage != "missing":
                (broken / name).write_bytes(content[: len(content) // 2] if damage == "half" else b"nonsense")
            with pytest.raises(
                IcsortError, match=r"not a complete run|cannot be read.*train|heldout\.npz: .*train again"
            ) as caught:
                export.export_package(broken, tmp_path / "package")
            assert "\n" not in str(caught.value)
            shutil.rmtree(broken)
    assert list(tmp_path.iterdir()) == []


def test_a_package_is_not_overwritten_unasked(run_folder: Path, package_folder: Path) -> None:
    before = (package_folder / "manifest.json").read_bytes()
    with pytest.raises(IcsortError, match="--force"):
        export.export_package(run_folder, package_folder)
    assert (package_folder / "manifest.json").read_bytes() == before


def test_the_flatten_is_in_the_order_of_the_pixel_stream() -> None:
    torch.manual_seed(0)
    model = build_model("student", 2, 3, 22, 26).eval()
    seen: list[torch.Tensor] = []
    model.head.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    model.trunk[-1].register_forward_hook(lambda _, __, output: seen.append(output))
    with torch.no_grad():
        model(torch.randint(0, 256, (2, 2, 22, 26)).float())
    pooled, flat = seen
    rows, columns = pooled.shape[2:]
    for row in range(rows):
        for column in range(columns):
            at = (row * columns + column) * 16
            assert torch.equal(flat[:, at : at + 16], pooled[:, :, row, column])
