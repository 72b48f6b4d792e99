# SPDX-License-Identifier: Apache-2.0
"""From a run folder to a model package: QONNX file, manifest, and the checks that both mean the trained network."""

import io
import logging
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from qonnx.core.datatype import DataType
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.core.onnx_exec import execute_onnx
from qonnx.util.cleanup import cleanup_model

from icsort.errors import IcsortError
from icsort.formats import heldout, known
from icsort.formats import package as manifest
from icsort.formats.acquisition import Acquisition
from icsort.formats.document import refusals
from icsort.formats.heldout import HeldOut
from icsort.formats.integer import INTEGER_TOLERANCE
from icsort.output import result_folder
from icsort.quant.networks.architectures import Network
from icsort.quant.networks.published import PublishedNetwork
from icsort.quant.training.runs import CHECKED_CELLS, load_run
from icsort.quant.training.seen import SEEN_FILE, Seen

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # brevitas names a CUDA package that is of no use here
    from brevitas.export import export_qonnx

OPSET = 18
CREATED_BY = "icsort 0.1.0"
LOGIT_TOLERANCE = 1e-4


def export_package(run_folder: Path, out: Path, name: str | None = None, force: bool = False) -> manifest.Manifest:
    """Write a model package from a run, whole or not at all. Returns the manifest.

    Before anything is written: the QONNX file, executed by qonnx, must agree with the Brevitas network on held-out
    cells (class, and logits within LOGIT_TOLERANCE of their range), and logits / scale must be integers to
    INTEGER_TOLERANCE. Raises IcsortError otherwise, and for an unreadable run or an output that cannot be written.
    """
    run = load_run(run_folder)
    config, scores = run.config, run.metrics["test"]
    scored: manifest.AccuracySpec | manifest.FitSpec
    kind = manifest.FitSpec if config.values else manifest.AccuracySpec
    try:
        scored = kind(**{key: scores[key] for key in kind.model_fields})
    except (KeyError, TypeError) as error:
        raise IcsortError(f"{run_folder}: is not a complete run ({error}); train again") from None
    if not run.model.quantized:
        raise IcsortError(f"{run_folder}: is a float network, which hardware cannot run; train a quantized one from it")
    seen = replace(run.seen, test=np.empty(0, np.uint64))
    return write_package(
        run.model,
        out,
        name=name or run.name,
        classes=config.classes,
        values=config.values,
        acquisition=config,
        temperature=run.temperature,
        scored=scored,
        data=manifest.DataSpec(
            source=config.data.source,
            hash=config.data.hash,
            split_seed=config.data.split_seed,
            digitization=config.data.digitization,
            cells=seen.sha256(),
        ),
        pixels=run.heldout_pixels,
        seen=seen,
        cells=heldout.load(run_folder / heldout.HELDOUT_FILE),
        force=force,
    )


def write_package(
    model: Network | PublishedNetwork,
    out: Path,
    *,
    name: str,
    classes: tuple[str, ...],
    acquisition: Acquisition,
    temperature: float,
    scored: manifest.AccuracySpec | manifest.FitSpec,
    data: manifest.DataSpec,
    pixels: torch.Tensor,
    values: tuple[manifest.ValueSpec, ...] = (),
    seen: Seen | None = None,
    cells: HeldOut | None = None,
    force: bool = False,
) -> manifest.Manifest:
    """Write a model package of a quantized network, checked on pixels (N, C, H, W). Returns the manifest.

    values: what each output is worth, where they are values and no classes.
    seen: the cells that it was trained on, kept beside the manifest, whose data names them; None where nobody knows.
    cells: of which the known ones of `icsort selftest` are taken; None: there are none.
    """
    with result_folder(out, manifest.MANIFEST_FILE, force) as folder:
        path = folder / manifest.MODEL_FILE
        write_qonnx(model, tuple(pixels.shape[1:]), path)
        scale = model.logit_scale()
        check_export(model, path, pixels[:CHECKED_CELLS], scale)
        with refusals(str(out), "such a package cannot be built"):
            logits = manifest.LogitsSpec(scale=scale, temperature=temperature)
            package = manifest.Manifest(
                **{key: getattr(acquisition, key) for key in Acquisition.model_fields},
                name=name,
                created_by=CREATED_BY,
                classes=classes,
                values=values,
                logits=logits,
                posterior=manifest.PosteriorSpec.of(logits),
                accuracy=scored if isinstance(scored, manifest.AccuracySpec) else None,
                fit=scored if isinstance(scored, manifest.FitSpec) else None,
                data=data,
                files={manifest.MODEL_FILE: manifest.sha256_of_model(folder)},
            )
        manifest.save(package, folder)
        if seen is not None:
            seen.write(folder / SEEN_FILE)
        if cells is not None:
            known.write(folder, cells)
    return package


def write_qonnx(model: torch.nn.Module, shape: Sequence[int], path: Path) -> None:
    """Export to QONNX, tidied up. shape: (C, H, W). The input is marked UINT8; the file holds no paths and no dates."""
    with tempfile.TemporaryDirectory() as scratch, _quiet():  # the exporter leaves a second file with the weights
        raw = str(Path(scratch) / path.name)
        export_qonnx(model, torch.zeros(1, *shape), export_path=raw, opset_version=OPSET)
        exported = cleanup_model(ModelWrapper(raw))
    exported.set_tensor_datatype(exported.graph.input[0].name, DataType["UINT8"])
    for node in exported.graph.node:
        node.doc_string = ""
        del node.metadata_props[:]
    del exported.model.metadata_props[:]
    exported.save(str(path))


@contextmanager
def _quiet() -> Iterator[None]:
    """Silences torch's exporter: progress on stdout, and warnings that a user cannot act on."""
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(logging.NOTSET)


def check_export(model: Network | PublishedNetwork, path: Path, pixels: torch.Tensor, scale: float) -> None:
    """Compare the file with the network on pixels (N, C, H, W). Raises IcsortError where they disagree."""
    with torch.no_grad():
        expected = model(pixels).numpy()
    found = run_qonnx(path, pixels.numpy())
    span = float(np.abs(expected).max()) or 1.0
    worst = float(np.abs(found - expected).max())
    integers = [np.rint(logits.astype(np.float64) / scale) for logits in (found, expected)]  # equal logits tie exactly
    if worst > LOGIT_TOLERANCE * span or (integers[0].argmax(axis=1) != integers[1].argmax(axis=1)).any():
        raise IcsortError(
            f"the exported logits differ from the trained network's by up to {worst:.3g}; this is a bug, report it"
        )
    steps = found.astype(np.float64) / scale
    off = float(np.abs(steps - np.rint(steps)).max())
    if off > INTEGER_TOLERANCE:
        raise IcsortError(
            f"logits are not whole multiples of the scale {scale:.6g} (off by {off:.3g} steps), so that hardware "
            "cannot reproduce them; this is a bug, report it"
        )


def run_qonnx(path: Path, pixels: NDArray[np.float32]) -> NDArray[np.float32]:
    """Logits (N, classes) of a QONNX file for pixels (N, C, H, W), executed node by node by qonnx."""
    model = ModelWrapper(str(path))
    source, sink = model.graph.input[0].name, model.graph.output[0].name
    return np.concatenate([execute_onnx(model, {source: cell[np.newaxis]})[sink] for cell in pixels])
