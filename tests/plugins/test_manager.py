"""What plugins do wrong, on real little distributions: each is reported, and none takes the program down."""

from __future__ import annotations

import warnings

import pytest

import ffnn.exceptions as errors
from ffnn.plugins import registry
from tests.support.little_plugins import HEADER, a_layer, hook, problems


def only_problem() -> registry.Entry:
    (entry,) = problems()
    return entry


def test_a_plugin_that_cannot_be_imported_is_reported_once_and_the_others_work(install):
    install("broken", "bad = broken_one", broken_one="import no_such_package_at_all")
    install("sound", "good = sound_one", sound_one=a_layer("scale", "sound_one:Scale"))
    expected = r"plugin 'bad' \(broken_one\) of broken 1\.2: could not be loaded: ModuleNotFoundError: .*no_such"
    with pytest.warns(errors.PluginWarning, match=expected):
        assert "scale" in registry.names("layer")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        registry.entries()
    entry = only_problem()
    assert (entry.kind, entry.name, entry.distribution, entry.version) == ("plugin", "bad", "broken", "1.2")


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("raise SystemExit(3)", "could not be loaded: SystemExit: 3"),
        ("def", "could not be loaded: SyntaxError"),
        (f"{HEADER}@hookimpl\ndef ffnn_bulders(): return {{}}", "did you mean 'ffnn_builders'?"),
        (f"{HEADER}@hookimpl\ndef colours(): return {{}}", "the hooks are ffnn_builders, ffnn_inputs, "),
        (
            f"{HEADER}@hookimpl\ndef ffnn_layers(config): return {{}}",
            "could not be loaded: PluginValidationError",
        ),
        ("def ffnn_layers(): return {}", "mark each of its hook functions with @ffnn.plugins.hookimpl"),
        (hook("layer", "1 / 0"), "hook ffnn_layers failed: ZeroDivisionError: division by zero"),
        (hook("layer", "raise SystemExit(1)"), "hook ffnn_layers failed: SystemExit: 1"),
        (hook("layer", "return ['scale']"), "hook ffnn_layers returned ['scale']; expected a dictionary"),
        (hook("layer", "return None"), "hook ffnn_layers returned None; expected a dictionary"),
        (hook("layer", "yield {}"), "hook ffnn_layers returned <generator"),
        (hook("layer", "return {'scale': int}"), "returned {'scale': <class 'int'>}; expected a dictionary"),
        (hook("layer", "return {'scale': 'module.Class'}"), "returned {'scale': 'module.Class'}; expected"),
        (hook("layer", "return {7: 'module:Class'}"), "returned {7: 'module:Class'}; expected"),
        (hook("input", "return {'auto': 'module:Class'}"), "the name 'auto' is reserved; choose another"),
    ],
)
def test_what_a_plugin_does_wrong_is_reported(install, source, expected):
    install("stranger", "any = stranger", stranger=source)
    with pytest.warns(errors.PluginWarning):
        known = registry.entries()
    assert expected in str(only_problem().error)
    assert registry.load("layer", "affine")
    assert len(known) == len([entry for entry in known if entry.built_in]) + 1


def test_one_wrong_hook_leaves_the_plugins_other_hooks(install):
    source = a_layer("scale", "stranger:Scale") + "@hookimpl\ndef ffnn_input(): return {}\n"
    source += "@hookimpl\ndef ffnn_builders(): return {'good': 'stranger:Good', 'bad': None}\n"
    install("stranger", "any = stranger", stranger=source)
    assert len(problems()) == 2
    assert "scale" in registry.names("layer")
    assert "good" in registry.names("builder")


def test_a_distribution_without_metadata_is_reported_and_not_fatal(install):
    site = install("stranger", "any = stranger", stranger="import nothing_of_that_name")
    (site / "stranger-1.2.dist-info" / "METADATA").unlink()
    registry.reload()
    assert only_problem().distribution == "unknown"


def test_a_warning_made_an_error_leaves_the_registry_working(install):
    install("broken", "bad = broken_one", broken_one="1 / 0")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(errors.PluginWarning, match="ZeroDivisionError"):
            registry.names("layer")
        assert "affine" in registry.names("layer")


def test_a_built_in_name_stays_ours(install):
    install("stranger", "any = stranger", stranger=a_layer("affine", "stranger:Mine"))
    entry = only_problem()
    assert entry.distribution == "stranger"
    assert entry.error == "the name 'affine' is built in (ffnn_plugins.layers.affine:Affine); choose another"
    assert registry.names("layer").count("affine") == 1
    assert registry.load("layer", "affine").__module__ == "ffnn_plugins.layers.affine"


def test_a_name_that_two_strangers_take_is_neithers_and_its_use_names_both(install):
    install("one", "any = first", first=a_layer("scale", "first:Scale"))
    install("two", "any = second", second=a_layer("scale", "second:Scale"), version="2.0")
    one, two = problems()
    also = "the name 'scale' is also registered by"
    assert one.error == f"{also} two 2.0 (second:Scale); uninstall one of them"
    assert two.error == f"{also} one 1.2 (first:Scale); uninstall one of them"
    assert "scale" not in registry.names("layer")
    with pytest.raises(errors.PluginConflictError) as caught:
        registry.load("layer", "scale", "block")
    owners = "one 1.2 (first:Scale) and two 2.0 (second:Scale)"
    assert str(caught.value) == f"block='scale' is registered by {owners}. Uninstall one of them."
