"""Writes the golden workspace of the format of today: ``python -m tests.golden.write``.

A trained toy and one removal, as they are typed, zipped without MLflow's files and without the private signing key. Run
it once, when ``lineage.ledger.chain.FORMAT`` or the bundle's predicate type changes, and keep the older files.
"""

import sys
import tempfile
import zipfile
from pathlib import Path

from benchmarks.removal_cost import PLUGINS, removal, trained
from lineage.ledger.chain import FORMAT

FOLDER = Path(__file__).parent
KEPT = (".disgorge/", "shards/", "reports/R-1.zip")
LEFT_OUT = (".disgorge/private/s", ".disgorge/private/u")
"""The signing key, and where on a machine the sources lay."""


def write(target: Path) -> None:
    """Make the workspace and pack it."""
    sys.path.insert(0, str(PLUGINS))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name).resolve() / "workspace"
        folder.mkdir()
        trained(folder)
        removal(folder, counted=False)
        with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
            for path in sorted(path for path in folder.rglob("*") if path.is_file()):
                member = path.relative_to(folder).as_posix()
                if member.startswith(KEPT) and not member.startswith(LEFT_OUT) and path.suffix != ".lock":
                    archive.writestr(zipfile.ZipInfo(member, (1980, 1, 1, 0, 0, 0)), path.read_bytes())


if __name__ == "__main__":
    write(FOLDER / f"format-{FORMAT}.zip")
