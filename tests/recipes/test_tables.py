"""Tables that are like others: of another file, of another stage, in a chain; and that none repeats another."""

from collections import defaultdict

import pytest

from nascli import recipes
from nascli.config import TrainConfig
from nascli.errors import UsageError
from nascli.registry import METHODS, SPACES_OF

WRITTEN = {
    recipes.TableName(stage, owner, data): table
    for stage in (*recipes.STAGES, recipes.RANKING)
    for owner in (*SPACES_OF, *METHODS)
    for data, table in recipes._written_tables(stage, owner).items()
}
"""Every table as it stands in its file."""

LONG = 5
"""Lines from which on a table that is another's copy should be `like` it."""


@pytest.fixture
def documents(monkeypatch):
    """Puts these files in the place of those that there are, as in `documents(parsec={"train": …})`."""

    def forget():
        recipes._written_tables.cache_clear()
        recipes._tables.cache_clear()

    def put(**files):
        monkeypatch.setattr(recipes, "_document", lambda name: files.get(name.replace("-", "_"), {}))
        forget()

    yield put
    monkeypatch.undo()
    forget()


def test_a_table_is_like_one_of_another_file_and_that_like_a_third(documents):
    documents(
        cells={"train": {"cifar10": {"source": "theirs", "epochs": 600, "lr": 0.1, "cutout": 16}}},
        parsec={"train": {"cifar10": {"source": "its own", "like": "cells/cifar10", "lr": 0.2}}},
        random={"train": {"cifar10": {"like": "parsec/cifar10", "cutout": 0}}},
    )
    assert recipes.load("train", "random", "cifar10") == {"epochs": 600, "lr": 0.2, "cutout": 0}
    assert recipes.source("train", "random", "cifar10") == "its own"
    assert recipes.load("train", "parsec", "cifar10") == {"epochs": 600, "lr": 0.2, "cutout": 16}
    assert recipes.load("train", "spos", "cifar10") == {"epochs": 600, "lr": 0.1, "cutout": 16}


def test_a_table_is_like_one_of_another_stage(documents):
    documents(
        parsec={
            "search": {"digits": {"source": "", "epochs": 30, "lr": 0.1}, "pictures": {"source": "", "lr": 0.3}},
            "finetune": {"digits": {"like": "search.digits", "epochs": 10}},
        },
        spos={"train": {"pictures": {"like": "parsec/search.pictures", "epochs": 1}}},
    )
    assert recipes.load("finetune", "parsec", "digits") == {"epochs": 10, "lr": 0.1}
    assert recipes.load("train", "spos", "pictures") == {"epochs": 1, "lr": 0.3}


def test_methods_have_what_is_for_all_of_their_kind_but_for_what_they_give_themselves(documents):
    digits, pictures, own = ({"source": "", "lr": lr} for lr in (0.1, 0.2, 0.3))
    documents(cells={"train": {"digits": digits, "pictures": pictures}}, spos={"train": {"digits": own}})
    assert recipes.names("train", "spos") == recipes.names("train", "parsec") == ["digits", "pictures"]
    assert recipes.load("train", "spos", "digits") == {"lr": 0.3}
    assert recipes.load("train", "spos", "pictures") == {"lr": 0.2}
    assert recipes.load("train", "parsec", "digits") == {"lr": 0.1}
    assert recipes.names("train", "pgnas") == []  # It searches channels.


def test_a_table_is_like_what_another_method_has_of_its_kind(documents):
    """As in the name of a recipe, the method need not give it itself."""
    documents(
        cells={"train": {"digits": {"source": "ours", "lr": 0.1}}},
        pgnas={"train": {"digits": {"like": "darts/digits", "clip": 0.0}}},
        parsec={"train": {"pictures": {"like": "digits"}}},
    )
    assert recipes.load("train", "pgnas", "digits") == {"lr": 0.1, "clip": 0.0}
    assert recipes.load("train", "parsec", "pictures") == {"lr": 0.1}


def test_in_the_file_of_a_space_tables_are_like_others_of_that_space(documents):
    documents(
        cells={"search": {"cifar10": {"source": "", "layers": 8}}},
        nas_bench_201={
            "search": {
                "cells": {"cifar10": {"source": "", "layers": 15}},
                "darts": {"cifar10": {"like": "cells/cifar10", "lr": 0.1}, "imagenet": {"like": "cifar10"}},
            }
        },
    )
    assert recipes.load("search", "darts", "imagenet-nas-bench-201") == {"layers": 15, "lr": 0.1}
    assert recipes.load("search", "spos", "cifar10-nas-bench-201") == {"layers": 15}
    assert recipes.load("search", "spos", "cifar10") == {"layers": 8}


@pytest.mark.parametrize(
    ("like", "message"),
    [
        (
            "darts/cifar01",
            "parsec/train.cifar10 is like darts/train.cifar01: unknown darts recipe for train 'cifar01': "
            "did you mean 'cifar10'? Known: cifar10",
        ),
        (
            "search.cifar10",
            "parsec/train.cifar10 is like parsec/search.cifar10: unknown parsec recipe for search 'cifar10'.",
        ),
        (
            "drats/cifar10",
            "parsec/train.cifar10 is like drats/train.cifar10: unknown drats recipe for train 'cifar10'.",
        ),
    ],
)
def test_a_table_that_is_like_none_is_told(documents, like, message):
    table = {"cifar10": {"source": "", "lr": 0.1}}
    documents(darts={"train": table}, parsec={"train": {"cifar10": {"like": like}}})
    with pytest.raises(ValueError, match="is like") as caught:
        recipes.load("train", "parsec", "cifar10")
    assert str(caught.value).startswith(message)


def test_tables_that_are_like_each_other_are_told(documents):
    documents(
        darts={"train": {"digits": {"like": "parsec/digits"}}},
        parsec={"train": {"digits": {"like": "darts/digits"}, "pictures": {"like": "pictures"}}},
        spos={"train": {"digits": {"like": "darts/digits"}}},
    )
    circle = "darts/train.digits is like parsec/train.digits is like darts/train.digits"
    with pytest.raises(ValueError, match=f"^recipes in a circle: spos/train.digits is like {circle}$"):
        recipes.load("train", "spos", "digits")
    with pytest.raises(ValueError, match="circle: parsec/train.pictures is like parsec/train.pictures$"):
        recipes.load("train", "parsec", "pictures")


@pytest.mark.parametrize("name", ["cells", "channels", "nas-bench-201", "no-such-method"])
def test_only_methods_have_recipes(name):
    assert recipes.names("train", name) == []
    with pytest.raises(UsageError, match=f"unknown {name} recipe for train 'cifar10'"):
        recipes.load("train", name, "cifar10")


def test_every_table_has_settings_and_a_source():
    for name in WRITTEN:
        whole = recipes._completed(name)
        assert whole["source"].strip(), name
        assert len(whole) > 1, name
        assert "like" not in whole, name


def test_no_table_is_a_copy_of_another():
    """But for its source."""
    copies = defaultdict(list)
    for name, table in WRITTEN.items():
        said = {key: value for key, value in table.items() if key != "source"}
        if "like" in said:
            said["like"] = recipes._like(said["like"], name)
        if len(said) >= LONG:
            copies[frozenset(said.items())].append(str(name))
    assert not [names for names in copies.values() if len(names) > 1]


def test_no_table_says_again_what_it_has_from_the_one_that_it_is_like():
    for name, table in WRITTEN.items():
        if "like" in table:
            inherited = recipes._completed(recipes._like(table["like"], name))
            assert not {key for key, value in table.items() if inherited.get(key) == value}, name


def test_a_method_that_does_not_exist_is_told_with_the_closest_one():
    with pytest.raises(UsageError, match="did you mean 'darts'"):
        TrainConfig(method="drats", space="nas-bench-201")
