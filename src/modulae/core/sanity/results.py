"""What the controls said: how far each agrees with the explanation, and what deleting genes does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from .controls import SEEDS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .compare import Agreement
    from .controls import Control
    from .deletion import Deletion


@dataclass(frozen=True, slots=True)
class ControlResults:
    """The controls, how far each agrees, and what deleting genes does."""

    controls: list[Control]
    agreements: list[Agreement]
    deletion: Deletion

    def values(self, what: str) -> NDArray[np.float64]:
        """One field of all agreements, … × controls."""
        return np.stack([getattr(agreement, what) for agreement in self.agreements], axis=-1)

    def by_seeds(self, what: str) -> NDArray[np.float64]:
        """The same for the other seeds only."""
        return self.values(what)[..., [control.kind == SEEDS for control in self.controls]]

    def deletion_passed(self) -> bool:
        """Whether more than half of the units fall further than in every random draw."""
        return bool((self.deletion.beaten() == 1).mean() > 0.5)
