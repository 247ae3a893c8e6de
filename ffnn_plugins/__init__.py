"""Registers ffnn's built-in plugins, except its two engines, the way a third-party plugin would."""

from __future__ import annotations

from ffnn.plugins import hookimpl


@hookimpl
def ffnn_inputs() -> dict[str, str]:
    """Register the built-in inputs."""
    return {
        "dense": "ffnn_plugins.inputs.dense:DenseInput",
        "sparse": "ffnn_plugins.inputs.sparse:SparseInput",
        "plr": "ffnn_plugins.inputs.plr:PLRInput",
        "scaled": "ffnn_plugins.inputs.scaled:ScaledInput",
    }


@hookimpl
def ffnn_layers() -> dict[str, str]:
    """Register the built-in layers."""
    return {
        "affine": "ffnn_plugins.layers.affine:Affine",
        "activation": "ffnn_plugins.layers.activation:Activation",
        "dropout": "ffnn_plugins.layers.dropout:Dropout",
        "alpha_dropout": "ffnn_plugins.layers.alpha_dropout:AlphaDropout",
        "batch_norm": "ffnn_plugins.layers.batch_norm:BatchNorm",
        "layer_norm": "ffnn_plugins.layers.layer_norm:LayerNorm",
        "prelu": "ffnn_plugins.layers.prelu:PReLU",
        "gaussian_noise": "ffnn_plugins.layers.gaussian_noise:GaussianNoise",
        "ntk_affine": "ffnn_plugins.layers.ntk_affine:NTKAffine",
        "residual": "ffnn_plugins.layers.residual:Residual",
    }


@hookimpl
def ffnn_outputs() -> dict[str, str]:
    """Register the built-in outputs."""
    return {
        "binary": "ffnn_plugins.outputs.binary:BinaryOutput",
        "multiclass": "ffnn_plugins.outputs.multiclass:MulticlassOutput",
        "multilabel": "ffnn_plugins.outputs.multilabel:MultilabelOutput",
        "regression": "ffnn_plugins.outputs.regression:RegressionOutput",
    }


@hookimpl
def ffnn_builders() -> dict[str, str]:
    """Register the built-in builder that is no engine's."""
    return {"native": "ffnn_plugins.builders.native:NativeBuilder"}


@hookimpl
def ffnn_solvers() -> dict[str, str]:
    """Register the built-in solvers."""
    return {
        "adam": "ffnn.solvers.adam:Adam",
        "adamw": "ffnn.solvers.adamw:AdamW",
        "sgd": "ffnn.solvers.sgd:SGD",
        "rmsprop": "ffnn.solvers.rmsprop:RMSprop",
        "adagrad": "ffnn.solvers.adagrad:Adagrad",
        "lbfgs": "ffnn.solvers.lbfgs:LBFGS",
    }


@hookimpl
def ffnn_schedules() -> dict[str, str]:
    """Register the built-in schedules."""
    return {
        "constant": "ffnn.schedules.constant:Constant",
        "cosine": "ffnn.schedules.cosine:Cosine",
        "cos_log": "ffnn.schedules.cos_log:CosLog",
        "exponential": "ffnn.schedules.exponential:Exponential",
        "inverse_scaling": "ffnn.schedules.inverse_scaling:InverseScaling",
        "linear": "ffnn.schedules.linear:Linear",
        "one_cycle": "ffnn.schedules.one_cycle:OneCycle",
        "stepwise": "ffnn.schedules.stepwise:Stepwise",
        "warm_up": "ffnn.schedules.warm_up:WarmUp",
    }


@hookimpl
def ffnn_executors() -> dict[str, str]:
    """Register the built-in executors."""
    return {
        "container": "ffnn_plugins.executors.container:ContainerExecutor",
        "dask": "ffnn_plugins.executors.dask:DaskExecutor",
        "multiprocessing": "ffnn_plugins.executors.multiprocessing:MultiprocessingExecutor",
        "ssh": "ffnn_plugins.executors.ssh:SSHExecutor",
        "threads": "ffnn_plugins.executors.threads:ThreadsExecutor",
    }
