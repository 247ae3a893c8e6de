"""The regressor."""

from __future__ import annotations

from sklearn.base import RegressorMixin
from sklearn.utils import Tags

from ffnn.estimator.base import BaseMLP

__all__ = ["MLPRegressor"]


class MLPRegressor(RegressorMixin, BaseMLP):
    """Multilayer perceptron regressor of one target or several, which it standardises inside.

    Parameters
    ----------
    hidden_units : int or sequence of int, default=(256,)
        The units of each hidden layer; ``()`` is a linear model.
    batch_size : int, default=64
        The samples of a step. The last batch of an epoch may have fewer.
    n_epochs : int or "auto", default="auto"
        The passes over the data; for ``solver="lbfgs"``, the most iterations. ``"auto"`` is 10, or 200 for it.
    dropout : float or None, default=None
        The share of the inputs of every affine layer, the output's too, that is dropped in training, in [0, 1).
    activation : str, callable or None, default="relu"
        The activation of the hidden layers: ``"relu"``, ``"tanh"``, ``"sigmoid"``, ``"elu"``, ``"selu"`` (which brings
        alpha dropout), ``"gelu"``, ``"silu"``, ``"mish"``, ``"softplus"`` or ``"leaky_relu"``; a function of a tensor
        that the builder's engine understands; None for linear.
    builder : str or Builder, default="tf"
        What builds and trains the network: ``"tf"``, ``"keras"``, a plugin's name, or an instance such as
        ``KerasBuilder(build=my_function)``.
    block : sequence of str or Layer, default=("dropout", "affine", "activation")
        The recipe of one hidden layer, repeated for each of ``hidden_units``.
    input_layer : str or Input, default="auto"
        What takes X in: ``"dense"``, ``"sparse"``, a plugin's name, an instance, or by the type of X.
    output_layer : str or Output, default="auto"
        What owns y: ``"regression"``, a plugin's name, or an instance.
    solver : str or Solver, default="adam"
        ``"adam"``, ``"adamw"``, ``"sgd"``, ``"rmsprop"``, ``"adagrad"``, ``"lbfgs"``, or an instance such as
        ``ffnn.Adam(beta_1=0.8)``, whose parameters are grid axes (``solver__beta_1``).
    learning_rate : float, str, Schedule or callable, default=1e-3
        The size of a step; a schedule or its name, such as ``ffnn.Cosine(1e-3)`` whose parameters are grid axes
        (``learning_rate__initial``); or a function of a step's number.
    weight_decay : float, default=0.0
        The strength of the pull of the kernels towards zero: as an L2 penalty, or decoupled with ``"adamw"``.
    early_stopping : bool or "training", default=False
        Whether to stop when the validation data sees no improvement any more, and to go back to the best epoch; or,
        with ``"training"``, when the training's own loss falls no more, as scikit-learn's networks do.
    validation_fraction : float, default=0.1
        The share of the samples that ``early_stopping`` sets apart, of each class alike, unless ``X_val`` is given.
    n_iter_no_change : int, default=10
        The epochs without an improvement after which to stop.
    tol : float, default=1e-4
        What counts as an improvement.
    scoring : str or callable, default="loss"
        What is measured on the validation data: ``"loss"``, or a scikit-learn scorer, or its name.
    dtype : {"auto", "float32", "float64", "mixed_bfloat16"}, default="auto"
        What to compute in; ``"auto"`` is float64 for ``"lbfgs"`` and for tiny data, else float32. With
        ``"mixed_bfloat16"`` hidden layers compute in bfloat16; weights, scores and losses are float32.
    device : str or None, default=None
        Where to compute: ``"cpu"``, ``"gpu"`` or, where there are several, ``"gpu:1"``; None is the engine's choice, or
        what the builder says.
    warm_start : bool, default=False
        Whether another ``fit`` goes on with the weights and the solver's memory, for ``n_epochs`` more.
    verbose : int or bool, default=0
        1 or True shows a bar of epochs with the loss, the validation's figures and the time that is left.
    random_state : int, RandomState instance or None, default=None
        What initial weights, the order of samples and dropout follow from. An int makes ``fit`` repeatable.
    transform_layer_index : int, default=-1
        The hidden layer that ``transform`` gives the values of, counted from 0, or from the end with -1.

    Attributes
    ----------
    n_features_in_ : int
        The number of features.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Their names, where X had such.
    loss_curve_ : list of float
        Half the mean squared error of the standardised targets over each epoch, without the penalty of
        ``weight_decay``.
    validation_loss_curve_, validation_scores_ : list of float
        The validation data's loss and, with another ``scoring``, its score after each epoch; where there is such data.
        They have as many entries as ``loss_curve_``, NaN for the epochs of a call without such data.
    best_epoch_ : int
        The epoch, counted from 0, of the last fit with such data in which the score was best; or the loss, where there
        is no other ``scoring`` or its score was NaN in each epoch.
    n_iter_ : int
        The epochs done.
    coefs_, intercepts_ : list of ndarray
        Kernels of shape (n_inputs, n_outputs) and biases of the affine layers, in scikit-learn's layout. They predict
        the standardised targets.
    network_ : Network
        The description of the network.
    model_ : object
        The engine's own model: a ``keras.Model`` for ``builder="keras"``.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from ffnn import MLPRegressor
    >>> X, y = load_diabetes(return_X_y=True)
    >>> MLPRegressor(n_epochs=50, random_state=0).fit(X, y).score(X, y) > 0.4
    True
    """

    def _estimator_type_name(self) -> str:
        return "regressor"

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return self._adjust_tags(tags)
