# SPDX-License-Identifier: Apache-2.0
"""The options that choose a network, and those whose values are a list of names."""

from typing import Annotated, Any

import typer

from icsort.cli import console
from icsort.cli.options import choice
from icsort.quant.networks.registry import ARCHITECTURES, PUBLISHED, STEMS


def _list_archs(wanted: bool) -> None:
    if wanted:
        table = console.table("architecture", "what", text=("architecture", "what"))
        for name, entry in ARCHITECTURES.items():
            table.add_row(name, entry.help)
        for name in PUBLISHED:
            table.add_row(name, "of Brevitas's examples, at its own shape and bits; for `icsort model`")
        console.show(table)
        raise typer.Exit


def arch(names: Any = ARCHITECTURES) -> Any:
    """`--arch`."""
    return choice(names, "Network (see --list-archs).")


ListArchs = Annotated[
    bool,
    typer.Option("--list-archs", help="Print the architectures and end.", is_eager=True, callback=_list_archs),
]
Window = Annotated[
    str, choice(("trigger", "image"), "Whether cells are cut where the trigger sees them, or images are the windows.")
]
Reduce = Annotated[
    int,
    typer.Option(min=1, max=64, help="Area mean over so many by so many pixels of each image, before it is lines."),
]
Crop = Annotated[
    int, typer.Option(min=0, max=255, help="Middle of each image, so many by so many of these pixels; 0: all of it.")
]
Width = Annotated[float, typer.Option(help="Factor of the number of features of every layer.")]
Depth = Annotated[float, typer.Option(help="Factor of the number of blocks of every stage.")]
STEM = choice(STEMS, "First layers: the architecture's own; 3x3, of stride 2; 3x3 and a max pool.")
Stem = Annotated[str, STEM]
WeightBits = Annotated[int, typer.Option(help="Bits of weights, 2 to 8.")]
ActivationBits = Annotated[int, typer.Option(help="Bits of activations, 2 to 8.")]
FirstBits = Annotated[int | None, typer.Option(help="Bits of the first layer's weights, if others.")]
LastBits = Annotated[int | None, typer.Option(help="Bits of the last layer's weights, if others.")]
