"""Cells of two data sets in one space."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .label_transfer import Groups, variance_stabilised

if TYPE_CHECKING:
    from numpy.typing import NDArray


def joint_space(
    reference: NDArray[np.floating],
    cells: NDArray[np.floating],
    *,
    codes: NDArray[np.integer] | None = None,
    n_labels: int = 0,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Square roots of the activities of both, those of the cells without their shift if labels tell how large it is.

    Whitening by the labels would draw them apart in a picture: it serves to estimate the shift only.

    Parameters
    ----------
    reference
        Reference cells × units.
    cells
        Cells × units.
    codes
        Label of each reference cell, −1 where it has none; `None` leaves the shift.
    n_labels
        How many labels there are.
    """
    ours, theirs = variance_stabilised(cells), variance_stabilised(reference)
    if codes is None:
        return theirs, ours
    labelled = codes >= 0
    groups = Groups.of(reference[labelled], codes[labelled], n_labels)
    moved = groups.shift(groups.placed(cells))
    return theirs, ours - moved @ np.linalg.pinv(groups.whitening)
