# SPDX-License-Identifier: Apache-2.0
"""Cross-validation: one training a fold, so that every cell is tested exactly once, by a network that has not seen it.

A folder of folds holds `folds.json` (the plan), a run `fold-1`, .. for each and, of quantized networks, its package
`package-1`, ... An interrupted training in folds goes on where it was: what is done is kept.
"""

import json
import shutil
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from icsort.errors import IcsortError
from icsort.formats.package import MANIFEST_FILE
from icsort.jobs import job_pool
from icsort.output import check_target, planned_folder, write_record
from icsort.quant.acquire.choose import BRIGHTEST, Rules
from icsort.quant.cells.dataset import Dataset
from icsort.quant.cells.splits import Split, folds
from icsort.quant.networks.architectures import Architecture
from icsort.quant.packaging.export import export_package
from icsort.quant.training.checkpoint import STATE_FILE, Checkpoint
from icsort.quant.training.recipe import Recipe
from icsort.quant.training.runs import FOLDS_FILE, METRICS_FILE
from icsort.quant.training.seen import parts_had
from icsort.quant.training.train import Sources, train_run

FORMAT = "icsort-folds"
VERSION = 1
REPORT_FILES = ("evaluation.json", "report.html")  # that `icsort train --folds` writes beside the runs


@dataclass(frozen=True)
class Fold:
    """Number `number` (from 1) of a folder of folds."""

    folder: Path
    number: int

    @property
    def run(self) -> Path:
        """Its training."""
        return self.folder / f"fold-{self.number}"

    @property
    def package(self) -> Path:
        """Its model package, where the network is quantized."""
        return self.folder / f"package-{self.number}"


def is_folds(folder: Path) -> bool:
    """Whether the folder is one of `train_folds`."""
    return (folder / FOLDS_FILE).is_file()


def folds_in(folder: Path) -> list[Fold]:
    """The folds of such a folder. Raises IcsortError for one that is unfinished or of another version."""
    try:
        plan = json.loads((folder / FOLDS_FILE).read_text(encoding="utf-8"))
        if (plan["format"], plan["version"]) != (FORMAT, VERSION):
            raise IcsortError(f"{folder}: was made by another version of icsort; train again")
        run_folds = [Fold(folder, number + 1) for number in range(plan["folds"])]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise IcsortError(f"{folder / FOLDS_FILE}: cannot be read ({error}); train again") from None
    for fold in run_folds:
        if not (fold.run / METRICS_FILE).is_file():
            raise IcsortError(f"{fold.run}: is not finished; go on with the same `icsort train --folds`")
    return run_folds


def train_folds(
    dataset: Dataset,
    out: Path,
    count: int,
    recipe: Recipe | None = None,
    architecture: Architecture | None = None,
    sources: Sources | None = None,
    *,
    jobs: int = 1,
    ray: str | None = None,
    seed: int = 0,
    height: int | None = None,
    window: str = "trigger",
    brightest: float = BRIGHTEST,
    rules: Rules | None = None,
    normalize: str = "none",
    device: str = "auto",
    force: bool = False,
    progress: bool = True,
) -> list[Fold]:
    """Train what is not yet in the folder `out`, and export it. Returns the folds.

    count: of the folds, each tested by a training on the others (cells.splits.folds). jobs: trainings side by side,
    each in a process; ray: on a cluster instead (icsort.jobs), all of which sees `out`. A start or teacher that is a
    folder of as many folds gives each fold its own, and cells keep the parts they had there. force: throw away what
    `out` holds of another training in folds. The rest as for `train_run`.

    Raises IcsortError as `train_run` does, for an `out` that holds other folds, and for a start, teacher or weights
    that have seen cells which would be tested.
    """
    recipe, architecture, sources = recipe or Recipe(), architecture or Architecture(), sources or Sources()
    sources_of = [_of_fold(sources, number, count) for number in range(1, count + 1)]
    identities = dataset.identities
    kept = [parts_had(identities, own.seen()) for own in sources_of]
    known = any((parts >= 0).any() for parts in kept)
    splits = folds(
        dataset.labels, dataset.classes, count, seed, dataset.groups, identities, kept=kept if known else None
    )
    plan = {
        "format": FORMAT,
        "version": VERSION,
        "folds": count,
        "data": dataset.sha256(),
        "architecture": asdict(architecture),
        "recipe": asdict(recipe),
        "sources": {
            "start": None if sources.start is None else sources.start.resolve().name,
            "teacher": [folder.resolve().name for folder in sources.teacher],
            "weights": None if sources.weights is None else sources.weights.name,
        },
        "options": {
            "seed": seed,
            "height": height,
            "window": window,
            "brightest": brightest,
            "rules": asdict(rules or Rules()),
            "normalize": normalize,
        },
    }
    run_folds = [Fold(out, number) for number in range(1, count + 1)]

    def train(fold: Fold, own: Sources, parts: Split) -> None:
        if not (fold.run / METRICS_FILE).is_file():
            train_run(
                dataset,
                fold.run,
                recipe,
                architecture,
                own,
                parts=parts,
                seed=seed,
                height=height,
                window=window,
                brightest=brightest,
                rules=rules,
                normalize=normalize,
                device=device,
                resume=(Checkpoint(fold.run).folder / STATE_FILE).is_file(),
                progress=progress and jobs == 1 and ray is None,
            )
        if architecture.weight_bits is not None and not (fold.package / MANIFEST_FILE).is_file():
            export_package(fold.run, fold.package, f"{out.resolve().name}-{fold.number}")

    with job_pool(jobs, ray) as pool:
        if force and out.exists():
            check_target(out, FOLDS_FILE, force)
            shutil.rmtree(out)
        planned_folder(out, FOLDS_FILE, plan, "training in folds")
        states = [f"{Checkpoint(fold.run).folder.name}/{STATE_FILE}" for fold in run_folds]
        write_record(out, FOLDS_FILE, [FOLDS_FILE, *REPORT_FILES, *states])
        for _ in pool.run(train, zip(run_folds, sources_of, splits, strict=True)):
            pass
    return run_folds


def _of_fold(sources: Sources, number: int, count: int) -> Sources:
    """The sources with the run of this fold for each folder of folds. Raises IcsortError for another number of them."""

    def own(folder: Path) -> Path:
        if not is_folds(folder):
            return folder
        source_folds = folds_in(folder)
        if len(source_folds) != count:
            raise IcsortError(
                f"{folder}: holds {len(source_folds)} folds, not {count}; give --folds {len(source_folds)}"
            )
        return source_folds[number - 1].run

    return replace(
        sources,
        start=None if sources.start is None else own(sources.start),
        teacher=tuple(own(folder) for folder in sources.teacher),
    )
