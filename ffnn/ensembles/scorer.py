"""A scorer that keeps the models it scores.

A search of scikit-learn gets numbers from its fits and drops the models. But a scorer is given each fitted model, and
the dictionary of numbers that it may return comes back from wherever the fit ran. So :class:`ModelScorer` returns a
second number beside the score: a :class:`ModelNumber`, which carries the model. The number is random, so that it
identifies the model in ``cv_results_``. If a task runs twice, one of its models is in no result, and is dropped.
"""

from __future__ import annotations

import contextlib
import secrets
import warnings
from collections.abc import Callable, Iterator
from typing import Any

__all__ = ["MODEL", "SCORE", "ModelNumber", "ModelScorer", "received_models"]

SCORE, MODEL = "score", "model"  # the two numbers
_NO_MODEL = 0.0

#: Where arriving models are put: one dictionary for each search that runs in this process.
_receivers: list[dict[float, Any]] = []


class ModelNumber(float):
    """A random number, exact in float64, that carries a fitted model and hands it over where it is unpickled."""

    model: Any

    @classmethod
    def of(cls, model: Any) -> ModelNumber:
        """Return a new number for a model."""
        number = cls(1 + secrets.randbits(52))
        number.__setstate__({"model": model})
        return number

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        for receiver in list(_receivers):
            receiver[float(self)] = self.model


@contextlib.contextmanager
def received_models() -> Iterator[dict[float, Any]]:
    """Collect the models that are scored in this process, or come back to it, by their numbers.

    Where other searches run at the same time in this process, theirs are among them.
    """
    receiver: dict[float, Any] = {}
    _receivers.append(receiver)
    try:
        yield receiver
    finally:
        _receivers[:] = [other for other in _receivers if other is not receiver]


class ModelScorer:
    """A scorer that returns a score and, as a second number, the model.

    Parameters
    ----------
    scorer : callable
        Called as ``scorer(estimator, X, y, **params)``; returns a number, or a dictionary of numbers.
    metric : str or None
        Which number of a dictionary is the score.
    error_score : float or "raise"
        The score where the scorer raises an exception.
    accepts_sample_weight : bool
        Whether the scorer can weight samples.
    """

    def __init__(
        self, scorer: Callable[..., Any], metric: str | None, error_score: Any, accepts_sample_weight: bool
    ) -> None:
        self.scorer = scorer
        self.metric = metric
        self.error_score = error_score
        self._accepts_sample_weight = accepts_sample_weight

    def __call__(self, estimator: Any, X: Any, y: Any, **params: Any) -> dict[str, float]:
        """Score a model and keep it."""
        try:
            score = self.scorer(estimator, X, y, **params)
            if isinstance(score, dict):
                score = one_score(score, self.metric)
        except Exception as error:  # as in scikit-learn, which would return one number here, not two
            if self.error_score == "raise":
                raise
            warnings.warn(
                f"Scoring failed: {type(error).__name__}: {error}. The score is error_score={self.error_score!r}.",
                UserWarning,
                stacklevel=2,
            )
            return {SCORE: self.error_score, MODEL: _NO_MODEL}
        return {SCORE: score, MODEL: ModelNumber.of(estimator)}

    def __repr__(self) -> str:
        return repr(self.scorer)

    def _accept_sample_weight(self) -> bool:
        """Answer scikit-learn's question; the name is the one that its own scorers have."""
        return self._accepts_sample_weight


def one_score(scores: dict[str, Any], metric: str | None) -> Any:
    """Return the score of several that counts."""
    if metric not in scores:
        raise ValueError(
            f"scoring returned {len(scores)} scores ({', '.join(map(str, scores))}), and an ensemble ranks candidates "
            f"by one. Name it by the search's refit, for instance refit={next(iter(scores), 'score')!r}."
        )
    return scores[metric]
