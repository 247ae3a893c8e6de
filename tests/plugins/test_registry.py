"""The registry, on real little distributions: nothing of pluggy or of importlib.metadata is replaced."""

from __future__ import annotations

import subprocess
import sys
import threading

import pytest

import ffnn.exceptions as errors
from ffnn import MLPClassifier
from ffnn.plugins import registry
from tests.support.little_plugins import HEADER, a_layer, hook, problems

# --- what is there


def test_the_built_in_names_are_registered_like_a_strangers():
    assert registry.names("builder")[:2] == ["tf", "keras"]
    assert registry.names("input")[:2] == ["dense", "sparse"]
    assert registry.names("layer")[:4] == ["affine", "activation", "dropout", "alpha_dropout"]
    assert registry.names("output")[:4] == ["binary", "multiclass", "multilabel", "regression"]
    assert "multiprocessing" in registry.names("executor")
    assert problems() == []
    assert all(entry.version for entry in registry.entries())


def test_a_strangers_plugin_comes_after_the_built_in_ones_and_goes_with_its_distribution(install):
    source = a_layer("scale", "stranger:Scale") + "class Scale: pass\n"
    site = install("aaa-stranger", "any = stranger", version="3.1", stranger=source)
    (entry,) = [entry for entry in registry.entries() if entry.name == "scale"]
    assert entry == registry.Entry("layer", "scale", "stranger:Scale", "aaa-stranger", "3.1", None)
    assert registry.names("layer")[-1] == "scale"
    assert registry.load("layer", "scale").__module__ == "stranger"
    sys.path.remove(str(site))
    registry.reload()
    assert "scale" not in registry.names("layer")


def test_a_plugin_may_be_an_object_in_a_module_and_a_nested_class(install):
    source = (
        f"{HEADER}\nclass Hooks:\n    @hookimpl\n    def ffnn_layers(self):\n"
        "        return {'deep': 'stranger:Outer.Inner'}\n\nhooks = Hooks()\n\n"
        "class Outer:\n    class Inner: pass\n"
    )
    install("stranger", "any = stranger:hooks", stranger=source)
    assert registry.load("layer", "deep").__qualname__ == "Outer.Inner"


def test_listing_imports_neither_scikit_learn_nor_an_engine():
    code = (
        "import sys\nfrom ffnn.plugins import registry\nassert len(registry.entries()) >= 13\n"
        "print(sorted({'sklearn', 'scipy', 'tensorflow', 'keras', 'torch', 'jax'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_threads_that_ask_at_once_get_one_answer(install):
    source = a_layer("scale", "stranger:Scale") + "import time; time.sleep(0.05)\n"
    install("stranger", "any = stranger", stranger=source)
    barrier, answers = threading.Barrier(8), []

    def ask() -> None:
        barrier.wait()
        answers.append(registry.entries())

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 8
    assert all(answer == answers[0] for answer in answers)
    assert [entry.name for entry in answers[0]].count("scale") == 1


# --- from a name to a class


def test_an_unknown_name_is_answered_with_the_nearest_all_and_the_remedy():
    with pytest.raises(ValueError, match="must name a builder") as caught:
        registry.load("builder", "kears", "builder")
    assert isinstance(caught.value, errors.UnknownPluginError)
    message = str(caught.value)
    assert message.startswith("builder must name a builder that is registered; got 'kears'. ")
    assert "Did you mean 'keras'? Registered: 'tf', 'keras'" in message
    assert "`ffnn plugins` lists them" in message


def test_an_unknown_name_is_blamed_on_the_kind_where_there_is_no_parameter():
    with pytest.raises(errors.UnknownPluginError, match="^input must name an input that is registered; got 7"):
        registry.load("input", 7)  # type: ignore[arg-type]


@pytest.mark.filterwarnings("ignore::ffnn.exceptions.PluginWarning")
def test_an_unknown_name_whose_plugin_failed_says_why(install):
    for name in ("one", "two", "three"):
        install(name, f"{name} = broken_{name}", **{f"broken_{name}": "1 / 0"})
    install("zebra", "mine = stranger", stranger="raise ImportError('libengine.so.7 is missing')")
    with pytest.raises(errors.UnknownPluginError) as caught:
        MLPClassifier(builder="mine").fit([[0.0], [1.0]], [0, 1])
    reasons = str(caught.value).partition("A plugin that failed may have that name: ")[2].split("; ")
    loaded = "could not be loaded: "
    assert reasons[0] == f"the plugin 'mine' (stranger) of zebra 1.2 {loaded}ImportError: libengine.so.7 is missing"
    assert reasons[1] == f"the plugin 'one' (broken_one) of one 1.2 {loaded}ZeroDivisionError: division by zero"
    assert reasons[3].startswith("and 1 more. Registered: ")


def test_an_unknown_kind():
    with pytest.raises(ValueError, match="kind must be one of 'builder', 'input', .*; got 'colour'"):
        registry.names("colour")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("target", "cause"),
    [
        ("stranger_broken:Scale", "RuntimeError: no licence"),
        ("stranger_gone:Scale", "ModuleNotFoundError: No module named 'stranger_gone'"),
        ("stranger:Scole", "AttributeError: .*no attribute 'Scole'"),
    ],
)
def test_a_class_that_cannot_be_imported_is_an_error_at_its_use(install, target, cause):
    source = a_layer("scale", target)
    install("stranger", "any = stranger", stranger=source, stranger_broken="raise RuntimeError('no licence')")
    assert problems() == []
    expected = rf"^block='scale' \({target}, of stranger 1\.2\) could not be imported: {cause}"
    with pytest.raises(errors.PluginLoadError, match=expected) as caught:
        registry.load("layer", "scale", "block")
    assert caught.value.__cause__ is not None


def test_what_is_no_class_is_an_error_at_its_use(install):
    install("stranger", "any = stranger", stranger=a_layer("scale", "stranger:scale") + "scale = 2\n")
    with pytest.raises(errors.PluginLoadError, match="must be a class; it is 2"):
        registry.load("layer", "scale")


def test_a_builder_whose_engine_is_not_installed_says_how_to_install_it(install):
    source = hook("builder", "return {'far': 'stranger_builder:Builder'}")
    builder = "import engine_of_the_future.core"
    install("stranger", "any = stranger", stranger=source, stranger_builder=builder)
    with pytest.raises(ValueError, match="not installed") as caught:
        registry.load("builder", "far", "builder")
    assert isinstance(caught.value, errors.EngineNotInstalledError)
    assert str(caught.value) == (
        "builder='far' needs 'engine_of_the_future', which is not installed. "
        "Install it (pip install engine_of_the_future), or choose another builder: 'tf', 'keras', 'native'."
    )


def test_ffnns_own_errors_at_import_reach_the_user_as_they_are(install):
    source = a_layer("scale", "stranger_layer:Scale")
    layer = "from ffnn.exceptions import EngineNotInstalledError\nraise EngineNotInstalledError('get it')"
    install("stranger", "any = stranger", stranger=source, stranger_layer=layer)
    with pytest.raises(errors.EngineNotInstalledError, match="^get it$"):
        registry.load("layer", "scale")


def test_the_choice_among_plugins_passes_over_the_broken_ones(install):
    source = a_layer("scale", "stranger:Scale") + "class Scale: pass\n"
    install("broken", "any = broken", broken=a_layer("gone", "broken_gone:Gone"))
    install("stranger", "any = stranger", stranger=source)
    with pytest.warns(errors.PluginWarning, match=r"skipped: layer='gone' \(broken_gone:Gone, of broken 1.2\)"):
        names = [name for name, _ in registry.usable("layer")]
    built_in = [entry.name for entry in registry.entries() if entry.kind == "layer" and entry.built_in]
    assert "affine" in built_in
    assert names == [*built_in, "scale"]


# --- from what the user gave to an instance


class Base:
    pass


SCALE = "import numbers\nclass Scale(dict): pass\nclass Needy(dict):\n    def __init__(self, rate): pass\n"


@pytest.fixture
def scale(install):
    both = "return {'scale': 'stranger:Scale', 'needy': 'stranger:Needy'}"
    install("stranger", "any = stranger", stranger=hook("layer", both) + SCALE)


def test_a_name_gives_a_new_instance_and_an_instance_itself(scale):
    instance = registry.resolve("layer", "scale", "block", dict)
    assert type(instance).__name__ == "Scale"
    assert registry.resolve("layer", "scale", "block", dict) is not instance
    assert registry.resolve("layer", instance, "block", dict) is instance


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        (Base, "got the class Base. Give an instance, Base(), or a name: 'tf', 'keras', 'native'."),
        (0.5, "got 0.5, of type float. Give a name: 'tf', 'keras', 'native'."),
        (None, "got None, of type NoneType. Give a name: 'tf', 'keras', 'native'."),
    ],
)
def test_anything_else_is_a_type_error_with_its_remedy(spec, expected):
    with pytest.raises(TypeError) as caught:
        registry.resolve("builder", spec, "builder", Base)
    start = "builder must be the name of a registered builder or an instance of Base; "
    assert str(caught.value) == start + expected


def test_a_class_that_needs_arguments_cannot_be_named(scale):
    expected = r"block='needy' cannot be called without arguments: .*'rate'; give block an instance, Needy\("
    with pytest.raises(errors.PluginLoadError, match=expected):
        registry.resolve("layer", "needy", "block", dict)


def test_a_class_of_the_wrong_kind_is_named_with_its_distribution(scale):
    expected = r"block='scale' is stranger:Scale of stranger 1\.2, which is no .*\.Base; .* must derive from it"
    with pytest.raises(errors.PluginLoadError, match=expected):
        registry.resolve("layer", "scale", "block", Base)
