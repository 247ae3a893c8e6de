"""The names of the public classes consist of words that the field knows, or the glossary."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
SOURCES = sorted([*ROOT.glob("ffnn/**/*.py"), *ROOT.glob("ffnn_plugins/**/*.py")])

#: Names that are one word, however they are written.
PROPER = "AdamW CSR Ffnn LBFGS MLP MLflow NTK NumPy Numpy ONNX PLR PReLU RMSprop SGD SSH TensorFlow"

#: The words of the field, in the singular.
FIELD = """
    base mixin estimator classifier regressor fittable search prediction
    activation adagrad adam affine alpha batch binary clip dense dropout gaussian gradient hidden keras loss
    multiclass multilabel noise norm regression residual robust scaled smooth sparse stochastic training weight
    bar callback curve display early epoch held monitor progress stopping validation
    constant cos cosine cycle exponential inverse linear log one scaling stepwise up warm
    argument array connected expired foreign journal record resumed statistic step store upload
    argument draft fit history loop pipeline
    graph native node onnx op tensor
    code conflict data digest diverged error export forked installed key load lost mismatch missing not persistence
    start unhashable unknown unsupported usage version warning
    backend blob breaker channel command connection container dask diagnosis event exchange future hash item
    lease limit local multiprocessing pickler pickling pipe plugin pool process queue remote report shipping stream
    thread timeout traceback unpickler
    cached call memory pickled shared store transformer
    ensemble number result scorer target
    control halving outcome policy pruned pruning successive time
    best candidate clock counter live reporter running scale
    entry folder group importer kind layout reader runner setting sklearn writer
"""

#: Plain English, each of one package, where it is explained: a new one should rather be a word of the field.
PLAIN = """
    cannot completed died difference fact failed gone outgoing changed followed packed paused recorded run tail
"""


def public_classes() -> set[str]:
    """Return the names of the public classes in public modules."""
    found = set()
    for path in SOURCES:
        parts = path.relative_to(ROOT).with_suffix("").parts
        if any(part.startswith("_") and part != "__init__" for part in parts):
            continue
        body = ast.parse(path.read_text()).body
        found |= {node.name for node in body if isinstance(node, ast.ClassDef) and not node.name.startswith("_")}
    return found


def words(name: str) -> list[str]:
    """Return the words of a name, in lower case and the singular."""
    pattern = "|".join([*PROPER.split(), "[A-Z]+(?=[A-Z][a-z]|$)", "[A-Z][a-z]+"])
    found = re.findall(pattern, name)
    assert "".join(found) == name, f"{name} is not written in camel case"
    return [word.lower() for word in found if word not in PROPER.split()]


def nouns() -> dict[str, str]:
    """Return the glossary: each noun with its sentence."""
    rows = re.findall(r"^\| \*\*(.+?)\*\* \| (.+) \|$", (ROOT / "docs/glossary.md").read_text(), re.MULTILINE)
    return dict(rows)


def known() -> set[str]:
    own = {word for noun in nouns() for word in noun.split()}
    return {*FIELD.split(), *PLAIN.split(), *own}


def forms(word: str) -> set[str]:
    """Return a word, and what may be its singular."""
    return {word, word.removesuffix("s"), word.removesuffix("es")}


def test_the_glossary_is_short_and_in_order():
    glossary = nouns()
    assert 20 <= len(glossary) <= 30
    assert list(glossary) == sorted(glossary)
    for noun, sentence in glossary.items():
        assert sentence.endswith("."), noun
        assert ". " not in sentence, f"{noun}: one sentence"


def test_public_classes_are_named_in_known_words():
    ours = known()
    unknown = {name: [word for word in words(name) if not forms(word) & ours] for name in public_classes()}
    unknown = {name: missing for name, missing in unknown.items() if missing}
    assert not unknown, f"use a word of the field, or give the word a place in docs/glossary.md: {unknown}"


def test_the_lists_have_no_word_that_no_name_has():
    used = {form for name in public_classes() for word in words(name) for form in forms(word)}
    listed = {*FIELD.split(), *PLAIN.split()}
    assert sorted(listed - used) == [], "no public class has these words any more: take them off the list"
    assert sorted(listed & nouns().keys()) == [], "the glossary has these: take them off the list"
