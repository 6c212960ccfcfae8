"""Tables that are compressed as a whole: ``reviews.csv.gz``, ``reviews.jsonl.zst``.

The suffix says how a file is compressed, and the one before it the format. Arrow brings both codecs.

>>> format_of(Path("a/Reviews.CSV.gz")), called(Path("a/reviews.v2.csv.gz")), format_of(Path("a.gz"))
('.csv', 'reviews.v2', '')
"""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, cast

from lineage.errors import BadInput
from lineage.storage.size_limits import too_large

_CODECS = {".gz": "gzip", ".zst": "zstd"}
_CHUNK = 1 << 20  # bytes


def format_of(path: Path) -> str:
    """Return the suffix that names the format, in small letters; the suffix of a compression is passed over."""
    return Path(path.stem if _codec(path) else path.name).suffix.lower()


def called(path: Path) -> str:
    """Return the name of a file without the suffixes of its format and compression."""
    return Path(path.stem).stem if _codec(path) else path.stem


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """Open a file for its uncompressed bytes; reading a damaged one raises ``BadInput`` in the block."""
    import pyarrow as pa

    codec = _codec(path)
    try:
        if codec and not path.stat().st_size:
            raise BadInput(f"{path}: is empty, so not {codec}; copy it again")
        with pa.input_stream(str(path), compression=codec) as stream, io.BufferedReader(cast(Any, stream)) as buffered:
            yield buffered
    except OSError as problem:
        if codec is None or problem.errno is not None:
            raise
        words = "ends too early" if "Truncated" in str(problem) else f"is damaged or not {codec} ({problem})"
        raise BadInput(f"{path}: {words}; copy or compress it again") from problem


def read_whole(path: Path, limit: int) -> bytes:
    """Return a file's uncompressed bytes; ``TooLarge`` for more than the limit."""
    pieces, total = list[bytes](), 0
    with opened(path) as stream:
        while piece := stream.read(_CHUNK):
            total += len(piece)
            if total > limit:
                raise too_large(str(path), total, limit)
            pieces.append(piece)
    return b"".join(pieces)


@contextmanager
def written(path: Path, like: Path) -> Iterator[BinaryIO]:
    """Open a file to write uncompressed bytes into, which are compressed as the suffix of ``like`` says."""
    import pyarrow as pa

    with pa.output_stream(str(path), compression=_codec(like)) as stream:
        yield cast(BinaryIO, stream)


def _codec(path: Path) -> str | None:
    return _CODECS.get(path.suffix.lower())
