"""Genes that tell of the state of a cell or of its handling rather than of its kind; human symbols in capitals.

Mouse symbols are the same letters in another case, so names are compared in capitals.
"""

from __future__ import annotations

import re

MITOCHONDRIAL = re.compile(r"MT-")
"""Genes of the mitochondrial genome, by the start of their name."""

RIBOSOMAL = re.compile(r"RP[LS](?!6K)")
"""Proteins of the ribosome, by the start of their name; RPS6KA1 and its like are kinases."""


def _names(text: str) -> tuple[str, ...]:
    return tuple(text.split())


S_PHASE = _names(
    "MCM5 PCNA TYMS FEN1 MCM2 MCM4 RRM1 UNG GINS2 MCM6 CDCA7 DTL PRIM1 UHRF1 MLF1IP CENPU HELLS RFC2 RPA2 NASP "
    "RAD51AP1 GMNN WDR76 SLBP CCNE2 UBR7 POLD3 MSH2 ATAD2 RAD51 RRM2 CDC45 CDC6 EXO1 TIPIN DSCC1 BLM CASP8AP2 USP1 "
    "CLSPN POLA1 CHAF1B BRIP1 E2F8"
)
"""Tirosh et al. (2016), *Science* 352:189, Table S5, as in the tutorials of Seurat and scanpy: 43 genes, one of them
also by its newer name (MLF1IP is now CENPU)."""

G2M_PHASE = _names(
    "HMGB2 CDK1 NUSAP1 UBE2C BIRC5 TPX2 TOP2A NDC80 CKS2 NUF2 CKS1B MKI67 TMPO CENPF TACC3 FAM64A PIMREG SMC4 CCNB2 "
    "CKAP2L CKAP2 AURKB BUB1 KIF11 ANP32E TUBB4B GTSE1 KIF20B HJURP CDCA3 HN1 JPT1 CDC20 TTK CDC25C KIF2C RANGAP1 "
    "NCAPD2 DLGAP5 CDCA2 CDCA8 ECT2 KIF23 HMMR AURKA PSRC1 ANLN LBR CKAP5 CENPE CTCF NEK2 G2E3 GAS2L3 CBX5 CENPA"
)
"""The same source: 54 genes, two of them also by their newer names (FAM64A is now PIMREG, HN1 is JPT1)."""

DISSOCIATION = _names(
    "FOS FOSB JUN JUNB JUND EGR1 IER2 IER3 ATF3 HSPA1A HSPA1B HSP90AA1 HSP90AB1 HSPA8 HSPB1 HSPE1 HSPH1 DNAJA1 DNAJB1 "
    "DUSP1 SOCS3 ZFP36 NR4A1 BTG2 PPP1R15A CEBPB CEBPD KLF6 NFKBIA UBC"
)
"""Immediate early genes and heat shock proteins that warm enzymes induce while a tissue is taken apart: the core, 30 of
about 140 genes, of van den Brink et al. (2017), *Nature Methods* 14:935. Some cells express them without any stress,
monocytes for example."""
