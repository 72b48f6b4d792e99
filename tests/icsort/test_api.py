# SPDX-License-Identifier: Apache-2.0
"""`import icsort`: light, typed, described, and the whole path through its functions."""

import inspect
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import icsort
from icsort.errors import IcsortError
from tests.hw.networks import Network, make_package, random_images

NAMES = [name for name in icsort.__all__ if name != "__version__"]
DOCS = Path(__file__).parents[2] / "docs" / "api.md"


def test_import_is_light() -> None:
    """Also when a function is looked at: each imports what it needs when it is called."""
    code = "import sys, icsort; icsort.train; print({'numpy', 'torch', 'serial', 'typer'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


def test_names() -> None:
    assert set(NAMES) <= set(dir(icsort))
    assert re.fullmatch(r"\d+\.\d+\.\d+", icsort.__version__)
    with pytest.raises(AttributeError, match="no attribute 'trian'"):
        icsort.trian  # type: ignore[attr-defined]  # noqa: B018


@pytest.mark.parametrize("name", NAMES)
def test_each_name_is_typed_and_described(name: str) -> None:
    function = getattr(icsort, name)
    signature = inspect.signature(function)
    assert signature.return_annotation is not inspect.Signature.empty
    assert all(parameter.annotation is not inspect.Parameter.empty for parameter in signature.parameters.values())
    said = inspect.getdoc(function) or ""
    unsaid = [parameter for parameter in signature.parameters if not re.search(rf"\b{parameter}\b", said)]
    assert set(unsaid) <= {"build", "out", "port", "run", "package", "force", "seed", "cells"}


def test_docs_page_shows_all_of_them() -> None:
    assert "::: icsort.api" in DOCS.read_text(encoding="utf-8")


def test_compile_and_simulate(tmp_path: Path, seed: int) -> None:
    network = Network()
    make_package(tmp_path / "package", network, 2)
    build = icsort.compile(tmp_path / "package", tmp_path / "build")
    result = icsort.simulate(str(tmp_path / "build"), images=random_images(network, 3, seed), count=2)
    assert result.equal
    assert result.logits_compared == 2 * network.classes
    with pytest.raises(IcsortError, match="exists already"):
        icsort.compile(tmp_path / "package", tmp_path / "build")
    for wrong in ({}, {"cells": "heldout.npz", "images": np.zeros((1, 2, 2, 1), np.uint8)}):
        with pytest.raises(IcsortError, match="give one"):
            icsort.simulate(build, **wrong)  # type: ignore[arg-type]


def test_sorter_without_a_board(tmp_path: Path) -> None:
    with pytest.raises(IcsortError, match="no such port"):
        icsort.connect(str(tmp_path / "none"))
