"""The tasks of the executors' suite; workers import them by name."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

import joblib
import numpy as np

from ffnn.exceptions import ExecutorError
from ffnn.parallel.tasks.events import send_event


def gone(pid: int) -> bool:
    """Return whether a process of this machine has ended; zombies have."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


class Unpicklable(Exception):
    def __init__(self, one: int, two: int) -> None:
        super().__init__(f"{one} and {two}")


def send_events() -> str:
    sent = [send_event("each", {"n": n}) for n in range(50)]
    sent += [send_event("latest", n, latest_only=True) for n in range(1000)]
    return "sent" if all(sent) and send_event("last") else "refused"


def incremented(array: Any) -> Any:
    array += 1
    return array


def fail(message: str) -> None:
    raise ZeroDivisionError(message)


def fail_unpicklably() -> None:
    raise Unpicklable(1, 2)


def exit() -> None:
    raise SystemExit(3)


def die(path: Path) -> None:
    with path.open("a") as file:
        file.write("x")
    os.kill(os.getpid(), signal.SIGKILL)


def die_once(path: Path) -> str:
    if not path.exists():
        die(path)
    return "alive"


def sleep(path: Path, seconds: float = 300) -> None:
    path.write_text(str(os.getpid()))
    time.sleep(seconds)


def place() -> tuple[int, int]:
    return os.getpid(), threading.get_ident()


def meet(folder: Path, me: int, other: int, patience: float = 60.0) -> bool:
    (folder / str(me)).touch()
    wait_for((folder / str(other)).exists, patience)
    return True


def nested() -> int:
    return len(set(joblib.Parallel(n_jobs=4)(joblib.delayed(os.getpid)() for _ in range(8))))


def wait_for(condition: Any, timeout: float = 60.0) -> None:
    until = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > until:
            raise ExecutorError("waited too long")
        time.sleep(0.02)


def data() -> tuple[Any, Any]:
    random = np.random.default_rng(0)
    y = np.repeat([0, 1, 2], 30)
    return random.normal(size=(90, 4)) + y[:, None], y


def search(poison: bool = False, **options: Any) -> Any:
    from sklearn.model_selection import GridSearchCV
    from sklearn.neighbors import KNeighborsClassifier

    class Poison(KNeighborsClassifier):
        def fit(self, X: Any, y: Any) -> Any:
            if self.n_neighbors == 3:
                os.kill(os.getpid(), signal.SIGKILL)
            return super().fit(X, y)

    kind = Poison if poison else KNeighborsClassifier
    # one split is enough, since replacing a lost worker takes seconds: it imports scikit-learn again
    cv = [(np.arange(0, 90, 2), np.arange(1, 90, 2))] if poison else 2
    return GridSearchCV(kind(), {"n_neighbors": [1, 3, 5]}, cv=cv, **options)
