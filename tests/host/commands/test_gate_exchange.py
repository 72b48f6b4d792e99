# SPDX-License-Identifier: Apache-2.0
"""`icsort gate export` and `icsort gate import`."""

import json
from pathlib import Path
from typing import Any

from typer.testing import CliRunner

from icsort.cli.root import app
from icsort.errors import IcsortError

GATES = """
format = "icsort-gate-set"
version = 1
name = "long mitotic cells"

[scales.wide]
kind = "logicle"
t = 262144.0
m = 4.5
w = 0.5

[[tests]]
name = "mitotic"
kind = "class"
classes = ["M"]
posterior = 0.5

[[tests]]
name = "round and large"
kind = "range"
x = {value = "Eccentricity (PI)", max = 0.5}
y = {value = "Total Intensity (PI)", scale = "wide", min = 0.4}

[[gates]]
name = "sort"
all = ["mitotic", "not round and large"]

[[directions]]
output = 3
gate = "sort"
priority = 2
"""


def icsort(*words: str) -> str:
    """What a command that must end well says."""
    done = CliRunner().invoke(app, words, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout


def document(*words: str) -> Any:
    return json.loads(icsort(*words, "--json"))


def refusal(*words: str) -> str:
    """The error of a command that must fail."""
    raised = CliRunner().invoke(app, words).exception
    assert isinstance(raised, IcsortError)
    return str(raised)


def test_out_and_in(package: Path, tmp_path: Path) -> None:
    """The gate set that comes back is the same for the board, word by word."""
    gates, xml, back = (tmp_path / name for name in ("gates.toml", "gates.xml", "back.toml"))
    gates.write_text(GATES)
    model = ("--model", str(package))
    made = document("gate", "export", str(gates), "--out", str(xml), *model)
    assert made == {"file": str(xml), "tests": 2, "gates": 1, "changes": []}
    read = icsort("gate", "import", str(xml), "--out", str(back), *model)
    first, *changes = read.splitlines()
    assert first == f"{back}: 2 tests, 1 gates"
    assert "mitotic: posterior of M at least 32768/65536 = 0.5, and the best class is of them" in changes
    identities = [document("gate", "check", str(file), *model)["identity"] for file in (gates, back)]
    assert identities[0] == identities[1]
    # Only an earlier result is replaced, and only where that is asked for.
    for words in (("export", str(gates), "--out", str(xml)), ("import", str(xml), "--out", str(back))):
        assert "exists already" in refusal("gate", *words, *model)
        icsort("gate", *words, *model, "--force")
    notes = tmp_path / "notes"
    notes.write_text("kept")
    assert "is not an earlier result" in refusal("gate", "export", str(gates), "--out", str(notes), *model, "--force")
    assert notes.read_text() == "kept"


def test_what_is_wrong_is_said_and_nothing_is_written(package: Path, tmp_path: Path) -> None:
    gates, xml, out = (tmp_path / name for name in ("gates.toml", "gates.xml", "out.toml"))
    gates.write_text(GATES)
    line = refusal("gate", "export", str(gates), "--out", str(xml))
    assert "test 'mitotic' asks for the best class" in line
    assert "give --model" in line
    assert not xml.exists()
    icsort("gate", "export", str(gates), "--out", str(xml), "--model", str(package))
    into = ("gate", "import", str(xml), "--out", str(out), "--model", str(package))
    assert "has no gate 'all'; its gates are: mitotic, round and large, sort" in refusal(*into, "--direction", "1=all")
    assert "'left' is no output; give 0 to 5" in refusal(*into, "--direction", "left=sort")
    assert "sort: is not of the form NAME=VALUE" in refusal(*into, "--direction", "sort")
    assert "output" in refusal(*into, "--direction", "9=sort")
    xml.write_text(xml.read_text().replace("Eccentricity", "Roundness"))
    assert "the sorter has no value 'Roundness (PI)'" in refusal(*into)
    assert not out.exists()
    icsort(*into, "--rename", "Roundness (PI)=Eccentricity (PI)", "--direction", "1=round and large")
    assert 'gate = "round and large"' in out.read_text()


WORKSPACE = """<Workspace flowJoVersion="10.8.1" xmlns:g="http://www.isac-net.org/std/Gating-ML/v2.0/gating"
 xmlns:t="http://www.isac-net.org/std/Gating-ML/v2.0/transformations"
 xmlns:d="http://www.isac-net.org/std/Gating-ML/v2.0/datatypes"><SampleList>
<Sample><t:spilloverMatrix prefix="Comp-" suffix=""><d:parameter d:name="PE-A"/></t:spilloverMatrix>
<SampleNode name="a.fcs"><Subpopulations><Population name="Live"><Gate><g:RectangleGate>
<g:dimension g:min="100"><d:fcs-dimension d:name="Comp-PE-A"/></g:dimension></g:RectangleGate></Gate>
<Subpopulations><Population name="Round"><Gate><g:RectangleGate>
<g:dimension g:max="0.5"><d:fcs-dimension d:name="Eccentricity (PI)"/></g:dimension></g:RectangleGate></Gate>
</Population></Subpopulations></Population></Subpopulations></SampleNode></Sample>
<Sample><SampleNode name="b.fcs"/></Sample></SampleList></Workspace>"""


def test_a_workspace(package: Path, tmp_path: Path) -> None:
    """One of its samples is said; what is compensated there is told among the changes."""
    wsp, out, xml = tmp_path / "a.wsp", tmp_path / "gates.toml", tmp_path / "gates.xml"
    wsp.write_text(WORKSPACE)
    into = ("gate", "import", str(wsp), "--out", str(out), "--model", str(package))
    assert "has 2 samples; give --sample with one of: a.fcs, b.fcs" in refusal(*into)
    assert "it has no gates" in refusal(*into, "--sample", "b.fcs")
    assert "the sorter has no value 'Comp-PE-A'" in refusal(*into, "--sample", "a.fcs")
    assert not out.exists()
    made = document(*into, "--sample", "a.fcs", "--rename", "Comp-PE-A=Total Intensity (PI)")
    assert (made["tests"], made["gates"]) == (2, 1)
    assert made["changes"][0].startswith("Comp-PE-A: compensation is not part of the gates")
    assert 'all = ["Live", "Live/Round (shape)"]' in out.read_text()
    icsort("gate", "export", str(out), "--out", str(xml), "--model", str(package))
    again = ("gate", "import", str(xml), "--out", str(out), "--model", str(package), "--force")
    assert "Gating-ML has no samples; leave --sample away" in refusal(*again, "--sample", "a.fcs")
    icsort(*again)
