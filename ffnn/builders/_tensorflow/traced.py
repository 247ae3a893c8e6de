"""Functions traced once, whatever the number of rows."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping
from typing import Any

import tensorflow as tf

from ffnn.builders._tensorflow._private import single_threaded

__all__ = ["Traced"]


class Traced:
    """A traced function of a fit's variables and of tensors, of which no first axis has a fixed length.

    So no fold of a search traces anew. The variables are arguments: fits share the program and nothing else.

    Parameters
    ----------
    function : callable
        ``function(*variables, *arguments, *constants)``.
    in_turn : bool
        Whether its operations run one after the other, each on as many cores as it likes, rather than as they are
        ready. Small operations then take half the time, as no thread hands them to another.
    as_it_is : bool
        Whether TensorFlow leaves it as it was traced, where it runs in turn. To optimize the graph of a small network
        takes as long as ten of its epochs, and makes them no faster.
    compiled : bool
        Whether it is compiled by XLA, for the shapes that it is given.
    """

    def __init__(
        self, function: Callable[..., Any], *, in_turn: bool = False, as_it_is: bool = False, compiled: bool = False
    ) -> None:
        self._function = tf.function(function, autograph=False, jit_compile=compiled or None)
        self._compiled = compiled
        self._concrete: dict[Hashable, Any] = {}
        # on a GPU, copies from and to it have to wait beside the rest
        self._in_turn = in_turn and not tf.config.list_logical_devices("GPU")
        self._as_it_is = as_it_is

    def __call__(self, variables: tuple[Any, ...], arguments: tuple[Any, ...], *constants: Hashable) -> Any:
        """Call the function.

        Parameters
        ----------
        variables : tuple
            Nested lists of ``tf.Variable``, of the same shapes in each call.
        arguments : tuple
            Nested tensors, of the same ranks in each call.
        constants : hashable
            What makes another program.
        """
        if self._in_turn:
            try:
                with single_threaded(optimize=not self._as_it_is):
                    return self._call(variables, arguments, constants)
            except (tf.errors.UnimplementedError, tf.errors.FailedPreconditionError):
                # an operation that cannot run so; found before any has run
                self._in_turn = False
                self._concrete.clear()
                self._function = tf.function(self._function.python_function, autograph=False)
        return self._call(variables, arguments, constants)

    def _call(self, variables: tuple[Any, ...], arguments: tuple[Any, ...], constants: tuple[Hashable, ...]) -> Any:
        # TensorFlow's own search and its checks of each argument take longer than a small prediction
        shape, tensors = _shape if self._compiled else _relaxed, list[Any]()
        key = (constants, _form(arguments, shape, tensors), *map(type, variables))
        concrete = self._concrete.get(key)
        if concrete is None:
            specs = tf.nest.map_structure(lambda t: tf.TensorSpec(shape(t), t.dtype), arguments)
            concrete = self._function.get_concrete_function(*variables, *specs, *constants)
            self._concrete[key] = concrete
        return concrete.inference_fn.call_preflattened([*_handles(variables), *tensors, *concrete.captured_inputs])


def _form(value: Any, shape: Callable[[Any], Hashable], tensors: list[Any]) -> Hashable:
    """Return what a program is traced for, of nested tensors, and append these in the order of its inputs."""
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
