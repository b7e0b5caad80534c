"""The calls that messages tell to run next: they can be copied as they are, and name the model."""

from __future__ import annotations

from .fields import DEFAULT_KEY

NAMES_MODEL = {"tl.autoencoder": "key_added", "tl.transfer": "key_added"}
"""What the argument with the name of the model is called, where it is not `key`."""


def step(function: str, *others: str, of: str = "adata", key: str = DEFAULT_KEY, **named: str | None) -> str:
    """A call in backticks, such as `` `mo.tl.saliency(adata, key='mine')` ``.

    Parameters
    ----------
    function
        Such as `"tl.saliency"`.
    others
        Further arguments, as they are written.
    of
        The first argument.
    key
        Name of the model; left out if it is the default.
    named
        Texts by the name of their argument; `None` is left out.
    """
    model = {} if key == DEFAULT_KEY else {NAMES_MODEL.get(function, "key"): key}
    given = [f"{name}={value!r}" for name, value in {**model, **named}.items() if value is not None]
    return f"`mo.{function}({', '.join([of, *others, *given])})`"
