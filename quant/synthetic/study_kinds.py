# SPDX-License-Identifier: Apache-2.0
"""36 generated classes that mirror the kinds of the image-enabled cell sorting study (see docs/data.md).

Eleven human cell lines, ten blood cell types of mouse bone marrow, one green label in seven compartments of HeLa cells,
five stain combinations of HeLa cells and one of them repeated on another day, a treatment and its control. Which are
easy and which nearly alike is written beside them.
"""

from dataclasses import replace

from icsort.quant.synthetic.anatomy import Kind, Stain

_HELA = Kind(radius_um=8.4, spread=0.09, ruffles=0.03, nucleus=0.62, granules=9)
_DNA = (Stain("nucleus", "green", 0.30),)
_ALIVE = (Stain("cytosol", "green", 0.25),)
_LYMPHOCYTE = Kind(radius_um=3.5, spread=0.05, ruffles=0.015, nucleus=0.82, granules=2, index=1.0, stains=_DNA)

# All lines carry the same stain of living cells: size, nucleus, granules and outline tell them apart.
_CELL_LINES = {
    "HeLa": replace(_HELA, stains=_ALIVE),
    "HEK293": Kind(radius_um=7.0, nucleus=0.68, granules=5, ruffles=0.02, stains=_ALIVE),
    "K562": Kind(radius_um=9.3, nucleus=0.66, granules=4, ruffles=0.012, elongation=0.04, stains=_ALIVE),
    "Jurkat": Kind(radius_um=5.6, nucleus=0.78, granules=3, stains=_ALIVE),
    "Raji": Kind(radius_um=5.4, nucleus=0.75, granules=3.6, stains=_ALIVE),  # nearly Jurkat
    "THP-1": Kind(radius_um=7.1, nucleus=0.60, granules=10, granule_scatter=1.2, lobes=2, stains=_ALIVE),
    "HL-60": Kind(radius_um=6.3, nucleus=0.64, granules=15, granule_scatter=1.1, stains=_ALIVE),
    "U2OS": Kind(radius_um=9.6, nucleus=0.52, granules=7, elongation=0.16, ruffles=0.05, stains=_ALIVE),
    "A549": Kind(radius_um=7.9, nucleus=0.58, granules=14, index=1.1, stains=_ALIVE),
    "MCF-7": Kind(radius_um=9.0, nucleus=0.60, granules=9, index=0.9, ruffles=0.04, stains=_ALIVE),
    "HepG2": Kind(radius_um=8.1, nucleus=0.56, granules=19, index=1.1, granule_scatter=1.2, stains=_ALIVE),  # near A549
}

_CD4_NAIVE = _LYMPHOCYTE
_CD4_MEMORY = replace(_LYMPHOCYTE, radius_um=3.65, nucleus=0.79, granules=2.8)
_CD8_NAIVE = replace(_LYMPHOCYTE, radius_um=3.4, index=1.06, granules=2.4)

# Six kinds of T cell are nearly alike; the ill-defined ones are no kind of their own but a mixture of three others.
_BONE_MARROW = {
    "CD4 T naive": _CD4_NAIVE,
    "CD4 T memory": _CD4_MEMORY,
    "CD4 T effector": replace(_LYMPHOCYTE, radius_um=4.0, nucleus=0.74, granules=4),
    "CD4 T ill defined": Kind(mixture=(_CD4_NAIVE, _CD4_MEMORY, _CD8_NAIVE)),
    "CD8 T naive": _CD8_NAIVE,
    "CD8 T memory": replace(_LYMPHOCYTE, radius_um=3.7, nucleus=0.77, index=1.06, granules=4),
    "B cell": replace(_LYMPHOCYTE, radius_um=3.7, nucleus=0.84, index=0.9, granules=1.5),
    "NK cell": replace(_LYMPHOCYTE, radius_um=4.3, nucleus=0.70, granules=9, granule_scatter=1.2),
    "Monocyte": Kind(radius_um=5.3, nucleus=0.64, lobes=2, granules=9, granule_scatter=0.9, stains=_DNA),
    "Neutrophil": Kind(radius_um=4.7, nucleus=0.66, lobes=3, granules=20, granule_scatter=1.3, stains=_DNA),
}


def _prepared(radius: float, granules: float, index: float, *stains: Stain) -> Kind:
    """HeLa cells whose preparation left them this much larger, more granular and denser."""
    return replace(
        _HELA,
        radius_um=_HELA.radius_um * radius,
        granules=_HELA.granules * granules,
        index=_HELA.index * index,
        stains=stains,
    )


# The same green label in another place: easy in the green channel, nearly alike without it.
_COMPARTMENTS = {
    "HeLa membrane": _prepared(1.02, 1.0, 0.94, Stain("membrane", "green")),
    "HeLa nucleus": _prepared(1.0, 0.9, 1.0, Stain("nucleus", "green")),
    "HeLa nucleoli": _prepared(0.97, 1.0, 1.06, Stain("nucleoli", "green", 0.14)),
    "HeLa mitochondria": _prepared(1.0, 1.5, 1.04, Stain("mitochondria", "green")),
    "HeLa Golgi": _prepared(0.98, 1.2, 0.97, Stain("golgi", "green", 0.10)),
    "HeLa reticulum": _prepared(1.05, 1.1, 1.0, Stain("reticulum", "green")),
    "HeLa lysosomes": _prepared(1.02, 1.9, 1.0, Stain("lysosomes", "green", 0.18)),
}

_TWO_COLOURS = _prepared(1.0, 1.0, 1.0, Stain("nucleus", "green"), Stain("membrane", "orange"))

# Easy by the bandpass channels; but the last one is the first one again, imaged on a day when the stain took a little
# better, as one class of the study was.
_COMBINATIONS = {
    "HeLa green orange": _TWO_COLOURS,
    "HeLa green red": _prepared(0.97, 1.1, 1.03, Stain("mitochondria", "green"), Stain("nucleus", "red")),
    "HeLa orange far red": _prepared(1.03, 1.0, 0.97, Stain("membrane", "orange"), Stain("nucleus", "far red")),
    "HeLa green far red": _prepared(1.0, 1.2, 0.96, Stain("golgi", "green", 0.10), Stain("nucleus", "far red")),
    "HeLa four colours": _prepared(
        0.95,
        1.3,
        1.06,
        Stain("membrane", "green"),
        Stain("mitochondria", "orange"),
        Stain("nucleus", "red"),
        Stain("lysosomes", "far red", 0.18),
    ),
    "HeLa green orange, day 2": replace(
        _TWO_COLOURS, stains=tuple(replace(stain, amount=stain.amount * 1.06) for stain in _TWO_COLOURS.stains)
    ),
}

# The drug disperses the Golgi apparatus: seen in the green channel, hardly elsewhere.
_TREATMENT = {
    "HeLa untreated": _prepared(1.0, 1.0, 1.0, Stain("golgi", "green", 0.10), Stain("nucleus", "red")),
    "HeLa treated": _prepared(1.0, 1.15, 1.0, Stain("golgi dispersed", "green", 0.14), Stain("nucleus", "red")),
}

KINDS: dict[str, Kind] = _CELL_LINES | _BONE_MARROW | _COMPARTMENTS | _COMBINATIONS | _TREATMENT
