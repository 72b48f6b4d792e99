# SPDX-License-Identifier: Apache-2.0
"""`icsort gate set`, `show`, `check`; `preview` is in `gate_preview.py`, `export` and `import` are in
`gate_exchange.py`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from icsort.cli import console
from icsort.cli.options import Json
from icsort.host.commands.connection import (
    Baud,
    Model,
    Port,
    Timeout,
    gate_json,
    gate_text,
    open_sorter,
    read_target,
)
from icsort.host.commands.gate_exchange import gate_export, gate_import
from icsort.host.commands.gate_preview import gate_preview

if TYPE_CHECKING:
    from icsort.formats.compile_gate import Compiled
    from icsort.formats.gate_set import GateSet

app = typer.Typer(
    help="Set, show, check, preview, export and import gates.", add_completion=False, rich_markup_mode=None
)

GATE_FILE = ".toml"


@app.callback()
def _gate() -> None:
    """Set, show, check, preview, export and import gates."""


@app.command("set")
def gate_set(
    gate: Annotated[
        list[str], typer.Argument(help="Classes to sort, by name, or a gate set FILE.toml.", show_default=False)
    ],
    model: Model,
    port: Port = None,
    posterior: Annotated[
        float | None, typer.Option(help="Least posterior of these classes together, 0..1.", show_default="0")
    ] = None,
    baud: Baud = None,
    timeout: Timeout = 1.0,
    as_json: Json = False,
) -> None:
    """Sort cells of these classes, if they belong to them with at least this posterior; or as a gate set says.

    Example: icsort gate set Mitotic --posterior 0.8 --port /dev/ttyUSB0 --model out/build
    """
    from icsort.formats.compile_gate import board_values, compile_gate

    source = _source(gate, posterior)
    target = read_target(model)
    # What is wrong with the request is said before the board is asked.
    compile_gate(source, board_values(target.manifest, target.clock_hz, target.features))
    with open_sorter(port, baud, timeout, target, share=False) as sorter:
        board = sorter.check_model(target.manifest, target.build_id)
        in_force = sorter.set_gates(source, target.manifest)
    if as_json:
        console.show_json(gate_json(in_force, board.classes, target.manifest))
    else:
        print(f"gate {in_force.serial}: {gate_text(in_force, board.classes, target.manifest)}")


@app.command("show")
def gate_show(
    model: Model,
    port: Port = None,
    file: Annotated[Path | None, typer.Option(help="Gate set that should be in force: every word is compared.")] = None,
    baud: Baud = None,
    timeout: Timeout = 1.0,
    as_json: Json = False,
) -> None:
    """Say which gate is in force.

    Example: icsort gate show --port /dev/ttyUSB0 --model out/build --file gates.toml
    """
    from icsort.formats.gate_set import load

    target = read_target(model)
    source = None if file is None else load(file)
    with open_sorter(port, baud, timeout, target, share=False) as sorter:
        board = sorter.check_model(target.manifest, target.build_id)
        if source is not None:
            sorter.check_gates(source, target.manifest)
        valid, in_force = sorter.status().gate_valid, sorter.gate()
    text = gate_text(in_force, board.classes, target.manifest) if valid else "none set"
    if as_json:
        console.show_json({"in_force": valid, **gate_json(in_force, board.classes, target.manifest)})
    else:
        print(f"gate {in_force.serial}: {text}" + (f", that of {file}" if file else ""))


@app.command("check")
def gate_check(
    file: Annotated[Path, typer.Argument(help="Gate set, FILE.toml.", show_default=False)],
    model: Model,
    as_json: Json = False,
) -> None:
    """Say what the integers of the gate engine make of a gate set; no board is needed.

    Example: icsort gate check gates.toml --model out/build
    """
    from icsort.formats.compile_gate import board_values, compile_gate
    from icsort.formats.gate_set import load

    target = read_target(model)
    compiled = compile_gate(load(file), board_values(target.manifest, target.clock_hz, target.features))
    if as_json:
        console.show_json(_report(compiled))
    else:
        print("\n".join((f"set {compiled.identity}: {len(compiled.words)} words", *compiled.changes)))


app.command("preview")(gate_preview)
app.command("export")(gate_export)
app.command("import")(gate_import)


def _source(gate: list[str], posterior: float | None) -> "GateSet":
    from icsort.errors import IcsortError
    from icsort.formats.gate_set import load, of_classes

    if len(gate) == 1 and gate[0].endswith(GATE_FILE):
        if posterior is not None:
            raise IcsortError("--posterior is for classes; a gate set states its own")
        return load(Path(gate[0]))
    return of_classes(tuple(gate), posterior or 0.0)


def _report(compiled: "Compiled") -> dict[str, object]:
    program = compiled.program
    return {
        "identity": compiled.identity,
        "words": len(compiled.words),
        "tests": len(program.tests),
        "gates": len(program.gates),
        "scales": len(program.scales),
        "changes": list(compiled.changes),
    }
