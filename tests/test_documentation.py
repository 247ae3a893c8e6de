"""What scikit-learn shows of an object in HTML, and the links in it."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote

import pytest
import sklearn
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import estimator_html_repr
from sklearn.utils.fixes import parse_version

import ffnn
from ffnn import presets
from ffnn._utils import documentation
from ffnn._utils.documentation import site
from ffnn.output import Output
from ffnn.plugins import registry

ROOT = Path(__file__).parents[1]
SITE = "https://docs.test/ffnn"
HAS_PARAMETERS = parse_version(sklearn.__version__) >= parse_version("1.9")
OBJECTS = [
    ffnn.MLPClassifier(),
    ffnn.MLPRegressor(),
    ffnn.Adam(),
    ffnn.LBFGS(),
    ffnn.Cosine(),
    ffnn.KerasBuilder(),
    ffnn.preprocessing.RobustSmoothClip(),
    *(registry.load(e.kind, e.name)() for e in registry.entries() if e.kind in ("input", "output") and e.built_in),
]


@pytest.fixture
def at_a_site(monkeypatch):
    monkeypatch.setenv("FFNN_DOCS", f"{SITE}/")


@pytest.mark.parametrize("shown", OBJECTS, ids=lambda o: type(o).__name__)
def test_a_link_leads_to_what_describes_the_class(shown, at_a_site):
    url, _, anchor = shown._get_doc_link().partition("#")
    page = ROOT / "docs" / f"{url.removeprefix(SITE).strip('/')}.md"
    assert f"::: {anchor}\n" in page.read_text() or f"::: {anchor.rpartition('.')[0]}\n" in page.read_text()
    module, _, name = anchor.rpartition(".")
    assert getattr(sys.modules[module], name) is type(shown)
    assert f'href="{SITE}' in shown._repr_html_()


def test_without_a_site_there_is_no_link(monkeypatch):
    monkeypatch.delenv("FFNN_DOCS", raising=False)
    monkeypatch.setattr(documentation, "_published", lambda: "")
    assert ffnn.MLPClassifier()._get_doc_link() == ""
    assert 'class="sk-estimator-doc-link' in ffnn.MLPClassifier()._repr_html_()  # whether it is fitted is shown there
    assert "href=" not in ffnn.MLPClassifier()._repr_html_()


def test_the_site_may_come_from_the_distribution(monkeypatch):
    class Metadata:
        def get_all(self, name):
            assert name == "Project-URL"
            return ["Source, https://code.test", f"Documentation, {SITE}/"]

    monkeypatch.delenv("FFNN_DOCS", raising=False)
    monkeypatch.setattr("importlib.metadata.metadata", lambda name: Metadata())
    assert site() == SITE


def test_a_strangers_class_has_no_link_to_our_pages(at_a_site):
    class Stranger(registry.load("output", "binary")):
        pass

    assert issubclass(Stranger, Output)
    assert Stranger()._get_doc_link() == ""


@pytest.mark.skipif(not HAS_PARAMETERS, reason="scikit-learn shows parameters' descriptions from 1.9 on")
@pytest.mark.parametrize("kind", [ffnn.MLPClassifier, ffnn.MLPRegressor])
def test_every_parameter_has_its_description_and_a_link_to_it(kind, at_a_site):
    html = kind(hidden_units=(7,))._repr_html_()
    links = dict(re.findall(r'href="([^"]*)">\s*(\w+)\s*<span class="param-doc-description"', html))
    assert sorted(links.values()) == sorted(kind().get_params(deep=False))
    (link,) = [unquote(link) for link, name in links.items() if name == "hidden_units"]
    assert link.startswith(f"{SITE}/api/{kind.__name__.removeprefix('MLP').lower()}/#")
    assert link.endswith(":~:text=hidden_units,-int or sequence of int, default=(256,)")
    assert "The units of each hidden layer" in html


def test_a_pipeline_shows_the_links_of_its_steps(at_a_site):
    html = estimator_html_repr(presets.modern())
    assert f'href="{SITE}/api/classifier/#ffnn.classifier.MLPClassifier"' in html
    assert f'href="{SITE}/api/preprocessing/#ffnn.preprocessing.RobustSmoothClip"' in html
    assert "scikit-learn.org" in estimator_html_repr(make_pipeline(StandardScaler(), ffnn.MLPClassifier()))


SHOWN = """
import sys, ffnn
from sklearn.base import clone
fitted = ffnn.load(sys.argv[1])
html = fitted._repr_html_() + repr(fitted) + ffnn.MLPRegressor(builder="keras")._repr_html_()
assert "network_" in html or sys.argv[2] == "old"
assert "model_" not in html
assert {"model_", "coefs_", "predict_proba", "partial_fit"} <= set(dir(fitted))
assert not {"model_", "coefs_"} & set(dir(clone(fitted)))
assert "partial_fit" not in dir(clone(fitted).set_params(solver="lbfgs"))
assert fitted._repr_mimebundle_()["text/html"]
print(sorted({"tensorflow", "keras", "torch", "jax"} & set(sys.modules)))
"""


def test_showing_a_fitted_network_imports_no_engine(tmp_path):
    X, y = load_iris(return_X_y=True)
    ffnn.save(ffnn.MLPClassifier((4,), n_epochs=1).fit(X, y), tmp_path / "kept.ffnn")
    command = [sys.executable, "-c", SHOWN, tmp_path / "kept.ffnn", "new" if HAS_PARAMETERS else "old"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.stdout.strip(), done.stderr) == ("[]", "")


def test_a_copy_is_shown_as_the_original_is(at_a_site):
    assert clone(ffnn.MLPClassifier())._get_doc_link() == ffnn.MLPClassifier()._get_doc_link()
