from typing import Any

class ParallelBackendBase:
    nesting_level: int | None
    def __init__(
        self, nesting_level: int | None = None, inner_max_num_threads: int | None = None, **kwargs: Any
    ) -> None: ...

class SequentialBackend(ParallelBackendBase): ...
class FallbackToBackend(Exception): ...
