"""What the engine asks of a method's settings."""

import pytest
from pydantic import ValidationError

from nascli.registry import METHODS
from nascli.settings import settings_class
from nascli.settings.groups import CellNetwork

HALVES = [name for name in METHODS if "train_fraction" in settings_class(name).model_fields]


@pytest.mark.parametrize("method", HALVES)
def test_the_weights_have_the_train_fraction_and_the_architecture_the_other(method: str) -> None:
    settings = settings_class(method)(train_fraction=0.6, search_fraction=0.3)
    assert settings.parts == {"train": 0.6, "search": 0.3}


@pytest.mark.parametrize("method", HALVES)
def test_the_fractions_may_take_all_images_and_no_more(method: str) -> None:
    assert sum(settings_class(method)(train_fraction=0.7, search_fraction=0.3).parts.values()) == 1
    with pytest.raises(ValidationError, match="together they may be at most 1"):
        settings_class(method)(train_fraction=0.7, search_fraction=0.7)


def test_a_posterior_learns_from_all_but_what_it_holds_out() -> None:
    assert settings_class("pgnas")(held_out=0.25).parts == {"train": 0.75, "held_out": 0.25}


@pytest.mark.parametrize("method", METHODS)
def test_cutout_and_warm_up_are_known_where_a_method_has_them(method: str) -> None:
    own = settings_class(method).model_fields
    given = {name: value for name, value in {"cutout": 5, "arch_warmup_epochs": 3}.items() if name in own}
    settings = settings_class(method)(**given)
    assert settings.cut_side == (5 if "cutout" in own else 0)
    assert settings.resting_epochs == (3 if "arch_warmup_epochs" in own else 0)
    assert settings.known_stem == ("cifar" if "stem" in own else None)


def test_the_largest_map_is_what_the_first_cell_puts_out_where_the_stem_keeps_the_side() -> None:
    kind = settings_class("darts")
    assert kind(channels=7).largest_map("darts", 10) == 7 * 10 * 10
    assert kind(channels=7, stem="imagenet").largest_map("darts", 10) == 0


def test_settings_that_say_nothing_of_the_images_cannot_be_made() -> None:
    with pytest.raises(TypeError, match="parts"):
        CellNetwork()  # type: ignore[abstract]
