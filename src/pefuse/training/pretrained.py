"""The pretrained file that the Swin encoder may start from: checked before anything else, named by its hash."""

from __future__ import annotations

from pathlib import Path

from pefuse.errors import UsageError
from pefuse.models.swin_pretrained import check_pretrained
from pefuse.models.zoo import with_needs
from pefuse.training.config import RunConfig

__all__ = ["with_pretrained"]


def with_pretrained(config: RunConfig, path: Path | None) -> RunConfig:
    """The config with the file's SHA-256 in it: a path would say nothing of the weights, and may tell of people.

    The published weights were trained with MONAI's patch merging as it was then: `legacy` is set with them, unless
    the settings choose.

    Raises:
        UsageError: the file cannot be used, no model of the run would use it, or the config asks for one that is
            not given.
    """
    wanted = config.swin.pretrained
    used = any(row.base == "swin" for row in with_needs(config.all_models))
    if path is None:
        if wanted and used:
            raise UsageError(
                "The settings name a pretrained Swin file by its hash: give the file with --pretrained."
            )
        return config
    if not used:
        raise UsageError("A pretrained file is given, but no model of the run has a Swin encoder: leave it out.")
    found = check_pretrained(path, config.swin.network)
    if wanted and wanted != found:
        raise UsageError("The pretrained file is not the one that the settings name (its hash differs).")
    return config.with_pretrained_swin(found)
