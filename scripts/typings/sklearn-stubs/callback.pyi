from collections.abc import Callable
from typing import Any, Self, TypeVar

Function = TypeVar("Function", bound=Callable[..., Any])

class CallbackSupportMixin:
    def set_callbacks(self, callbacks: Any) -> Self: ...

def with_callbacks(method: Function) -> Function: ...
