"""`--dry-run`: the resolved configuration, the size of the network, and memory and time as two steps predict them."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from nascli.cli.output.printing import print_json, toml


def print_plan(plan: Mapping[str, Any], *, stage: str, json: bool) -> None:
    """Print the engine's plan of a run: as JSON, or as a file for --config with the figures as comments."""
    if json:
        print_json({"stage": stage, **plan})
        return
    _print_config(plan["config"], stage)
    _print_costs(plan)


def print_plans(plans: Mapping[str, Mapping[str, Any]], *, stage: str, json: bool) -> None:
    """Print the plans of several runs, by name; apart from the seed they share a configuration."""
    if json:
        print_json([{"stage": stage, **plan} for plan in plans.values()])
        return
    configs = [plan["config"] for plan in plans.values()]
    _print_config({k: v for k, v in configs[0].items() if all(config[k] == v for config in configs)}, stage)
    for name, plan in plans.items():
        print(f"# {name}:")
        _print_costs(plan)
    if len(plans) > 1:
        seconds = sum(plan["seconds"] for plan in plans.values())
        print(f"# all {len(plans)}, one after another: {duration(seconds)}")


def print_ranking_plan(plan: Mapping[str, Any], *, stage: str, json: bool) -> None:
    """Print the plan of a ranking of candidates."""
    if json:
        print_json({"stage": stage, **plan})
        return
    _print_config(plan["config"], stage)
    for name, unit in (("parameters", "parameters"), ("multiply_adds", "multiply-adds for one image")):
        size = plan[name]
        print(f"# {size['least']:,} to {size['most']:,} {unit}; the posterior's have {size['mean']:,.0f} on average")
    print(f"# {plan['scored']:,} candidates, {plan['different']:,} different; {plan['images']:,} held-out images")
    if "shard" in plan:
        print(f"# part {plan['shard']} of the ranking: {plan['in_shard']:,} of the different ones")
    _print_cache(plan)
    pace = f"{plan['candidates_per_second']:.3g} candidates a second on all of them"
    print(f"# {pace}; {duration(plan['seconds'])} in all")


def _print_config(config: Mapping[str, Any], stage: str) -> None:
    settings = dict(config)
    settings |= settings.pop("settings", {})
    print(f"# nascli {stage}, a file for --config")
    print(toml(settings))


def _print_costs(plan: Mapping[str, Any]) -> None:
    print(f"# {plan['parameters']:,} parameters, {plan['multiply_adds']:,} multiply-adds for one image")
    if "backbone" in plan:
        body = plan["backbone"]
        print(f"# of these {body['parameters']:,} and {body['multiply_adds']:,} in the backbone")
        maps = ", ".join(f"{one['side']}x{one['side']}" for one in plan["maps"])
        print(f"# {plan['default_boxes']:,} default boxes on maps of {maps}")
    if plan.get("auxiliary_parameters"):
        print(f"# {plan['auxiliary_parameters']:,} more parameters in the auxiliary tower while it trains")
    print(f"# {plan['peak_memory_bytes'] / 2**20:,.0f} MiB at the peak: {plan['peak_memory_of']}")
    _print_cache(plan)
    pace = f"{plan['seconds_per_step']:.3g} s each"
    if "warmup_steps" in plan:
        pace += f" ({plan['warmup_seconds_per_step']:.3g} s in the first {plan['warmup_steps']:,}, the warm-up)"
    print(f"# {plan['steps']:,} steps, {pace}: {duration(plan['seconds'])} in all")


def _print_cache(plan: Mapping[str, Any]) -> None:
    if "cache" in plan:
        print(
            f"# {plan['cache_bytes'] / 2**20:,.0f} MiB of decoded pictures, made in {duration(plan['cache_seconds'])}"
        )


def duration(seconds: float) -> str:
    """Hours, minutes and seconds, and days if there are any: `0:04:05`, `2 days, 3:04:05`."""
    return str(timedelta(seconds=round(seconds)))
