# SPDX-License-Identifier: Apache-2.0
"""The `icsort` command: sub-commands are named here and imported only when one is called.

A lab PC has neither torch nor FINN, and `icsort --help` must answer at once, so the table holds the help lines too.
"""

import importlib
import sys
from copy import copy
from dataclasses import dataclass
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from icsort.cli import console
from icsort.errors import IcsortError


@dataclass(frozen=True)
class Entry:
    """A command: module and name of its function or typer application, the extra that brings its requirements, help."""

    target: str
    extra: str
    help: str


COMMANDS = {
    "doctor": Entry("cli.doctor:doctor", "", "Say what is present here and what each missing thing would give."),
    "ports": Entry(
        "host.commands.ports:ports",
        "",
        "List the serial ports of this machine and what is at each: a board, or why none answers.",
    ),
    "program": Entry(
        "host.commands.program:program",
        "",
        "Load the bitstream of a project into its board, by openFPGALoader or Vivado.",
    ),
    "serve": Entry(
        "host.commands.serve:serve",
        "page",
        "Hold a board's port for all commands of this user, through unplugging and restarts, until Ctrl-C.",
    ),
    "info": Entry(
        "host.commands.info:info", "", "Ask a board who it is: build, model, geometry, state, gate, counters."
    ),
    "compensate": Entry(
        "host.commands.compensate:compensate",
        "",
        "Put the compensation of a spillover matrix into a model package, for total and maximum of each channel.",
    ),
    "gate": Entry("host.commands.gate:app", "", "Set, show, check, preview, export and import gates."),
    "arm": Entry(
        "host.commands.arm:arm",
        "",
        "Check that the board runs this model, set trigger and timing, and let it sort until Ctrl-C.",
    ),
    "disarm": Entry("host.commands.disarm:disarm", "", "Stop sorting at once."),
    "sort": Entry(
        "host.commands.sort:sort",
        "",
        "Run a whole sort from a file: gates, directions, targets, timing, when it stops, what is kept.",
    ),
    "report": Entry(
        "host.commands.report:report",
        "report",
        "Make a page of a sort: settings, counts and rates by direction, aborts, gates with plots, cells, latency.",
    ),
    "calibrate": Entry("host.commands.calibrate:app", "", "Find what the instrument file must say."),
    "play": Entry(
        "host.commands.play:play",
        "",
        "Store cells in a board, let it play them at the instrument's pace, and print what it makes of them.",
    ),
    "selftest": Entry(
        "host.commands.selftest:selftest",
        "report",
        "Test a board on a desk: known cells through its line source, and every value compared with the package.",
    ),
    "watch": Entry(
        "host.commands.watch:watch",
        "",
        "Show and record the events and statistics that the board reports, until --count, --idle or Ctrl-C.",
    ),
    "record": Entry(
        "host.commands.record:record",
        "",
        "Record the events that the board reports to an FCS file, until --count, --idle or Ctrl-C.",
    ),
    "snapshot": Entry(
        "host.commands.snapshot:snapshot",
        "",
        "Keep images of events as the network takes them, of the next ones or by a rule, until --count or Ctrl-C.",
    ),
    "convert": Entry(
        "host.commands.convert:convert",
        "convert",
        "Put recorded images, and all that was recorded of their events, into one file for other programs.",
    ),
    "model": Entry(
        "quant.commands.model:model", "quant", "Make a model package with random weights, to compile before training."
    ),
    "data": Entry(
        "quant.commands.data:app",
        "quant",
        "Look at sets of cell images, convert them to shards, generate cells, measure the loader.",
    ),
    "train": Entry(
        "quant.commands.train:train",
        "quant",
        "Train a classifier on labelled cell images, quantized or in floating point.",
    ),
    "export": Entry(
        "quant.commands.export:export",
        "quant",
        "Export a trained run to a model package: a QONNX file and its manifest.",
    ),
    "evaluate": Entry(
        "quant.commands.evaluate:evaluate",
        "quant",
        "Score a model package on any labelled cells, with the integer arithmetic of the FPGA.",
    ),
    "classify": Entry(
        "quant.commands.classify:classify",
        "quant",
        "Give cells without labels their class and posteriors.",
    ),
    "explain": Entry(
        "quant.commands.explain:explain",
        "quant",
        "Show what a network looks at: saliency maps, worth of each channel, map of the cells, confusions.",
    ),
    "discover": Entry(
        "quant.commands.discover:discover",
        "quant",
        "Find phenotypes without labels, and make the network that sorts them.",
    ),
    "track": Entry(
        "quant.commands.track:track",
        "quant",
        "Follow cells through a movie: lineages with divisions, by a learned cost and linear assignment.",
    ),
    "fate": Entry(
        "quant.commands.fate:fate",
        "quant",
        "Foresee which cells of a movie divide, and when: learned from its first part, tested on the rest.",
    ),
    "study": Entry(
        "quant.commands.study:study",
        "quant",
        "Repeat the image-enabled-cell-sorting study: ResNets and MobileNetV2 on 7, 3 and 1 channels.",
    ),
    "respond": Entry(
        "quant.commands.respond:respond",
        "quant",
        "Tell the response of cells to a treatment from image, mask, distance map and features, with a vote a well.",
    ),
    "package": Entry(
        "own_network:command", "hw", "Make a model package of your own QONNX file, to compile and simulate."
    ),
    "stain": Entry(
        "quant.commands.stain:stain",
        "quant",
        "Predict a stain from channels that need none: its total, for gates in the FPGA, and its image.",
    ),
    "compile": Entry("hw.commands.compile:compile_", "hw", "Compile a model package into SystemVerilog for a board."),
    "explore": Entry(
        "hw.commands.explore:explore",
        "hw",
        "Predict latency, rate and resources of networks on boards, beside FINN's own folding.",
    ),
    "synth": Entry("hw.commands.synth:synth", "hw", "Synthesize a build: what each layer takes of the FPGA."),
    "build": Entry(
        "hw.commands.build:build_",
        "hw",
        "Put a build on its board: a project folder, and the bitstream where the board's tools are here.",
    ),
    "simulate": Entry(
        "sim.commands.simulate:simulate",
        "sim",
        "Run cells through the RTL and compare every logit with the QONNX model and with FINN's graph.",
    ),
    "board": Entry("sim.commands.board:board", "sim", "Run a virtual board: the real RTL behind a serial port."),
    "benchmark": Entry(
        "sim.commands.benchmark:benchmark",
        "sim",
        "Compile networks for their boards, compare the RTL with the references, and print speed, latency and size.",
    ),
    "search": Entry(
        "sim.commands.search:search",
        "sim",
        "Train and compile a family of networks; show which is the smallest that is good enough.",
    ),
    "demo": Entry(
        "sim.commands.demo:demo",
        "sim",
        "The whole path on held-out cells: train, export, compile, simulate, then a virtual board and its host.",
    ),
}


class LazyGroup(TyperGroup):
    """Help, completion and hints from the table above; a command is imported when it is called."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.commands = {name: TyperCommand(name, short_help=entry.help) for name, entry in COMMANDS.items()}

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        name, listed, rest = super().resolve_command(ctx, args)
        return name, name and load(name) if listed else None, rest


def load(name: str) -> Any:
    """The command of this name, from a typer application or from a plain typer function."""
    module, _, attribute = COMMANDS[name].target.partition(":")
    target = getattr(importlib.import_module(f"icsort.{module}"), attribute)
    if not isinstance(target, typer.Typer):
        function, target = target, typer.Typer(add_completion=False, rich_markup_mode=None)
        target.command(name)(function)
    command = typer.main.get_command(target)
    command.name = name
    for leaf in getattr(command, "commands", {"": command}).values():
        leaf.short_help = " ".join(leaf.help.partition("\n\n")[0].split())  # in a list of commands, never cut
        leaf.params += output_options()
    return command


def output_options() -> list[Any]:
    """The options of `icsort` itself that may stand behind a command as well, where they add to those in front."""
    options = [copy(option) for option in typer.main.get_command(app).params if option.name in ("verbose", "traceback")]
    for option in options:
        option.expose_value, option.callback = False, _also
    return options


def _also(_: Any, option: Any, wanted: bool) -> None:
    global debug
    if option.name == "verbose":
        console.verbose |= wanted
    else:
        debug |= wanted


app = typer.Typer(cls=LazyGroup, no_args_is_help=True, rich_markup_mode=None, pretty_exceptions_enable=False)
debug = False


def _version(wanted: bool) -> None:
    if wanted:
        from icsort import __version__

        print(f"icsort {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[  # noqa: ARG001
        bool, typer.Option("--version", help="Print the version.", is_eager=True, callback=_version)
    ] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Print each step with its time.")] = False,
    traceback: Annotated[bool, typer.Option("--debug", help="Print where in the code an error came up.")] = False,
) -> None:
    """Sort cells by their images with a quantized neural network in an FPGA."""
    global debug
    console.verbose, debug = verbose, traceback


def main() -> None:
    """Entry point: bad input or a missing extra is one line on stderr and exit code 2, or that of the IcsortError;
    --debug adds the traceback."""
    raised: Exception
    code = IcsortError.exit_code
    try:
        with console.guarded_output():
            app(prog_name="icsort")
    except BrokenPipeError:  # who read has enough
        sys.exit(1)
    except IcsortError as error:
        problem, raised, code = str(error), error, error.exit_code
    except ModuleNotFoundError as error:
        extra = next((COMMANDS[word].extra for word in sys.argv[1:] if word in COMMANDS), "")
        if not extra:
            raise
        problem = f"{error.name} is not installed: pip install 'icsort[{extra}]' (`icsort doctor` says more)"
        raised = error
    if debug:
        raise raised
    print(f"icsort: error: {problem}", file=sys.stderr)
    sys.exit(code)
