"""What several stages of a step share: where a gene stands, and the step of Adam."""
# mypy: disable-error-code="no-untyped-def, untyped-decorator"
# ruff: noqa: ANN001, ANN201, PLR0917

from __future__ import annotations

import numpy as np

from modulae.core.compiled.first_call import inline

ZERO, ONE = np.float32(0), np.float32(1)
NOTHING, NOTHING_SQUARED = np.float32(1e-30), np.float32(1e-36)  # less would become denormal numbers in the end


@inline
def find(indices, first, last, gene):
    """Where the first gene that is not before this one stands."""
    while first < last:
        middle = (first + last) // 2
        if indices[middle] < gene:
            first = middle + 1
        else:
            last = middle
    return first


@inline
def adam(weight, mean, square, row, start, n, gradient, at, scale, lowest, numbers):
    """A step of Adam in some numbers of a row; afterwards none is below the lowest."""
    for c in range(n):
        slope = gradient[at, c]
        m = numbers.beta1 * mean[row, start + c] + (ONE - numbers.beta1) * slope
        v = numbers.beta2 * square[row, start + c] + (ONE - numbers.beta2) * slope * slope
        m, v = m if abs(m) > NOTHING else ZERO, v if v > NOTHING_SQUARED else ZERO
        mean[row, start + c], square[row, start + c] = m, v
        step = scale[start + c] * numbers.step * m / (np.sqrt(v) * numbers.root + numbers.eps)
        weight[row, start + c] = max(weight[row, start + c] - step, lowest)
