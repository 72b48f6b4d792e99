# SPDX-License-Identifier: Apache-2.0
"""Pools of jobs: order, a process that dies, an error, an end before the end; also on a Ray cluster of two workers."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import psutil
import pytest
from numpy.typing import NDArray
from scipy import linalg

from icsort import jobs
from icsort.errors import IcsortError
from icsort.jobs import TRIES, job_pool
from tests.ray_cluster import until

SIZE = 60
ON = [
    pytest.param({"jobs": 2}, id="processes"),
    pytest.param({"ray": ""}, id="ray", marks=[pytest.mark.full, pytest.mark.xdist_group("ray")]),
]


@pytest.fixture(params=ON)
def where(request: pytest.FixtureRequest) -> dict[str, Any]:
    return {"ray": request.getfixturevalue("ray_cluster")} if "ray" in request.param else dict(request.param)


def spectrum(folder: Path, number: int, seed: int) -> tuple[int, NDArray[np.float64]]:
    """Eigenvalues of a symmetric matrix of this number; the first try of number 3 ends its process for good."""
    first_try = folder / f"tried-{number}"
    if not first_try.exists():
        first_try.touch()
        if number == 3:
            os.kill(os.getpid(), signal.SIGKILL)
    if number == 0:
        time.sleep(0.5)  # others are done before
    matrix = np.random.default_rng([seed, number]).normal(size=(SIZE, SIZE))
    matrix += matrix.T
    matrix[0, 0] += 1  # what a job gets is its own
    return os.getpid(), linalg.eigvalsh(matrix)


def test_a_killed_worker_s_job_is_run_again(where: dict[str, Any], tmp_path: Path, seed: int) -> None:
    """Eight jobs, two workers, one of which is killed: all results, in order, and those of one process alone."""
    work = [(tmp_path, number, seed) for number in range(8)]
    with job_pool(**where) as pool:
        results = list(pool.run(spectrum, work))
    assert os.getpid() not in {process for process, _ in results}
    with job_pool() as alone:
        expected = list(alone.run(spectrum, work))  # nobody is killed now
    assert {process for process, _ in expected} == {os.getpid()}
    for (_, values), (_, others) in zip(results, expected, strict=True):
        assert np.array_equal(values, others)
    assert len({values[0] for _, values in results}) == 8


def deadly(folder: Path, number: int) -> int:
    with (folder / f"tries-{number}").open("a") as tries:
        tries.write("x")
    if number == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def test_a_job_that_always_kills_its_process_ends_all(where: dict[str, Any], tmp_path: Path) -> None:
    with job_pool(**where) as pool, pytest.raises(IcsortError, match=rf"died {TRIES} times"):
        list(pool.run(deadly, [(tmp_path, number) for number in range(3)]))
    tries = len((tmp_path / "tries-1").read_text())
    assert TRIES <= tries <= TRIES * (TRIES + 1)  # on this machine those of another job's death are counted apart


def refused(folder: Path, number: int) -> int:
    if number == 2:
        raise IcsortError("job 2: is no good; give another")
    (folder / f"ran-{number}").touch()
    time.sleep(0.1)
    return number


def test_an_error_is_raised_as_it_is(where: dict[str, Any], tmp_path: Path) -> None:
    with (
        job_pool(**where) as pool,
        pytest.raises(IcsortError, match=r"^job 2: is no good; give another$"),
    ):
        list(pool.run(refused, [(tmp_path, number) for number in range(40)]))
    assert len(list(tmp_path.iterdir())) < 39


def patient(folder: Path, number: int) -> int:
    if number == 0:
        return os.getpid()
    try:
        (folder / f"pid-{os.getpid()}").touch()
        for _ in range(1200):
            time.sleep(0.1)
    finally:
        (folder / f"cleaned-{number}").touch()
    return number


def test_leaving_off_stops_the_others(where: dict[str, Any], tmp_path: Path) -> None:
    """What Ctrl-C in the loop over the results does, too."""
    with job_pool(**where) as pool:
        results = pool.run(patient, [(tmp_path, number) for number in range(4)])
        next(results)
        until(lambda: any(tmp_path.glob("pid-*")), "no job began")
        results.close()  # type: ignore[attr-defined]
        if "ray" in where:
            assert list(tmp_path.glob("cleaned-*"))
    if "jobs" in where:
        ended = [int(path.name.removeprefix("pid-")) for path in tmp_path.glob("pid-*")]
        until(lambda: not any(psutil.pid_exists(process) for process in ended), "a process is left")


def parent(folder: Path, number: int) -> int:
    """A job that waits for a process of its own, as those of `icsort search` do."""
    if number:
        child = subprocess.Popen(["sleep", "600"])
        (folder / f"pid-{child.pid}").touch()
        child.wait()
    return number


def test_processes_of_a_stopped_job_end_too(
    where: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "END_SECONDS", 0.5)
    with job_pool(**where) as pool:
        results = pool.run(parent, [(tmp_path, 0), (tmp_path, 1)])
        next(results)
        until(lambda: any(tmp_path.glob("pid-*")), "no job began")
        results.close()  # type: ignore[attr-defined]
    (child,) = [int(path.name.removeprefix("pid-")) for path in tmp_path.glob("pid-*")]
    until(lambda: not psutil.pid_exists(child) or psutil.Process(child).status() == "zombie", "a process is left")


def test_jobs_find_the_driver_s_folder(where: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("note").write_text("here")
    with job_pool(**where) as pool:
        assert list(pool.run(Path.read_text, [(Path("note"),)] * 3)) == ["here"] * 3


def test_what_a_job_closes_over_comes_along(where: dict[str, Any], seed: int) -> None:
    shared = np.random.default_rng(seed).normal(size=200_000)

    def scaled(factor: int) -> NDArray[np.float64]:
        return factor * shared

    with job_pool(**where) as pool:
        results = list(pool.run(scaled, [(1,), (2,)]))
    assert np.array_equal(results, [shared, 2 * shared])
    for result in results:
        result[:] = 0  # what comes back is the driver's own


@pytest.mark.full
@pytest.mark.xdist_group("ray")
def test_a_machine_with_another_icsort_or_without_the_folder(
    ray_cluster: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    with job_pool(ray=ray_cluster) as pool:
        monkeypatch.setattr("icsort.__version__", "9.9.9")
        with pytest.raises(IcsortError, match=r"has icsort .*, and the jobs are of 9\.9\.9; install one"):
            list(pool.run(os.getpid, [()]))
        monkeypatch.undo()
        monkeypatch.setattr(jobs, "Path", SimpleNamespace(cwd=lambda: "/nowhere/at/all"))
        with pytest.raises(IcsortError, match="does not see the folder /nowhere/at/all"):
            list(pool.run(os.getpid, [()]))


def test_bad_addresses_are_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(IcsortError, match="--jobs 2 is of this machine"), job_pool(2, "auto"):
        pass
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(IcsortError, match=r"pip install 'icsort\[ray\]'"), job_pool(ray="auto"):
        pass
    monkeypatch.undo()
    ray = pytest.importorskip("ray")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # nobody listens there, and nobody else may
        nobody = f"127.0.0.1:{taken.getsockname()[1]}"
        for address, said in (
            ("ray://head:10001", "give HOST:PORT"),
            ("head", "give HOST:PORT"),
            (":6379", "give HOST:PORT"),
            (nobody, "nobody answers there"),
            ("127.0.0.1:99999", "nobody answers there"),
        ):
            with pytest.raises(IcsortError, match=said), job_pool(ray=address):
                pass

    def alone(**_: object) -> None:
        raise ConnectionError("Could not find any running Ray instance. Please specify ..\nmore")

    monkeypatch.setattr(ray, "init", alone)
    said = r"^--ray auto: the cluster cannot be joined \(Could not .*head$"
    with pytest.raises(IcsortError, match=said), job_pool(ray="auto"):
        pass
