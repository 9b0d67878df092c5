"""Where image and record meet: each fusion says what it takes of the encoders and how it makes one logit of it.

    base.py          what every fusion is, and how an embedding is normalised
    vectors.py       two vectors: normalise, reduce, classify
    early.py         the image's embedding and the record's own columns
    intermediate.py  both embeddings: the paper's best
    end_to_end.py    a fusion and its encoders as one network

The bottleneck transformer, which takes tokens, is an architecture of its own: models/bottleneck.py.
"""

from pefuse.models.fusion.base import EmbeddingNorm, Fusion, FusionOutput
from pefuse.models.fusion.early import EarlyFusion
from pefuse.models.fusion.end_to_end import EndToEndFusion, EndToEndOutput
from pefuse.models.fusion.intermediate import IntermediateFusion
from pefuse.models.fusion.vectors import VectorFusion, VectorFusionConfig

__all__ = [
    "EarlyFusion",
    "EmbeddingNorm",
    "EndToEndFusion",
    "EndToEndOutput",
    "Fusion",
    "FusionOutput",
    "IntermediateFusion",
    "VectorFusion",
    "VectorFusionConfig",
]
