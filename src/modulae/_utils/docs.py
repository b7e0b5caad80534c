"""Texts that several docstrings share, written once."""

from __future__ import annotations

import re
from textwrap import indent
from typing import TypeVar

F = TypeVar("F")

PARAMETERS = {
    "adata": "Cells × genes, with raw counts in `.X` or in a layer.",
    "copy": "Return a changed copy instead of changing `adata`.",
    "key": "Name of the trained model, as given to :func:`modulae.tl.autoencoder` as `key_added`.",
    "layer": "Layer that holds the raw counts; `.X` if `None`.",
    "gene_sets": (
        "A dict of set name → genes, the path of a GMT file, a table with the columns `source` and `target`,\n"
        "or the name of an Enrichr library; see :func:`modulae.read_gene_sets`."
    ),
    "min_genes": "Leave out sets of which the model has fewer genes: a mean over one or two says little about the set.",
    "min_share": (
        "Leave out sets of which `adata` has a smaller share of the genes, whether they are in the model or not.\n"
        "0 leaves out none. :doc:`/guide/settings` says what share to expect."
    ),
    "seed": "Seed of every random step. With the same machine and number of threads, it gives the same numbers.",
    "device": (
        '`"auto"` (a GPU if there is one), `"cpu"`, `"cuda"`, `"mps"` or any name PyTorch knows.\n'
        "Changes speed, never a result beyond rounding."
    ),
    "progress": "Show a progress bar. `None` shows one where somebody can see it: in a terminal or a notebook.",
    "memory_limit": (
        "Memory for counts that are on disk while they are learnt from, such as `'500MB'`. If they\n"
        "take more, random blocks of cells are read, shuffled and learnt from, one portion after the other (see\n"
        ":doc:`/guide/scale`). Counts that are in memory already stay there."
    ),
    # which cells and genes a model is trained on
    "mask_var": (
        'Boolean column of `adata.var` that names the genes to train on, such as `"variable"` from\n'
        ":func:`modulae.pp.variable_genes`; all genes if `None`. A warning names groups that lose their markers."
    ),
    "test_fraction": "Share of the cells that is held out, at least one cell.",
    "batch_key": (
        "`obs` column with the batch of each cell (sample, chemistry), for merged data. What differs between\n"
        "batches is taken away whatever its cause: never name what you want to compare (:doc:`/guide/merging`)."
    ),
    "n_jobs": (
        "Runs at a time; −1 for one per processor. `None`: as :func:`joblib.parallel_config` says, or 1.\n"
        "Changes speed, never a result."
    ),
    # which explanation
    "explanation": (
        "Settings that differ from the default, as a dict, such as `mo.presets.KINALIS_2019_IMPACT`:\n"
        "\n"
        '- `"method"`: which saliency, `"gradient"` or another of :func:`modulae.tl.saliency`.\n'
        '- `"signed"`: keep the sign of the saliency (`True`) or take absolute values in each cell (`False`).\n'
        '- `"aggregate"`: `"mean"` or `"median"` over the genes of a set.\n'
        '- `"difference"`: what of two groups is compared. `"activity"`: the activity of the units, each weighted\n'
        "  with the impact of the set on it. Above 0: the set's genes raise a unit that is more active in the group,\n"
        '  or lower one that is less active there. `"saliency"`: the impact itself. Above 0: the genes of the set\n'
        "  raise the unit more in the group.\n"
        '- `"scale"`: min–max scale the impact over all sets and units together (`"all"`) or over the units of each\n'
        '  set (`"set"`). :func:`modulae.tl.sanity` does not use it.\n'
        "\n"
        "The first choice of each is the default. :doc:`/method/method` has the formulas."
    ),
    "group": "Which group, for a saliency made with `groupby`.",
    "groups": "Groups to compare with the reference; all of them if `None`.",
    "groupby": "`obs` column with the groups to compare; all cells together if `None`.",
    "reference": '`"rest"` (all labelled cells outside the group) or the name of a group.',
    # cells of another data set
    "all_units": "Whether to use also units that :func:`modulae.tl.transfer` has flagged.",
    "model_key": "Name of the model in `model`, where that is an `AnnData`.",
    "reference_key": "Name of the model in `reference`; `key` if `None`.",
    "reference_layer": "Layer of `reference` that holds the raw counts; `None` as in `layer`.",
    "n_neighbors": "Neighbours of each cell in the graph that UMAP lays out.",
    "truth": "Column of `adata.obs` with the known labels. Cells without one are left out.",
    "label": 'Column of `adata.obs` with the labels to judge; `f"{key}_label"` if `None`.',
    # tables and pictures
    "percentile": "The percentile among random sets of genes of the same expression (0 to 100) rather than the score.",
    "ax": "Where to draw; a new figure if `None`.",
    "basis": 'Coordinates in `adata.obsm`; `f"X_{key}_umap"`, or else `"X_umap"`, if `None`.',
    "size": "Area of a point, in points²; by the number of cells if `None`.",
    "ncols": "Panels side by side at most.",
    "cluster": "Put similar sets, and similar units, side by side, where they aren't named in `sets` and `units`.",
    "sets": "Gene sets to draw, in this order; chosen by `n_sets` and `min_impact` if `None`.",
    "units": (
        "Units to draw, by number or name, in this order. If `None`, chosen by `n_units` and `min_unit_impact`,\n"
        "except those that are technical or that :func:`modulae.tl.transfer` flagged, which the label counts."
    ),
    "n_units": "How many units at most, those with the largest absolute value on these sets; `None` for no limit.",
    "n_sets": "How many sets at most, those with the largest absolute value; `None` for no limit.",
    "min_impact": "Leave out sets whose largest absolute value is lower.",
    "color": (
        "An `obs` column or a gene to draw first, with the names of categories among the cells, or in a legend\n"
        "where they would hide the cells."
    ),
    "use_rep": "`obsm` field with the units, where an `AnnData` is given.",
}
"""What a parameter means, by its name."""

OTHERS = {
    "model_layer": (
        "layer\n"
        "    Layer that holds the raw counts. If `None`, what the model was trained on: `.X`, or the layer that was\n"
        "    named then (`.X` too where that layer is gone); where other values are there now, the layer that has the\n"
        "    counts. Values that the model has not read in training are refused."
    ),
    "min_cells_of_groups": (
        "min_cells\n"
        "    Cells that each side of a comparison needs; where there are fewer, the group is left out, and named in a\n"
        "    warning."
    ),
    "gene_layer": "layer\n    Layer with the values of a gene; `.X` if `None`.",
    "batch_size_inference": "batch_size\n    Cells per pass. Changes memory and speed, never a result beyond rounding.",
    "transferred": "adata\n    Cells that :func:`modulae.tl.transfer` has read.",
    "labelled": "adata\n    Cells that :func:`modulae.tl.classify` has labelled.",
    "max_q_found": "max_q\n    False discovery rate up to which a programme counts as found.",
    "cmap_impact": "cmap\n    Colour map; one for [0, 1] or one for differences if `None`.",
    "key_added": 'key_added\n    Name of the result; `f"{key}_<>"` if `None`.',
    "result": 'result\n    Name of the result, as given as `key_added`; `f"<>"` if `None`.',
    "saliency_result": (
        "result\n"
        '    Name of the result, such as `"ae_saliency_phase"` or what was given as `key_added`;\n'
        '    `f"{key}_saliency"` if `None`.'
    ),
    "impact_result": (
        "result\n"
        '    Name of the result, such as `"ae_impact_phase"` or what was given as `key_added`;\n'
        '    `f"{key}_impact"` if `None`.'
    ),
    "returns": "`None`, or the changed copy if `copy=True`. Sets the following fields:",
    "axes": "The axes, for the caller to style, save or show.",
    "sets_left_out": "UserWarning\n    Sets are left out; the message gives the reason where it is a known one.",
    "set_entries": (
        '- `"sets"` (`object`, sets): their names.\n'
        '- `"n_genes"` (`int64`, sets): how many genes of each set the model has.\n'
        '- `"share_found"` (`float64`, sets): the share of its genes that `adata` has.\n'
        '- `"left_out"` (`object`): names of the sets of which too few genes are there.'
    ),
    "replication": (
        "n_latent\n"
        '    Largest number of units. `"auto"`: more and more are looked for, until those that halves find alike\n'
        '    explain no more of held-out cells. For a single training `"auto"` is 32, for orthogonal 64.\n'
        "n_splits\n"
        "    How often the cells are split into halves; 5 if `None`. 0: one training, without a measure of\n"
        "    reproducibility. Orthogonal units do not replicate, so that model is always trained once.\n"
        "replicate_over\n"
        '    `obs` column, such as `"donor"`: halves are made of its labels, so that units replicate across donors.\n'
        "max_cells\n"
        "    Largest number of cells to learn from. Where there are more, half of them are random ones and half are\n"
        "    unusual ones, so that programmes of few cells are found too; all cells are encoded. `n_splits=0` learns\n"
        "    from all."
    ),
    "given_loadings": (
        "loadings\n"
        "    Programmes to make the units of, rather than those of the cells: genes × programmes, or what\n"
        "    :func:`modulae.read_programmes` reads (:doc:`/guide/exchange`). Genes are matched by name (or by\n"
        '    `adata.var["gene_ids"]`), and weights put on the scale of log1p of the rate; those below 0 are set to 0.\n'
        "    Units keep the order and the names. `n_latent` and `n_splits` cannot be given as well.\n"
        "refine_loadings\n"
        "    Whether the loadings are fitted to the cells, where all genes may get some; or stay as given, up to a\n"
        "    factor for each unit, while the encoder and the baseline are learnt."
    ),
    "orthogonal_only": (
        "n_hidden\n"
        "    Width of the layers before and after the representation; 128 if `None`. Orthogonal only.\n"
        "momentum\n"
        "    Momentum of Nesterov's method; 0.9 if `None`. Orthogonal only.\n"
        "activation_beta\n"
        "    β of SoftPlus, 1 if `None`; `\"width\"` takes each layer's width, in effect a ReLU, as the authors'\n"
        "    scripts do. Orthogonal only.\n"
        "loss_scale\n"
        '    `"mean"` (if `None`) divides the Poisson loss by the mean count (above 1, by its square root), so that\n'
        '    one learning rate serves thin and deep data; `"counts"` leaves it as published. Orthogonal only.\n'
        "output_bias\n"
        '    Start of the last bias: `"gene_means"`, where the decoder predicts every gene\'s mean; `"halfway"` (if\n'
        '    `None`) to there from 0, so that the rest has to be learnt; or a small `"constant"`, as published.\n'
        "    Orthogonal only.\n"
        "orthogonality_gradient\n"
        "    Whether the penalty moves the weights (the default). In the authors' scripts it does not: they detach\n"
        "    the weights first. Orthogonal only."
    ),
    "replication_entry": (
        '`adata.uns[key_added]["replication"]` : `dict`, where the cells were split\n'
        '    - `"found"` (`bool`, units × splits × 2): which halves have the unit.\n'
        '    - `"similarity"` (`float32`, units × splits): how alike the units of the two halves are; NaN where\n'
        "      one of them has none.\n"
        '    - `"reproducibility"` (`float32`, units): probability that as many new cells (or donors) would show it;\n'
        '    - `"held"` (`bool`, units): whether the unit is read as at the start of the training, since it is silent\n'
        "      in most cells or training changed it too much.\n"
        '    - `"few_cells"` (`bool`, units): whether it was found beside the others, as it runs in few cells.\n'
        '    - `"sizes"`, `"n_units"`, `"explained"` (sizes): how many units were looked for in each half, how many\n'
        '      are as alike in both as `"min_likeness"` (0: all that replicate), and the share of the variance of\n'
        "      held-out cells that these explain.\n"
        '    - `"size"`: the one that was taken; and the settings. See :func:`modulae.get.replication`.'
    ),
    "kinalis_2019": (
        ".. [1] Kinalis S, Nielsen FC, Winther O, Bagger FO (2019). Deconvolution of autoencoders to learn biological\n"
        "   regulatory modules from single cell mRNA sequencing data. *BMC Bioinformatics* 20:379."
    ),
}
"""Whole passages, and parameters that mean different things in different functions. `<>` is what `=` names."""

FRAGMENTS = {name: f"{name}\n" + indent(text, "    ") for name, text in PARAMETERS.items()} | OTHERS


def fill_docs(function: F) -> F:
    """Replace each docstring line that is only ``{name}`` or ``{name=what}``; other braces stay as they are."""

    def fill(line: re.Match[str]) -> str:
        margin, name, what = line.groups()
        return indent(FRAGMENTS[name].replace("<>", what or "<>"), margin)

    function.__doc__ = re.sub(r"^( *)\{(\w+)(?:=(.+))?\}$", fill, function.__doc__ or "", flags=re.M)
    return function
