# SPDX-License-Identifier: Apache-2.0
"""FlowJo workspaces and FACSDiva experiments: FlowKit reads the first ones as well, and selects the same events; of the
others the programs' own counts are at hand. What is not read is refused by its name."""

import copy
import math
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import flowkit
import numpy as np
import pytest
from flowkit import transforms
from flowkit._models.transforms._wsp_transforms import generate_biex_lut

from icsort.errors import IcsortError
from icsort.formats import drawn_gate
from icsort.formats.compile_gate import Board, Value, compile_gate
from icsort.formats.export_gating_ml import to_gating_ml
from icsort.formats.flowjo import BIEX_OFF, of_biex
from icsort.formats.gate_set import Logicle, order
from icsort.formats.import_gates import Imported, import_gates
from icsort.sim.bit_true import gate_engine as engine
from tests.icsort.formats.test_gating_ml import BOARD, FULL, MODEL, random_set, real, recording

TOTAL, SIZE, DELTA, MOST = (
    "Total Intensity (PI)",
    "Size (PI)",
    "Delta CoM (Brightfield/PI)",
    "Max Intensity (Brightfield)",
)


def selected(imported: Imported, board: Board, values: np.ndarray, best: np.ndarray) -> dict[str, Any]:
    """Of each gate: events as it is drawn, and as the gate engine has them, (E,) both."""
    compiled = compile_gate(imported.source, board)
    drawn = drawn_gate.evaluate(compiled, board, values, best, engine.VALUES)
    sorter = engine.evaluate(compiled.program, values, best)
    names = [gate.name for gate in order(imported.source.gates)]
    return {name: (drawn.gates[:, bit], sorter.gates[:, bit]) for bit, name in enumerate(names)}


def of_flowkit(path: Path, events: Path) -> dict[str, np.ndarray]:
    """Events of each population, by its path."""
    workspace = flowkit.Workspace(str(path), fcs_samples=[str(events)])
    workspace.analyze_samples(sample_id=events.name, use_mp=False)
    return {
        "/".join((*where[1:], name)): workspace.get_gate_membership(events.name, name, where)
        for name, where in workspace.get_gate_ids(events.name)
    }


def test_flowkit_wrote_it(tmp_path: Path, seed: int) -> None:
    """A workspace that FlowKit wrote, from polygons and rectangles in one another on all axes that it can write."""
    rng = np.random.default_rng(seed)
    events = tmp_path / "a.fcs"
    values, best = recording(events, rng, 20_000)
    strategy = flowkit.GatingStrategy()
    axes = {
        TOTAL: transforms.WSPBiexTransform(negative=0.5, width=-30, positive=4.5),
        DELTA: transforms.LogicleTransform(262144, 0.6, 4.5, 0.3),
        SIZE: transforms.LinearTransform(262144, 0),
        "event length": transforms.WSPBiexTransform(),
    }
    labels = {name: name.replace("/", "_") for name in axes}
    for name, transform in axes.items():
        strategy.add_transform(labels[name], transform)
    above: tuple[str, ...] = ("root",)
    for number, (x, y) in enumerate([(TOTAL, DELTA), (DELTA, SIZE), ("event length", TOTAL), (SIZE, "event length")]):
        places = []
        for name in (x, y):
            ends = axes[name].apply(np.percentile(values[:, BOARD.values[name].index], [3, 97]))
            places.append(ends)
        dimensions = [flowkit.Dimension(labels[name], transformation_ref=labels[name]) for name in (x, y)]
        turn = (np.arange(6) + 0.8 * rng.random(6)) / 6 * 2 * np.pi
        middle = [ends.mean() for ends in places]
        corners = [
            [m + (e[1] - e[0]) * far / 2 for m, e, far in zip(middle, places, (math.cos(t), math.sin(t)), strict=True)]
            for t in turn
        ]
        name = f"polygon {number}"
        strategy.add_gate(flowkit.gates.PolygonGate(name, dimensions, corners), above)
        bounds = [
            flowkit.Dimension(labels[n], transformation_ref=labels[n], range_min=m, range_max=None if n == y else e[1])
            for n, m, e in zip((x, y), middle, places, strict=True)
        ]
        strategy.add_gate(flowkit.gates.RectangleGate(f"rectangle {number}", bounds), above)
        if number % 2 == 0:
            above = (*above, name)
    session = flowkit.Session(strategy, [str(events)])
    with (tmp_path / "a.wsp").open("wb") as stream:
        session.export_wsp(stream, "all")
    found = of_flowkit(tmp_path / "a.wsp", events)
    assert len(found) == 8
    for name, expected in found.items():
        imported = import_gates(tmp_path / "a.wsp", BOARD, directions=[(0, name)])
        drawn, sorter = selected(imported, BOARD, values, best)[name]
        assert 50 < expected.sum() < len(expected), name
        assert (drawn != expected).sum() <= 5, name
        assert (sorter != expected).sum() <= 20, name


HEAD = """<?xml version="1.0" encoding="UTF-8"?>
<Workspace version="20.0" flowJoVersion="10.8.1" xmlns:gating="http://www.isac-net.org/std/Gating-ML/v2.0/gating"
 xmlns:transforms="http://www.isac-net.org/std/Gating-ML/v2.0/transformations"
 xmlns:data-type="http://www.isac-net.org/std/Gating-ML/v2.0/datatypes"><Groups/><SampleList>"""
TAIL = "</SampleList></Workspace>"
TRANSFORMATIONS = {
    TOTAL: 'biex transforms:length="256" transforms:maxRange="262144" transforms:neg="0" transforms:width="-30" '
    'transforms:pos="4.5"',
    SIZE: 'log transforms:offset="20" transforms:decades="4"',
    DELTA: 'logicle transforms:T="262144" transforms:A="0" transforms:W="0.7" transforms:M="4.5"',
    MOST: 'fasinh transforms:length="256" transforms:maxRange="262144" transforms:T="262144" transforms:A="0" '
    'transforms:M="4.2" transforms:W="0"',
    "event length": 'linear transforms:minRange="0" transforms:maxRange="100000" transforms:gain="1"',
}


def in_flowjo(value: str) -> str:
    return value.replace("/", "_")


def workspace(*populations: str, name: str = "a.fcs", transformations: dict[str, str] | None = None) -> str:
    """A sample of a workspace of FlowJo 10."""
    axes = "".join(
        f'<transforms:{text}><data-type:parameter data-type:name="{in_flowjo(value)}"/></transforms:{text.split()[0]}>'
        for value, text in (TRANSFORMATIONS if transformations is None else transformations).items()
    )
    return (
        f'<Sample><DataSet uri="{name}" sampleID="1"/><Transformations>{axes}</Transformations>'
        f'<Keywords/><SampleNode name="{name}" sampleID="1"><Subpopulations>{"".join(populations)}</Subpopulations>'
        "</SampleNode></Sample>"
    )


def population(name: str, gate: str, *inner: str) -> str:
    return (
        f'<Population name="{name}" owningGroup=""><Gate>{gate}</Gate>'
        f"<Subpopulations>{''.join(inner)}</Subpopulations></Population>"
    )


def joined(tag: str, name: str, *members: str) -> str:
    dependents = "".join(f'<Dependent name="{member}"/>' for member in members)
    return f'<{tag} name="{name}" owningGroup=""><Dependents>{dependents}</Dependents></{tag}>'


def dimension(value: str, bounds: str = "") -> str:
    inner = f'<data-type:fcs-dimension data-type:name="{in_flowjo(value)}"/>'
    return f"<gating:dimension {bounds}>{inner}</gating:dimension>"


def vertices(points: Any) -> str:
    return "".join(
        f'<gating:vertex><gating:coordinate data-type:value="{x}"/><gating:coordinate data-type:value="{y}"/>'
        "</gating:vertex>"
        for x, y in points
    )


def polygon(x: str, y: str, *points: tuple[float, float], inside: int = 1) -> str:
    inner = dimension(x) + dimension(y) + vertices(points)
    return f'<gating:PolygonGate eventsInside="{inside}">{inner}</gating:PolygonGate>'


def rectangle(*dimensions: str, inside: int = 1) -> str:
    return f'<gating:RectangleGate eventsInside="{inside}">{"".join(dimensions)}</gating:RectangleGate>'


def ellipse(x: str, y: str, center: tuple[float, float], radii: tuple[float, float], turn: float) -> str:
    """In steps of FlowJo's plot; turn: radians."""
    c, s = math.cos(turn), math.sin(turn)
    far = math.sqrt(radii[0] ** 2 - radii[1] ** 2)
    foci, edge = (
        vertices((center[0] + u * c - v * s, center[1] + u * s + v * c) for u, v in points)
        for points in (
            ((far, 0), (-far, 0)),
            ((radii[0], 0), (-radii[0], 0), (0, radii[1]), (0, -radii[1])),
        )
    )
    inner = f"{dimension(x)}{dimension(y)}<gating:foci>{foci}</gating:foci><gating:edge>{edge}</gating:edge>"
    return f'<gating:EllipsoidGate eventsInside="1">{inner}</gating:EllipsoidGate>'


KITE = ((-900.0, 900.0), (900.0, 9000.0), (9000.0, 500.0), (700.0, 40.0))
ALL_KINDS = (
    population(
        "large",
        rectangle(dimension(SIZE, 'gating:min="100"')),
        population("kite", polygon(TOTAL, SIZE, *KITE)),
        population("not kite", polygon(TOTAL, SIZE, *KITE, inside=0)),
        population("on fasinh", polygon(MOST, DELTA, (50, -3000), (9000, -400), (9000, 800), (500, 3000))),
        population("beyond", rectangle(dimension(TOTAL, 'gating:min="-100" gating:max="900"'), inside=0)),
        joined("AndNode", "both", "large/kite", "large/on fasinh"),
    ),
    population("round", ellipse(TOTAL, DELTA, (150, 120), (60, 25), 0.4)),
    population("on log", ellipse(SIZE, MOST, (100, 150), (40, 30), -0.9)),
    joined("OrNode", "either", "large/kite", "round"),
    joined("NotNode", "neither", "either"),
)


@pytest.mark.parametrize("fraction", ["", "0.5"])
def test_all_that_is_read_of_flowjo_10(tmp_path: Path, seed: int, fraction: str) -> None:
    """As FlowKit does: all gates, Boolean ones, those within others, events outside. FlowKit makes a polygon of 128
    corners of an ellipse, and rounds to a table's steps; so does FlowJo."""
    events = tmp_path / "a.fcs"
    values, best = recording(events, np.random.default_rng([seed, len(fraction)]), 20_000)
    changed = {**TRANSFORMATIONS, TOTAL: TRANSFORMATIONS[TOTAL].replace('neg="0"', f'neg="{fraction or 0}"')}
    (tmp_path / "a.wsp").write_text(HEAD + workspace(*ALL_KINDS, transformations=changed) + TAIL, encoding="utf-8")
    found = of_flowkit(tmp_path / "a.wsp", events)
    assert len(found) == 10
    for name, expected in found.items():
        imported = import_gates(tmp_path / "a.wsp", BOARD, directions=[(0, name)])
        drawn, sorter = selected(imported, BOARD, values, best)[name]
        assert (drawn != expected).sum() <= 20, name
        assert (sorter != expected).sum() <= 40, name
        assert 50 < expected.sum() < len(expected) - 50, name


@pytest.mark.parametrize("below", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("width", [-1.0, -10.0, -100.0, -1000.0])
@pytest.mark.parametrize("above", [3.0, 4.41854, 5.2])
def test_a_biexponential_axis_is_a_logicle_one(below: float, width: float, above: float) -> None:
    """FlowKit's table of FlowJo's axis, at all its channels."""
    values, channels = generate_biex_lut(pos=above, neg=below, width_basis=width, max_value=262144.0)
    scale, top = of_biex(below, width, above, 262144.0)
    made = Logicle(kind="logicle", t=top, m=scale.m, w=scale.w, a=scale.a)
    assert np.abs(made.to_axis(values) - channels / 4097).max() < BIEX_OFF


def test_what_is_beside_a_gate(tmp_path: Path) -> None:
    """Events below an axis are drawn on its end: a gate that reaches there takes them. A file tells by which sample, by
    its compensation that it is not part of the gates, and by what a biexponential axis is read."""
    reaching = population("low", polygon(TOTAL, MOST, (-5000, 100), (900, 100), (900, 9000), (-5000, 4000)))
    text = workspace(reaching).replace(
        "</SampleNode>", '</SampleNode><transforms:spilloverMatrix prefix="Comp-" suffix="" name="by hand">'
        "<data-type:parameters>" + f'<data-type:parameter data-type:name="{TOTAL}"/>' + "</data-type:parameters>"
        "</transforms:spilloverMatrix>"
    )  # fmt: skip
    text = text.replace(f'fcs-dimension data-type:name="{TOTAL}"', f'fcs-dimension data-type:name="Comp-{TOTAL}"')
    (tmp_path / "a.wsp").write_text(HEAD + text + workspace(reaching, name="b.fcs") + TAIL, encoding="utf-8")
    with pytest.raises(IcsortError, match=r"a\.wsp: has 2 samples; give --sample with one of: a\.fcs, b\.fcs"):
        import_gates(tmp_path / "a.wsp", BOARD)
    with pytest.raises(IcsortError, match=r"has no sample 'c\.fcs'; give --sample with one of: a\.fcs, b\.fcs"):
        import_gates(tmp_path / "a.wsp", BOARD, sample="c.fcs")
    with pytest.raises(IcsortError, match=r"gate 'low': the sorter has no value 'Comp-Total Intensity \(PI\)'"):
        import_gates(tmp_path / "a.wsp", BOARD, sample="a.fcs")
    for sample, renamed in (("a.fcs", {f"Comp-{TOTAL}": TOTAL}), ("b.fcs", {})):
        imported = import_gates(tmp_path / "a.wsp", BOARD, sample=sample, renamed=renamed)
        assert ("`icsort compensate` gives the board a matrix" in imported.notes[-1]) == (sample == "a.fcs")
        assert "its biexponential axis is read as logicle t = 262503" in imported.notes[0]
        assert "low: reaches the end of the axis of" in imported.notes[1]
        values = np.zeros((5, engine.VALUES), np.int64)
        values[:, BOARD.values[MOST].index] = 1000
        values[:, BOARD.values[TOTAL].index] = [-200_000, -3000, 0, 800, 1000]
        drawn, sorter = selected(imported, BOARD, values, np.zeros(5, np.int64))["low"]
        assert drawn.tolist() == sorter.tolist() == [True, True, True, True, False]


def on(x: str, *points: tuple[float, float]) -> str:
    return population("a", polygon(x, SIZE, *points))


BOX = ((10.0, 10.0), (10.0, 90.0), (60.0, 60.0))
BIEX = 'biex transforms:maxRange="262144" transforms:neg="0" transforms:width="{}" transforms:pos="4.5"'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (workspace(), "it has no gates"),
        ("", "it has no samples"),
        (workspace(on(TOTAL, *BOX[:2])), "polygon 'a' has 2 corners; three or more fit"),
        (workspace(on(TOTAL, *BOX), on(TOTAL, *BOX)), "two gates have the name 'a'"),
        (workspace(on("FSC-A", *BOX)), "gate 'a': the sorter has no value 'FSC-A'; it has: class, event length"),
        (workspace(on(TOTAL, *BOX), population("b", polygon(TOTAL, SIZE, *BOX))), "with one of: a, b"),
        (workspace(joined("OrNode", "a", "b/c")), "has no gate 'b/c'; its gates are: a"),
        (workspace(joined("OrNode", "a")), "OrNode 'a' names no gate in Dependents"),
        (workspace(joined("OrNode", "a", "b"), joined("OrNode", "b", "a")), "give --direction OUTPUT=GATE"),
        (workspace('<Population name="a"/>'), "population 'a' has no gate"),
        (workspace(joined("OrNode", "a", "b"), joined("OrNode", "c&#10;d", "b")), "with one of: a, c d"),
        (workspace(population("a", "<gating:CurlyQuad/>")), "CurlyQuad 'a': is not read; polygons, rectangles and"),
        (workspace(population("a", rectangle("<gating:dimension/>"))), "a dimension without a parameter's name"),
        (workspace(population("a", "<gating:PolygonGate/>")), "PolygonGate 'a' has 0 dimensions; two fit"),
        (workspace(population("a", rectangle(dimension(TOTAL)))), "gate 'a' has no bounds"),
        (workspace(population("a", rectangle(dimension(TOTAL, 'gating:min="x"')))), "min of a dimension is 'x', n"),
        (workspace(on(TOTAL, *BOX), transformations={TOTAL: "hyperlog"}), "hyperlog of 'Total Intensity .PI.': is no"),
        (workspace(on(TOTAL, *BOX), transformations={TOTAL: "biex"}), "neg of biex of 'Total Intensity .PI.' is None"),
        (workspace(on(TOTAL, *BOX), transformations={TOTAL: BIEX.format(0)}), "has numbers that no scale can hold"),
        (workspace(on(TOTAL, *BOX), transformations={TOTAL: BIEX.format(-1001)}), "has numbers that no scale can hold"),
        (
            workspace(on(TOTAL, *BOX), transformations={TOTAL: BIEX.format(-10) + ' transforms:length="512"'}),
            "biex of 'Total Intensity .PI.' has length '512'; 256 is read, or draw",
        ),
        (
            workspace(population("a", ellipse(TOTAL, SIZE, (1, 1), (2, 1), 0)), transformations={}),
            "EllipsoidGate 'a': an axis of it has no transformation; a polygon fits",
        ),
        (
            workspace(population("a", ellipse(TOTAL, SIZE, (1, 1), (2, 1), 0).replace("edge", "rim"))),
            "EllipsoidGate 'a' lacks two foci or four points of its edge",
        ),
        (
            workspace(on(TOTAL, (100, 100), (200, 200), (200, 100), (100, 200))),
            "the edges from corners 0 and 2 cross; give the corners in their order",
        ),
    ],
)  # fmt: skip
def test_refused_by_name_of_flowjo(tmp_path: Path, text: str, message: str) -> None:
    refused(tmp_path, HEAD + text + TAIL, message)


def refused(tmp_path: Path, text: str, message: str, **options: Any) -> None:
    (tmp_path / "a.xml").write_text(text, encoding="utf-8")
    with pytest.raises(IcsortError, match=message) as raised:
        import_gates(tmp_path / "a.xml", BOARD, **options)
    assert str(raised.value).startswith(f"{tmp_path / 'a.xml'}: ")
    assert "\n" not in str(raised.value)


def test_older_ones(tmp_path: Path) -> None:
    refused(tmp_path, '<Workspace flowJoVersion="7.6.5"/>', "is a workspace of FlowJo 7; save it with FlowJo 10")
    refused(tmp_path, "<Workspace/>", r"is a workspace of FlowJo \?; save it with FlowJo 10")


def of_nine(inner: str) -> str:
    """A population of FlowJo 9."""
    names = f"<String>{TOTAL}</String><String>{SIZE}</String>"
    gate = f"<ParameterNames><StringArray>{names}</StringArray></ParameterNames><Graph/>{inner}"
    return (
        '<!DOCTYPE Workspace><Workspace flowJoVersion="9.2"><SampleList><Sample><Parameter name="Size (PI)" log="1"/>'
        f'<SampleNode name="s" sampleID="1"><Population name="a"><PolygonGate>{gate}</PolygonGate>'
        "</Population></SampleNode></Sample></SampleList></Workspace>"
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (of_nine("<Polyline/>"), "Polyline 'a': is not read; Polygon, PolyRect, Range and Ellipse are"),
        (of_nine(""), "PolygonGate 'a': is not read"),
        (of_nine("<Range/>"), "Range 'a' has 2 parameters and 0 ends; one and two fit"),
        (of_nine("<Ellipse/>").replace('log="1"', ""), "Ellipse 'a' has 0 points; four fit"),
        (of_nine("<Polygon/>"), "lowValue of 'Size .PI.' is None, no number"),
        (of_nine("<Polygon/>").replace('log="1"', ""), "polygon 'a' has 0 corners; three or more fit"),
        (of_nine("").replace("PolygonGate", "BooleanGate"), "BooleanGate 'a' of FlowJo 9: is not read; save"),
        (
            of_nine("<Polygon/>").replace('log="1"', 'log="1" calibrationIndex="1"').replace(
                "<SampleList>",
                '<Preferences DT_32BitCustomDecades="4.5"/><CalibrationTables><Table name="t">0,1,1,2</Table>'
                "</CalibrationTables><SampleList>",
            ),
            "Table 't' of CalibrationTables: is no biexponential axis of 4096 channels and 4.5 decades; draw",
        ),
    ],
)  # fmt: skip
def test_refused_by_name_of_flowjo_9(tmp_path: Path, text: str, message: str) -> None:
    refused(tmp_path, text, message)


def test_outside_and_upright_of_flowjo_9(tmp_path: Path) -> None:
    """A shape may be negated, and the range of a histogram drawn upright."""
    values = np.zeros((40, engine.VALUES), np.int64)
    values[:, BOARD.values[TOTAL].index] = np.arange(40)
    values[:, BOARD.values[SIZE].index] = 50
    box = "".join(f'<Vertex x="{x}" y="{y}"/>' for x, y in ((10, 9), (20, 9), (20, 99), (10, 90)))
    upright = '<Vertex x="0.5" y="20"/><Vertex x="0.5" y="10"/>'
    found = []
    for shape in (
        f"<Polygon>{box}</Polygon>",
        f'<Polygon negated="1">{box}</Polygon>',
        f"<Range>{upright}</Range>",
        f'<Range negated="1">{upright}</Range>',
    ):
        text = of_nine(shape).replace('log="1"', "")
        if "Range" in shape:
            text = text.replace(f"<String>{SIZE}</String>", "<String/>")
        (tmp_path / "a.xml").write_text(text, encoding="utf-8")
        drawn, sorter = selected(import_gates(tmp_path / "a.xml", BOARD), BOARD, values, np.zeros(40, np.int64))["a"]
        assert np.array_equal(drawn, sorter)
        found.append(drawn)
    assert np.flatnonzero(found[0]).tolist() == np.flatnonzero(found[2]).tolist() == list(range(10, 20))
    assert np.array_equal(found[0], ~found[1])
    assert np.array_equal(found[2], ~found[3])


def of_diva(region: str, kind: str = "Region_Classifier", more: str = "", log: str = "false") -> str:
    """An experiment of one tube and one gate."""
    axes = "".join(
        f"<is_{key}_parameter_scaled>true</is_{key}_parameter_scaled><is_{key}_parameter_log>{log}"
        f"</is_{key}_parameter_log><{key}_parameter_scale_value>x</{key}_parameter_scale_value>"
        for key in "xy"
    )
    return (
        '<bdfacs><experiment><log_decades>5</log_decades><specimen name="s"><tube name="t"><gates>'
        f'<gate fullname="All Events\\P1" type="{kind}"><parent>All Events</parent>{region}{axes}{more}</gate>'
        "</gates></tube></specimen></experiment></bdfacs>"
    )


def region(kind: str = "POLYGON_REGION", points: int = 3, y: str = f'yparm="{SIZE}"') -> str:
    inner = "".join(f'<point x="{n * n}" y="{n}"/>' for n in range(points))
    return f'<region xparm="{TOTAL}" {y} type="{kind}"><points>{inner}</points></region>'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (of_diva(""), "Region_Classifier 'P1': is not read; POLYGON_REGION, RECTANGLE_REGION, INTERVAL_REGION and"),
        (of_diva(region("ELLIPSE_REGION")), "ELLIPSE_REGION 'P1': is not read"),
        (of_diva(region(), more="<extended><is_snap_mode>Y</is_snap_mode></extended>"), "P1' follows the cells; s"),
        (of_diva(region(points=0)), "POLYGON_REGION 'P1' has no points"),
        (of_diva(region(points=2)), "polygon 'P1' has 2 corners; three or more fit"),
        (of_diva(region(y="")), "region of 'P1' has no yparm"),
        (of_diva(region(), log="true"), "scale value of 'Total Intensity .PI.' is 'x', no number"),
        (of_diva(region(), "Composite_Classifier"), "it has no gates"),
        (of_diva("", "RestOf_Classifier", "<input>All Events\\P2</input>"), "has no gate 'P2'; its gates are: P1"),
        (of_diva("").replace("tube", "tubus"), "it has no samples"),
        (of_diva("").replace("<log_decades>5", "<log_decades>"), "log_decades of the experiment is '', no number"),
    ],
)  # fmt: skip
def test_refused_by_name_of_diva(tmp_path: Path, text: str, message: str) -> None:
    refused(tmp_path, text, message)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (HEAD, "is no XML"),
        ('<!DOCTYPE Workspace [<!ENTITY x "lol"><!ENTITY y "&x;&x;&x;">]><Workspace a="&y;"/>', "with a document type"),
        ('<!DOCTYPE Workspace SYSTEM "http://127.0.0.1:1/a.dtd"><Workspace/>', "with a document type"),
        ('<!DOCTYPE bdfacs [<!ENTITY x SYSTEM "file:///etc/passwd">]><bdfacs>&x;</bdfacs>', "with a document type"),
        ('<?xml version="1.0" encoding="none"?><a/>', "is no XML"),
        ("<Workspace>&x;</Workspace>", "is no XML"),
        ("<!DOCTYPE Workspace><Workspace>&x;</Workspace>", "is no XML"),
    ],
)
def test_no_file_of_gates(tmp_path: Path, text: str, message: str) -> None:
    refused(tmp_path, text, message)


def test_deep_ones(tmp_path: Path) -> None:
    """Neither the depth of populations nor that of the file is a matter of Python's stack."""
    deep = 3000
    inner = "<Population name='p'><Gate/><Subpopulations>" * deep + "</Subpopulations></Population>" * deep
    refused(tmp_path, HEAD + workspace(inner) + TAIL, "population 'p' has no gate")
    boxes = "".join(
        f"<Population name='{n}'><Gate>{rectangle(dimension(TOTAL, 'gating:min=' + chr(34) + '1' + chr(34)))}</Gate>"
        "<Subpopulations>"
        for n in range(100)
    )
    text = HEAD + workspace(boxes + "</Subpopulations></Population>" * 100) + TAIL
    refused(tmp_path, text, "has 100 gates, more than the 32 tests and 16 gates of the gate engine; give fewer")
    boxes = boxes[: boxes.index("<Population name='5'>")]
    text = HEAD + workspace(boxes + "</Subpopulations></Population>" * 5) + TAIL
    (tmp_path / "a.xml").write_text(text, encoding="utf-8")
    assert [gate.name for gate in import_gates(tmp_path / "a.xml", BOARD).source.gates][-1] == "0/1/2/3/4"


def detectors(path: Path) -> dict[str, np.ndarray]:
    """Values of an FCS file's events by parameter, as they are in it."""
    sample = flowkit.Sample(path)
    return dict(zip(sample.pnn_labels, sample.get_events("raw").T, strict=True))


def compensated(values: dict[str, np.ndarray], names: list[str], spillover: Any) -> list[np.ndarray]:
    return list(np.linalg.solve(np.asarray(spillover).T, np.stack([values[name] for name in names])))


def counted(path: Path, sample: str, gate: str, values: dict[str, np.ndarray]) -> tuple[int, int]:
    """Events of a gate of a file, as it is drawn and as the gate engine has them; values: by the file's names."""
    unit = 1 / 64
    board = Board({name: Value(engine.VALUE_FEATURE + n, unit, "") for n, name in enumerate(values)}, ("A", "B"))
    whole = np.zeros((len(next(iter(values.values()))), engine.VALUES), np.int64)
    for name, column in values.items():
        whole[:, board.values[name].index] = np.rint(column / unit)
    imported = import_gates(path, board, sample=sample, directions=[(0, gate)])
    drawn, sorter = selected(imported, board, whole, np.zeros(len(whole), np.int64))[gate]
    return int(drawn.sum()), int(sorter.sum())


def test_counts_of_flowjo_9() -> None:
    """FlowJo counted the events of its sample 2, on a grid of 256 by 256 steps: 0.02 of a decade a step."""
    path = real("A2004Analysis.xml")
    values = detectors(real("a2004_O1T2pb05i_A2_A02.fcs"))
    root = ElementTree.parse(path).getroot()
    channels = list(root.iterfind("CompensationMatrices/CompensationMatrix/Channel"))
    names = [channel.get("name", "") for channel in channels]
    matrix = [[float(value.get("value", "")) for value in channel] for channel in channels]
    for name, column in zip(names, compensated(values, names, matrix), strict=True):
        values[f"<{name}>"] = column
    label = "a2004_O1T2pb05i (2)"
    node = next(node for node in root.iter("SampleNode") if node.get("sampleID") == "2")
    left = [(child.get("name", ""), child) for child in node.iterfind("Population")]
    told = {}
    for name, element in left:
        told[name] = element.get("count")
        left += [(f"{name}/{child.get('name')}", child) for child in element.iterfind("Population")]
    assert len(told) == 19
    with pytest.raises(
        IcsortError, match=r"has 2 samples; give --sample with one of: a2004_O1T2pb05i \(1\), a2004_O1T"
    ):
        import_gates(path, BOARD)
    with pytest.raises(IcsortError, match=r"gate 'Live': the sorter has no value 'FSC-A'"):
        import_gates(path, BOARD, sample=label, directions=[(0, "Live")])
    for name, count in told.items():
        if name == "Live/APC/B Cell":
            with pytest.raises(IcsortError, match="has 21 corners, more than the 16 of the gate engine"):
                counted(path, label, name, values)
            continue
        drawn, sorter = counted(path, label, name, values)
        assert abs(drawn - sorter) <= 4, name
        if count is not None:
            assert abs(drawn - int(count)) <= max(6, 0.02 * int(count)), name


def test_counts_of_diva() -> None:
    """Diva counted the events of the first tube."""
    path, events = real("PE_2.xml"), real("124500.fcs")
    values = detectors(events)
    number, *words = flowkit.Sample(events).metadata["spill"].split(",")
    names = words[: int(number)]
    matrix = np.asarray(words[int(number) :], float).reshape(int(number), -1)
    values |= dict(zip(names, compensated(values, names, matrix), strict=True))
    tube = next(tube for tube in ElementTree.parse(path).getroot().iter("tube") if tube.get("name") == "_001")
    for element in list(tube.iterfind("gates/gate"))[1:]:
        name = element.get("fullname", "").replace("All Events\\", "").replace("\\", "/")
        count = int(element.findtext("num_events", ""))
        drawn, sorter = counted(path, "_001", name, values)
        assert abs(drawn - sorter) <= 4, name
        assert abs(drawn - count) <= 0.005 * count, name


def test_all_of_diva() -> None:
    """Each population of each tube is read, quadrants and what is left of a gate as well; the names of a tube are
    told."""
    path = real("PE_2.xml")
    tubes = list(ElementTree.parse(path).getroot().iter("tube"))
    names = {one.get(key) or "" for tube in tubes for one in tube.iter("region") for key in ("xparm", "yparm")}
    values = {name: Value(engine.VALUE_FEATURE + n, 1 / 64, "") for n, name in enumerate(sorted(names))}
    board = Board(values, ("A", "B"))
    number = 0
    for tube in tubes:
        for element in tube.iterfind("gates/gate"):
            if element.get("type") in ("EventSource_Classifier", "Composite_Classifier"):
                continue
            name = element.get("fullname", "").replace("All Events\\", "").replace("\\", "/")
            imported = import_gates(path, board, sample=tube.get("name"), directions=[(0, name)])
            assert compile_gate(imported.source, board).source.directions[0].gate == name
            number += 1
    assert number == 44
    source = import_gates(path, board, sample="_004", directions=[(0, "P1/P2/Q1")]).source
    assert [test.kind for test in source.tests] == ["polygon", "polygon", "range"]
    with pytest.raises(IcsortError, match="with one of: P1/P2/Q1, P1/P2/Q2, P1/P2/Q3, P1/P2/Q4"):
        import_gates(path, board, sample="_004")


def documents() -> Iterator[tuple[str, dict[str, Any]]]:
    """One of each program, and an export of icsort, with what makes it one that is read."""
    yield HEAD + workspace(*ALL_KINDS) + TAIL, {"directions": [(0, "neither"), (1, "large/both")]}
    polygon_of_nine = "".join(f'<Vertex x="{x}" y="{y}"/>' for x, y in BOX)
    yield (
        of_nine(f"<Polygon>{polygon_of_nine}</Polygon>").replace('log="1"', 'log="1" lowValue="3" decades="4"'),
        {},
    )
    rest = '<gate fullname="All Events\\Rest" type="RestOf_Classifier"><input>All Events\\P1</input></gate>'
    text = of_diva(region(points=5), log="true").replace(">x</", ">120</").replace("</gates>", f"{rest}</gates>")
    yield text, {}
    yield to_gating_ml(random_set(np.random.default_rng(0)), MODEL.classes), {}


@pytest.mark.parametrize("number", [25, pytest.param(500, marks=FULL)])
def test_mutated_ones(tmp_path: Path, seed: int, number: int) -> None:
    """Whatever is changed in a file, it is read or refused in one line; the seed is in pytest's header."""
    draw = random.Random(seed + number)
    file = tmp_path / "a.xml"
    read, said = 0, []
    for text, options in documents():
        file.write_text(text, encoding="utf-8")
        assert import_gates(file, BOARD, **options).source.tests
        for _ in range(number):
            file.write_text(mutated(text, draw), encoding="utf-8")
            try:
                compile_gate(import_gates(file, BOARD, **options).source, BOARD)
                read += 1
            except IcsortError as error:
                said.append(str(error))
    assert number / 10 < read < 4 * number
    assert not [line for line in said if "\n" in line]


def mutated(text: str, draw: random.Random) -> str:
    """One to three changes: of an attribute, a text or a name, an element taken away, moved or doubled, a cut."""
    if draw.random() < 0.1:
        at = draw.randrange(len(text))
        return text[:at] + draw.choice(["", "<", "&", "\0", '"', "]]>"]) + text[at + draw.randrange(3) :]
    root = ElementTree.fromstring(text)
    for _ in range(draw.randint(1, 3)):
        elements = [element for element in root.iter() if element is not root]
        if not elements:
            break
        element = draw.choice(elements)
        above = next(one for one in root.iter() if element in list(one))
        word = draw.choice(
            ["", "0", "-1", "nan", "1e308", "-1e400", "1" * 40, "x", "a/b", "true", "0.5", "1e-300", "Ω", "a\nb"]
        )
        kind = draw.randrange(6)
        if kind < 2 and element.attrib:
            element.set(draw.choice(list(element.attrib)), word)
        elif kind == 2 and element.attrib:
            del element.attrib[draw.choice(list(element.attrib))]
        elif kind == 3:
            element.text = word
        elif kind == 4:
            above.remove(element)
        else:
            draw.choice([above, *elements[:3]]).append(copy.deepcopy(element))
    return ElementTree.tostring(root, encoding="unicode")
