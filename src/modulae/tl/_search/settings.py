"""Which settings a search tries, checked before any training."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from typing import Any

import numpy as np

from modulae.core.checks import check_integer
from modulae.core.model.config import NOT_FOR_PARTS, Config, config_for

HELD = {
    "layer": "name it in layer=",
    "mask_var": "name it in mask_var=: losses over other genes can't be compared",
    "n_splits": "leave it out: every run is one training",
    "replicate_over": "leave it out: every run is one training",
    "max_cells": "leave it out: every run is one training",
    "seed": "list the seeds in seeds=",
    "test_fraction": "give one in test_fraction=: losses of other cells can't be compared",
    "device": "name it in device=",
    "memory_limit": "give it in memory_limit=",
    "snapshot_epochs": "leave it out: it changes no result",
    "progress": "give it in progress=",
    "key_added": "leave it out: nothing is written to adata",
    "copy": "leave it out: nothing is written to adata",
}
"""Arguments of `tl.autoencoder` that a search holds, and what to do instead."""

Setting = dict[str, Any]


def defaults() -> Setting:
    """The arguments of `tl.autoencoder` that can be searched, with their defaults."""
    from modulae.tl._autoencoder.autoencoder import autoencoder

    parameters = inspect.signature(autoencoder).parameters.values()
    return {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY and p.name not in HELD}


def used(setting: Setting) -> Setting:
    """A setting with the defaults of its architecture; `None` where the architecture has no such argument."""
    config = _config(setting)
    foreign = NOT_FOR_PARTS if config.architecture == "parts" else ()
    known = {field.name for field in fields(Config)} - set(foreign)
    return {
        name: setting[name] if name in setting else getattr(config, name) if name in known else None
        for name in defaults()
    }


def list_settings(
    settings: Mapping[str, Any] | Sequence[Mapping[str, Any]], n_iter: int | None, seed: int
) -> list[Setting]:
    """Every combination, or `n_iter` drawn ones, each once.

    Raises
    ------
    KeyError
        A name that is no argument of `tl.autoencoder`.
    TypeError
        Values that are no list.
    ValueError
        Nothing to try, or a value that the training can't use.
    """
    from sklearn.model_selection import ParameterGrid, ParameterSampler

    grids = [settings] if isinstance(settings, Mapping) else list(settings)
    for grid in grids:
        _check_grid(grid, random=n_iter is not None)
    if not grids:
        msg = "settings is empty. Give names of arguments of `mo.tl.autoencoder` and lists of values."
        raise ValueError(msg)
    if n_iter is None:
        drawn = list(ParameterGrid([dict(grid) for grid in grids]))
    else:
        check_integer("n_iter", n_iter, minimum=1)
        size = _size(grids)
        some = n_iter if size is None else min(n_iter, size)
        drawn = list(ParameterSampler([dict(grid) for grid in grids], some, random_state=seed))
    unique: dict[str, Setting] = {}
    for one in drawn:
        setting = {name: plain(value) for name, value in one.items()}
        unique.setdefault(repr(sorted(setting.items())), setting)
    for setting in unique.values():
        _check_setting(setting)
    return list(unique.values())


def check_seeds(seeds: Any) -> list[int]:  # noqa: ANN401
    """Seeds as whole numbers, none twice."""
    if isinstance(seeds, str) or not isinstance(seeds, Iterable):
        msg = f"seeds is {seeds!r}; give a list of whole numbers, such as [0, 1, 2]."
        raise TypeError(msg)
    result = [plain(seed) for seed in seeds]
    for seed in result:
        check_integer("every entry of seeds", seed, minimum=0)
    if not result or len(set(result)) < len(result):
        msg = f"seeds is {result}; give at least one, and each once."
        raise ValueError(msg)
    return result


def plain(value: Any) -> Any:  # noqa: ANN401
    """A number as Python has it: arrays and distributions give NumPy's."""
    return value.item() if isinstance(value, np.generic) else value


def _check_grid(grid: Any, *, random: bool) -> None:  # noqa: ANN401
    if not isinstance(grid, Mapping):
        msg = f"settings holds {grid!r}; give a dict of name → list of values, such as {{'n_latent': [16, 32]}}."
        raise TypeError(msg)
    if not grid:
        msg = "settings is empty. Give names of arguments of `mo.tl.autoencoder` and lists of values."
        raise ValueError(msg)
    known = defaults()
    for name, values in grid.items():
        if name in HELD:
            msg = f"{name!r} is the same in all runs of a search; {HELD[name]}."
            raise KeyError(msg)
        if name not in known:
            msg = f"{name!r} is no argument of `mo.tl.autoencoder`. Choose from {sorted(known)}."
            raise KeyError(msg)
        if random and hasattr(values, "rvs"):
            continue
        if isinstance(values, str) or not isinstance(values, Sequence | np.ndarray):
            msg = f"{name} is {values!r}; give a list of values: {{{name!r}: [{values!r}]}}."
            raise TypeError(msg)
        if not len(values):
            msg = f"{name} has no values. Give one or more, or leave it out."
            raise ValueError(msg)


def _check_setting(setting: Setting) -> None:
    """Refuse what :func:`config_for` refuses."""
    _config(setting)


def _config(setting: Setting) -> Config:
    """The settings of a training; `None` stands for a default that depends on the others."""
    known = {field.name for field in fields(Config)}
    given = {name: value for name, value in {**defaults(), **setting}.items() if name in known}
    return config_for(**given)


def _size(grids: list[Mapping[str, Any]]) -> int | None:
    """How many combinations there are; `None` where one is drawn from a distribution."""
    if any(hasattr(values, "rvs") for grid in grids for values in grid.values()):
        return None
    return int(sum(np.prod([len(values) for values in grid.values()]) for grid in grids))
