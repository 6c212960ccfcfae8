"""What a search for residue compares files with: whole weights, single tensors, items; whatever a file is called."""

from dataclasses import dataclass
from pathlib import Path

from disgorge.locations.fingerprints import holds_any
from lineage.dvc.forget import holds
from lineage.storage.file_types import Reading
from lineage.storage.objects import sha256_of


@dataclass(frozen=True, slots=True)
class Sought:
    """Weights by the SHA-256 of their bytes, tensors by that of theirs, items by digest."""

    weights: frozenset[str] = frozenset()
    items: frozenset[str] = frozenset()
    tensors: frozenset[str] = frozenset()

    def trace_in(self, path: Path, reading: Reading) -> str | None:
        """Return in words what of it a file holds that reads so, None for nothing. May raise ``OSError``."""
        if reading is Reading.PARQUET and self.items and holds(path, self.items):
            return "holds withdrawn items"
        if reading is Reading.SAFETENSORS:
            if self.weights and sha256_of(path) in self.weights:
                return "is one of the weights"
            if holds_any(path, self.tensors):
                return "holds some of the weights"
        return None
