"""Options and configurations: what is an option, what beats what, and what a wrong value is told."""

import json
import tomllib

import pytest
from pydantic import Field

from nascli import registry
from nascli.cli.options.of_config import UNUSED, flag, options, resolve
from nascli.config import EvalConfig, FinetuneConfig, SearchConfig, TrainConfig
from nascli.core.engine import dry_run
from nascli.errors import UsageError
from nascli.registry import METHODS, Method
from nascli.settings import Settings, settings_class


class Annealed(Settings):
    temperature: float = Field(1.0, ge=0.1, description="how soft the choice is")


@pytest.fixture
def other_method(monkeypatch):
    """A method called `anneal`, whose one setting no other method has."""
    monkeypatch.setitem(METHODS, "anneal", Method("nowhere:Nothing", "anneals", "nobody, 2026", f"{__name__}:Annealed"))


def names(model) -> set[str]:
    return {option.name for option in options(model)}


@pytest.mark.parametrize("model", [SearchConfig, FinetuneConfig, TrainConfig, EvalConfig])
def test_every_field_is_an_option(model):
    assert model.model_fields.keys() - {"settings"} - UNUSED.get(model, set()) <= names(model)


def test_an_evaluation_offers_nothing_that_has_no_effect_on_it(nascli):
    assert {"limit_train", "seed"} & names(EvalConfig) == set()
    assert names(EvalConfig) >= {"dataset", "data_dir", "image_size", "device", "precision", "batch_size"}
    done = nascli("eval", "model.safetensors", "--limit-train", 100)
    assert (done.code, done.out) == (2, "")
    assert "--limit-train" in done.err


@pytest.mark.parametrize("model", [SearchConfig, FinetuneConfig])
def test_every_setting_of_every_method_is_an_option(model, other_method):
    fields = {name: field for method in METHODS for name, field in settings_class(method).model_fields.items()}
    assert "temperature" in fields
    left_out = fields.keys() - names(model)
    assert left_out == ({"initial_dropout"} if model is FinetuneConfig else set())


def test_what_hardly_anybody_sets_is_an_option_that_the_help_does_not_list(nascli):
    assert "arch_beta1" in names(SearchConfig)
    shown = nascli("search", "--help").out
    assert "--arch-beta" not in shown
    assert "--arch-lr" in shown


def test_a_field_that_a_search_and_a_training_share_has_one_bound():
    for model in (SearchConfig, TrainConfig):
        with pytest.raises(UsageError, match="momentum: must be less than 1"):
            resolve(model, {"momentum": 1.0})


def test_training_has_no_options_of_search_methods():
    assert "partial_channels" not in names(TrainConfig)


def test_option_names():
    assert flag("arch_weight_decay") == "--arch-weight-decay"


def test_options_beat_the_file_and_the_file_beats_the_recipe(tmp_path):
    file = tmp_path / "mine.toml"
    file.write_text('dataset = "cifar10"\nepochs = 7\nbatch_size = 32\npartial_channels = 2\n')
    config = resolve(SearchConfig, {"epochs": 3, "arch_lr": 0.5}, file=file)
    assert (config.epochs, config.batch_size, config.dataset) == (3, 32, "cifar10")
    assert config.settings.model_dump()["partial_channels"] == 2
    assert config.settings.model_dump()["arch_lr"] == 0.5
    assert config.settings.model_dump()["arch_warmup_epochs"] == 15  # the recipe for CIFAR-10, PC-DARTS, section 4.2


def test_what_was_stored_comes_before_the_recipe_and_after_the_rest(tmp_path):
    stored = SearchConfig(epochs=9, batch_size=48, lr=0.7).model_dump(mode="json")
    file = tmp_path / "mine.toml"
    file.write_text("batch_size = 32\n")
    config = resolve(SearchConfig, {"lr": 0.25}, file=file, stored=stored)
    assert (config.epochs, config.batch_size, config.settings.model_dump()["lr"]) == (9, 32, 0.25)


@pytest.mark.parametrize(
    ("model", "given", "message"),
    [
        (SearchConfig, {"method": "pcdarts"}, "unknown method 'pcdarts': did you mean 'pc-darts'?"),
        (SearchConfig, {"dataset": "cifar01"}, "unknown dataset 'cifar01': did you mean 'cifar10'?"),
        (SearchConfig, {"recipe": "cifar"}, "unknown pc-darts recipe for search 'cifar': did you mean 'cifar10'?"),
        (SearchConfig, {"precision": "bf6"}, "unknown --precision 'bf6': did you mean 'bf16'?"),
        (SearchConfig, {"channel_sampling": "fist"}, "unknown --channel-sampling 'fist': did you mean 'first'?"),
        (TrainConfig, {"schedule": "cosin"}, "unknown --schedule 'cosin': did you mean 'cosine'?"),
        (TrainConfig, {"stem": "imagnet"}, "unknown --stem 'imagnet': did you mean 'imagenet'?"),
        (SearchConfig, {"epochs": 0}, "epochs: must be greater than or equal to 1 (got 0)"),
        (SearchConfig, {"train_fraction": 0.8}, "together they may be at most 1"),
    ],
)
def test_wrong_values_are_named_with_the_nearest_right_one(model, given, message):
    with pytest.raises(UsageError) as caught:
        resolve(model, given)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_all_faults_are_told_at_once():
    with pytest.raises(UsageError, match=r"epochs: .*; batch_size: .*"):
        resolve(TrainConfig, {"epochs": 0, "batch_size": -1})


def test_a_file_may_begin_with_a_byte_order_mark(tmp_path):
    (tmp_path / "c.toml").write_bytes(b"\xef\xbb\xbfepochs = 7\n")
    assert resolve(SearchConfig, {}, file=tmp_path / "c.toml").epochs == 7


def test_wrong_values_in_a_file_are_named_too(tmp_path):
    file = tmp_path / "mine.toml"
    file.write_text('precision = "bf6"\n')
    with pytest.raises(UsageError, match="did you mean 'bf16'"):
        resolve(SearchConfig, {}, file=file)
    file.write_text("epohcs = 3\n")
    with pytest.raises(UsageError, match="'epohcs': did you mean 'epochs'"):
        resolve(SearchConfig, {}, file=file)


def test_a_setting_of_another_method_is_told_whose_it_is(other_method):
    with pytest.raises(UsageError) as caught:
        resolve(SearchConfig, {"method": "darts", "temperature": 2.0})
    assert str(caught.value) == "--temperature is a setting of pgnas, anneal; darts has no such setting"


def test_switches_have_both_directions(nascli, monkeypatch):
    def planned(*arguments: str) -> dict:
        done = nascli("search", "--dry-run", "--json", *arguments)
        assert done.code == 0, done.err
        return json.loads(done.out)["config"]["settings"]

    monkeypatch.setattr(dry_run, "plan_search", lambda config, *rest: {"config": config.model_dump(mode="json")})
    assert planned()["edge_normalization"] is True
    assert planned("--no-edge-normalization")["edge_normalization"] is False
    assert planned("--recompute")["recompute"] is True


def test_a_super_network_is_a_space_of_another_name(nascli, monkeypatch, tmp_path):
    def planned(*arguments: object) -> dict:
        done = nascli("search", "--dry-run", "--json", *arguments)
        assert done.code == 0, done.err
        return json.loads(done.out)["config"]

    monkeypatch.setattr(dry_run, "plan_search", lambda config, *rest: {"config": config.model_dump(mode="json")})
    assert planned("--method", "pgnas", "--space", "enas") == planned("--method", "pgnas", "--supernet", "enas")
    assert planned("--method", "pgnas", "--supernet", "enas")["space"] == "enas"
    assert planned("--space", "nas-bench-201")["recipe"] == "digits-nas-bench-201"
    assert (planned()["space"], planned()["recipe"]) == ("darts", "digits")
    (tmp_path / "mine.toml").write_text('space = "nas-bench-201"\nmethod = "parsec"\n')
    config = planned("--config", tmp_path / "mine.toml")
    assert (config["space"], config["settings"]["nodes"]) == ("nas-bench-201", 3)


def test_dry_run_prints_a_file_that_gives_the_same_run(nascli, tmp_path):
    small = ["--layers", 3, "--nodes", 1, "--batch-size", 8]
    first = nascli("search", "--dry-run", *small, "--lr", "0.125", "--seed", 7)
    assert first.code == 0, first.err
    file = tmp_path / "again.toml"
    file.write_text(first.out)
    values = tomllib.loads(first.out)
    assert tomllib.loads(nascli("search", "--dry-run", "--config", file).out) == values
    assert (values["layers"], values["lr"], values["seed"], values["channels"]) == (3, 0.125, 7, 8)


def test_dry_run_of_a_training_knows_the_size_and_writes_nothing(nascli, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = nascli(
        "train", "pc-darts-cifar10", "--dry-run", "--layers", 20, "--channels", 36, "--batch-size", 2, "--epochs", 1
    )
    assert done.code == 0, done.err
    assert list(tmp_path.iterdir()) == []
    # 3,634,678 with the 3x3 stem convolution on three colours; digits have one: 2 * 9 * 108 weights fewer.
    assert "# 3,632,734 parameters, " in done.out


def test_registry_rows_are_not_changed_by_making_options():
    before = dict(registry.METHODS)
    options(SearchConfig)
    assert dict(registry.METHODS) == before
