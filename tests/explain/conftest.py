"""The small bundles of the bundles' own tests, which serve explanations as well."""

from ..models.bundle.conftest import bundles, one_thread, record, scans

__all__ = ["bundles", "one_thread", "record", "scans"]
