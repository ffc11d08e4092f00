"""Who evaluates points: processes of this machine, or the workers of a Dask cluster.

Both take functions with arguments and give back what they return, in the order in which it is ready. A worker that dies
(killed, out of memory) loses only what it was at, which is given out again. What all tasks need is sent to each worker
once, and is in `SHARED` there.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from importlib import import_module
from typing import Any, Protocol

from rpusim.errors import InputError, shown

ATTEMPTS = 3
"""So often is a task given out alone before it is taken to be what kills its workers."""
SHARED: dict[str, Any] = {}
"""What was sent to this process for all tasks, by name."""

_PARENTS: list[int] = []
"""The process of the study, in one of its worker processes."""

Task = tuple[Callable[..., Any], tuple[Any, ...]]
"""A function of a module, and its arguments."""


class Died:
    """Stands for the result of a task whose worker died every time."""

    why = "the process that evaluated it was killed again and again (out of memory?)"


class Workers(Protocol):
    """Those who evaluate points. number: how many there are, as far as is known."""

    number: int

    def results(self, tasks: Sequence[Task]) -> Iterator[tuple[int, Any]]:
        """Yield the number of each task and what it returned, or `Died`, as they are ready."""
        ...

    def close(self) -> None:
        """Let the workers go, whatever they are at."""
        ...


class Here:
    """Evaluates points in this very process, one after the other. shared: what tasks find in `SHARED`."""

    number = 1

    def __init__(self, shared: dict[str, Any]) -> None:
        SHARED.update(shared)

    def results(self, tasks: Sequence[Task]) -> Iterator[tuple[int, Any]]:
        """Yield the number of each task and what it returned."""
        for i, (function, arguments) in enumerate(tasks):
            yield i, function(*arguments)

    def close(self) -> None:
        """Do nothing."""


class Processes:
    """Processes of this machine, started by joblib's loky, which does not run the user's script again.

    number: how many. shared: what tasks find in `SHARED`.
    """

    def __init__(self, number: int, shared: dict[str, Any]) -> None:
        self.number, self._shared = number, shared
        self._pool: Any = None

    def results(self, tasks: Sequence[Task]) -> Iterator[tuple[int, Any]]:
        """Yield the number of each task and what it returned, or `Died`, as they are ready."""
        left = list(range(len(tasks)))
        while left:
            before = len(left)
            for i, found in self._round(tasks, left, self.number):
                left.remove(i)
                yield i, found
            if len(left) == before:  # every worker was killed before it was done: try one task alone
                alone = left.pop(0)
                yield alone, self._alone(tasks, alone)

    def _alone(self, tasks: Sequence[Task], i: int) -> Any:
        for _ in range(ATTEMPTS):
            for _, found in self._round(tasks, [i], 1):
                return found
        return Died()

    def _round(self, tasks: Sequence[Task], chosen: list[int], number: int) -> Iterator[tuple[int, Any]]:
        """Give out some tasks; where a worker dies, those that are not done are not yielded."""
        from concurrent.futures import as_completed
        from concurrent.futures.process import BrokenProcessPool

        pool = self._started(number)
        try:
            futures = {pool.submit(tasks[i][0], *tasks[i][1]): i for i in chosen}
        except BrokenProcessPool:
            futures = {}
        for future in as_completed(futures):
            try:
                found = future.result()
            except BrokenProcessPool:
                self._pool = None
                continue
            yield futures[future], found
        if not futures:
            self._pool = None

    def _started(self, number: int) -> Any:
        if self._pool is None or self._pool[0] != number:
            try:
                from joblib.externals.loky import ProcessPoolExecutor
                from joblib.externals.loky.backend import get_context
            except ImportError:
                raise missing("study", "joblib") from None
            self.close()
            pool = ProcessPoolExecutor(number, context=get_context("loky"), initializer=serve, initargs=(self._shared,))
            self._pool = number, pool
        return self._pool[1]

    def close(self) -> None:
        """Let the workers go, whatever they are at."""
        if self._pool is not None:
            with contextlib.suppress(Exception):
                self._pool[1].shutdown(wait=False, kill_workers=True)
            self._pool = None


class Cluster:
    """Workers of a Dask cluster, which see the study's folder under the same path.

    where:   "tcp://HOST:PORT" of its scheduler; "slurm" or "kubernetes" for one that is started as dask-jobqueue's or
             dask-kubernetes' configuration says, and scaled to ``number`` workers.
    number:  of workers to start there; of a running scheduler it is what that one has.
    shared:  what tasks find in `SHARED`.

    Raises InputError if it cannot be reached, or an extra is missing.
    """

    def __init__(self, where: str, number: int, shared: dict[str, Any]) -> None:
        try:
            from distributed import WorkerPlugin
        except ImportError:
            raise missing("cluster", "dask") from None

        class Sharing(WorkerPlugin):
            """Sends what tasks share to every worker, those that come later included."""

            name = "rpusim-shared"

            def setup(self, worker: Any) -> None:
                share(shared)

        self._client: Any
        self._cluster = _started_cluster(where, number)
        try:
            self._client = _distributed().Client(self._cluster or where, timeout="20s")
        except (OSError, ValueError) as error:
            raise InputError(f"--scheduler: {shown(where)} cannot be reached ({shown(str(error))})") from None
        self._client.register_plugin(Sharing())
        self.number = max(1, len(self._client.scheduler_info()["workers"]))

    def results(self, tasks: Sequence[Task]) -> Iterator[tuple[int, Any]]:
        """Yield the number of each task and what it returned, or `Died`, as they are ready."""
        from distributed.scheduler import KilledWorker

        futures = {self._client.submit(f, *given, pure=False): i for i, (f, given) in enumerate(tasks)}
        for future in _distributed().as_completed(futures):
            try:
                found = future.result()
            except KilledWorker:
                found = Died()
            yield futures[future], found

    def close(self) -> None:
        """Let go of the cluster, and end one that was started for the study."""
        with contextlib.suppress(Exception):
            self._client.close()
            if self._cluster is not None:
                self._cluster.close()


def share(values: dict[str, Any]) -> None:
    """Have tasks find these in `SHARED`."""
    SHARED.update(values)


def serve(values: dict[str, Any]) -> None:
    """Begin a worker process. values: as of `share`."""
    share(values)
    _PARENTS.append(os.getppid())


def check_parent() -> None:
    """End a worker process whose study was killed; called where nothing is half done."""
    if _PARENTS and os.getppid() != _PARENTS[0]:
        os._exit(1)


def missing(extra: str, package: str) -> InputError:
    """Say that an extra has to be installed."""
    return InputError(f"study: {package} is not installed; run pip install 'rpusim[{extra}]'")


def _distributed() -> Any:
    """Return Dask's package for clusters, which has no types."""
    return import_module("distributed")


def _started_cluster(where: str, number: int) -> Any:
    """Start a cluster by the user's configuration of Dask; None if one runs already."""
    made = {"slurm": ("dask_jobqueue", "SLURMCluster"), "kubernetes": ("dask_kubernetes.operator", "KubeCluster")}
    if where not in made:
        return None
    package, name = made[where]
    try:
        cluster = getattr(import_module(package), name)()
    except ImportError:
        raise missing("cluster", package.partition(".")[0].replace("_", "-")) from None
    cluster.scale(number)
    return cluster
