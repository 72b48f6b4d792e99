# SPDX-License-Identifier: Apache-2.0
"""The `icsort` command: sub-commands are named here and imported only when one is called.

A lab PC has neither torch nor FINN, and `icsort --help` must answer at once, so the table holds the help lines too.
"""

import importlib
import sys
from dataclasses import dataclass
from typing import Any

import typer
from typer.core import TyperGroup

from icsort.errors import IcsortError


@dataclass(frozen=True)
class Entry:
    """A command: module and name of its function or typer application, the extra that brings its requirements, help."""

    target: str
    extra: str
    help: str


COMMANDS = {
    "doctor": Entry("cli.doctor:doctor", "", "Say what is present here and what each missing thing would give."),
    "info": Entry("host.commands.info:info", "", "Ask a board who it is: build, model, geometry, state, counters."),
    "gate": Entry("host.commands.gate:app", "", "Set the sort gate: classes and minimum posterior."),
    "arm": Entry("host.commands.arm:arm", "", "Check that the board runs this model, then let it sort."),
    "disarm": Entry("host.commands.disarm:disarm", "", "Stop sorting at once."),
    "watch": Entry("host.commands.watch:watch", "", "Show and record the events that the board reports."),
    "model": Entry(
        "quant.commands.model:model", "quant", "Make a model package with random weights, to compile before training."
    ),
    "data": Entry("quant.commands.data:app", "quant", "Inspect, convert and generate sets of cell images."),
    "train": Entry("quant.commands.train:train", "quant", "Train a quantized classifier on cell images."),
    "export": Entry("quant.commands.export:export", "quant", "Turn a training run into a model package."),
    "evaluate": Entry(
        "quant.commands.evaluate:evaluate", "quant", "Score a model package on cells, as the FPGA would."
    ),
    "explain": Entry("quant.commands.explain:explain", "quant", "Show what a network looks at, and what it confuses."),
    "study": Entry("quant.commands.study:study", "quant", "Compare architectures and channels, with their times."),
    "compile": Entry("hw.commands.compile:compile_", "hw", "Compile a model package into SystemVerilog for a board."),
    "explore": Entry("hw.commands.explore:explore", "hw", "Predict latency, rate and size of networks on boards."),
    "synth": Entry("hw.commands.synth:synth", "hw", "Synthesize a build: what each layer takes of the FPGA."),
    "simulate": Entry(
        "sim.commands.simulate:simulate",
        "sim",
        "Run cells through the RTL and compare every logit with the references.",
    ),
    "board": Entry("sim.commands.board:board", "sim", "Run a virtual board: the real RTL behind a serial port."),
    "benchmark": Entry(
        "sim.commands.benchmark:benchmark",
        "sim",
        "Compile and simulate a list of networks; latency, rate, size and speed of each.",
    ),
    "search": Entry(
        "sim.commands.search:search",
        "sim",
        "Train and compile a family of networks; find the smallest that is enough.",
    ),
    "demo": Entry(
        "sim.commands.demo:demo", "sim", "The whole path, from training to a sort seen by the host, with a report."
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
        module, _, attribute = COMMANDS[cmd_name].target.partition(":")
        return as_command(getattr(importlib.import_module(f"icsort.{module}"), attribute), cmd_name)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.help) for name, entry in COMMANDS.items()])


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
        extra = next((COMMANDS[word].extra for word in sys.argv[1:] if word in COMMANDS), "")
        if not extra:
            raise
        problem = f"{error.name} is not installed: pip install 'icsort[{extra}]' (`icsort doctor` says more)"
    print(f"icsort: error: {problem}", file=sys.stderr)
    sys.exit(2)
