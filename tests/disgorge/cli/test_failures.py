"""Every error ends in one line and the right exit code."""

import errno

import duckdb
import pytest
from pydantic import TypeAdapter, ValidationError

from disgorge import errors as doing
from disgorge.cli.output.errors import Interrupted, brief, exit_code_of, going_on, words_of
from disgorge.errors import Refused, WrongUse
from lineage import errors as recording
from policies import errors as judging

ONE = {"Refused", "CertificateRefused", "BundleBroken", "DigestMismatch", "ExpectationsFailed"}
ONE |= {"KeyMismatch", "LedgerBroken"}
THREE = {"KernelsDiffer", "TrackingFailed"}
FOUR = {"EnvironmentDiffers"}


def tree(root: type[Exception]) -> list[type[Exception]]:
    """An error class and all below it."""
    return [root, *(kind for child in root.__subclasses__() for kind in tree(child))]


KINDS = [*tree(recording.LineageError), *tree(judging.PolicyError), *tree(doing.DisgorgeError)]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_the_packages_own_errors_are_said_as_they_are(kind: type[Exception]) -> None:
    error = kind("what, where, what next")
    assert words_of(error) == "what, where, what next"
    name = kind.__name__
    assert exit_code_of(error) == (1 if name in ONE else 3 if name in THREE else 4 if name in FOUR else 2)


def test_lineage_that_met_the_disk_is_the_machines_failure() -> None:
    error = recording.LineageError("nothing was recorded")
    error.__cause__ = OSError(errno.ENOSPC, "No space left on device")
    assert exit_code_of(error) == 3


def test_input_that_could_not_be_read_is_the_users() -> None:
    error = recording.BadInput("a.csv: cannot be read")
    error.__cause__ = FileNotFoundError("a.csv")
    assert exit_code_of(error) == 2


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "x.svg"), 3, "x.svg: No space left on device"),
        (PermissionError(errno.EACCES, "Permission denied", "x.svg"), 3, "x.svg: Permission denied"),
        (MemoryError(), 3, "not enough memory"),
        (duckdb.OutOfMemoryException("failed to allocate"), 3, "not enough memory"),
        (ZeroDivisionError("division by zero"), 3, "ZeroDivisionError: division by zero"),
        (Refused("it is contained"), 1, "it is contained"),
        (WrongUse("give one"), 2, "give one"),
        (Interrupted("go on with x"), 130, "go on with x"),
    ],
)
def test_other_errors(error: Exception, code: int, said: str) -> None:
    assert exit_code_of(error) == code
    assert said in words_of(error)


def test_pydantics_complaints_are_one_line() -> None:
    with pytest.raises(ValidationError) as caught:
        TypeAdapter(dict[str, int]).validate_python({"a": "x", "b": "y"})
    assert exit_code_of(caught.value) == 2
    said = words_of(caught.value)
    assert said.startswith("a: Input should be a valid integer")
    assert "\n" not in said


@pytest.mark.parametrize("interrupt", [KeyboardInterrupt(), RuntimeError("Query interrupted")])
def test_ctrl_c_is_said_with_what_stands(interrupt: BaseException) -> None:
    """Also where DuckDB was asked something at that moment, and made an error of its own of it."""
    with pytest.raises(Interrupted, match="go on with `x`"), going_on(lambda: "go on with `x`"):
        raise interrupt


def test_another_error_is_no_interruption() -> None:
    with pytest.raises(RuntimeError, match="something else"), going_on(lambda: "go on"):
        raise RuntimeError("something else")


def test_an_error_about_something_endless_ends() -> None:
    """Its beginning says what, its end what to do."""
    said = brief(f"no shard {'a' * 100_000} is recorded; correct the name")
    assert len(said) < 2_100
    assert said.startswith("no shard aaa")
    assert said.endswith("aaa is recorded; correct the name")
    assert brief("a" * 2_000) == "a" * 2_000
