"""``ffnn.cached(transformer)``: a transformer that computes each fit and each transform once."""

from __future__ import annotations

import functools
import inspect
import numbers
import pickle
import random
from collections.abc import Callable
from typing import Any

import numpy as np
import sklearn
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.utils.validation import check_is_fitted

from ffnn._utils._private import has_callbacks
from ffnn.parallel.content.draws import draws
from ffnn.parallel.sharing.memory_store import current_store
from ffnn.parallel.sharing.names import name_of
from ffnn.parallel.tasks.contents import walk

__all__ = ["CachedTransformer", "borrow", "cached"]

_OWN = ("_transformer", "_name", "_repeatable")
_MOST = 10_000  # items of a list among which other estimators are looked for
_HARMLESS = (str, bytes, numbers.Number, type(None))  # cannot be changed by whom they are given to


def cached(transformer: Any) -> CachedTransformer:
    """Wrap a transformer so that its copies in this process compute each fit and each transform once.

    What is computed is kept under a name that is made of the transformer's class and code, its parameters and the
    data, all by their content. So the copies that a search makes of a pipeline share it, also in threads. The memory
    for this is bounded (1 GiB); what was used least recently is dropped, and computed again when it is needed.

    Parameters
    ----------
    transformer : estimator
        A transformer, which stays as it is.

    Returns
    -------
    CachedTransformer
        It has the parameters, methods and attributes of the transformer, under the same names, and the same results.

    Raises
    ------
    TypeError
        If it is no transformer.

    Notes
    -----
    A transformer is computed each time, as without this, if

    - it, or an estimator in it, has ``warm_start=True``, or may draw with a ``random_state`` that is not a whole
      number;
    - it draws from the global generator of NumPy or of Python, changes its X, or returns X or a part of its memory;
    - it, or its data, cannot be pickled.

    A transformer that draws random numbers in any other way must not be wrapped, nor one whose results depend on
    anything else that changes meanwhile: a file, the time, a global variable of its module, or an attribute that was
    set on its class at run time. What it prints, and its warnings, appear once.

    ``make_pipeline`` names the step ``cachedtransformer``, as the parameters of a grid then begin; ``Pipeline`` takes a
    name of yours.

    In a pool with ``share=True``, the workers share what they compute, and nothing need be wrapped.

    Examples
    --------
    >>> import ffnn
    >>> from sklearn.feature_extraction.text import CountVectorizer
    >>> from sklearn.pipeline import make_pipeline
    >>> pipeline = make_pipeline(ffnn.cached(CountVectorizer()), ffnn.MLPClassifier())
    """
    named = None if isinstance(transformer, type) else transformer
    if not (hasattr(named, "get_params") and hasattr(named, "fit") and hasattr(named, "transform")):
        raise TypeError(
            f"transformer must be an estimator with fit and transform; got {transformer!r} of type "
            f"{type(transformer).__name__}. Pass an instance, for instance ffnn.cached(CountVectorizer())."
        )
    return CachedTransformer(transformer)


class CachedTransformer:
    """A transformer of which each fit and each transform is computed once; made by :func:`cached`.

    Parameters
    ----------
    transformer : estimator
        The transformer.
    """

    _transformer: Any
    _name: str | None  # of the fit that the transformer is the result of; None if it is not shared
    _repeatable: bool

    def __init__(self, transformer: Any) -> None:
        self.__dict__.update(_transformer=transformer, _name=None, _repeatable=True)

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the parameters of the transformer."""
        return dict(self._transformer.get_params(deep=deep))

    def set_params(self, **params: Any) -> CachedTransformer:
        """Set parameters of the transformer."""
        self.__dict__["_name"] = None
        self._transformer.set_params(**params)
        return self

    def _fit(self, method: str, *args: Any, **params: Any) -> Any:
        """Fit the transformer, or take the result of the same call."""
        transformer = self._transformer
        repeatable = _gives_the_same(transformer)
        name = name_of((method, sklearn.get_config(), clone(transformer), args, params)) if repeatable else None
        self.__dict__.update(_name=None, _repeatable=repeatable)
        if name is None:
            result = getattr(transformer, method)(*args, **params)
            return self if result is transformer else result

        def make() -> tuple[Any, bool]:
            fitted = clone(transformer)
            watch = _Watch(args, params)
            result = getattr(fitted, method)(*args, **params)
            self.__dict__["_repeatable"] = not watch.has_drawn
            return (fitted, result), watch.allows(result)

        (fitted, result), shared = current_store().get(name, make)
        self.__dict__.update(_transformer=fitted, _name=name if shared and not _has_generator(fitted) else None)
        return self if result is fitted else result

    def _transform(self, *args: Any, **params: Any) -> Any:
        """Transform data, or take the result of the same call."""
        fitted = self._transformer
        name = self._name and name_of(("transform", self._name, sklearn.get_config(), args, params))
        if not name:
            return fitted.transform(*args, **params)

        def make() -> tuple[Any, bool]:
            watch = _Watch(args, params)
            result = fitted.transform(*args, **params)
            return result, watch.allows(result)

        return current_store().get(name, make)[0]

    @property
    def is_repeatable(self) -> bool:
        """Whether the last fit showed nothing that could make the same fit give another result."""
        return self._repeatable

    # --- everything else, the signatures of the methods above too, is the transformer's

    def __getattr__(self, name: str) -> Any:
        """Return an attribute of the transformer."""
        if name in _OWN or (name.startswith("__") and not name.startswith("__sklearn")):
            raise AttributeError(name)
        value = getattr(self._transformer, name)
        if name in ("fit", "fit_transform"):
            return functools.wraps(value)(functools.partial(self._fit, name))
        if name == "transform":
            return functools.wraps(value)(functools.partial(self._transform))
        if inspect.ismethod(value) or name.startswith("set_"):
            return functools.wraps(value)(functools.partial(self._call, value))
        if not isinstance(value, _HARMLESS):
            self.__dict__["_name"] = None  # it may be changed from now on
        return value

    def _call(self, method: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        result = method(*args, **kwargs)
        if result is self._transformer or method.__name__.startswith(("fit", "partial_fit", "set_")):
            self.__dict__["_name"] = None
        return self if result is self._transformer else result

    def __setattr__(self, name: str, value: object) -> None:
        """Set an attribute of the transformer."""
        self.__dict__["_name"] = None
        setattr(self._transformer, name, value)

    def __delattr__(self, name: str) -> None:
        """Delete an attribute of the transformer."""
        # scikit-learn deletes after a fit what it set before, on a transformer that this one has replaced meanwhile
        if hasattr(self._transformer, name):
            self.__dict__["_name"] = None
            delattr(self._transformer, name)

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *dir(self._transformer)})

    def __repr__(self) -> str:
        return f"cached({self._transformer!r})"

    def __reduce__(self) -> Any:
        return type(self), (self._transformer,)

    def __sklearn_clone__(self) -> Any:
        return type(self)(clone(self._transformer))

    def __sklearn_is_fitted__(self) -> bool:
        try:
            check_is_fitted(self._transformer)
        except NotFittedError:
            return False
        return True


class _Borrowed(CachedTransformer):
    """A cached transformer that is cloned and pickled as the transformer itself."""

    def __reduce__(self) -> Any:
        return _itself, (self._transformer,)

    def __sklearn_clone__(self) -> Any:
        return clone(self._transformer)


def borrow(transformer: Any) -> CachedTransformer:
    """Return a cached transformer that becomes the transformer itself again when it is cloned or pickled."""
    return transformer if isinstance(transformer, CachedTransformer) else _Borrowed(transformer)


def _itself(thing: Any) -> Any:
    return thing


def _gives_the_same(transformer: Any) -> bool:
    """Return whether a fit depends on nothing but the parameters and the data, as far as the parameters say."""
    for inner in walk(transformer, width=_MOST):
        if hasattr(type(inner), "get_params"):
            own = inner.get_params(deep=False)
            # a generator with a seed will not do, as a fit advances it
            is_seeded = isinstance(own.get("random_state", 0), numbers.Integral) or not draws(inner)
            if not is_seeded or own.get("warm_start") or has_callbacks(inner):
                return False
    return True


class _Watch:
    """Watches what a call does besides returning a result."""

    def __init__(self, args: tuple[Any, ...], params: dict[str, Any]) -> None:
        self._data = args, params
        self._name = name_of(self._data)
        self._generators = _generators()

    @property
    def has_drawn(self) -> bool:
        """Whether the call has drawn from a global generator."""
        return self._generators != _generators()

    def allows(self, result: Any) -> bool:
        """Return whether others may have the result: it has no side effects, and is no part of the data."""
        args, params = self._data
        is_part = any(_overlaps(result, data) for data in (*args, *params.values()))
        return not is_part and not self.has_drawn and self._name == name_of(self._data)


def _overlaps(result: Any, data: Any) -> bool:
    arrays = isinstance(result, np.ndarray) and isinstance(data, np.ndarray)
    return result is data or (arrays and np.may_share_memory(result, data))


def _has_generator(fitted: Any) -> bool:
    """Return whether each transform of a fitted transformer may draw other random numbers."""
    own = getattr(fitted, "__dict__", {}).values()
    return any(isinstance(value, np.random.RandomState | np.random.Generator) for value in own)


def _generators() -> tuple[object, ...]:
    """Return the states of the global generators, in a form that can be compared."""
    return pickle.dumps(np.random.get_state(legacy=False)), random.getstate()
