"""Each test of the suite of outputs fails for an output that is broken in that way."""

from __future__ import annotations

import copy

import numpy as np
import pytest

from ffnn.native import NativeLoss, NativeOp
from ffnn.output import Output
from ffnn.testing.outputs import OutputSuite
from ffnn_plugins.layers.activation import Activation
from ffnn_plugins.outputs.binary import BinaryOutput
from ffnn_plugins.outputs.multiclass import MulticlassOutput
from tests.support.broken import Broken, check, clauses

Y = np.arange(24) % 2


class ChangesAParameter(BinaryOutput):
    def fit(self, y, classes, sample_weight):
        self.gamma = 3.0
        return super().fit(y, classes, sample_weight)


class CopiesToAnother(BinaryOutput):
    def __deepcopy__(self, memo):
        other = copy.copy(self)
        other.classes_ = self.classes_[::-1]
        return other


class NewKey(BinaryOutput):
    def structure(self):
        return (type(self), id(self))


class Refuses(BinaryOutput):
    @classmethod
    def accepts(cls, y, classes):
        return False


class EncodesObjects(BinaryOutput):
    def encode(self, y, dtype):
        return super().encode(y, dtype).astype(object)


class EncodesTogether(BinaryOutput):
    def encode(self, y, dtype):
        encoded = super().encode(y, "float64")
        return encoded - encoded[0]


class Swapped(BinaryOutput):
    def decode(self, scores):
        return super().decode(-scores)


class OfTheEngine(BinaryOutput):
    def loss(self, ops, scores, targets, weight):
        loss, mass = super().loss(ops, scores, targets, weight)
        return loss * (1.0 if isinstance(scores, np.ndarray) else 2.0), mass


class MeanLoss(BinaryOutput):
    def loss(self, ops, scores, targets, weight):
        loss, mass = super().loss(ops, scores, targets, weight)
        return loss / mass, mass


class Unweighted(BinaryOutput):
    def loss(self, ops, scores, targets, weight):
        return super().loss(ops, scores, targets, weight * 0 + 1)


class Overflowing(BinaryOutput):
    def loss(self, ops, scores, targets, weight):
        return ops.sum(ops.log(1 + ops.exp(-scores * (2 * targets - 1)))), ops.sum(weight)


class Column(BinaryOutput):
    def decode(self, scores):
        return super().decode(scores)[:, None]


class Unclipped(BinaryOutput):
    def probabilities(self, scores):
        return np.hstack([scores <= 0, scores > 0]).astype(np.float64)


class ExportsOthers(BinaryOutput):
    def export(self, ops, scores):
        return super().export(ops, -scores)


class DoesNotExport(BinaryOutput):
    export = Output.export


class OneDecision(BinaryOutput):
    def decision(self, scores):
        return super().decision(scores)[:1]


class OtherInC(BinaryOutput):
    def to_native(self):
        return NativeLoss("sigmoid", gamma=2.0)


class Deaf(BinaryOutput):
    def encode(self, y, dtype):
        return np.full_like(super().encode(y, dtype), 0.5)


class OtherActivationInC(Activation):
    def to_native(self, n_inputs):
        return (NativeOp("function", function="relu"),)


class OtherHeadInC(BinaryOutput):
    head = (OtherActivationInC("tanh"), "affine")

    def __init__(self):
        pass


BROKEN = [
    Broken(MulticlassOutput(), "test_the_name_is_registered"),
    Broken(ChangesAParameter(), "test_fitting_changes_no_parameter"),
    Broken(CopiesToAnother(), "test_a_copy_decodes_the_same", (copy.deepcopy,)),
    Broken(NewKey(), "test_structure_is_a_key_that_knows_no_data"),
    Broken(Refuses(), "test_it_accepts_its_targets_if_it_is_chosen_automatically"),
    Broken(EncodesObjects(), "test_encoded_targets_are_numbers_one_entry_a_row", ("float32",)),
    Broken(EncodesTogether(), "test_encoding_is_row_by_row_and_changes_nothing"),
    Broken(Swapped(), "test_the_scores_of_least_loss_decode_to_the_targets"),
    Broken(OfTheEngine(), "test_numpy_and_the_engine_agree", ("float64",)),
    Broken(MeanLoss(), "test_it_is_a_weighted_sum_over_the_rows"),
    Broken(Unweighted(), "test_rows_of_no_weight_add_nothing"),
    Broken(Overflowing(), "test_it_is_finite_for_scores_far_out"),
    Broken(Column(), "test_predictions_have_the_form_of_the_targets"),
    Broken(Unclipped(), "test_probabilities_are_strictly_between_0_and_1"),
    Broken(ExportsOthers(), "test_what_is_exported_is_what_is_predicted", ("float32",)),
    Broken(DoesNotExport(), "test_what_is_exported_is_what_is_predicted", ("float32",)),
    Broken(OneDecision(), "test_the_decision_has_a_row_a_sample"),
    Broken(OtherInC(), "test_its_gradient_is_right", ("native",)),
    Broken(Deaf(), "test_a_network_with_it_learns", ("native",)),
    Broken(OtherHeadInC(), "test_all_builders_predict_the_same"),
]


def test_there_is_a_broken_output_for_each_test():
    assert {broken.clause for broken in BROKEN} == clauses(OutputSuite)


@pytest.mark.parametrize("broken", BROKEN, ids=repr)
@pytest.mark.filterwarnings("ignore:overflow")
def test_a_broken_output_is_found_out(broken):
    check(OutputSuite, broken, name="binary", output=broken.plugin, y=Y)


@pytest.mark.parametrize(
    ("flag", "clause", "arguments", "plain", "optional"),
    [
        ("automatic", "test_it_accepts_its_targets_if_it_is_chosen_automatically", (), BinaryOutput(), Refuses()),
        (
            "exported",
            "test_what_is_exported_is_what_is_predicted",
            ("float32",),
            BinaryOutput(),
            DoesNotExport(),
        ),
    ],
)
def test_what_an_output_says_it_lacks_it_must_lack(flag, clause, arguments, plain, optional):
    check(OutputSuite, Broken(plain, clause, arguments), name="binary", output=plain, y=Y, **{flag: False})
    suite = type("Suite", (OutputSuite,), {"name": "binary", "output": optional, "y": Y, flag: False})()
    getattr(suite, clause)(*arguments)
