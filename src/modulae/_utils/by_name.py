"""Arguments that are given by position where they have to be named, or by a name that there is not."""

from __future__ import annotations

import difflib
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
    """Refuse more arguments by position than a function takes, and names that it has not."""
    parameters = inspect.signature(function).parameters

    @wraps(function)
    def checked(*args: P.args, **kwargs: P.kwargs) -> R:
        refuse_wrong_arguments(function, parameters, args, kwargs)
        return function(*args, **kwargs)

    return checked


def refuse_wrong_arguments(
    function: Callable[..., Any],
    parameters: Mapping[str, inspect.Parameter],
    args: Sequence[object],
    kwargs: Mapping[str, object],
) -> None:
    """Refuse unknown names, arguments by position that have to be named, and a call in which one is missing.

    Raises
    ------
    TypeError
        With the name or the call that is meant, where that can be told.
    """
    refuse_names(function, parameters, kwargs)
    refuse_positions(function, parameters, args, kwargs)
    given = {*list(parameters)[: len(args)], *kwargs}
    needed = [name for name, one in parameters.items() if one.default is one.empty and name not in given]
    if needed and not any(one.kind in {one.VAR_KEYWORD, one.VAR_POSITIONAL} for one in parameters.values()):
        call = ", ".join(
            [next(iter(parameters)), *(f"{name}=..." for name in needed if name != next(iter(parameters)))]
        )
        msg = (
            f"{public_name(function)} needs {listed(f'{name}=' for name in needed)}: `{public_name(function)}({call})`."
        )
        raise TypeError(msg)


def refuse_names(
    function: Callable[..., Any], parameters: Mapping[str, inspect.Parameter], kwargs: Mapping[str, object]
) -> None:
    """Refuse a name that a function has not.

    Raises
    ------
    TypeError
        With the names that are most like it, or all of them.
    """
    unknown = next((name for name in kwargs if name not in parameters), None)
    if unknown is None or any(one.kind is one.VAR_KEYWORD for one in parameters.values()):
        return
    others = [name for name in parameters if name not in kwargs]
    close = difflib.get_close_matches(unknown, others, n=3)
    meant = (
        f"Did you mean {' or '.join(f'{name}=' for name in close)}?"
        if close
        else f"It takes {listed(others, 40) or 'none'}."
    )
    msg = f"{public_name(function)} has no argument {unknown}=. {meant}"
    raise TypeError(msg)


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
    called = public_name(function)
    takes = f"takes {' and '.join(first)} by position, and the rest" if first else "takes its arguments"
    if all(isinstance(value, PLAIN) and len(repr(value)) <= MOST_LETTERS for value in more):
        given = [f"{name}={value!r}" for name, value in zip(named, more, strict=False)]
        others = named[len(more) :]
        also = f" What else can be named: {listed(others, 8)}." if others else ""
        msg = f"{called} {takes} by name. Write `{called}({', '.join([*first, *given])})`.{also}"
        raise TypeError(msg)
    msg = f"{called} {takes} by name. Name what is given as one of these: {listed(named, 8)}."
    raise TypeError(msg)


def public_name(function: Callable[..., Any]) -> str:
    """What a user calls it."""
    space = next((part for part in function.__module__.split(".")[1:2] if part in SPACES), "")
    return ".".join(filter(None, ("mo", space, function.__name__)))
