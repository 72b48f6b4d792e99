# SPDX-License-Identifier: Apache-2.0
"""`icsort gate export` and `icsort gate import`: gate sets to and from other programs."""

from pathlib import Path
from typing import Annotated

import typer

from icsort.cli import console
from icsort.cli.options import Force, Json, out
from icsort.errors import IcsortError
from icsort.host.commands.connection import Model, OptionalModel, optional_target, read_target


def gate_export(
    file: Annotated[Path, typer.Argument(help="Gate set, FILE.toml.", show_default=False)],
    out: Annotated[Path, out("Gating-ML 2.0 file to make.")],
    model: OptionalModel = None,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Write a gate set as Gating-ML 2.0, for FlowKit, Cytobank and others, over the parameters of recordings.

    Example: icsort gate export gates.toml --out gates.xml --model out/build
    """
    from icsort.formats.compile_gate import board_values, compile_gate
    from icsort.formats.export_gating_ml import to_gating_ml
    from icsort.formats.gate_set import load
    from icsort.formats.gating_ml import HEAD
    from icsort.output import result_file

    source, target = load(file), optional_target(model)
    if target is not None:
        compile_gate(source, board_values(target.manifest, target.clock_hz, target.features))
    text = to_gating_ml(source, target.manifest.classes if target else None)
    with result_file(out, HEAD, force) as stream:
        stream.write(text)
    _tell(out, len(source.tests), len(source.gates), as_json)


def gate_import(
    file: Annotated[
        Path,
        typer.Argument(
            help="Gating-ML 2.0, FlowJo workspace or FACSDiva experiment, FILE.xml or FILE.wsp.", show_default=False
        ),
    ],
    model: Model,
    out: Annotated[Path, out("Gate set to make, FILE.toml.")],
    direction: Annotated[
        list[str] | None,
        typer.Option(
            help="OUTPUT=GATE: events of that gate go to that output. May be repeated.",
            show_default="what the file says, or 0 for its only gate that no other one names",
        ),
    ] = None,
    rename: Annotated[
        list[str] | None,
        typer.Option(help="NAME=VALUE: what the file calls NAME is this value of the sorter. May be repeated."),
    ] = None,
    sample: Annotated[
        str | None,
        typer.Option(
            help="Sample of a workspace, or tube of an experiment, whose gates are meant.",
            show_default="the only one that there is",
        ),
    ] = None,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Read gates from Gating-ML 2.0, FlowJo 9 or 10, or FACSDiva. What cannot be held is refused by its name.

    Example: icsort gate import monday.wsp --sample a.fcs --direction 0=Live/Large --model out/build --out gates.toml
    """
    from icsort.formats.compile_gate import board_values, compile_gate
    from icsort.formats.gate_set import HEAD, to_toml
    from icsort.formats.import_gates import import_gates
    from icsort.output import result_file

    target = read_target(model)
    board = board_values(target.manifest, target.clock_hz, target.features)
    directions = [(_output(word), gate) for word, gate in map(pair, direction or ())]
    imported = import_gates(file, board, sample=sample, directions=directions, renamed=dict(map(pair, rename or ())))
    source = imported.source
    compiled = compile_gate(source, board)
    with result_file(out, HEAD, force) as stream:
        stream.write(to_toml(source))
    _tell(out, len(source.tests), len(source.gates), as_json, (*imported.notes, *compiled.changes))


def _tell(file: Path, tests: int, gates: int, as_json: bool, changes: tuple[str, ...] = ()) -> None:
    if as_json:
        console.show_json({"file": str(file), "tests": tests, "gates": gates, "changes": list(changes)})
    else:
        console.show("\n".join((f"{file}: {tests} tests, {gates} gates", *changes)))


def pair(text: str) -> tuple[str, str]:
    """NAME=VALUE as both. Raises IcsortError for what is not of that form."""
    name, equals, value = text.partition("=")
    if not (name and equals and value):
        raise IcsortError(f"{text}: is not of the form NAME=VALUE")
    return name, value


def _output(word: str) -> int:
    if not word.isdecimal():
        raise IcsortError(f"--direction {word}=..: {word!r} is no output; give 0 to 5, as in 0=GATE")
    return int(word)
