"""The regressor."""

from __future__ import annotations

from sklearn.base import RegressorMixin
from sklearn.utils import Tags

from ffnn.estimator.base import BaseMLP

__all__ = ["MLPRegressor"]


class MLPRegressor(RegressorMixin, BaseMLP):
    """Multilayer perceptron regressor for one or several targets, which it standardises internally.

    Parameters
    ----------
    hidden_units : int or sequence of int, default=(256,)
        The units of each hidden layer; ``()`` is a linear model.
    batch_size : int, default=64
        The number of samples per step. The last batch of an epoch may be smaller.
    n_epochs : int or "auto", default="auto"
        The number of epochs; for ``solver="lbfgs"``, the maximum number of iterations. ``"auto"`` is 10, or as many as
        make up 1,000 steps, if that is more, but at most 200; and 200 for ``"lbfgs"``.
    dropout : float or None, default=None
        The fraction of the inputs dropped in training, in [0, 1), for every affine layer including the output's.
    activation : str, callable or None, default="relu"
        The activation of the hidden layers: ``"relu"``, ``"tanh"``, ``"sigmoid"``, ``"elu"``, ``"selu"`` (with alpha
        dropout), ``"gelu"``, ``"silu"``, ``"mish"``, ``"softplus"`` or ``"leaky_relu"``; a function of a tensor
        of the builder's engine, which is TensorFlow for ``"auto"``; None for linear.
    builder : str or Builder, default="auto"
        The builder of the network: ``"native"``, ``"tf"``, ``"keras"``, a plugin's name, or an instance such as
        ``KerasBuilder(build=my_function)``. ``"auto"`` is ``"native"`` where it can train the network and is expected
        to be as fast, else ``"tf"``, by the network, the shape of X, the batch size and the device alone; the page on
        builders has the rule. Builders agree to rounding, except that ``"native"`` draws other masks of dropout.
    block : sequence of str or Layer, default=("dropout", "affine", "activation")
        The layers of a hidden block, repeated for each of ``hidden_units``.
    input_layer : str or Input, default="auto"
        How X is converted: ``"dense"``, ``"sparse"``, a plugin's name or an instance; ``"auto"`` depends on X.
    output_layer : str or Output, default="auto"
        How y is handled: ``"regression"``, a plugin's name or an instance.
    solver : str or Solver, default="adam"
        ``"adam"``, ``"adamw"``, ``"sgd"``, ``"rmsprop"``, ``"adagrad"``, ``"lbfgs"``, or an instance such as
        ``ffnn.Adam(beta_1=0.8)``, whose parameters can be searched over (``solver__beta_1``).
    learning_rate : float, str, Schedule or callable, default=1e-3
        The learning rate; a schedule or its name, such as ``ffnn.Cosine(1e-3)``, whose parameters can be searched over
        (``learning_rate__initial``); or a function of a step's number.
    weight_decay : float, default=0.0
        The strength of the weight decay of the kernels: an L2 penalty, or decoupled with ``"adamw"``.
    early_stopping : bool or "training", default=False
        Whether to stop when the validation score stops improving, and restore the best epoch's weights; with
        ``"training"``, stop when the training loss stops falling, as scikit-learn's networks do.
    validation_fraction : float, default=0.1
        The fraction of the samples held out for ``early_stopping``, unless ``X_val`` is given.
    n_iter_no_change : int, default=10
        The number of epochs without improvement after which to stop.
    tol : float, default=1e-4
        The smallest change that counts as an improvement.
    scoring : str or callable, default="loss"
        The validation score: ``"loss"``, or a scikit-learn scorer or its name.
    dtype : {"auto", "float32", "float64", "mixed_bfloat16"}, default="auto"
        The dtype of computations; ``"auto"`` is float64 for ``"lbfgs"`` and for tiny data, else float32. With
        ``"mixed_bfloat16"`` hidden layers compute in bfloat16; weights, scores and losses are float32.
    device : str or None, default=None
        The device: ``"cpu"``, ``"gpu"`` or, if there are several, ``"gpu:1"``; None for the builder's or the engine's
        default.
    warm_start : bool, default=False
        Whether another ``fit`` continues with the weights and the solver's state, for ``n_epochs`` more.
    verbose : int or bool, default=0
        1 or True shows a progress bar with the loss, the validation scores and the remaining time.
    random_state : int, RandomState instance or None, default=None
        The seed of the initial weights, the order of samples and dropout. An int makes ``fit`` reproducible.
    transform_layer_index : int, default=-1
        The hidden layer whose output ``transform`` returns, counted from 0, or from the end if negative.

    Attributes
    ----------
    n_features_in_ : int
        The number of features.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        The names of the features, if X has any.
    loss_curve_ : list of float
        Half the mean squared error of the standardised targets over each epoch, without the penalty of
        ``weight_decay``.
    validation_loss_curve_, validation_scores_ : list of float
        The validation loss and, with another ``scoring``, the validation score after each epoch, if there is validation
        data. They have as many entries as ``loss_curve_``, NaN for the epochs of calls without validation data.
    best_epoch_ : int
        The epoch, counted from 0, with the best validation score in the last fit with validation data; or with the best
        loss, if there is no other ``scoring`` or all scores were NaN.
    n_iter_ : int
        The number of epochs so far.
    coefs_, intercepts_ : list of ndarray
        Kernels of shape (n_inputs, n_outputs) and biases of the affine layers, in scikit-learn's layout. They predict
        the standardised targets.
    network_ : Network
        The description of the network.
    builder_ : str
        The name of the builder that trained the network: of those that ``builder="auto"`` chooses from, the one chosen.
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
