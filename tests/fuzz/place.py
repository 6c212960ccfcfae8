"""Where one case runs: a workspace in a watched tree, and the command line as somebody types into it.

Nothing outside of the workspace may come, go or change; :attr:`Place.canary` is what code that must not run would
leave. What a command says is held to the rules of :meth:`Place.run`.
"""

import contextlib
import io
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unicodedata import category

from disgorge.report.compile import write_with_inputs
from disgorge.request.case import case_of, plan_of
from disgorge.request.workflow.plan_request import plan_request
from lineage.records import Selector
from lineage.workspace import Workspace
from tests.toys import filed_and_decided, person, populate, remove, toy_of, train

DEPTH = 6
"""Folders above the workspace that are watched too: a path that climbs out lands in one of them."""
LONGEST = 5_000
"""Characters of an error that is still one clear line, whatever was typed."""
_CACHE = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
_MOVES = ("Cc", "Cf", "Cs", "Zl", "Zp")
"""Unicode categories that a terminal is not given: controls, formats, surrogates, separators of lines."""


class Stream(io.StringIO):
    """What a command writes to, as a terminal or not; like both, it cannot take a lone surrogate."""

    def __init__(self, *, terminal: bool) -> None:
        super().__init__()
        self._terminal = terminal

    def isatty(self) -> bool:
        """Whether a terminal is at the other end."""
        return self._terminal

    def write(self, text: str) -> int:
        """Take text that UTF-8 can carry."""
        text.encode()
        return super().write(text)


@dataclass(frozen=True)
class Ran:
    """What a command came to."""

    code: int
    out: str
    err: str


class Place:
    """A watched tree with a workspace deep inside, which is a copy of a template for every case."""

    def __init__(self, root: Path) -> None:
        self.watched_tree = root / "watched"
        self.outer = root.joinpath("watched", *(f"above-{level}" for level in range(DEPTH)))
        self.root = self.outer / "workspace"
        self.canary = self.outer / "CANARY"
        self._templates = root / "templates"
        for name in ("home", "tmp", "outside"):
            (self.outer / name).mkdir(parents=True)
        (self.outer / "outside" / "secret.txt").write_text("not to be taken")
        (self.outer / "outside" / "secret.npy").write_bytes(b"not to be taken")
        os.environ["XDG_CACHE_HOME"] = _CACHE  # where jobs find the installed packages, as every other test does
        os.environ |= {"HOME": str(self.outer / "home"), "TMPDIR": str(self.outer / "tmp"), "TERM": "dumb"}
        os.environ |= {"COLUMNS": "100", "CANARY": str(self.canary)}
        self._before = self.snapshot()

    def fresh(self, template: str) -> None:
        """Begin a case in a copy of a template, which is made on its first use."""
        made = self._templates / template
        if not made.exists():
            made.mkdir(parents=True)
            TEMPLATES[template](made)
        os.chdir(self.outer)
        _remove(self.root)
        shutil.copytree(made, self.root, symlinks=True)
        os.chdir(self.root)

    def incoming(self, name: str, data: bytes | None = None) -> Path:
        """Return where a file that came from outside is put, with these bytes in it."""
        path = self.root / "in" / name
        path.parent.mkdir(exist_ok=True)
        if data is not None:
            path.write_bytes(data)
        return path

    def files(self) -> set[str]:
        """Return every file of the workspace but what was put in by the case."""
        found = set()
        for folder, _, names in os.walk(self.root):
            if not Path(folder).is_relative_to(self.root / "in"):
                found |= {os.path.join(folder, name) for name in names if not name.endswith(".lock")}
        return found

    @property
    def workspace(self) -> Workspace:
        """The workspace's ledger."""
        return Workspace.open(self.root)

    def snapshot(self) -> dict[str, tuple[int, int, int]]:
        """Return every path that is watched, with its kind, size and time of change."""
        found = {}
        for folder, folders, files in os.walk(self.watched_tree):
            if Path(folder) == self.outer:
                folders.remove("workspace") if "workspace" in folders else None
            for name in (*folders, *files):
                path = os.path.join(folder, name)
                status = os.lstat(path)
                size = 0 if name in folders else status.st_size
                found[path] = (status.st_mode, size, 0 if name in folders else status.st_mtime_ns)
        return found

    def watched(self, attempt: Callable[["Place", Any], str], case: Any) -> str:
        """Run one case: nothing may come, go or change outside of the workspace, and no planted code may run."""
        outcome = attempt(self, case)
        after = self.snapshot()
        assert after == self._before, f"changed outside: {sorted(set(after.items()) ^ set(self._before.items()))[:3]}"
        assert not (self.root / "CANARY").exists(), "planted code ran"
        return outcome

    def run(self, *arguments: str, terminal: bool = False, names: str = "") -> Ran:
        """Run a command and hold what it says to the rules; ``names`` must stand in its error, if it has one.

        The exit code is 0 to 4, and 3 only for a machine that failed; an error is one line, with a way out, of
        printable characters; nothing printed moves a cursor; no traceback, whatever happened.
        """
        from disgorge.cli.app import app

        out, err = Stream(terminal=terminal), Stream(terminal=terminal)
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                app(args=list(arguments), prog_name="disgorge")
                code = 0
            except SystemExit as exit_:
                code = exit_.code if isinstance(exit_.code, int) else int(bool(exit_.code))
        ran = Ran(code, out.getvalue(), err.getvalue())
        shown = [argument[:60] for argument in arguments]
        assert ran.code in (0, 1, 2, 3, 4), f"exit {ran.code} of {shown}"
        for text in (ran.out, ran.err):
            self.check_printed(text, str(shown))
        errors = [line for line in ran.err.splitlines() if line.startswith("error: ")]
        others = [line for line in ran.err.splitlines() if not line.startswith(("error: ", "warning: "))]
        others = [line for line in others if line.strip() or not terminal]  # where a bar was
        assert not others, f"{shown} said beside errors and warnings: {others[0][:200]!r}"
        assert "unexpected error" not in ran.err, f"{shown}: {ran.err[:600]}"
        assert len(errors) <= 1, f"{shown} said {len(errors)} errors"
        assert code != 2 or errors, f"{shown} said nothing of why it was refused"
        for line in errors:
            self.refusal(line, names=names)
        return ran

    def check_printed(self, text: str, what: str) -> None:
        """Hold that what was printed moves no cursor and holds no traceback."""
        odd = [char for char in text if char != "\n" and category(char) in _MOVES]
        assert not odd, f"{what} printed {odd[:5]!r}"
        assert "Traceback" not in text, f"{what} printed a traceback"

    def refusal(self, line: str, *, names: str = "") -> None:
        """Hold an error to its rules: one line that is not endless, with the name of what it is about and a way out."""
        assert len(line) <= LONGEST, f"an error of {len(line)} characters: {line[:100]!r}"
        assert any(mark in line for mark in (";", ":", " or ")), f"no way out in {line[:300]!r}"
        assert names in line, f"{names!r} is not named in {line[:300]!r}"
        assert "\n" not in line, f"an error of several lines: {line[:300]!r}"


def _report(folder: Path) -> None:
    """A report as it is handed over."""
    from disgorge.report.bundle import write_zip
    from disgorge.statement.signing import new_key
    from tests.disgorge.report_cases import case

    Workspace.init(folder)
    write_zip(folder / "R-7.zip", case(), key=new_key())


def _trained(folder: Path) -> None:
    """A trained toy, and a request that is decided and planned."""
    workspace = Workspace.init(folder)
    toy = toy_of("averages", 3)
    populate(workspace, toy, folder.parent / "sources")
    train(workspace, toy)
    filed_and_decided(workspace, [Selector("shard", "shard-2")])
    plan_request(workspace, "R-1")


def _handed(folder: Path) -> None:
    """The report of a real removal, with its inputs, by the method that trains at once."""
    workspace = Workspace.init(folder / "made")
    toy = toy_of("averages", 3)
    populate(workspace, toy, folder / "sources")
    train(workspace, toy)
    remove(workspace, [person(workspace, toy.spec.shards[0], 0)])
    found = case_of(workspace, "R-1")
    write_with_inputs(workspace, plan_of(workspace, found), found).rename(folder / "R-1.zip")


TEMPLATES: dict[str, Callable[[Path], object]] = {
    "empty": Workspace.init, "report": _report, "trained": _trained, "handed": _handed,
}  # fmt: skip
"""What a case may begin with, by name."""


def _remove(folder: Path) -> None:
    """Delete a folder, also one nested deeper than a path may be long."""
    shutil.rmtree(folder, ignore_errors=True)
    if folder.exists():
        import subprocess

        subprocess.run(["rm", "-rf", str(folder)], check=True)
