"""Pictures with boxes: where they come from, their random views, and batches of them."""

from nascli.data.scenes.module import SceneData, open_scenes
from nascli.data.scenes.scenes import Boxes, Scenes, SceneSource

__all__ = ["Boxes", "SceneData", "SceneSource", "Scenes", "open_scenes"]
