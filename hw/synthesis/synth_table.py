# SPDX-License-Identifier: Apache-2.0
"""Prints what `icsort synth` found."""

from icsort.cli import console
from icsort.formats.build import Build
from icsort.hw.folding.resources import Resources
from icsort.hw.synthesis.synth import SORTER, Part, Synthesis, add
from icsort.hw.synthesis.vivado import Route

SHOWN = ("LUT", "DSP", "BRAM_18K", "URAM")
STREAMS = {"fifo": "FIFOs", "width_converter": "width converters"}  # one row for all of them


def show_synthesis(result: Synthesis, build: Build) -> None:
    """A row a layer: each resource by the model, by Yosys and by FINN; then totals and the board's budget."""
    shown = [key for key in SHOWN if result.total()[key] or result.budget.get(key)]
    sources = [f"{key}\n{source}" for key in shown for source in ("model", "Yosys", "FINN")]
    title = f"{build.name} on {build.part}, family {result.family}, {result.tool}"
    table = console.table("instance", *sources, "FF\nYosys", title=title)
    for part in _rows(result):
        cells = [_cell(use, key) for key in shown for use in (part.model, part.synthesized, part.finn)]
        table.add_row(part.name, *cells, _cell(part.synthesized, "FF"))
    table.add_section()
    model, yosys = result.compared()
    finn = add(part.finn for part in result.parts if part.finn)
    cells = [_cell(use, key) for key in shown for use in (model, yosys, finn)]
    table.add_row("network", *cells, _cell(yosys, "FF"))
    console.show(table)
    for key in shown:
        if yosys[key]:
            console.show(f"model of {key}: {model[key] / yosys[key] - 1:+.1%} of Yosys")
    missing = [part.name for part in result.parts if part.synthesized is None]
    if missing:
        console.show(
            f"not synthesized: {', '.join(missing)}: Yosys took longer than --minutes; they are in none of the totals",
            style="red",
        )
    total, exceeded = result.total(), result.exceeded()
    for key, available in result.budget.items():
        share = f" ({total[key] / available:.0%})" if available else ""
        text = f"{key}: {total[key]} of the {available}{share} that board '{build.board}' has"
        console.show(text, style="red" if key in exceeded else None)
    console.show(
        "a LUT is a LUT6 or smaller, each counted as one (Vivado packs two small ones together), or the LUTs that a "
        "LUT memory or shift register fills; carry chains and wide multiplexers are not counted",
    )


def show_route(route: Route, build: Build) -> None:
    """What Vivado reached."""
    used = ", ".join(f"{number} {key}" for key, number in route.used.items())
    console.show(f"{route.tool}, placed and routed out of context: {used}")
    met = "met" if route.slack_ns >= 0 else "NOT met"
    console.show(
        f"clock of {build.clock_mhz:g} MHz {met}: worst slack {route.slack_ns:+.3f} ns, "
        f"at most {route.fmax_mhz(build.clock_mhz):.1f} MHz",
        style=None if route.slack_ns >= 0 else "red",
    )


def _rows(result: Synthesis) -> list[Part]:
    """Layers one by one, FIFOs and width converters in one row each, the sorter last."""
    rows = [part for part in result.parts if part.kernel not in STREAMS and part.name != SORTER]
    for kernel, title in STREAMS.items():
        parts = [part for part in result.parts if part.kernel == kernel]
        if parts:
            model, mapped = (add(use for part in parts if (use := get(part))) for get in (_model, _synthesized))
            rows.append(Part(f"{len(parts)} {title}", kernel, model, None, mapped))
    return rows + [part for part in result.parts if part.name == SORTER]


def _model(part: Part) -> Resources | None:
    return part.model


def _synthesized(part: Part) -> Resources | None:
    return part.synthesized


def _cell(use: Resources | None, key: str) -> str:
    return "–" if use is None else str(use[key])
