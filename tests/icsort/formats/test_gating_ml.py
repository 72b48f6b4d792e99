# SPDX-License-Identifier: Apache-2.0
"""Gating-ML 2.0: FlowKit reads what is exported and selects the events of the hardware's model; what cannot be held is
refused by its name."""

import json
import math
from pathlib import Path
from typing import Any

import flowkit
import numpy as np
import pytest

from icsort.errors import IcsortError
from icsort.formats import drawn_gate
from icsort.formats.compile_gate import board_values, compile_gate
from icsort.formats.export_gating_ml import to_gating_ml
from icsort.formats.fcs import FcsFile, FcsWriter, parameter_name
from icsort.formats.gate_set import EllipseTest, GateSet, of_classes
from icsort.formats.gating_ml import HEAD
from icsort.formats.import_gates import import_gates
from icsort.formats.recording import INTERVAL, Recording
from icsort.host.preview import preview
from icsort.real_data import real_data_folder
from icsort.sim.bit_true import gate_engine as engine
from icsort.sim.bit_true.gate import posteriors
from tests.host.recordings import ALL, CLOCK_HZ, example, layout

QUADRANTS = ("Gate_59489_dHN1Yg..",)
FULL = pytest.mark.full
MODEL = example()
BOARD = board_values(MODEL, CLOCK_HZ, True)
SCALES: dict[str, dict[str, Any]] = {
    "straight": {"kind": "linear", "t": 262144.0, "a": 100.0},
    "decades": {"kind": "log", "t": 262144.0, "m": 4.5},
    "hyperbolic": {"kind": "arcsinh", "t": 262144.0, "m": 4.0, "a": 0.5},
    "two sided": {"kind": "logicle", "t": 262144.0, "m": 4.5, "w": 0.5, "a": 0.0},
}
SIGNED = ("Total Intensity (PI)", "Delta CoM (Brightfield/PI)", "logit G1", "event length", INTERVAL)
POSITIVE = ("Size (PI)", "Max Intensity (Brightfield)")


def recording(path: Path, rng: np.random.Generator, number: int) -> tuple[np.ndarray, np.ndarray]:
    """A file of events; their values as the gate engine has them, but for posteriors, and their best classes."""
    values = np.zeros((number, engine.VALUES), np.int64)
    for value in BOARD.values.values():
        wide = rng.normal(0, 300, number) * 10 ** rng.uniform(0, 2.5, number)
        values[:, value.index] = np.rint(wide / min(1.0, value.unit_value))
    for name in (*POSITIVE, "event length", INTERVAL):
        values[:, BOARD.values[name].index] = np.abs(values[:, BOARD.values[name].index])
    logits = values[:, engine.VALUE_LOGIT :][:, :3] // 300
    values[:, engine.VALUE_LOGIT : engine.VALUE_LOGIT + 3] = logits
    best = logits.argmax(axis=1)
    parameters = layout(ALL, ()).parameters
    constants = MODEL.posterior
    alone = posteriors(logits, [1, 2, 4], constants.multiplier, constants.shift) / 65536
    columns = {
        **{name: values[:, value.index] * value.unit_value for name, value in BOARD.values.items()},
        **{f"posterior {name}": alone[:, index] for index, name in enumerate(MODEL.classes)},
        "class": best,
        "event": np.arange(number),
        "Time": np.arange(number) * 3000.0,
    }
    rows = np.stack([columns.get(parameter.name, np.zeros(number)) for parameter in parameters], axis=1)
    writer = FcsWriter(path, parameters, layout().keywords(), ())
    writer.write(rows)
    writer.close({})
    return values, best


def axis(rng: np.random.Generator) -> tuple[dict[str, Any], Any]:
    """A random axis, and the function from places between 0 and 1, of all events, to those on the axis."""
    name = str(rng.choice([*SIGNED, *POSITIVE]))
    scale = str(rng.choice(["", *(SCALES if name in POSITIVE else [kind for kind in SCALES if kind != "decades"])]))
    if not scale:
        return {"value": name}, lambda share: (share - 0.3) * 3000
    low = {"straight": -0.05, "decades": 0.1, "hyperbolic": -0.3, "two sided": -0.05}[scale]
    high = {"straight": 0.2, "decades": 0.9, "hyperbolic": 0.9, "two sided": 0.85}[scale]
    return {"value": name, "scale": scale}, lambda share: low + share * (high - low)


def random_set(rng: np.random.Generator) -> GateSet:
    """Tests of all kinds on all kinds of axes, and gates of them."""
    tests: list[dict[str, Any]] = [
        {"name": "sure of M", "kind": "class", "classes": ["M"], "posterior": float(rng.uniform(0.3, 0.9))},
        {"name": "ends", "kind": "class", "classes": ["G1", "M"]},
        {"name": "S", "kind": "class", "classes": ["S"], "posterior": 0.4, "best": False},
        {"name": "S or M", "kind": "class", "classes": ["S", "M"]},
    ]
    for number in range(9):
        (x, of_x), (y, of_y) = axis(rng), axis(rng)
        while y["value"] == x["value"]:  # FlowKit takes a parameter once a gate
            y, of_y = axis(rng)
        if number % 3 == 0:
            at = np.sort(rng.random((2, 2)), axis=0)
            x |= {"min": float(of_x(at[0, 0])), "max": float(of_x(at[1, 0]))}
            y |= {"min": float(of_y(at[0, 1]))}
            tests.append({"name": f"range {number}", "kind": "range", "x": x, **({"y": y} if number else {})})
        elif number % 3 == 1:
            turn = (np.arange(7) + 0.8 * rng.random(7)) / 7 * 2 * np.pi
            far = rng.uniform(0.2, 0.5, 7)
            corners = [
                [float(of_x(0.5 + r * math.cos(t))), float(of_y(0.5 + r * math.sin(t)))]
                for t, r in zip(turn, far, strict=True)
            ]
            tests.append({"name": f"polygon {number}", "kind": "polygon", "x": x, "y": y, "corners": corners})
        else:
            center = [float(of_x(0.5)), float(of_y(0.5))]
            radii = [float(of_x(0.9) - of_x(0.5)), float(of_y(0.8) - of_y(0.5))]
            tests.append(
                {"name": f"ellipse {number}", "kind": "ellipse", "x": x, "y": y, "center": center, "radii": radii,
                 "angle": float(rng.uniform(-1, 1))}
            )  # fmt: skip
    names = [test["name"] for test in tests]
    gates: list[dict[str, Any]] = []
    for number in range(6):
        members = [
            str(rng.choice(["", "not "])) + str(name) for name in rng.choice(names, 1 + number % 4, replace=False)
        ]
        gates.append({"name": f"gate {number}", str(rng.choice(["all", "any"])): members})
        names.append(f"gate {number}")
    document = {
        "name": "drawn at random",
        "scales": SCALES,
        "tests": tests,
        "gates": gates,
        "directions": [{"output": 2, "gate": "gate 5", "priority": 3}, {"output": 0, "gate": "gate 3"}],
    }
    return GateSet.model_validate_json(json.dumps(document))


def memberships(xml: Path, sample: flowkit.Sample) -> dict[str, np.ndarray]:
    """What FlowKit makes of each gate, by its identifier; of a set of quadrants nothing by itself."""
    strategy = flowkit.parse_gating_xml(str(xml))
    result = strategy.gate_sample(sample)
    plain = [(name, path) for name, path in strategy.get_gate_ids() if name not in QUADRANTS]
    return {name: result.get_gate_membership(name, path) for name, path in plain}


@pytest.mark.parametrize(("number", "sets"), [(10_000, 2), pytest.param(100_000, 20, marks=FULL)])
def test_flowkit_selects_the_events_of_the_hardware(tmp_path: Path, seed: int, number: int, sets: int) -> None:
    """Of all events: as the gates were drawn without exception; as the gate engine, but for those that preview says
    that the integers change."""
    rng = np.random.default_rng([seed, number])
    values, best = recording(tmp_path / "a.fcs", rng, number)
    sample = flowkit.Sample(tmp_path / "a.fcs")
    selected = 0
    for _ in range(sets):
        source = random_set(rng)
        compiled = compile_gate(source, BOARD)
        (tmp_path / "gates.xml").write_text(to_gating_ml(source, MODEL.classes), encoding="utf-8")
        found = memberships(tmp_path / "gates.xml", sample)
        logits = values[:, engine.VALUE_LOGIT : engine.VALUE_LOGIT + 3]
        whole = engine.values_of(logits, compiled.program, MODEL.posterior.multiplier, MODEL.posterior.shift)
        whole[:, engine.VALUE_LENGTH : engine.VALUE_INTERVAL + 1] = values[
            :, engine.VALUE_LENGTH : engine.VALUE_INTERVAL + 1
        ]
        whole[:, engine.VALUE_FEATURE :] = values[:, engine.VALUE_FEATURE :]
        sorter = engine.evaluate(compiled.program, whole, best)
        drawn = drawn_gate.evaluate(compiled, BOARD, whole, best, engine.VALUES)
        ids = {name: "_" + name.replace(" ", "_") if " " in name else name for name in found_names(source)}
        for index, test in enumerate(source.tests):
            assert np.array_equal(found[ids[test.name]], drawn.tests[:, index]), test
        seen = preview(source, [Recording(FcsFile(tmp_path / "a.fcs"), MODEL)], MODEL, True)
        for index, (name, counted) in enumerate(seen.gates.items()):
            selects = found[ids[name]]
            assert np.array_equal(selects, drawn.gates[:, index]), name
            assert counted.events == sorter.gates[:, index].sum()
            assert counted.changed == (selects != sorter.gates[:, index]).sum() <= number / 50
            selected += int(selects.any() and not selects.all())
    assert selected >= sets


def found_names(source: GateSet) -> list[str]:
    return [test.name for test in source.tests] + [gate.name for gate in source.gates]


def test_back_again(tmp_path: Path, seed: int) -> None:
    """An export is read as the gate set that it was: names, scales, directions, numbers; an ellipse as the same one."""
    rng = np.random.default_rng(seed)
    for _ in range(5):
        source = random_set(rng)
        tests = tuple(test for test in source.tests if test.name != "ends")  # is several gates there
        members = {test.name for test in tests}
        gates = tuple(gate for gate in source.gates if {name for name, _ in gate.members} <= members)[:1]
        directions = tuple(one.model_copy(update={"gate": gates[0].name}) for one in source.directions[:1])
        source = GateSet(name="x", scales=source.scales, tests=tests, gates=gates, directions=directions)
        (tmp_path / "a.xml").write_text(to_gating_ml(source, MODEL.classes), encoding="utf-8")
        back = import_gates(tmp_path / "a.xml", BOARD).source
        assert (back.gates, back.directions, back.name) == (source.gates, source.directions, "x")
        named = {
            axis.scale for test in source.tests for axis in (getattr(test, "x", None), getattr(test, "y", None)) if axis
        }
        assert back.scales == {name: scale for name, scale in source.scales.items() if name in named}
        assert [test.name for test in back.tests] == [test.name for test in source.tests]
        for one, other in zip(back.tests, source.tests, strict=True):
            if isinstance(other, EllipseTest):
                assert isinstance(one, EllipseTest)
                assert (one.x, one.y, one.center) == (other.x, other.y, other.center)
                assert sorted(one.radii) == pytest.approx(sorted(other.radii), rel=1e-6)
            elif other.kind != "class":
                assert one == other
        before, after = (compile_gate(gates, BOARD).program for gates in (source, back))
        assert before.gates == after.gates
        assert [test for test in before.tests if not test.edges] == [test for test in after.tests if not test.edges]


def test_names_that_xml_does_not_have(tmp_path: Path) -> None:
    """Spaces, figures, umlauts, two that become one: identifiers differ, names come back."""
    names = ["1st gate", "_1st_gate", "Zellen über µ", 'a<b & "c"', "x" * 200]
    document = {
        "tests": [{"name": f"t {name}", "kind": "range", "x": {"value": "event length", "min": 3.0}} for name in names],
        "gates": [{"name": name, "all": [f"t {name}"]} for name in names],
        "directions": [{"output": 0, "gate": names[3]}],
    }
    source = GateSet.model_validate_json(json.dumps(document))
    (tmp_path / "a.xml").write_text(to_gating_ml(source, None), encoding="utf-8")
    assert len(flowkit.parse_gating_xml(str(tmp_path / "a.xml")).get_gate_ids()) == 10
    assert import_gates(tmp_path / "a.xml", BOARD).source == source
    with pytest.raises(IcsortError, match="has a character that XML cannot hold"):
        to_gating_ml(GateSet.model_validate_json(json.dumps(document).replace("1st gate", "1st\\u0007")), None)


def test_what_gating_ml_cannot_say() -> None:
    with pytest.raises(IcsortError, match=r"test 'classes' asks for the posterior of S, M together.*a test a class"):
        to_gating_ml(of_classes(("S", "M"), 0.5), MODEL.classes)
    with pytest.raises(IcsortError, match="asks for the best class, which a recording has by its number; give --model"):
        to_gating_ml(of_classes(("S",), 0.5), None)
    assert to_gating_ml(of_classes(("S", "M"), 0.0), MODEL.classes).startswith(HEAD)


WRAPPED = (
    '<g:Gating-ML xmlns:g="http://www.isac-net.org/std/Gating-ML/v2.0/gating" '
    'xmlns:t="http://www.isac-net.org/std/Gating-ML/v2.0/transformations" '
    'xmlns:d="http://www.isac-net.org/std/Gating-ML/v2.0/datatypes">{}</g:Gating-ML>'
)


def dimension(name: str = "event length", attributes: str = "") -> str:
    return f'<g:dimension g:compensation-ref="FCS" {attributes}><d:fcs-dimension d:name="{name}"/></g:dimension>'


def rectangle(name: str, *dimensions: str, parent: str = "") -> str:
    above = f' g:parent_id="{parent}"' if parent else ""
    return f'<g:RectangleGate g:id="{name}"{above}>{"".join(dimensions)}</g:RectangleGate>'


def read(tmp_path: Path, inner: str, **options: Any) -> GateSet:
    (tmp_path / "a.xml").write_text(WRAPPED.format(inner), encoding="utf-8")
    return import_gates(tmp_path / "a.xml", BOARD, **options).source


def negation(name: str, of: str) -> str:
    return f'<g:BooleanGate g:id="{name}"><g:not><g:gateReference g:ref="{of}"/></g:not></g:BooleanGate>'


RANGE = 'g:min="2" g:max="5"'
COORDINATES = '<g:coordinate d:value="1"/><g:coordinate d:value="2"/>'
ROWS = "".join(f'<g:row><g:entry d:value="{a}"/><g:entry d:value="{b}"/></g:row>' for a, b in ((1, 2), (2, 1)))
FLAT = (
    f'<g:EllipsoidGate g:id="e">{dimension() * 2}<g:mean>{COORDINATES}</g:mean>'
    f'<g:covarianceMatrix>{ROWS}</g:covarianceMatrix><g:distanceSquare d:value="1"/></g:EllipsoidGate>'
)
LOG = '<t:transformation t:id="s"><t:{} t:T="10" t:W="0.5" t:M="4.5" t:A="0" t:B="1" t:C="1"/></t:transformation>'
USES = rectangle("r", dimension("event length", f'{RANGE} g:transformation-ref="s"'))


@pytest.mark.parametrize(
    ("inner", "message"),
    [
        (LOG.format("hyperlog") + USES, "hyperlog 's': there is no such scale; logicle, which is nearly the same"),
        (LOG.format("fratio") + USES, "fratio 's': there is no such scale; a polygon over its two parameters fits"),
        (LOG.format("flog").replace('id="s"', 'id="s" t:boundMin="0"') + USES, "boundMin of flog 's': scales have no"),
        (USES, "gate 'r' names the transformation 's', which is not there"),
        (rectangle("r", dimension("FSC-A", RANGE)), "gate 'r': the sorter has no value 'FSC-A'; it has: class, event"),
        (rectangle("r", dimension("event length", RANGE).replace("FCS", "Spill")), "spectrumMatrix 'Spill': the board"),
        (rectangle("r", dimension()), "gate 'r' has no bounds"),
        (rectangle("r", dimension("event length", 'g:min="x"')), "min of dimension is 'x', no number"),
        (rectangle("r", dimension("event length", 'g:min="nan"')), "min of dimension is 'nan', no number"),
        (rectangle("r", dimension("class", 'g:min="3"')), "gate 'r': no class has a number from 3 to inf"),
        (rectangle("r", dimension("event length", RANGE), parent="q"), "gate 'r' names the gate 'q', which is not"),
        (rectangle("r", dimension("event length", RANGE)) * 2, "two gates have the id 'r'"),
        (
            rectangle("r", '<g:dimension><d:new-dimension d:transformation-ref="q"/></g:dimension>'),
            "gate 'r': new-dimension: there is none; a polygon over its two parameters fits",
        ),
        (
            f'<g:EllipsoidGate g:id="e">{dimension() * 3}</g:EllipsoidGate>',
            "EllipsoidGate 'e' has 3 dimensions; two, or several gates of two each, fit",
        ),
        (
            FLAT,
            "EllipsoidGate 'e' holds no point: its covariance matrix is not positive",
        ),
        (
            f'<g:PolygonGate g:id="p">{dimension("class") + dimension()}</g:PolygonGate>',
            "PolygonGate 'p' looks at 'class', which has no places between; a RectangleGate fits",
        ),
        ('<g:BooleanGate g:id="b"><g:xor/></g:BooleanGate>', "BooleanGate 'b' has none of and, or, not"),
        ('<g:RangeGate g:id="b"/>', "RangeGate 'b': there is no such gate"),
        ("", "it has no gates|does not say which gate"),
        (
            rectangle("r", dimension("event length", RANGE)) + rectangle("s", dimension("event length", RANGE)),
            "does not say which gate is sorted; give --direction OUTPUT=GATE, with one of: r, s",
        ),
        (
            negation("a", "b") + negation("b", "a") + rectangle("r", dimension("event length", RANGE)),
            "gates name each other in a circle: a -> b -> a",
        ),
    ],
)  # fmt: skip
def test_refused_by_name(tmp_path: Path, inner: str, message: str) -> None:
    with pytest.raises(IcsortError, match=message) as raised:
        read(tmp_path, inner)
    assert str(raised.value).startswith(f"{tmp_path / 'a.xml'}: ")
    assert "\n" not in str(raised.value)


def divider(name: str, parameter: str, *places: float) -> str:
    values = "".join(f"<g:value>{place}</g:value>" for place in places)
    inner = f'<d:fcs-dimension d:name="{parameter}"/>{values}'
    return f'<g:divider g:id="{name}" g:compensation-ref="FCS">{inner}</g:divider>'


def quadrant(name: str, x: float, y: float) -> str:
    places = "".join(f'<g:position g:divider_ref="{d}" g:location="{at}"/>' for d, at in (("dx", x), ("dy", y)))
    return f'<g:Quadrant g:id="{name}">{places}</g:Quadrant>'


def test_hierarchy_quadrants_and_many_dimensions(tmp_path: Path, seed: int) -> None:
    """By FlowKit as well: a parent is one more condition, quadrants are ranges, more dimensions are more tests."""
    recording(tmp_path / "a.fcs", np.random.default_rng(seed), 4000)
    box = rectangle(
        "box",
        dimension("event length", 'g:min="20"'),
        dimension("Size (PI)", 'g:max="9000"'),
        dimension("Delta CoM (Brightfield/PI)", 'g:min="-2000" g:max="3000"'),
        dimension("class", 'g:min="1"'),
    )
    corners = quadrant("low", -9, -99) + quadrant("middle", 1, 9) + quadrant("high", 30, 9)
    dividers = divider("dx", "logit G1", 0.5, 20) + divider("dy", "Total Intensity (PI)", -3)
    quadrants = f'<g:QuadrantGate g:id="q" g:parent_id="box">{dividers}{corners}</g:QuadrantGate>'
    references = '<g:gateReference g:ref="middle" g:use-as-complement="true"/><g:gateReference g:ref="high"/>'
    either = f'<g:BooleanGate g:id="either" g:parent_id="box"><g:or>{references}</g:or></g:BooleanGate>'
    names = ("low", "middle", "high", "either", "box")
    source = read(tmp_path, box + quadrants + either, directions=list(enumerate(names)))
    seen = preview(source, [Recording(FcsFile(tmp_path / "a.fcs"), MODEL)], MODEL, True)
    result = flowkit.parse_gating_xml(str(tmp_path / "a.xml")).gate_sample(flowkit.Sample(tmp_path / "a.fcs"))
    counts = result.report.set_index("gate_name")["count"].to_dict()
    assert {name: seen.gates[name].events for name in names} == {name: counts[name] for name in names}
    assert min(counts[name] for name in names) > 0


@pytest.mark.parametrize(
    "head",
    [
        '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]>',
        '<!DOCTYPE a SYSTEM "http://127.0.0.1:1/a.dtd">',
        '<!DOCTYPE a [<!ENTITY x "lol"><!ENTITY y "&x;&x;&x;&x;&x;&x;&x;&x;">]>',
    ],
)
def test_nothing_else_is_read(tmp_path: Path, head: str) -> None:
    inner = rectangle("r", dimension("event length", RANGE)).replace("r", "&x;", 1)
    (tmp_path / "a.xml").write_text(head + WRAPPED.format(inner))
    with pytest.raises(IcsortError, match=r"is XML with a document type that declares something"):
        import_gates(tmp_path / "a.xml", BOARD)


@pytest.mark.parametrize("text", ["", "<a>", "<a/>", "no xml", "\0"])
def test_no_gating_ml(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.xml").write_text(text)
    with pytest.raises(IcsortError, match=r"a\.xml: is (no XML|XML of a; give a Gating-ML 2\.0 file)"):
        import_gates(tmp_path / "a.xml", BOARD)
    with pytest.raises(IcsortError, match="cannot be read"):
        import_gates(tmp_path / "b.xml", BOARD)


def real(name: str) -> Path:
    path = real_data_folder() / "fcs_gating" / name
    if not path.exists():
        pytest.skip(f"{path} is not there: no gates of other programs are read here")
    return path


def test_a_file_of_cytobank(tmp_path: Path, seed: int) -> None:
    """An ellipse on a log scale, quadrants and populations: what it is over is named, and with names that the sorter
    has it selects what FlowKit says."""
    path = real("logtGml.xml")
    populations = [f"GateSet_{number}" for number in range(28056, 28061)]
    where = [(number, name) for number, name in enumerate(populations)]
    with pytest.raises(IcsortError, match=r"gate 'Gate_59484_Y2Qz': the sorter has no value 'V450-A'; it has: class"):
        import_gates(path, BOARD, directions=where)
    with pytest.raises(IcsortError, match="does not say which gate is sorted"):
        import_gates(path, BOARD)
    renamed = {
        "V450-A": "Max Intensity (Brightfield)", "FSC-A": "Total Intensity (PI)", "B710-A": "Size (PI)",
        "R780-A": "Size (Brightfield)",
    }  # fmt: skip
    source = import_gates(path, BOARD, directions=where, renamed=renamed).source
    names = [parameter.name for parameter in layout(ALL, ()).parameters]
    rng = np.random.default_rng(seed)
    rows = np.zeros((5000, len(names)))
    rows[:, names.index("Total Intensity (PI)")] = rng.integers(0, 200_000, 5000)
    for name in set(renamed.values()) - {"Total Intensity (PI)"}:
        rows[:, names.index(name)] = np.rint(10 ** rng.uniform(2, 5, 5000))
    writer = FcsWriter(tmp_path / "a.fcs", layout(ALL, ()).parameters, layout().keywords(), ())
    writer.write(rows)
    writer.close({})
    text = path.read_text(encoding="utf-8").replace('compensation-ref="FCS"', 'compensation-ref="uncompensated"')
    for name, value in renamed.items():
        text = text.replace(f'data-type:name="{name}"', f'data-type:name="{parameter_name(value)}"')
    (tmp_path / "renamed.xml").write_text(text, encoding="utf-8")
    found = memberships(tmp_path / "renamed.xml", flowkit.Sample(tmp_path / "a.fcs"))
    seen = preview(source, [Recording(FcsFile(tmp_path / "a.fcs"), MODEL)], MODEL, True)
    for name in populations:
        expected, counted = int(found[name].sum()), seen.gates[name]
        assert expected > 20
        assert abs(counted.events - expected) <= counted.changed <= 50
