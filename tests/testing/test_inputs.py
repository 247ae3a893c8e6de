"""Each test of the suite of inputs fails for an input that is broken in that way."""

from __future__ import annotations

import copy
import itertools

import numpy as np
import pytest

from ffnn.layer import Weight
from ffnn.model import Rows
from ffnn.testing.inputs import InputSuite
from ffnn_plugins.inputs.dense import DenseInput
from ffnn_plugins.inputs.scaled import ScaledInput
from ffnn_plugins.inputs.sparse import SparseInput
from tests.support.broken import Broken, check, clauses

COUNT = itertools.count()


class CopiesToAnother(DenseInput):
    def __deepcopy__(self, memo):
        return DenseInput()


class OtherScalars(DenseInput):
    def scalars(self):
        return [0.0]


class Refuses(DenseInput):
    @classmethod
    def accepts(cls, X):
        return False


class WrongDtype(DenseInput):
    def prepare(self, X, dtype):
        return super().prepare(X, "float64")


class InPlace(DenseInput):
    def prepare(self, X, dtype):
        X *= 2
        return super().prepare(X, dtype)


class Sorted(DenseInput):
    def gather(self, ops, arrays, rows, n_features):
        return ops.take(arrays[0], ops.cast(np.sort(rows), "int32"))


class AlwaysTheFirst(DenseInput):
    def gather(self, ops, arrays, rows, n_features):
        return ops.take(arrays[0], rows * 0)


class OfTheEngine(DenseInput):
    def gather(self, ops, arrays, rows, n_features):
        factor = 1.0 if isinstance(arrays[0], np.ndarray) else 2.0
        return super().gather(ops, arrays, rows, n_features) * factor


class WrongWidth(DenseInput):
    def n_outputs(self, n_features):
        return n_features + 1


class NewNames(DenseInput):
    def weights(self, n_features):
        return {f"weight{next(COUNT)}": Weight((n_features,))}


class Zeros(DenseInput):
    def prepare(self, X, dtype):
        return Rows((np.zeros(X.shape, dtype),), len(X))


class Centred(DenseInput):
    def prepare(self, X, dtype):
        return super().prepare(X - X.mean(axis=0), dtype)


class PicklesOthers(DenseInput):
    def __init__(self, shift=3.0):
        self.shift = shift

    def prepare(self, X, dtype):
        return super().prepare(X * self.shift, dtype)

    def __reduce__(self):
        return (PicklesOthers, (1.0,))


class OtherInC(ScaledInput):
    def to_native(self, n_inputs):
        return ()


BROKEN = [
    Broken(SparseInput(), "test_the_name_is_registered"),
    Broken(CopiesToAnother(), "test_a_copy_is_equal", (copy.deepcopy,)),
    Broken(OtherScalars(), "test_scalars_are_the_values_of_their_fields"),
    Broken(Refuses(), "test_it_accepts_its_data_if_it_is_chosen_automatically"),
    Broken(WrongDtype(), "test_prepared_rows_are_plain_arrays", ("float32",)),
    Broken(InPlace(), "test_preparing_does_not_change_x"),
    Broken(Sorted(), "test_a_batch_is_the_rows_asked_for", ([7, 0, 47],)),
    Broken(AlwaysTheFirst(), "test_a_batchs_row_comes_from_its_own_sample"),
    Broken(OfTheEngine(), "test_numpy_and_the_engine_gather_the_same"),
    Broken(WrongWidth(), "test_what_it_passes_on", (False,)),
    Broken(NewNames(), "test_weights_are_declared_in_a_fixed_order"),
    Broken(Zeros(), "test_a_network_with_it_learns", ("native",)),
    Broken(Centred(), "test_a_row_is_predicted_as_among_others", ("native",)),
    Broken(PicklesOthers(), "test_a_pickled_network_predicts_the_same", ("native",)),
    Broken(OtherInC(), "test_all_builders_predict_the_same"),
]


def test_there_is_a_broken_input_for_each_test():
    assert {broken.clause for broken in BROKEN} == clauses(InputSuite)


@pytest.mark.parametrize("broken", BROKEN, ids=repr)
def test_a_broken_input_is_found_out(broken):
    check(InputSuite, broken, name="dense", input=broken.plugin)


def test_an_input_that_is_not_chosen_automatically_accepts_nothing():
    clause = "test_it_accepts_its_data_if_it_is_chosen_automatically"
    check(InputSuite, Broken(DenseInput(), clause), name="dense", input=DenseInput(), automatic=False)
    suite = type("Suite", (InputSuite,), {"name": "dense", "input": Refuses(), "automatic": False})()
    getattr(suite, clause)()
