# SPDX-License-Identifier: Apache-2.0
"""The training loop: epochs of one network on one set of samples, resumable to the bit, in one process or several."""

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import sem
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim.lr_scheduler import CosineAnnealingLR, LambdaLR, LRScheduler, OneCycleLR
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from icsort.cli import console
from icsort.errors import IcsortError
from icsort.quant.networks.architectures import Network
from icsort.quant.networks.blocks import fit_norms, keep_gammas_positive
from icsort.quant.training.processes import Processes
from icsort.quant.training.recipe import Recipe
from icsort.quant.training.samples import Samples
from icsort.quant.training.tasks import Row, Task

BATCH = 256  # cells that are scored at once
NORM_CELLS = 2048  # training cells to which the batch norms of averaged weights are fitted
SHORTEST = 10  # steps of a cycle; torch divides by zero for fewer
Teacher = Callable[[Tensor], Tensor]


@dataclass
class EpochChoice:
    """What a training has come to: a row an epoch, and the weights of the epoch that is chosen by the validation part.

    least: losses (N,) of the validation cells in the epoch of the least mean loss.
    """

    history: list[Row] = field(default_factory=list)
    best: dict[str, Tensor] = field(default_factory=dict)
    best_epoch: int = 0
    least: Tensor = field(default_factory=lambda: torch.empty(0, dtype=torch.float64))

    def add(self, row: Row, losses: NDArray[np.float64]) -> bool:
        """Take up an epoch and the losses (N,) of the validation cells. Returns whether it is now the chosen one.

        The last epoch within one standard error of the least loss (the rule of Breiman et al. 1984, section 3.4.3, for
        the size of trees). A few hundred cells cannot tell epochs apart that are closer, and of these the last is the
        most settled; the least loss itself, or the best accuracy, is often an unfinished epoch with lucky cells.

        Raises IcsortError for a loss that is no finite number: such an epoch can be neither chosen nor passed over.
        """
        if not np.isfinite(losses).all():
            raise IcsortError(
                f"training diverged in epoch {row['epoch']:.0f} (the validation loss is {losses.mean()}); "
                "try a smaller --learning-rate"
            )
        self.history.append(row)
        if not len(self.least):
            self.least = torch.from_numpy(losses)
        worse = losses - self.least.numpy()
        if worse.mean() < 0:
            self.least = torch.from_numpy(losses)
        if worse.mean() > 0 and (len(worse) < 2 or worse.mean() > sem(worse)):
            return False
        self.best_epoch = int(row["epoch"])
        return True


class Fitting:
    """One training: network, optimizer, schedule, averaged weights and random draws, whose whole state can be saved."""

    def __init__(
        self,
        model: Network,
        training: Samples,
        validation: Samples,
        recipe: Recipe,
        task: Task,
        seed: int,
        processes: Processes,
        teacher: Teacher | None = None,
    ) -> None:
        """task: what is learned. teacher: pixels to outputs (n, K)."""
        self.model = processes.place(model)
        self.training, self.validation, self.recipe = training, validation, recipe
        self.processes, self.teacher, self.task = processes, teacher, task
        self.parallel: nn.Module = DistributedDataParallel(self.model) if processes.count > 1 else self.model
        self.optimizer = torch.optim.AdamW(
            self.model.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay
        )
        self.steps = math.ceil(len(training.labels) / recipe.batch)
        self.schedule = _schedule(self.optimizer, recipe, self.steps * recipe.epochs)
        self.averaged = (
            AveragedModel(self.model, multi_avg_fn=get_ema_multi_avg_fn(recipe.average), use_buffers=True)
            if recipe.average
            else None
        )
        self.order = torch.Generator().manual_seed(seed)  # the same in all processes, which share each batch
        self.draw = torch.Generator().manual_seed(seed + 1 + processes.rank)
        self.progress = EpochChoice()

    def state(self) -> dict[str, Any]:
        """All that `restore` needs to go on as if nothing had happened."""
        return {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
            "averaged": None if self.averaged is None else self.averaged.state_dict(),
            "order": self.order.get_state(),
            "draw": self.processes.gather(self.draw.get_state()),
            "progress": vars(self.progress),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Take up what `state` gave. Raises IcsortError for another number of processes or an earlier version."""
        if "progress" not in state:
            raise IcsortError("the training was begun by an earlier version of icsort; start it again with --force")
        if len(state["draw"]) != self.processes.count:
            raise IcsortError(
                f"the training was begun with {len(state['draw'])} processes, not {self.processes.count}; "
                "resume it with as many"
            )
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.schedule.load_state_dict(state["schedule"])
        if self.averaged is not None:
            # in place: brevitas makes its quantizers anew on load_state_dict, and a copied network's then share the
            # steps of the network that it was copied from
            kept = self.averaged.state_dict()
            for name, value in state["averaged"].items():
                kept[name].copy_(value)
        self.order.set_state(state["order"])
        self.draw.set_state(state["draw"][self.processes.rank])
        self.progress = EpochChoice(**state["progress"])

    def run(self, after_epoch: Callable[[Row], None], progress: bool) -> EpochChoice:
        """Train the epochs that are left. after_epoch: called in the first process, when the epoch can be saved."""
        done = len(self.progress.history)
        with console.progress("train", progress) as report:
            report("epoch", done, self.recipe.epochs)
            for epoch in range(done + 1, self.recipe.epochs + 1):
                loss = self._epoch(epoch)
                row: Row = {"epoch": epoch, "learning_rate": float(self.schedule.get_last_lr()[0]), "train_loss": loss}
                kept = self._kept()
                outputs = predict(kept, self.validation.upright())
                losses = self.task.losses(outputs, self.validation.labels)
                scores = self.task.score(outputs, self.validation.labels) | {"calibrated_loss": float(losses.mean())}
                row |= {f"validation_{name}": value for name, value in scores.items() if name != "cells"}
                if self.progress.add(row, losses):
                    self.progress.best = copy.deepcopy(kept.state_dict())
                after_epoch(row)
                told = self.task.shown[-1]
                shown = f"{told.replace('_', ' ')} {scores[told]:.3f}"
                report("epoch", epoch, self.recipe.epochs, f"loss {loss:.3f}, {shown}")
        return self.progress

    def _epoch(self, epoch: int) -> float:
        """One pass over the training cells. Returns the mean loss of this process's share."""
        self.model.train()
        total, cells = 0.0, 0
        for whole in torch.randperm(len(self.training.labels), generator=self.order).tensor_split(self.steps):
            indices = whole[self.processes.rank :: self.processes.count]
            pixels = self.training.batch(indices, self.recipe.shift, self.recipe.jitter, self.draw)
            loss = self._loss(self.processes.to_device(pixels), self.processes.to_device(self.training.labels[indices]))
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
            self.schedule.step()
            if self.model.quantized:
                keep_gammas_positive(self.model)
            if self.averaged is not None:
                self.averaged.update_parameters(self.model)
            total += float(loss.detach()) * len(indices)
            cells += len(indices)
        if not math.isfinite(total):
            raise IcsortError(
                f"training diverged in epoch {epoch} (the loss is {total}); try a smaller --learning-rate"
            )
        return total / cells

    def _kept(self) -> nn.Module:
        """The network that is scored and kept: averaged weights need batch norms that were fitted to them.

        Averaged statistics are those of other weights (Izmailov et al. 2018, section 3.2) and of cells that are turned
        and moved; behind coarse quantizers both cost some points.
        """
        if self.averaged is None:
            return self.model
        cells = torch.randperm(len(self.training.labels), generator=self.draw)[:NORM_CELLS].split(BATCH)
        batches = (self.processes.to_device(self.training.upright()[part].float()) for part in cells)
        fit_norms(self.averaged.module, batches)
        return self.averaged.module

    def _loss(self, pixels: Tensor, labels: Tensor) -> Tensor:
        outputs = self.parallel(pixels)
        loss = self.task.loss(outputs, labels)
        if self.teacher is None:
            return loss
        share = self.recipe.distillation
        with torch.no_grad():
            teacher_outputs = self.teacher(pixels)
        return (1 - share) * loss + share * self.task.follow(outputs, teacher_outputs)


def _schedule(optimizer: torch.optim.Optimizer, recipe: Recipe, steps: int) -> LRScheduler:
    if recipe.schedule == "one-cycle":
        return OneCycleLR(optimizer, recipe.learning_rate, total_steps=max(steps, SHORTEST) + 1, pct_start=0.2)
    if recipe.schedule == "cosine":
        return CosineAnnealingLR(optimizer, steps)
    return LambdaLR(optimizer, lambda _: 1.0)


def predict(model: nn.Module, pixels: Tensor) -> Tensor:
    """Outputs (N, K) of pixels uint8 (N, C, H, W), on the CPU; the network is in evaluation mode afterwards."""
    device = next(model.parameters()).device
    model.eval()
    with torch.no_grad():
        return torch.cat([model(batch.to(device).float()).cpu() for batch in torch.split(pixels, BATCH)])
