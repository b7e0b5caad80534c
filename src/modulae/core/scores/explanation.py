"""How a model's genes are read as gene sets: the settings that belong together, with their defaults."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, TypedDict

from modulae.core.checks import check_choice
from modulae.core.model.network import Method

from .impact import Aggregate, Difference, Scale


class ExplanationSettings(TypedDict, total=False):
    """Settings of an explanation, for :func:`modulae.tl.pathway_impact` and :func:`modulae.tl.sanity`."""

    method: Literal["gradient", "guided", "input_x_gradient", "integrated_gradients"]
    signed: bool
    aggregate: Literal["mean", "median"]
    difference: Literal["activity", "saliency"]
    scale: Literal["all", "set"]


DEFAULTS: ExplanationSettings = {
    "method": "gradient",
    "signed": True,
    "aggregate": "mean",
    "difference": "activity",
    "scale": "all",
}


def resolve_explanation(given: ExplanationSettings | None) -> ExplanationSettings:
    """All settings, the defaults where nothing is given.

    Raises
    ------
    TypeError
        What was given is not a dict.
    ValueError
        A setting or a value that does not exist.
    """
    if given is None:
        return DEFAULTS
    if not isinstance(given, Mapping):
        msg = f"explanation is {given!r}; give a dict, such as explanation={{'method': 'guided', 'signed': False}}."
        raise TypeError(msg)
    unknown = sorted(set(given) - set(DEFAULTS), key=str)
    if unknown:
        msg = f"explanation has no setting {unknown[0]!r}; choose from {list(DEFAULTS)}."
        raise ValueError(msg)
    settings: ExplanationSettings = {**DEFAULTS, **given}
    check_choice("method", settings["method"], Method)
    check_choice("aggregate", settings["aggregate"], Aggregate)
    check_choice("difference", settings["difference"], Difference)
    check_choice("scale", settings["scale"], Scale)
    if not isinstance(settings["signed"], bool):
        msg = f"signed is {settings['signed']!r}; choose True or False."
        raise TypeError(msg)
    return settings
