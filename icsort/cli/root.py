# SPDX-License-Identifier: Apache-2.0
"""The `icsort` command: sub-commands are named here and imported only when one is called.

A lab PC has neither torch nor FINN, and `icsort --help` must answer at once, so the table holds the help lines too.
"""

import importlib
import sys
from typing import Any

import typer
from typer.core import TyperGroup

from icsort.errors import IcsortError

# name: (module, attribute, extra that brings its requirements, help)
COMMANDS = {
    "doctor": ("cli.doctor", "doctor", "", "Say what is present here and what each missing thing would give."),
    "info": (
        "host.commands.sorter",
        "info",
        "",
        "Ask a board who it is: build, model, geometry, state, counters.",
    ),
    "gate": ("host.commands.sorter", "gate_app", "", "Set the sort gate: classes and minimum posterior."),
    "arm": ("host.commands.sorter", "arm", "", "Check that the board runs this model, then let it sort."),
    "disarm": ("host.commands.sorter", "disarm", "", "Stop sorting at once."),
    "watch": ("host.commands.sorter", "watch", "", "Show and record the events that the board reports."),
    "model": (
        "quant.commands.train",
        "model",
        "quant",
        "Make a model package with random weights, to compile before training.",
    ),
    "data": ("quant.commands.data", "app", "quant", "Inspect, convert and generate sets of cell images."),
    "train": ("quant.commands.train", "train", "quant", "Train a quantized classifier on cell images."),
    "export": ("quant.commands.train", "export", "quant", "Turn a training run into a model package."),
    "evaluate": (
        "quant.commands.evaluate",
        "evaluate",
        "quant",
        "Score a model package on cells, as the FPGA would.",
    ),
    "explain": (
        "quant.commands.evaluate",
        "explain",
        "quant",
        "Show what a network looks at, and what it confuses.",
    ),
    "study": ("quant.commands.study", "study", "quant", "Compare architectures and channels, with their times."),
    "compile": (
        "hw.commands.compile",
        "compile_",
        "hw",
        "Compile a model package into SystemVerilog for a board.",
    ),
    "explore": ("hw.commands.compile", "explore", "hw", "Predict latency, rate and size of networks on boards."),
    "synth": ("hw.commands.compile", "synth", "hw", "Synthesize a build: what each layer takes of the FPGA."),
    "simulate": (
        "sim.commands.simulate",
        "simulate",
        "sim",
        "Run cells through the RTL and compare every logit with the references.",
    ),
    "board": (
        "sim.commands.simulate",
        "board",
        "sim",
        "Run a virtual board: the real RTL behind a serial port.",
    ),
    "benchmark": (
        "sim.commands.simulate",
        "benchmark",
        "sim",
        "Compile and simulate a list of networks; latency, rate, size and speed of each.",
    ),
    "search": (
        "sim.commands.simulate",
        "search",
        "sim",
        "Train and compile a family of networks; find the smallest that is enough.",
    ),
    "demo": (
        "sim.commands.simulate",
        "demo",
        "sim",
        "The whole path, from training to a sort seen by the host, with a report.",
    ),
}


class LazyGroup(TyperGroup):
    """Lists the table above and imports a command when it is called."""

    def list_commands(self, ctx: Any) -> list[str]:
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in COMMANDS:
            return super().get_command(ctx, cmd_name)
        module, attribute, _, _ = COMMANDS[cmd_name]
        target = getattr(importlib.import_module(f"icsort.{module}"), attribute)
        return as_command(target, cmd_name)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry[-1]) for name, entry in COMMANDS.items()])


def as_command(target: Any, name: str) -> Any:
    """A command from a typer application or from a plain typer function."""
    if not isinstance(target, typer.Typer):
        function, target = target, typer.Typer(add_completion=False)
        target.command(name)(function)
    command = typer.main.get_command(target)
    command.name = name
    return command


app = typer.Typer(
    cls=LazyGroup, add_completion=False, no_args_is_help=True, rich_markup_mode=None, pretty_exceptions_enable=False
)


@app.callback()
def root() -> None:
    """Sort cells by their images with a quantized neural network in an FPGA."""


def main() -> None:
    """Entry point: bad input or a missing extra is one line on stderr and exit code 2, never a traceback."""
    try:
        app()
    except IcsortError as error:
        problem = str(error)
    except ModuleNotFoundError as error:
        extra = next((COMMANDS[word][2] for word in sys.argv[1:] if word in COMMANDS), "")
        if not extra:
            raise
        problem = f"{error.name} is not installed: pip install 'icsort[{extra}]' (`icsort doctor` says more)"
    print(f"icsort: error: {problem}", file=sys.stderr)
    sys.exit(2)
