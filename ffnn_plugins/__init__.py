"""The builders, inputs, layers, outputs and executors that come with ffnn, registered as a stranger's would be."""

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
def ffnn_executors() -> dict[str, str]:
    """Register the built-in executors."""
    return {
        "container": "ffnn_plugins.executors.container:ContainerExecutor",
        "dask": "ffnn_plugins.executors.dask:DaskExecutor",
        "multiprocessing": "ffnn_plugins.executors.multiprocessing:MultiprocessingExecutor",
        "ssh": "ffnn_plugins.executors.ssh:SSHExecutor",
    }
