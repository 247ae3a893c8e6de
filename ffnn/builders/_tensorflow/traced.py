"""Functions that TensorFlow traces once for any number of rows."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping
from typing import Any

import tensorflow as tf

from ffnn.builders._tensorflow._private import single_threaded

__all__ = ["TracedFunction"]


class TracedFunction:
    """A function of variables and tensors, traced once for any length of the tensors' first axes.

    So the folds of a search share one trace. Variables are arguments and are not captured, so fits share the program
    and nothing else.

    Parameters
    ----------
    function : callable
        ``function(*variables, *arguments, *constants)``.
    sequential : bool
        Whether operations run one after the other, each on any number of cores, rather than as soon as their inputs
        are ready. This halves the time of small operations, which then need not be handed from thread to thread.
    optimized : bool
        Whether TensorFlow optimizes the graph of a sequential function. For a small network that takes as long as ten
        epochs, and does not make them faster.
    compiled : bool
        Whether XLA compiles the function for each shape of the arguments.
    """

    def __init__(
        self, function: Callable[..., Any], *, sequential: bool = False, optimized: bool = True, compiled: bool = False
    ) -> None:
        self._function = tf.function(function, autograph=False, jit_compile=compiled or None)
        self._compiled = compiled
        self._concrete: dict[Hashable, Any] = {}
        # on a GPU, copies to and from the host must not block other operations
        self._sequential = sequential and not tf.config.list_logical_devices("GPU")
        self._optimized = optimized

    def __call__(self, variables: tuple[Any, ...], arguments: tuple[Any, ...], *constants: Hashable) -> Any:
        """Call the function.

        Parameters
        ----------
        variables : tuple
            ``tf.Variable`` in nested lists and tuples, of the same shapes in each call.
        arguments : tuple
            Nested tensors, of the same ranks in each call.
        constants : hashable
            Python values; each combination has its own trace.
        """
        if self._sequential:
            try:
                with single_threaded(optimize=self._optimized):
                    return self._call(variables, arguments, constants)
            except (tf.errors.UnimplementedError, tf.errors.FailedPreconditionError):
                # an operation cannot run sequentially; TensorFlow raises before any has run
                self._sequential = False
                self._concrete.clear()
                self._function = tf.function(self._function.python_function, autograph=False)
        return self._call(variables, arguments, constants)

    def _call(self, variables: tuple[Any, ...], arguments: tuple[Any, ...], constants: tuple[Hashable, ...]) -> Any:
        # TensorFlow's own lookup and checks of arguments take longer than a small prediction
        shape, tensors = _shape if self._compiled else _relaxed, list[Any]()
        key = (constants, _form(arguments, shape, tensors), *map(type, variables))
        concrete = self._concrete.get(key)
        if concrete is None:
            specs = tf.nest.map_structure(lambda t: tf.TensorSpec(shape(t), t.dtype), arguments)
            concrete = self._function.get_concrete_function(*variables, *specs, *constants)
            self._concrete[key] = concrete
        return concrete.inference_fn.call_preflattened([*_handles(variables), *tensors, *concrete.captured_inputs])


def _form(value: Any, shape: Callable[[Any], Hashable], tensors: list[Any]) -> Hashable:
    """Return the key of the trace for nested tensors, and append the tensors in the order of its inputs."""
    if isinstance(value, tuple):
        return tuple([_form(part, shape, tensors) for part in value])
    if isinstance(value, Mapping):
        return tuple([(name, _form(value[name], shape, tensors)) for name in sorted(value)])
    tensors.append(value)
    return value.dtype, shape(value)


def _handles(variables: Any) -> Iterator[Any]:
    if isinstance(variables, (tuple, list)):
        for part in variables:
            yield from _handles(part)
    elif variables is not None:
        yield variables.handle


def _shape(t: Any) -> tuple[int, ...]:
    return tuple(t.shape.as_list())


def _relaxed(t: Any) -> tuple[int | None, ...]:
    shape = t.shape.as_list()
    return (None, *shape[1:]) if shape else ()
