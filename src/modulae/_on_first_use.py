"""Public names are imported when they are first used (PEP 562), so that `import modulae` is nearly free."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence


def on_first_use(
    package: str, names: Sequence[str], homes: Mapping[str, str] | None = None
) -> tuple[Callable[[str], object], Callable[[], list[str]]]:
    """Make the `__getattr__` and `__dir__` of a package.

    `homes` says in which module of the package a name is found; the others are each in a module of their own, `_name`.
    A name that is its own home is a module. Type checkers read the same names from the imports under `TYPE_CHECKING`.
    """
    where = {name: f"_{name}" for name in names} | dict(homes or {})

    def find(name: str) -> object:
        if name not in where:
            msg = f"module {package!r} has no attribute {name!r}"
            raise AttributeError(msg, name=name, obj=sys.modules[package])
        module = import_module(f"{package}.{where[name]}")
        result = module if where[name] == name else getattr(module, name)
        setattr(sys.modules[package], name, result)  # the next time it is simply there
        return result

    return find, lambda: sorted(names)
