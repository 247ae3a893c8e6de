"""Each test of the suite of layers fails for a layer that is broken in that way."""

from __future__ import annotations

import copy
import itertools
from dataclasses import dataclass, replace

import numpy as np
import pytest

from ffnn.exceptions import TrainingDivergedError
from ffnn.layer import Layer, Traits, Weight
from ffnn.native import NativeOp
from ffnn.ops import SparseRows
from ffnn.testing.layers import LayerSuite
from ffnn_plugins.layers.activation import Activation
from ffnn_plugins.layers.dropout import Dropout
from tests.support.broken import Broken, check, clauses

COUNT = itertools.count()


@dataclass(frozen=True)
class WrongWidth(Layer):
    def weights(self, n_inputs):
        return {"weight": Weight((n_inputs, 3))}

    def forward(self, ops, x, weights, context):
        return ops.matmul(x, weights["weight"])


@dataclass(frozen=True)
class BatchMean(Layer):
    def forward(self, ops, x, weights, context):
        return x - ops.mean(x, axis=0)


class Thawed(Dropout):
    __setattr__ = object.__setattr__


class EqualToNoCopy(Dropout):
    __eq__ = object.__eq__
    __hash__ = object.__hash__


class BindsInPlace(Dropout):
    def bind(self, values):
        object.__setattr__(self, "rate", values["rate"])
        return self


class BindsAnew(Dropout):
    def bind(self, values):
        bound = super().bind(values)
        return replace(bound, rate=bound.rate / 2)


class NewKey(Dropout):
    def structure(self):
        return (type(self), object())


class KeyOfTheRate(Dropout):
    def structure(self):
        return (type(self), self.rate)


class OtherScalars(Dropout):
    def scalars(self):
        return [0.0]


@dataclass(frozen=True)
class NewNames(Layer):
    def weights(self, n_inputs):
        return {f"weight{next(COUNT)}": Weight((n_inputs,))}

    def forward(self, ops, x, weights, context):
        return x


class ToFloat32(Activation):
    def forward(self, ops, x, weights, context):
        return ops.cast(super().forward(ops, x, weights, context), "float32")


@dataclass(frozen=True)
class OfTheEngine(Layer):
    def forward(self, ops, x, weights, context):
        return x * (1.0 if isinstance(x, np.ndarray) else 2.0)


class InPlace(Dropout):
    def forward(self, ops, x, weights, context):
        x *= 2
        return x


class NoNoise(Dropout):
    def forward(self, ops, x, weights, context):
        return x


@dataclass(frozen=True)
class OtherOnSparseRows(Layer):
    @property
    def traits(self):
        return Traits(sparse=True)

    def forward(self, ops, x, weights, context):
        return 2.0 * x.dense(ops) if isinstance(x, SparseRows) else x


class OtherInC(Activation):
    def to_native(self, n_inputs):
        return (NativeOp("function", function="relu"),)


@dataclass(frozen=True)
class Infinite(Layer):
    def weights(self, n_inputs):
        return {"factor": Weight((n_inputs,), "ones")}

    def forward(self, ops, x, weights, context):
        return x * (weights["factor"] * float("inf"))

    def to_native(self, n_inputs):
        return (NativeOp("scale", weight="factor", factor=float("inf")),)


class PicklesOthers(Activation):
    def to_native(self, n_inputs):
        return super().to_native(n_inputs)

    def __reduce__(self):
        return (PicklesOthers, ("relu",))


BROKEN = [
    Broken(BatchMean(), "test_the_name_is_registered"),
    Broken(Thawed(), "test_it_is_frozen"),
    Broken(EqualToNoCopy(), "test_a_copy_is_equal", (copy.copy,)),
    Broken(EqualToNoCopy(), "test_clone_keeps_it"),
    Broken(BindsInPlace(), "test_binding_fills_in_the_open_fields_alone"),
    Broken(BindsAnew(), "test_binding_again_changes_nothing"),
    Broken(NewKey(), "test_structure_is_a_key"),
    Broken(KeyOfTheRate(), "test_structure_leaves_scalars_out_and_nothing_else"),
    Broken(OtherScalars(), "test_scalars_are_the_values_of_their_fields"),
    Broken(NewNames(), "test_weights_are_declared_in_a_fixed_order"),
    Broken(WrongWidth(), "test_shape_and_dtype_are_those_declared", (False, "float32")),
    Broken(ToFloat32(), "test_bfloat16_comes_out_where_it_goes_in", (False,)),
    Broken(OfTheEngine(), "test_numpy_and_the_engine_agree", (False,)),
    Broken(InPlace(), "test_the_batch_is_not_changed"),
    Broken(BatchMean(), "test_a_rows_result_does_not_depend_on_its_neighbours"),
    Broken(NoNoise(), "test_random_draws_are_a_function_of_the_seed"),
    Broken(OtherOnSparseRows(), "test_sparse_rows_are_taken_as_the_dense_ones"),
    Broken(OtherInC(), "test_its_gradient_is_right", ("native",)),
    Broken(Infinite(), "test_a_network_with_it_learns", ("native",), TrainingDivergedError),
    Broken(PicklesOthers(), "test_a_pickled_network_predicts_the_same", ("native",)),
    Broken(OtherInC(), "test_all_builders_predict_the_same"),
]


def test_there_is_a_broken_layer_for_each_test():
    assert {broken.clause for broken in BROKEN} == clauses(LayerSuite)


@pytest.mark.parametrize("broken", BROKEN, ids=repr)
def test_a_broken_layer_is_found_out(broken):
    check(LayerSuite, broken, name="affine", layer=broken.plugin)
