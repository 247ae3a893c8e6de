"""TensorFlow's private names that ffnn uses."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["free_functions", "single_threaded"]


def free_functions() -> None:
    """Free the traced functions that nobody needs: they are in reference cycles, and their kernels in a cache.

    ``Context.clear_kernel_cache`` of ``tensorflow.python.eager.context``; without it, half a megabyte of each program
    stays. Kernels that are needed again are made again in some milliseconds.
    """
    gc.collect()
    try:
        from tensorflow.python.eager.context import context
    except ImportError:
        return
    clear = getattr(context(), "clear_kernel_cache", None)
    if clear is not None:
        clear()


@contextmanager
def single_threaded(*, optimize: bool) -> Iterator[None]:
    """Run the functions that this thread calls one operation at a time, and trace its loops to run so.

    ``function_executor_type`` and ``context`` of ``tensorflow.python.eager.context``, which have no public equivalent.
    Without them, functions run on TensorFlow's default executor, which is slower for small operations.

    Parameters
    ----------
    optimize : bool
        Whether TensorFlow optimizes the graphs of functions that are called for the first time.
    """
    try:
        from tensorflow.python.eager.context import context, function_executor_type
    except ImportError:
        yield
        return
    with function_executor_type("SINGLE_THREADED_EXECUTOR"):
        if not optimize:
            config = context().config
            config.graph_options.rewrite_options.disable_meta_optimizer = True
            context().function_call_options.config_proto_serialized = config
        yield
