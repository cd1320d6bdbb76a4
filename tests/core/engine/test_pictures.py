"""What a stage plans for large pictures that are decoded once."""

from pathlib import Path

import numpy as np

from nascli.config import DeriveConfig
from nascli.core.engine.destination import Destination
from nascli.core.engine.pictures import as_kept, keeping_facts, planned_keeping
from nascli.core.engine.reporter import Silent
from nascli.data import open_data
from tests.data.pictures import CPU, make_folder

SIDE = 72


class Told(Silent):
    def __init__(self) -> None:
        self.notices: list[str] = []

    def notice(self, text: str) -> None:
        self.notices.append(text)


def test_the_chosen_pictures_are_planned_where_the_run_would_be(tmp_path: Path) -> None:
    images = make_folder(tmp_path / "images", {"a": 5, "b": 5}, side=SIDE)
    told, target = Told(), Destination(run_dir=tmp_path / "run")
    config = DeriveConfig(method="pgnas", dataset="folder", data_dir=images, image_size=SIDE, workers=0, cache="disk")
    data = open_data(config, device=CPU)
    planned = planned_keeping(data, config, target, told, chosen=np.arange(4))
    facts = keeping_facts(planned)
    assert (facts["cache"], facts["cache_bytes"]) == ("disk", 4 * 3 * SIDE * SIDE)
    assert told.notices[0].startswith("4 pictures are decoded once")
    assert str(tmp_path / "run") in told.notices[0]
    with as_kept(data, planned):
        assert sum(len(labels) for _, labels in data.batches(np.arange(4), 3)) == 4
    assert not (tmp_path / "run").exists()

    away = config.model_copy(update={"cache": "none"})
    assert keeping_facts(planned_keeping(data, away, target, told)) == {}
    assert len(told.notices) == 1
