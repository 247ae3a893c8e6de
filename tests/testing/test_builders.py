"""Each test of the suite of builders fails for a builder that is broken in that way."""

from __future__ import annotations

import copy
import threading
from contextlib import suppress
from dataclasses import replace

import numpy as np
import pytest

from ffnn.builders.tensorflow import TensorFlowBuilder
from ffnn.model import Rows, State
from ffnn.testing.builders import BuilderSuite
from ffnn_plugins.builders.native import NativeBuilder
from tests.support.broken import Broken, check, clauses


class CopiesToAnother(NativeBuilder):
    def __deepcopy__(self, memo):
        return NativeBuilder(device="cpu")


class OneModel(NativeBuilder):
    """Makes a single model."""

    made = None

    def model(self, network, solver):
        self.made = self.made or super().model(network, solver)
        return self.made


class Rounding(NativeBuilder):
    """Ignores that a network is to compute in bfloat16."""

    def model(self, network, solver):
        return super().model(replace(network, compute_dtype=None), solver)


class Changed(NativeBuilder):
    """Makes models of which one method is another: ``change(model, method)`` in the place of ``method``."""

    def __init__(self, method, change):
        self.method = method
        self.change = change

    def model(self, network, solver):
        model = super().model(network, solver)
        setattr(model, self.method, self.change(model, getattr(model, self.method)))
        return model

    def __repr__(self):
        return f"{self.change.__name__}()"


# -- what is put in the place of a method


def draws_the_same(model, initial_weights):
    return lambda rng: initial_weights(np.random.default_rng(0))


def forgets_the_slots(model, set_state):
    return lambda state: set_state(State(state.weights, {}, state.step))


def takes_any_state(model, set_state):
    def changed(state):
        with suppress(ValueError):
            set_state(state)

    return changed


def shares_its_arrays(model, train_epoch):
    given = {}
    get_state = model.get_state

    def shared():
        state = get_state()
        for name, array in state.weights.items():
            given.setdefault(name, array)[...] = array
        return State(given, state.slots, state.step)

    def changed(plan):
        loss = train_epoch(plan)
        shared()
        return loss

    model.get_state = shared
    return changed


def turns_the_rows_round(model, forward):
    return lambda x, layer=None: forward(x, layer)[::-1]


def doubles_the_hidden(model, forward):
    return lambda x, layer=None: forward(x, layer) * (1 if layer is None else 2)


def doubles_the_gradient(model, loss_and_gradient):
    def changed(weights):
        loss, gradient = loss_and_gradient(weights)
        return loss, {name: 2 * array for name, array in gradient.items()}

    return changed


def doubles(model, input_gradient):
    return lambda x: 2 * input_gradient(x)


def loads_some_rows(model, load):
    def changed(x, targets, weight):
        some = slice(500)
        load(Rows(tuple(array[some] for array in x.arrays), len(weight[some])), targets[some], weight[some])

    return changed


def lets_no_weight_decay(model, train_epoch):
    return lambda plan: train_epoch(replace(plan, weight_decay=0.0))


def clips_nothing(model, train_epoch):
    return lambda plan: train_epoch(replace(plan, clip_norm=None, clip_value=None))


def adds_to_the_loss(model, train_epoch):
    return lambda plan: train_epoch(plan) + 1


def trains_on_the_first_rows(model, train_epoch):
    return lambda plan: train_epoch(replace(plan, order=np.arange(len(plan.order), dtype=plan.order.dtype)))


def draws_without_seeds(model, train_epoch):
    return lambda plan: train_epoch(replace(plan, seeds=np.zeros_like(plan.seeds)))


def divides_by_the_weight(model, train_epoch):
    return lambda plan: train_epoch(plan) or np.nan


def minds_the_thread(model, train_epoch):
    def changed(plan):
        alone = threading.current_thread() is threading.main_thread()
        return train_epoch(plan if alone else replace(plan, seeds=plan.seeds + 1))

    return changed


def is_always_finite(model, is_finite):
    return lambda: True


def looks_at_no_square(model, is_finite):
    return lambda: all(np.isfinite(array).all() for array in model.get_state().weights.values())


LOSE = Changed("set_state", forgets_the_slots)
TURN = Changed("forward", turns_the_rows_round)
FINITE = Changed("is_finite", is_always_finite)
DOUBLE = Changed("input_gradient", doubles)

BROKEN = [
    Broken(TensorFlowBuilder(), "test_the_name_is_registered"),
    Broken(CopiesToAnother(), "test_a_copy_has_the_same_parameters", (copy.deepcopy,)),
    Broken(Changed("initial_weights", draws_the_same), "test_initial_weights_are_a_function_of_the_generator"),
    Broken(LOSE, "test_a_state_goes_in_and_out_exactly", ("float64",)),
    Broken(Changed("train_epoch", shares_its_arrays), "test_a_state_is_a_copy"),
    Broken(Changed("set_state", takes_any_state), "test_a_state_of_another_architecture_is_refused"),
    Broken(LOSE, "test_resumed_equals_uninterrupted", ("adam",)),
    Broken(TURN, "test_scores_are_those_of_the_description", (False, "float64")),
    Broken(TURN, "test_scores_do_not_depend_on_the_neighbours", (False,)),
    Broken(
        Changed("loss_and_gradient", doubles_the_gradient),
        "test_gradients_are_those_of_finite_differences",
        ("binary", False),
    ),
    Broken(Changed("load", loads_some_rows), "test_a_gradient_takes_all_rows_of_a_large_data_set"),
    Broken(Changed("train_epoch", lets_no_weight_decay), "test_a_step_is_the_solvers", ("sgd", 0.1)),
    Broken(
        Changed("train_epoch", clips_nothing), "test_a_step_goes_as_far_as_its_bound_and_no_further", ("clip_norm", 2)
    ),
    Broken(Changed("train_epoch", adds_to_the_loss), "test_an_epochs_loss_is_the_weighted_mean_over_its_batches"),
    Broken(Changed("train_epoch", trains_on_the_first_rows), "test_only_the_rows_of_the_plan_are_trained_on"),
    Broken(Changed("train_epoch", draws_without_seeds), "test_dropout_follows_the_seeds_and_the_rate", (False,)),
    Broken(Changed("train_epoch", divides_by_the_weight), "test_missing_labels_are_never_nan"),
    Broken(OneModel(), "test_two_models_do_not_disturb_each_other"),
    Broken(Changed("train_epoch", minds_the_thread), "test_models_train_in_threads_as_alone"),
    Broken(FINITE, "test_each_number_of_a_state_must_be_finite", ("float32",)),
    Broken(
        Changed("is_finite", looks_at_no_square),
        "test_a_trained_weight_whose_square_overflows_is_too_large",
        ("float32",),
    ),
    Broken(FINITE, "test_an_epoch_that_ruins_the_state_is_told_from_others", (False,)),
    Broken(TURN, "test_hidden_layers_are_those_of_the_description", (False, "float64")),
    Broken(Changed("forward", doubles_the_hidden), "test_a_hidden_layer_may_do_nothing_but_drop", (False,)),
    Broken(DOUBLE, "test_gradients_of_the_input_are_those_of_finite_differences", ("binary", False)),
    Broken(DOUBLE, "test_gradients_of_a_linear_network_are_its_kernel"),
    Broken(
        Rounding(),
        "test_mixed_precision_is_close_to_float32_and_not_the_same",
        (("dropout", "affine", "activation"), False),
    ),
]


def test_there_is_a_broken_builder_for_each_test():
    assert {broken.clause for broken in BROKEN} == clauses(BuilderSuite)


@pytest.mark.parametrize("broken", BROKEN, ids=repr)
def test_a_broken_builder_is_found_out(broken):
    check(BuilderSuite, broken, name="native", builder=broken.plugin)


def test_a_builder_without_mixed_precision_must_refuse_it():
    broken = Broken(Rounding(), "test_mixed_precision_is_close_to_float32_and_not_the_same", (("affine",), False))
    check(BuilderSuite, broken, name="native", builder=Rounding(), mixed_precision=False)
