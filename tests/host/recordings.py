# SPDX-License-Identifier: Apache-2.0
"""Events as a board reports them, drawn at random, and a program that records some until somebody kills it."""

import hashlib
import random
import sys
import time
from pathlib import Path

import numpy as np

from icsort.formats import acquisition
from icsort.formats import package as manifest
from icsort.formats.event_record import Group
from icsort.formats.recording import Layout
from icsort.host.link.protocol import EventRecord, Timing
from icsort.host.recorder import Recorder
from icsort.host.sorter import Losses
from icsort.sim.bit_true import features
from icsort.sim.bit_true.event_flag import EventFlag
from icsort.sim.bit_true.scheduler import Outcome

MODEL = b"stands for a QONNX file"
CLOCK_HZ = 100_000_000
ALL = Group.BASE | Group.TIMING | Group.FEATURES | Group.LOGITS


def example() -> manifest.Manifest:
    """A model of three classes and two channels."""
    logits = manifest.LogitsSpec(scale=0.0093, temperature=0.7)
    return manifest.Manifest(
        name="example",
        created_by="icsort test",
        classes=("G1", "S", "M"),
        channels=("Brightfield", "PI"),
        input=acquisition.InputSpec(height=40, width=38, channels=2),
        line=acquisition.LineSpec(width=104, x_offset=10),
        trigger=acquisition.TriggerSpec(
            weights=(0, 1), on=1965, off=1800, end_lines=3, max_lines=90, pre_lines=2, post_lines=2
        ),
        preprocess=acquisition.PreprocessSpec(background=(482, 34), gain=(33290, -12806), shift=16),
        logits=logits,
        posterior=manifest.PosteriorSpec.of(logits),
        accuracy=manifest.AccuracySpec(accuracy=0.75, balanced_accuracy=0.5, cells=274),
        data=manifest.DataSpec(source="generated", hash="0" * 64, split_seed=3),
        files={manifest.MODEL_FILE: hashlib.sha256(MODEL).hexdigest()},
    )


def layout(groups: Group = ALL, gates: tuple[str, ...] = ("round", "bright, large")) -> Layout:
    return Layout(example(), CLOCK_HZ, groups, gates)


def event(number: int, groups: Group = ALL) -> EventRecord:
    """The event of this number: always the same."""
    draw = random.Random(number)
    logits = tuple(draw.randint(-600, 600) for _ in range(3))
    outcome = draw.choice(list(Outcome))
    blind = draw.random() < 0.05
    values = tuple(draw.randint(-(2**31), 2**31 - 1) for _ in range(features.count(2)))
    return EventRecord(
        seq=number % 256,
        event_id=number,
        time=2**40 + 3000 * number + draw.randrange(2000),
        tag=number % 256,
        outcome=outcome,
        direction=draw.choice([None, *range(6)]),
        flags=EventFlag.FEATURELESS if blind else EventFlag(draw.choice([0, 1, 4, 18])),
        length=draw.randint(1, 255),
        class_index=int(np.argmax(logits)),
        posterior=draw.randrange(2**16),
        gates=draw.getrandbits(32),
        timing=Timing(draw.randrange(2**20), draw.randint(-500, 500), number // 100)
        if Group.TIMING in groups
        else None,
        features=None if blind or Group.FEATURES not in groups else values,
        logits=logits if Group.LOGITS in groups else None,
    )


def record_until_killed(path: Path) -> None:
    """Records event after event, and says how many were given to the recorder and when."""
    with Recorder(path, layout(), {}, Losses(), max_events=3000) as recorder:
        number = 0
        while True:
            for _ in range(100):
                recorder.add(event(number))
                number += 1
            print(number, time.time(), flush=True)
            time.sleep(0.01)


if __name__ == "__main__":
    record_until_killed(Path(sys.argv[1]))
