"""`--dry-run`: the resolved configuration and the size of the network, without any work."""

from collections.abc import Mapping
from typing import Any

from nascli.cli.printing import print_json, toml


def print_plan(plan: Mapping[str, Any], *, stage: str, json: bool) -> None:
    """Print what the engine says that a run would be: as JSON, or as a file for --config with the sizes as comments."""
    if json:
        print_json({"stage": stage, **plan})
        return
    settings = dict(plan["config"])
    settings |= settings.pop("settings", {})
    print(f"# nascli {stage}, a file for --config")
    print(toml(settings))
    print(f"# {plan['parameters']:,} parameters, {plan['multiply_adds']:,} multiply-adds for one image")
    if plan.get("auxiliary_parameters"):
        print(f"# {plan['auxiliary_parameters']:,} more parameters in the auxiliary tower while it trains")
    print(f"# {plan['steps']:,} steps")
