r"""What stands for data and is not data: pointers of Git LFS, git-annex and DVC, and web pages in place of a download.

Told by the first bytes of a file, which every reader looks at before it reads. Each is refused with the command that
fetches the real thing. A web page is refused where the suffix names a format that no page is in; elsewhere (texts,
programs, files without a suffix) only an error page by its title is, and what is called ``.html`` never.

>>> import tempfile
>>> file = Path(tempfile.mkdtemp()) / "a.png"
>>> _ = file.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:4d7a21\nsize 12\n")
>>> try:
...     refuse_stand_in(file)
... except BadInput as refused:
...     print(str(refused).partition("a.png: ")[2])
a pointer of Git LFS, not the data; fetch it with `git lfs pull --include a.png`
"""

import os
import re
from pathlib import Path

from lineage.errors import BadInput

_LOOK = 2048
"""Bytes that are looked at: a pointer is shorter, and the title of an error page comes before."""
_LFS = re.compile(rb"version https://(git-lfs|hawser)\.github\.com/spec/")
_ANNEX = re.compile(rb"/?annex/objects/[A-Z0-9]+E?-|(\.\./)*\.git/annex/objects/")
_DVC = re.compile(rb"(^|\n)outs:\r?\n *- ")
_PAGE = re.compile(rb"(\xef\xbb\xbf)?\s*(<\?xml[^>]*>\s*)?(<!--.*?-->\s*)*(<!doctype html|<html|<head)", re.I | re.S)
_ERROR = re.compile(
    rb"<title>[^<]*(\b[45]\d\d\b|not found|forbidden|denied|error|unavailable|log ?in|sign ?in|just a moment)"
    rb"|<Error>\s*<Code>",
    re.I,
)
_PAGES = frozenset((".html", ".htm", ".xhtml"))
_NO_PAGES = frozenset(
    f".{suffix}"
    for suffix in (
        "csv tsv parquet pq arrow feather npz npy json jsonl ndjson png jpg jpeg bmp gif tif tiff webp pgm ppm wav mp3 "
        "flac ogg m4a mp4 avi mov mkv webm pdf zip gz bz2 xz zst tar bin pt safetensors dcm nii h5 hdf5"
    ).split()
)
"""Suffixes of formats in which no file begins as a web page does."""


def refuse_stand_in(path: Path) -> None:
    """Raise ``BadInput`` if a file is no data but stands for some; ``OSError`` if it cannot be read."""
    with path.open("rb") as file:
        start = file.read(_LOOK)
    name = path.name
    if _LFS.match(start):
        raise BadInput(f"{path}: a pointer of Git LFS, not the data; fetch it with `git lfs pull --include {name}`")
    if _ANNEX.match(start):
        raise BadInput(f"{path}: a pointer of git-annex, not the data; fetch it with `git annex get {name}`")
    if path.suffix == ".dvc" and _DVC.search(start):
        raise BadInput(
            f"{path}: tells DVC where data is, and is none; fetch it with `dvc pull {name}` and give {path.stem}"
        )
    suffix = path.suffix.lower()
    page = _PAGE.match(start)
    is_error = bool(_ERROR.search(start)) and (page or start.lstrip().startswith((b"<?xml", b"<Error")))
    if suffix not in _PAGES and (is_error or (suffix in _NO_PAGES and page)):
        raise BadInput(
            f"{path}: a web page{', perhaps an error,' if is_error else ''} where data should be; download it again "
            f"and look at what came (`curl -fL -o {name} URL` fails where the server refuses)"
        )


def refuse_unfetched(path: Path) -> None:
    """Raise ``BadInput`` if what is not there is a link to what git-annex has not fetched."""
    if path.is_symlink() and "annex/objects/" in os.readlink(path):
        raise BadInput(f"{path}: git-annex has not fetched what it links to; fetch it with `git annex get {path.name}`")
