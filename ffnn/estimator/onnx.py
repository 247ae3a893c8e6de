"""The methods that skl2onnx looks for in an estimator, so that it converts pipelines with ours in them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from sklearn.utils.validation import check_is_fitted

if TYPE_CHECKING:
    from ffnn.model import State
    from ffnn.network import Network

__all__ = ["OnnxMixin"]


class OnnxMixin:
    """Lets ``skl2onnx.to_onnx`` convert the estimators without any registration."""

    network_: Network
    _state: Callable[[], State]

    def onnx_parser(self) -> Callable[..., list[Any]]:
        """Return the function that declares the outputs of the ONNX model."""
        check_is_fitted(self)
        from ffnn.onnx.model import allow_options, output_types

        allow_options(type(self))

        def parse(scope: Any, inputs: Any) -> list[Any]:
            return [scope.declare_local_variable(name, kind) for name, kind in output_types(self.network_).items()]

        return parse

    def onnx_shape_calculator(self) -> Callable[[Any], None]:
        """Return the function that sets the types and shapes of the outputs."""
        check_is_fitted(self)
        from ffnn.onnx.model import output_types

        def calculate(operator: Any) -> None:
            for variable, kind in zip(operator.outputs, output_types(self.network_).values(), strict=True):
                variable.set_type(kind)

        return calculate

    def onnx_converter(self) -> Callable[[Any, Any, Any], None]:
        """Return the function that adds the operations of the network to the ONNX model."""
        check_is_fitted(self)
        from ffnn.onnx.model import convert

        def add(scope: Any, operator: Any, container: Any) -> None:
            convert(self.network_, self._state().weights, scope, operator, container)

        return add
