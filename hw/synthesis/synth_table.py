# SPDX-License-Identifier: Apache-2.0
"""Prints what `icsort synth` found."""

from icsort.cli import console
from icsort.formats.build import Build
from icsort.hw.folding.resources import Resources
from icsort.hw.synthesis.route import Route
from icsort.hw.synthesis.synth import SORTER, Part, Synthesis, add

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
    """What place and route reached, and what limits it."""
    routed = route.routed
    tools = ", ".join(f"{name} {version}" for name, version in routed.tools.items())
    used = ", ".join(f"{number} {key}" for key, number in routed.used.items())
    console.show(
        f"{route.part}, placed and routed out of context by {tools} in {routed.seconds / 60:.1f} minutes: {used}"
    )
    for arc in route.path:
        console.show(f"{arc.ns:8.2f} ns  {arc.kind:8}  {arc.what}")
    met = routed.fmax_mhz >= build.clock_mhz
    others = ", ".join(f"{mhz:.1f}" for mhz in routed.others_mhz)
    console.show(
        f"clock of {build.clock_mhz:g} MHz {'met' if met else 'NOT met'}: at most {routed.fmax_mhz:.1f} MHz"
        + (f"; other places reach {others} MHz" if others else ""),
        style=None if met else "red",
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
