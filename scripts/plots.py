"""Makes the picture of the page on plots: docs/images/displays.png."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")

import matplotlib.pyplot as plt
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import GridSearchCV
from sklearn.preprocessing import StandardScaler

from ffnn import LossCurveDisplay, MLPClassifier, PredictionGradientDisplay, SearchDisplay

ROOT = Path(__file__).parents[1]


def main() -> None:
    """Fit, search and draw."""
    X, y = load_breast_cancer(return_X_y=True, as_frame=True)
    X = StandardScaler().set_output(transform="pandas").fit_transform(X)
    mlp = MLPClassifier((64,), n_epochs=60, early_stopping=True, random_state=0).fit(X, y)
    grid = {"learning_rate": [1e-4, 1e-3, 1e-2, 1e-1], "hidden_units": [(), (16,), (64,)]}
    search = GridSearchCV(MLPClassifier(n_epochs=10, random_state=0), grid).fit(X, y)
    figure, axes = plt.subplots(1, 3, figsize=(15, 4.2), layout="constrained")
    LossCurveDisplay.from_estimator(mlp, ax=axes[0])
    SearchDisplay.from_search(search, ax=axes[1])
    PredictionGradientDisplay.from_estimator(mlp, X, ax=axes[2])
    path = ROOT / "docs/images/displays.png"
    path.parent.mkdir(exist_ok=True)
    figure.savefig(path, dpi=80)


if __name__ == "__main__":
    main()
