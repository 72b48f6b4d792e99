# SPDX-License-Identifier: Apache-2.0
"""Manifest: round trip, identity, and that every change to a package is caught with one line."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from icsort.errors import IcsortError
from icsort.formats import acquisition
from icsort.formats import package as manifest
from icsort.sim.bit_true.event import Trigger, Window

MODEL = b"stands for a QONNX file"


def example(name: str = "example", model: bytes = MODEL) -> manifest.Manifest:
    return manifest.Manifest(
        name=name,
        created_by="icsort test",
        classes=("G1", "S", "Ünusual"),
        channels=("Brightfield", "PI"),
        input=acquisition.InputSpec(height=40, width=38, channels=2),
        line=acquisition.LineSpec(width=104, x_offset=10),
        trigger=acquisition.TriggerSpec(
            weights=(0, 1), on=1965, off=1800, end_lines=3, max_lines=90, pre_lines=2, post_lines=2
        ),
        preprocess=acquisition.PreprocessSpec(background=(482, 34), gain=(33290, -12806), shift=16),
        logits=manifest.LogitsSpec(scale=0.0093, temperature=0.7),
        posterior=manifest.PosteriorSpec(multiplier=159633, shift=15),
        accuracy=manifest.AccuracySpec(accuracy=0.75, balanced_accuracy=0.5, cells=274),
        data=manifest.DataSpec(source="generated", hash="0" * 64, split_seed=3, cells="1" * 64),
        files={manifest.MODEL_FILE: hashlib.sha256(model).hexdigest()},
    )


@pytest.fixture
def package(tmp_path: Path) -> Path:
    (tmp_path / manifest.MODEL_FILE).write_bytes(MODEL)
    manifest.save(example(), tmp_path)
    return tmp_path


def change(package: Path, edit: Callable[[dict[str, Any]], object]) -> None:
    path = package / manifest.MANIFEST_FILE
    content = json.loads(path.read_text())
    edit(content)
    path.write_text(json.dumps(content))


def refusal(package: Path) -> str:
    with pytest.raises(IcsortError) as caught:
        manifest.load(package)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_round_trip(package: Path) -> None:
    assert manifest.load(package) == example()
    assert sorted(path.name for path in package.iterdir()) == [manifest.MANIFEST_FILE, manifest.MODEL_FILE]


def test_the_id_is_the_head_of_sha256_over_canonical_json_of_the_rest(package: Path) -> None:
    content = json.loads((package / manifest.MANIFEST_FILE).read_text())
    stated = content.pop("model_id")
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":")).encode()
    assert stated == hashlib.sha256(canonical).hexdigest()[:16] == example().model_id
    assert example("other").model_id != stated


@pytest.mark.parametrize(
    ("key", "built_in"),
    [
        *[(key, True) for key in ("classes", "channels", "files", "line")],
        *[(key, False) for key in ("name", "accuracy", "preprocess", "trigger", "features")],
    ],
)
def test_the_network_id_is_that_of_what_a_build_has_in_it(key: str, built_in: bool) -> None:
    model = example()
    zeros = (0,) * len(model.channels)
    changed: dict[str, Any] = {
        "classes": model.classes[::-1],
        "channels": model.channels[::-1],
        "files": {manifest.MODEL_FILE: "f" * 64},
        "line": model.line.model_copy(update={"width": model.line.width + 1}),
        "name": "other",
        "accuracy": model.accuracy.model_copy(update={"cells": model.accuracy.cells + 1}),
        "preprocess": model.preprocess.model_copy(update={"gain": zeros}),
        "trigger": model.trigger.model_copy(update={"on": model.trigger.on + 1}),
        "features": acquisition.FeatureSpec(background=zeros, threshold=zeros),
    }
    kept = {name: value for name, value in model if name not in (key, "model_id")}
    other = manifest.Manifest(**kept, **{key: changed[key]})
    assert other.model_id != model.model_id
    assert (other.network_id != model.network_id) == built_in


def test_a_package_that_is_calibrated_again_is_of_the_same_network() -> None:
    def calibrated(**changes: float) -> manifest.Manifest:
        logits = example().logits.model_copy(update=changes)
        kept = {name: value for name, value in example() if name not in ("logits", "posterior", "model_id")}
        return manifest.Manifest(**kept, logits=logits, posterior=manifest.PosteriorSpec.of(logits))

    assert calibrated(temperature=3.0).network_id == example().network_id
    assert calibrated(scale=example().logits.scale / 2).network_id != example().network_id


def test_order_and_spacing_of_the_file_do_not_matter(package: Path) -> None:
    path = package / manifest.MANIFEST_FILE
    content = json.loads(path.read_text())
    path.write_text(json.dumps(dict(reversed(content.items())), indent=7))
    assert manifest.load(package) == example()


def _leaves(value: object, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    if isinstance(value, dict):
        return [leaf for key, inner in value.items() for leaf in _leaves(inner, (*path, key))]
    if isinstance(value, list):
        return [leaf for index, inner in enumerate(value) for leaf in _leaves(inner, (*path, index))]
    return [path]


LEAVES = _leaves(example().to_json())


def _parent(content: Any, path: tuple[str | int, ...]) -> Any:
    for step in path[:-1]:
        content = content[step]
    return content


@pytest.mark.parametrize("leaf", LEAVES, ids=lambda path: ".".join(map(str, path)))
def test_any_changed_value_is_refused(package: Path, leaf: tuple[str | int, ...]) -> None:
    def nudge(content: dict[str, Any]) -> None:
        parent = _parent(content, leaf)
        value = parent[leaf[-1]]
        parent[leaf[-1]] = value + "x" if isinstance(value, str) else value + 1

    change(package, nudge)
    assert refusal(package)


@pytest.mark.parametrize("leaf", LEAVES, ids=lambda path: ".".join(map(str, path)))
@pytest.mark.parametrize("wrong", [None, True, [], {}, "text", 1.5], ids=repr)
def test_a_value_of_another_type_is_refused(package: Path, leaf: tuple[str | int, ...], wrong: object) -> None:
    def replace(content: dict[str, Any]) -> None:
        _parent(content, leaf)[leaf[-1]] = wrong

    change(package, replace)
    assert refusal(package)


@pytest.mark.parametrize("key", list(example().to_json()))
def test_a_missing_key_is_refused_by_name(package: Path, key: str) -> None:
    change(package, lambda content: content.pop(key))
    assert key in refusal(package)


def test_an_unknown_key_is_refused(package: Path) -> None:
    change(package, lambda content: content["line"].update(pixels=3))
    assert "line.pixels" in refusal(package)


@pytest.mark.parametrize(
    ("edit", "named"),
    [
        (lambda c: c.update(format="icsort-build"), "it must be 'icsort-model-package'"),
        (lambda c: c.update(version=3, name=3), "version is 3, and this icsort reads version 2"),
        (lambda c: c.update(version=True), "version is True"),
        (lambda c: c["channels"].append("third"), "channels has 3 entries"),
        (lambda c: c["preprocess"]["gain"].pop(), "preprocess.gain has 1 entries"),
        (lambda c: c["preprocess"]["background"].pop(), "preprocess.background has 1 entries"),
        (lambda c: c["classes"].append("S"), "twice"),
        (lambda c: c["classes"].append(""), "classes[3]"),
        (lambda c: c.update(channels=["PI", "PI"]), "twice"),
        (lambda c: c.update(classes=[f"class {i}" for i in range(65)]), "at most 64"),
        (lambda c: c.update(classes=["G1"]), "classes has 1 entries: it must have at least 2"),
        (lambda c: c["trigger"]["weights"].append(2), "trigger.weights has 3 entries"),
        (lambda c: c["trigger"].update(on=2**32), "trigger.on"),
        (lambda c: c["trigger"].update(off=1966), "trigger: 0 <= off <= on"),
        (lambda c: c["trigger"].update(max_lines=255), "trigger: max_lines must be"),
        (lambda c: c["line"].update(delays=[1]), "line.delays has 1 entries"),
        (
            lambda c: c.update(flat_field={"dark": [[0, 0]] * 104, "flat": [[1, 1]] * 103}),
            "flat_field.flat must have 104",
        ),
        (lambda c: c["line"].update(x_offset=67), "line.x_offset"),
        (lambda c: c["line"].update(width=37, x_offset=0), "line.width"),
        (lambda c: c["input"].update(height=256), "input.height"),
        (lambda c: c["preprocess"].update(shift=0), "preprocess.shift"),
        (lambda c: c["preprocess"]["gain"].__setitem__(0, 2**17), "preprocess.gain"),
        (lambda c: c["logits"].update(scale=0.0), "logits.scale"),
        (lambda c: c["logits"].update(scale=float("nan")), "logits.scale"),
        (lambda c: c["logits"].update(temperature=10**400), "logits.temperature"),
        (lambda c: c["posterior"].update(multiplier=2**18), "posterior.multiplier"),
        (lambda c: c["accuracy"].update(accuracy=1.01), "accuracy.accuracy"),
        (lambda c: c["data"].update(hash="Z" * 64), "data.hash"),
        (lambda c: c.update(model_id="0" * 16), "model_id"),
    ],
)
def test_refusals_name_what_is_wrong(package: Path, edit: Callable[[dict[str, Any]], object], named: str) -> None:
    change(package, edit)
    assert named in refusal(package)


def test_one_changed_bit_of_the_model_is_caught(package: Path) -> None:
    model = package / manifest.MODEL_FILE
    content = bytearray(model.read_bytes())
    content[3] ^= 1
    model.write_bytes(content)
    assert "sha256" in refusal(package)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"3", b"\xff\xfe", b"[" * 100_000])
def test_what_is_not_a_json_object_is_refused(package: Path, content: bytes) -> None:
    (package / manifest.MANIFEST_FILE).write_bytes(content)
    assert manifest.MANIFEST_FILE in refusal(package)


def test_missing_files_and_folders(package: Path) -> None:
    (package / manifest.MODEL_FILE).unlink()
    assert manifest.MODEL_FILE in refusal(package)
    (package / manifest.MANIFEST_FILE).unlink()
    assert "not a model package" in refusal(package)
    assert "no such folder" in refusal(package / "nowhere")


def test_a_manifest_of_another_model_is_not_saved(package: Path) -> None:
    before = (package / manifest.MANIFEST_FILE).read_bytes()
    with pytest.raises(IcsortError, match="sha256"):
        manifest.save(example(model=b"another file"), package)
    assert (package / manifest.MANIFEST_FILE).read_bytes() == before
    with pytest.raises(IcsortError, match="cannot be read"):
        manifest.save(example(), package / "nowhere")


def test_a_full_disk_leaves_the_manifest_as_it_was(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = {path.name: path.read_bytes() for path in package.iterdir()}

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("icsort.formats.document.os.fsync", full)
    with pytest.raises(IcsortError, match="cannot be written"):
        manifest.save(example("other"), package)
    assert {path.name: path.read_bytes() for path in package.iterdir()} == before


def test_the_trigger_sees_the_window_or_the_whole_line() -> None:
    fixed = example()
    assert fixed.event_trigger == Trigger((0, 1), 1965, 1800, 10, 47, 3, 1, 90, 2, 2)
    assert fixed.event_window == Window(40, 38, 10)
    centred = fixed.model_copy(update={"line": acquisition.LineSpec(width=104, centred=True)})
    assert (centred.event_trigger.first_column, centred.event_trigger.last_column) == (0, 103)
    assert centred.event_window == Window(40, 38, centred=True)


def of_version_1(package: Path) -> dict[str, Any]:
    """The package's manifest as icsort wrote it when a trigger was a channel and a threshold."""
    content = json.loads((package / manifest.MANIFEST_FILE).read_text())
    content |= {"version": 1, "trigger": {"channel": 1, "threshold": 1965}}
    del content["model_id"], content["line"]["centred"], content["line"]["delays"]
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":")).encode()
    return content | {"model_id": hashlib.sha256(canonical).hexdigest()[:16]}


def test_a_package_of_before_the_trigger_had_rules_cuts_the_same_windows(package: Path) -> None:
    path = package / manifest.MANIFEST_FILE
    path.write_text(json.dumps(of_version_1(package)))
    loaded = manifest.load(package)
    assert loaded.trigger.weights == (0, 1)
    assert loaded.trigger.on == loaded.trigger.off == 1965
    assert (loaded.trigger.pre_lines, loaded.trigger.min_lines, loaded.trigger.post_lines) == (0, 1, 40)
    assert loaded.trigger.end_lines == loaded.input.height
    manifest.save(loaded, package)
    assert manifest.load(package) == loaded


@pytest.mark.parametrize("edit", [lambda c: c["trigger"].update(threshold=7), lambda c: c.update(trigger={})])
def test_a_changed_package_of_version_1_is_refused(package: Path, edit: Callable[[dict[str, Any]], object]) -> None:
    content = of_version_1(package)
    edit(content)
    (package / manifest.MANIFEST_FILE).write_text(json.dumps(content))
    assert "changed after export" in refusal(package)


def test_a_package_whose_cells_are_not_known_has_no_key_for_them(package: Path) -> None:
    """So its id is that of a package from before cells were known, or from somebody else."""
    content = json.loads((package / manifest.MANIFEST_FILE).read_text())
    del content["model_id"], content["data"]["cells"]
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":")).encode()
    content["model_id"] = hashlib.sha256(canonical).hexdigest()[:16]
    (package / manifest.MANIFEST_FILE).write_text(json.dumps(content))
    assert manifest.load(package).to_json() == content


def of_values(**changes: Any) -> manifest.Manifest:
    """The example, whose outputs are two values."""
    rest = {name: getattr(example(), name) for name in manifest.Manifest.model_fields if name != "model_id"}
    values = (manifest.ValueSpec(scale=7e4, unit="counts"), manifest.ValueSpec(scale=0.5, unit="um"))
    told = {
        "classes": ("PI", "size"),
        "values": values,
        "accuracy": None,
        "fit": manifest.FitSpec(pearson=0.9, cells=9),
    }
    return manifest.Manifest(**(rest | told | changes))


def test_values_are_read_as_they_were_written(package: Path) -> None:
    written = of_values()
    manifest.save(written, package)
    again = manifest.load(package)
    assert again == written
    assert again.unit_values == (0.0093 * 7e4, 0.0093 * 0.5)
    assert again.model_id != example().model_id
    assert of_values(values=(written.values[1], written.values[0])).model_id != written.model_id


def test_a_classifier_is_what_it_was_before_there_were_values() -> None:
    assert {"values", "fit"}.isdisjoint(example().to_json())
    assert example().unit_values == (0.0093,) * 3


def test_one_value_will_do() -> None:
    assert of_values(classes=("PI",), values=of_values().values[:1]).unit_values == (0.0093 * 7e4,)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"classes": ("PI",)}, "values has 2 entries but classes names 1"),
        ({"fit": None}, "fit is missing"),
        ({"values": ()}, "accuracy is missing"),
    ],
)
def test_values_that_do_not_fit(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        of_values(**changes)
