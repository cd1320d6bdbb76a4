"""The model's file: trained weights with all that is needed to build their network and to feed it images."""

from nascli.artifacts.network_settings import NetworkSettings

__all__ = ["NetworkSettings"]
