"""Arguments that are given by position where they have to be named: said with the call that is meant."""

from __future__ import annotations

import inspect
from functools import wraps
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from .text import listed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

P = ParamSpec("P")
R = TypeVar("R")

SPACES = ("pp", "tl", "get", "pl", "metrics", "datasets")
PLAIN = (str, int, float, type(None))
MOST_LETTERS = 60
"""Of a value that is written into a message."""


def by_name(function: Callable[P, R]) -> Callable[P, R]:
    """Refuse more arguments by position than a function takes, with the names of the others."""
    parameters = inspect.signature(function).parameters

    @wraps(function)
    def checked(*args: P.args, **kwargs: P.kwargs) -> R:
        refuse_positions(function, parameters, args, kwargs)
        return function(*args, **kwargs)

    return checked


def refuse_positions(
    function: Callable[..., Any],
    parameters: Mapping[str, inspect.Parameter],
    args: Sequence[object],
    kwargs: Mapping[str, object],
) -> None:
    """Refuse arguments by position that have to be named.

    Raises
    ------
    TypeError
        With the call as it is meant, where that can be told.
    """
    first = [name for name, one in parameters.items() if one.kind is not one.KEYWORD_ONLY]
    named = [name for name, one in parameters.items() if one.kind is one.KEYWORD_ONLY and name not in kwargs]
    more = args[len(first) :]
    if not more or len(more) > len(named):
        return  # Python says the rest
    space = next((part for part in function.__module__.split(".")[1:2] if part in SPACES), "")
    called = ".".join(filter(None, ("mo", space, function.__name__)))
    takes = f"takes {' and '.join(first)} by position, and the rest" if first else "takes its arguments"
    if all(isinstance(value, PLAIN) and len(repr(value)) <= MOST_LETTERS for value in more):
        given = [f"{name}={value!r}" for name, value in zip(named, more, strict=False)]
        others = named[len(more) :]
        also = f" What else can be named: {listed(others, 8)}." if others else ""
        msg = f"{called} {takes} by name. Write `{called}({', '.join([*first, *given])})`.{also}"
        raise TypeError(msg)
    msg = f"{called} {takes} by name. Name what is given as one of these: {listed(named, 8)}."
    raise TypeError(msg)
