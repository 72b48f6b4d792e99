# SPDX-License-Identifier: Apache-2.0
"""Independent jobs side by side: in processes of this machine (joblib), or on the machines of a Ray cluster.

A job whose process dies is run again, at most TRIES times in all; so a job must give the same when it is repeated. An
exception of a job ends all of them. What a job gets it may not write to. Workers of a cluster have this icsort, work in
the driver's folder, which they must see under the same path, and get what a job needs; results come back to the driver.
"""

import logging
import os
import pickle
import socket
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import BrokenExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol, TypeVar

from icsort.errors import IcsortError

TRIES = 3  # of a job whose process dies
REACH_SECONDS = 5  # to wait for the cluster's head
END_SECONDS = 20  # that jobs which are stopped get to clean up behind themselves

Result = TypeVar("Result")


class Pool(Protocol):
    """Where jobs run."""

    def run(self, work: Callable[..., Result], arguments: Iterable[tuple[Any, ...]]) -> Iterator[Result]:
        """The result of `work(*each)` for each of the arguments, in their order, as soon as it and those before it are
        there. The first exception of a job stops the others and is raised here, as is an IcsortError where a job's
        process dies TRIES times. Who leaves off before the end (close, Ctrl-C) stops them too."""
        ...


@contextmanager
def job_pool(jobs: int = 1, ray: str | None = None) -> Iterator[Pool]:
    """A pool of `jobs` processes (1: none but this one), or of all processors of a Ray cluster.

    ray: HOST:PORT of the cluster's head, or "auto" for the one that this machine belongs to. Raises IcsortError where
    Ray is not installed or the cluster cannot be joined, and for both at once.
    """
    if ray is None:
        yield HERE if jobs == 1 else _Processes(jobs)
        return
    if jobs != 1:
        raise IcsortError(f"--jobs {jobs} is of this machine and --ray {ray} of a cluster: give one of them")
    cluster = _Cluster(ray)
    try:
        yield cluster
    finally:
        cluster.leave()


class _Processes:
    """A pool on this machine."""

    def __init__(self, jobs: int = 1) -> None:
        self._jobs = jobs

    def run(self, work: Callable[..., Result], arguments: Iterable[tuple[Any, ...]]) -> Iterator[Result]:
        if self._jobs == 1:
            yield from (work(*each) for each in arguments)
            return
        from joblib import Parallel, delayed

        waiting = dict(enumerate(arguments))
        done: dict[int, Result] = {}
        given = deaths = 0
        while waiting:
            # with one process joblib would run the job in this one
            processes = min(self._jobs, max(2, len(waiting)))
            calls = [delayed(_numbered)(number, work, each) for number, each in waiting.items()]
            results = Parallel(n_jobs=processes, return_as="generator_unordered")(calls)
            try:
                for number, result in results:
                    del waiting[number]
                    done[number], deaths = result, 0
                    while given in done:
                        yield done.pop(given)
                        given += 1
            except BrokenExecutor:  # which of them it was, nobody knows
                deaths += 1
                if deaths == TRIES:
                    raise IcsortError(
                        f"a process of --jobs {self._jobs} died {TRIES} times, as for want of memory; give fewer --jobs"
                    ) from None
            finally:
                results.close()


def _numbered(number: int, work: Callable[..., Result], arguments: tuple[Any, ...]) -> tuple[int, Result]:
    return number, work(*arguments)


HERE: Pool = _Processes()  # one job after the other, in this process


class _Cluster:
    """A pool on a Ray cluster. Results come as pickled bytes: arrays that Ray shares could not be written to, and would
    stay in its store."""

    def __init__(self, address: str) -> None:
        try:
            import ray
        except ImportError:
            raise IcsortError("--ray: ray is not installed: pip install 'icsort[ray]'") from None
        self._ray, self._address, self._own = ray, address, not ray.is_initialized()
        _check_address(address)
        if self._own:
            try:
                ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
            except (ConnectionError, RuntimeError, ValueError, OSError) as error:
                reason = str(error).strip().splitlines()[0]
                raise IcsortError(
                    f"--ray {address}: the cluster cannot be joined ({reason}); start Ray on this machine too: "
                    "`ray start --head`, or `ray start --address HOST:PORT` of the head"
                ) from None

    def leave(self) -> None:
        if self._own:
            self._ray.shutdown()

    def run(self, work: Callable[..., Result], arguments: Iterable[tuple[Any, ...]]) -> Iterator[Result]:
        from icsort import __version__

        ray: Any = self._ray
        dumps = ray.cloudpickle.dumps
        task = ray.remote(num_cpus=1, max_retries=0)(_in_worker)  # tries are counted here
        shared = ray.put(dumps(work))
        each = [dumps(one) for one in arguments]
        tries: Counter[int] = Counter()
        running: dict[Any, int] = {}

        def start(number: int) -> None:
            tries[number] += 1
            running[task.remote(shared, each[number], str(Path.cwd()), __version__)] = number

        done: dict[int, Result] = {}
        try:
            for number in range(len(each)):
                start(number)
            for number in range(len(each)):
                while number not in done:
                    (reference,), _ = ray.wait(list(running), num_returns=1)
                    ended = running.pop(reference)
                    try:
                        done[ended] = pickle.loads(ray.get(reference))
                    except ray.exceptions.RayTaskError as error:
                        raise self._reason(error) from None
                    except ray.exceptions.RayError as error:  # of a process or machine, not of the job
                        if tries[ended] == TRIES:
                            reason = str(error).strip().splitlines()[0]
                            raise IcsortError(
                                f"--ray {self._address}: the process of job {ended + 1} of {len(each)} died {TRIES} "
                                f"times ({reason}); give the cluster's machines more memory, or fewer processors"
                            ) from None
                        start(ended)
                yield done.pop(number)
        finally:
            self._stop(list(running))

    def _reason(self, error: Any) -> Exception:
        """What a job raised; as an IcsortError where it could not begin."""
        if "No module named 'icsort'" in str(error):
            return IcsortError(
                f"--ray {self._address}: a machine of the cluster has no icsort; install this one in the environment "
                "that its `ray start` runs in"
            )
        cause: Exception = error.cause
        return cause

    def _stop(self, references: list[Any]) -> None:
        """As Ctrl-C would, so that nothing half written stays; then by force."""
        if not references:
            return
        for reference in references:
            self._ray.cancel(reference)
        _, left = self._ray.wait(references, num_returns=len(references), timeout=END_SECONDS)
        for reference in left:
            self._ray.cancel(reference, force=True)


def _check_address(address: str) -> None:
    """Ray itself waits for minutes for a head that is not there."""
    if address == "auto":
        return
    host, colon, port = address.rpartition(":")
    if not colon or not host or "/" in host or not port.isdigit():
        raise IcsortError(f"--ray {address}: give HOST:PORT of the cluster's head, such as 10.0.0.1:6379, or auto")
    try:
        socket.create_connection((host, int(port)), REACH_SECONDS).close()
    except (OSError, OverflowError) as error:
        raise IcsortError(
            f"--ray {address}: nobody answers there ({error}); start the cluster with `ray start --head --port {port}`"
        ) from None


def _in_worker(work: bytes, arguments: bytes, folder: str, version: str) -> bytes:
    """A job in a process of the cluster, as if it ran in the driver's folder."""
    import platform

    from ray import cloudpickle

    from icsort import __version__

    if __version__ != version:
        raise IcsortError(
            f"{platform.node()}: has icsort {__version__}, and the jobs are of {version}; install one on all machines"
        )
    try:
        os.chdir(folder)
    except OSError:
        raise IcsortError(
            f"{platform.node()}: does not see the folder {folder}; work in one that all machines of the cluster share"
        ) from None
    result: bytes = cloudpickle.dumps(pickle.loads(work)(*pickle.loads(arguments)))  # type: ignore[no-untyped-call]
    return result
