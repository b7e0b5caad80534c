"""Before training: which genes to train on, and labels from surface markers."""

from ._gate_cells import gate_cells
from ._gene_set_mask import gene_set_mask

__all__ = ["gate_cells", "gene_set_mask"]
