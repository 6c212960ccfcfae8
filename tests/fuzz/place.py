"""Where one case runs: a workspace in a watched tree, and the command line as somebody types into it.

Nothing outside of the workspace may come, go or change; :attr:`Place.canary` is what code that must not run would
leave. What a command says is held to the rules of :meth:`Place.run`.
"""

import contextlib
import io
import os
import random
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from unicodedata import category

from lineage.workspace import Workspace
from tests.toys import populate, toy_of, train

DEPTH = 6
"""Folders above the workspace that are watched too: a path that climbs out lands in one of them."""
LONGEST = 5_000
"""Characters of an error that is still one clear line, whatever was typed."""
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
    """A watched tree with a workspace deep inside; ``templates`` are copied for every case."""

    def __init__(self, root: Path) -> None:
        self.watched_tree = root / "watched"
        self.outer = root.joinpath("watched", *(f"above-{level}" for level in range(DEPTH)))
        self.root = self.outer / "workspace"
        self.canary = self.outer / "CANARY"
        self._templates = root / "templates"
        self.rng = random.Random(0)
        self.drawn: random.Random | None = None
        for name in ("home", "tmp", "outside"):
            (self.outer / name).mkdir(parents=True)
        (self.outer / "outside" / "secret.txt").write_text("not to be taken")
        (self.outer / "outside" / "secret.npy").write_bytes(b"not to be taken")
        os.environ |= {"HOME": str(self.outer / "home"), "TMPDIR": str(self.outer / "tmp"), "TERM": "dumb"}
        os.environ |= {"COLUMNS": "100", "CANARY": str(self.canary)}
        self._make_templates()
        self._before = self.snapshot()

    def fresh(self, template: str, *, kind: str, number: int) -> "Place":
        """Begin a case in a copy of a template; its generator is ``drawn``, or seeded by kind and number."""
        os.chdir(self.outer)
        _remove(self.root)
        shutil.copytree(self._templates / template, self.root, symlinks=True)
        os.chdir(self.root)
        self.rng = self.drawn or random.Random(f"{kind}-{number}")
        return self

    def template(self, name: str, make: Callable[[Path], None]) -> str:
        """Return the name of a template that only some kinds need; it is made on the first use."""
        folder = self._templates / name
        if not folder.exists():
            made = self._templates / f"making-{name}"
            made.mkdir()
            make(made)
            made.rename(folder)
        return name

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

    def watched(self, case: Callable[["Place", int], str], number: int) -> str:
        """Run one case and look at what it left outside."""
        outcome = case(self, number)
        self.check_outside()
        return outcome

    def check_outside(self) -> None:
        """Hold that nothing came, went or changed outside of the workspace, and that no planted code ran."""
        after = self.snapshot()
        assert after == self._before, f"changed outside: {sorted(set(after.items()) ^ set(self._before.items()))[:3]}"
        assert not (self.root / "CANARY").exists(), "planted code ran"

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
        assert "nobody thought of" not in ran.err, f"{shown}: {ran.err[:600]}"
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

    def _make_templates(self) -> None:
        from disgorge.report.bundle import write_zip
        from disgorge.statement.signing import new_key
        from tests.disgorge.report_cases import case

        Workspace.init(self._templates / "empty")
        Workspace.init(self._templates / "report")
        write_zip(self._templates / "report" / "R-7.zip", case(), key=new_key())
        workspace = Workspace.init(self._templates / "trained")
        toy = toy_of("averages", 3)
        populate(workspace, toy, self._templates / "sources")
        train(workspace, toy)
        self._file_request(workspace)

    def _file_request(self, workspace: Workspace) -> None:
        import datetime as dt

        from disgorge.request.workflow.decide import decide_request
        from disgorge.request.workflow.filing import file_request
        from disgorge.request.workflow.plan_request import plan_request
        from lineage.records import Selector
        from policies.packs.load import load_packs
        from policies.request import Standing
        from policies.taxonomy import Defect

        file_request(
            workspace, standing=Standing.CONTRIBUTOR, ground=Defect.CONTRACT, regime="contract",
            selectors=[Selector("shard", "shard-2")], received=dt.date(2026, 11, 2), identity_verified=True,
            request_id="R-1", facts={"all_theirs": True},
        )  # fmt: skip
        decide_request(workspace, "R-1", load_packs())
        plan_request(workspace, "R-1")


def _remove(folder: Path) -> None:
    """Delete a folder, also one nested deeper than a path may be long."""
    shutil.rmtree(folder, ignore_errors=True)
    if folder.exists():
        import subprocess

        subprocess.run(["rm", "-rf", str(folder)], check=True)
