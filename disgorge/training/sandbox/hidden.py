"""Which files of installed packages are data, and so are hidden from a job unless a package is exposed by name.

A package may ship the very rows that a removal is about: ``sklearn.datasets.load_digits()`` returns 1,797 of them. So
tables, arrays, pictures, sound, archives and large pickles of distributions do not exist in the box.

>>> is_data("sklearn/datasets/data/digits.csv.gz", 57_000), is_data("torch/nn/modules/linear.py", 12_000)
(True, False)

Not recognized: rows in a file of code, or in text and JSON outside of folders that are called for data or tests.
"""

from pathlib import PurePosixPath

_TABLES = (
    "csv tsv tab parquet arrow feather orc avro xls xlsx ods dta sav por sas7bdat xpt rds rda rdata arff jsonl ndjson"
)
_ARRAYS = "npy npz mat h5 hdf5 hdf nc fits zarr tfrecord pt pth ckpt safetensors onnx gguf tflite libsvm svmlight dat"
_BASES = "db sqlite sqlite3 duckdb mdb accdb"
_PICTURES = "png jpg jpeg gif bmp tif tiff webp avif heic ppm pgm pbm ico psd dcm nii"
_SOUND = "wav mp3 ogg flac aac m4a aif aiff au mid mp4 avi mov mkv webm mpg mpeg"
_ARCHIVES = "zip gz tgz bz2 xz lzma zst lz4 7z rar tar whl egg Z"
_KINDS = frozenset(f".{kind}" for kind in " ".join((_TABLES, _ARRAYS, _BASES, _PICTURES, _SOUND, _ARCHIVES)).split())
_PICKLES = frozenset((".pkl", ".pickle", ".joblib", ".pk", ".p"))
_TEXTS = frozenset((".txt", ".json", ".xml", ".data", ".yaml", ".yml", ".html", ".csvy"))
_SETTINGS = frozenset((".toml", ".ini", ".cfg", ".jinja", ".j2", ".sql"))
_OF_DATA = frozenset(("datasets", "sample_data", "_data", "test", "tests", "testing"))
_SMALL = 16 << 10
"""Bytes up to which a pickle, or a text in a folder of data, counts as part of the code."""


def is_data(path: str, size: int) -> bool:
    """Whether a file of a distribution, named relative to where that is installed, is data and no code."""
    name = PurePosixPath(path)
    kind = name.suffix.lower()
    if kind in _KINDS:
        return True
    if kind in _PICKLES:
        return size > _SMALL
    return kind in _TEXTS and size > _SMALL and not _OF_DATA.isdisjoint(name.parts[:-1])


def is_data_among_code(name: str, size: int) -> bool:
    """Whether a file in a folder of a user's own code is data: a pickle, or a large table, array, picture or text.

    >>> is_data_among_code("rows.json", 200_000), is_data_among_code("settings.json", 900)
    (True, False)
    """
    kind = PurePosixPath(name).suffix.lower()
    return kind in _PICKLES or (size > _SMALL and (kind in _KINDS or kind in _TEXTS or kind in _SETTINGS))
