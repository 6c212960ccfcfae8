"""The MLflow store of a workspace: where it is, and how to talk to it without noise.

``MLFLOW_TRACKING_URI`` and ``MLFLOW_REGISTRY_URI`` are honored; without them runs and the registry are kept in the
workspace's own store: ``<workspace>/mlflow.db``. A file of that name is what MLflow makes by default in the current
folder, so one that holds runs or models and no experiment of ours is the user's: nothing is logged there. The
workspace's own store is then ``.disgorge/mlflow.db``. A removal looks into every store that lies in the workspace's
folder, a database of any name and the folder ``mlruns``, and deletes what it finds.

A path may hold ``?``, ``#`` and ``%``: SQLAlchemy makes the address of a database, MLflow says what an address means.

Artifacts lie under ``<workspace>/mlartifacts``, unless a server or a folder that the user named keeps them: for a
database MLflow's default would be the current folder. MLflow reports its use by default: that is switched off before it
is imported, whatever the environment says.

What MLflow warns of while *it* is at work (deprecations inside its own libraries) says nothing to our user and is
silenced by category and place, inside :meth:`Store.client` only. What it raises becomes one line.
"""

import logging
import os
import re
import sqlite3
import warnings
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

from disgorge.errors import DisgorgeError, TrackingFailed, UnknownMethod
from disgorge.tracking.addresses import local_path, pages
from lineage.activity import activity

EXPERIMENT = "disgorge"
"""The experiment that every run goes into."""

COMPOSITION = "disgorge.composition"
"""The tag by which a version says what it describes."""
KIND, RELEASE = "disgorge.kind", "release"
"""The tag of what we made ourselves, and its value where that is the description of a release."""
_BROKEN = ("INTERNAL_ERROR", "TEMPORARILY_UNAVAILABLE")
"""MLflow's codes for a store that fails, rather than for something it was wrongly asked."""

_THEIR_TABLES = {"alembic_version", "experiments", "latest_metrics", "model_versions", "registered_models", "runs"}
"""Tables by which a database is known as MLflow's, whatever it is called."""

_DATABASES = ("sqlite", "postgresql", "mysql", "mssql")
"""Schemes of stores whose artifacts MLflow would put into the current folder."""

_THEIRS = r"(mlflow|sqlalchemy|alembic|pydantic|pandas|google|flask|werkzeug)(\.|$)"
"""Modules whose own deprecations are not our user's business."""


def installed() -> bool:
    """Whether MLflow can be imported; nothing is imported to find out."""
    return find_spec("mlflow") is not None


def require_mlflow() -> None:
    """Raise :class:`UnknownMethod` with the command that installs MLflow, unless it is there."""
    if not installed():
        raise UnknownMethod("MLflow is not installed; install it with `pip install disgorge[mlflow]`")


def named_uri(variable: str) -> str:
    """Return the store that the user named by this variable of the environment, "" for none."""
    return os.environ.get(variable, "").strip()


def tracking_uri(workspace: Path) -> str:
    """Return where a workspace's runs go."""
    return named_uri("MLFLOW_TRACKING_URI") or uri_of(own_database(workspace))


def registry_uri(workspace: Path) -> str:
    """Return where a workspace's releases go: with the runs, unless said otherwise."""
    return named_uri("MLFLOW_REGISTRY_URI") or tracking_uri(workspace)


def uri_of(database: Path) -> str:
    """Return the address of an SQLite file; SQLAlchemy must find the same path in it, whatever characters that has."""
    from sqlalchemy.engine import URL, make_url

    uri = URL.create("sqlite", database=str(database)).render_as_string()
    if make_url(uri).database != str(database):
        raise TrackingFailed(
            f"{database}: SQLAlchemy before 2.1 cannot address a path with ?, # or %; upgrade it, or move the workspace"
        )
    return uri


def databases_in_use(workspace: Path) -> tuple[Path | None, Path | None]:
    """Return the files of the registry and of the runs, None for a store that is none; loads no library to say so."""
    runs, registry = named_uri("MLFLOW_TRACKING_URI"), named_uri("MLFLOW_REGISTRY_URI")
    tracking = database_of(runs) if runs else own_database(workspace)
    return database_of(registry) if registry else tracking, tracking


def own_database(workspace: Path) -> Path:
    """Return the file of the workspace's own store, which may not be there yet."""
    usual, apart = workspace.resolve() / "mlflow.db", workspace.resolve() / ".disgorge" / "mlflow.db"
    return apart if apart.is_file() or _is_foreign(usual) else usual


def database_beside(workspace: Path) -> Path | None:
    """Return the ``mlflow.db`` of the workspace's folder where it is not the store in use, None if there is none."""
    usual = workspace.resolve() / "mlflow.db"
    return usual if usual.is_file() and usual.resolve() not in _in_use(workspace) else None


def databases_beside(workspace: Path) -> tuple[Path, ...]:
    """Return MLflow's databases that lie in the workspace's folder, under any name, and are not in use.

    So is one that lies before the ``?`` of the workspace's path: it was made there before addresses were quoted.
    """
    root = workspace.resolve()
    cut = Path(str(root / "mlflow.db").partition("?")[0])
    in_use, usual = _in_use(workspace), root / "mlflow.db"
    files = sorted({path for path in (*root.iterdir(), cut) if path.is_file() and path.resolve() not in in_use})
    return tuple(path for path in files if path == usual or _tables(path) >= _THEIR_TABLES)


def _in_use(workspace: Path) -> set[Path]:
    return {path.resolve() for path in databases_in_use(workspace) if path is not None}


def _tables(file: Path) -> set[str]:
    """Return the tables of an SQLite file, none of any other."""
    try:
        with file.open("rb") as opened:
            if not opened.read(16).startswith(b"SQLite format 3"):
                return set()
        with closing(read_only(file)) as rows:
            return {str(name) for (name,) in rows.execute("select name from sqlite_master where type = 'table'")}
    except (OSError, sqlite3.Error):
        return set()


def _has_file_store(workspace: Path) -> bool:
    """Whether ``mlruns`` is a store of its own, as MLflow made by default before it had databases."""
    return any((workspace / "mlruns").glob("*/meta.yaml"))


def has_records(workspace: Path) -> bool:
    """Whether there is a store to look into: one that the user named, or one in the workspace."""
    named = named_uri("MLFLOW_TRACKING_URI") or named_uri("MLFLOW_REGISTRY_URI")
    return (
        bool(named)
        or own_database(workspace).is_file()
        or bool(databases_beside(workspace))
        or _has_file_store(workspace)
    )


def database_of(uri: str) -> Path | None:
    """Return the file of an SQLite URI, None for any other store.

    >>> database_of("sqlite:////srv/mlflow.db?timeout=5"), database_of("https://mlflow.example")
    (PosixPath('/srv/mlflow.db'), None)
    """
    scheme, _, path = uri.partition(":///")
    file = unquote(path.partition("?")[0])
    file = unquote(file.partition("?")[0].removeprefix("file:")) if file.startswith("file:") else file
    return Path(file) if scheme.partition("+")[0] == "sqlite" and file else None


def read_only(database: Path) -> sqlite3.Connection:
    """Open an SQLite file for reading, without MLflow; it is not made where it is not."""
    return sqlite3.connect(f"file:{quote(str(database.absolute()))}?mode=ro", uri=True)


def _is_foreign(database: Path) -> bool:
    """Whether a database holds runs or models, and no experiment of ours. One that cannot be read is taken for ours."""
    if not database.is_file():
        return False
    try:
        with closing(read_only(database)) as rows:
            names = [str(name) for (name,) in rows.execute("select name from experiments")]
            tables = ("runs", "registered_models")
            used = any(rows.execute(f"select 1 from {table} limit 1").fetchone() for table in tables)
    except sqlite3.Error:
        return False
    ours = any(name == EXPERIMENT or name.startswith(f"{EXPERIMENT} in ") for name in names)
    return not ours and (used or any(name != "Default" for name in names))


@contextmanager
def quiet() -> Iterator[None]:
    """Let MLflow work without telemetry, progress bars, log lines and deprecations of its own."""
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    loggers = [logging.getLogger(name) for name in ("mlflow", "alembic")]
    levels = [logger.level for logger in loggers]
    with activity("working with MLflow, which takes longest the first time"), warnings.catch_warnings():
        for category in (DeprecationWarning, PendingDeprecationWarning, FutureWarning):
            warnings.filterwarnings("ignore", category=category, module=_THEIRS)
        warnings.filterwarnings("ignore", message=r".*type hint", category=UserWarning)  # about MLflow's own classes
        import mlflow  # noqa: F401 (importing it sets the level of its logger)

        for logger in loggers:
            logger.setLevel(logging.CRITICAL)  # it logs tracebacks of what it then raises; we say that on one line
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)


class Store:
    """Runs and registry of one workspace. Cheap to make; MLflow is imported when it is first used.

    ``uri`` is that of another store than the workspace uses, to look into.
    """

    def __init__(self, workspace: Path, uri: str = "") -> None:
        require_mlflow()
        self.root = workspace
        self._uri = uri
        self._client: Any = None

    @classmethod
    def every(cls, workspace: Path) -> "tuple[Store, ...]":
        """Return the store in use, and those that happen to lie in the workspace's folder: to look into, all."""
        named = named_uri("MLFLOW_TRACKING_URI") or named_uri("MLFLOW_REGISTRY_URI")
        beside = [uri_of(database) for database in databases_beside(workspace)]
        if _has_file_store(workspace):
            beside.append((workspace.resolve() / "mlruns").as_uri())
        in_use = [cls(workspace)] if named or own_database(workspace).is_file() else []
        return (*in_use, *(cls(workspace, uri) for uri in beside if uri != tracking_uri(workspace)))

    @contextmanager
    def client(self) -> Iterator[Any]:
        """Give an ``MlflowClient``; what it raises becomes a :class:`DisgorgeError` of one line."""
        with quiet():
            from mlflow import MlflowClient
            from mlflow.exceptions import MlflowException
            from sqlalchemy.exc import SQLAlchemyError

            uri, registry = self._uri or tracking_uri(self.root), self._uri or registry_uri(self.root)
            if self._uri.startswith("file:"):
                os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")  # to read one that is there
            _require_current(database_of(self._uri))
            try:
                if self._client is None:
                    self._client = MlflowClient(tracking_uri=uri, registry_uri=registry)
                yield self._client
            except (MlflowException, SQLAlchemyError) as error:
                reason = str(error).strip().splitlines()[0][:300]
                broken = isinstance(error, SQLAlchemyError) or error.error_code in _BROKEN
                raise (TrackingFailed if broken else DisgorgeError)(
                    f"MLflow at {without_secrets(uri)}: {reason}; put that right, then run the same command again"
                ) from error

    def experiment(self, client: Any) -> str:
        """Return the id of our experiment, made if it is not there."""
        found = client.get_experiment_by_name(EXPERIMENT)
        if found is None:
            return str(client.create_experiment(EXPERIMENT, artifact_location=self._location()))
        if self.owns(found.artifact_location):
            return str(found.experiment_id)
        name = f"{EXPERIMENT} in {self.root.resolve()}"  # of a workspace that was copied or moved
        again = client.get_experiment_by_name(name)
        return str(again.experiment_id if again else client.create_experiment(name, artifact_location=self._location()))

    def owns(self, uri: str) -> bool:
        """Whether artifacts at ``uri`` are this workspace's. A copied workspace's old runs point into the original.

        Where the user named a store that keeps artifacts itself, all of it counts as this workspace's.
        """
        path = local_path(uri)
        ours = (self.root.resolve() / name for name in ("mlartifacts", "mlruns"))
        return self._location() is None or (path is not None and any(path.is_relative_to(folder) for folder in ours))

    def _location(self) -> str | None:
        named = named_uri("MLFLOW_TRACKING_URI")
        if named and named.partition(":")[0].partition("+")[0] not in _DATABASES:
            return None
        return (self.root.resolve() / "mlartifacts").as_uri()

    def runs(self, client: Any, tags: Mapping[str, str]) -> Iterator[Any]:
        """Yield the live runs with these tags, the oldest first. Values must not hold a quote."""
        query = " and ".join(f"tags.`{name}` = '{value}'" for name, value in tags.items())
        where, order = [self.experiment(client)], ["attributes.start_time"]
        return pages(lambda token: client.search_runs(where, query, order_by=order, page_token=token))

    def exists(self) -> bool:
        """Whether there is a store, as far as can be said without opening it, which would make one."""
        database = databases_in_use(self.root)[1]
        return database is None or database.exists()


def _require_current(beside: Path | None) -> None:
    """Raise :class:`DisgorgeError` for another program's database that MLflow would upgrade when it opens it."""
    if beside is None:
        return
    from mlflow.store.db.base_sql_model import Base

    if not set(Base.metadata.tables) <= _tables(beside):
        raise DisgorgeError(
            f"{beside}: a store of another version of MLflow, so what it holds was not looked at; upgrade it with "
            f"`mlflow db upgrade`, or move it out of the workspace"
        )


def run_of_release(client: Any, run_id: str) -> Any | None:
    """Return a run that holds the description of a release and nothing else, None for any other run.

    :class:`disgorge.tracking.registry.Registry` makes such runs; others are experiments, whatever release names them.
    """
    from mlflow.exceptions import MlflowException

    try:
        run = client.get_run(run_id)
    except MlflowException:
        return None
    return run if run.data.tags.get(KIND) == RELEASE else None


def versions_of(client: Any, query: str | None = None) -> Iterator[Any]:
    """Yield every registered version, or those that a query of MLflow finds."""
    return pages(lambda token: client.search_model_versions(query, page_token=token))


def metric_name(text: str) -> str:
    """Return ``text`` as MLflow takes a metric's name: no characters but letters, digits and ``_ - . / space``.

    >>> metric_name("cost: bob's [adapter]")
    'cost_ bob_s _adapter_'
    """
    return re.sub(r"[^\w\-./ ]", "_", text, flags=re.ASCII)[:250]


def without_secrets(uri: str) -> str:
    """Return a URI without a user name and password in it.

    >>> without_secrets("postgresql://me:secret@host/db")
    'postgresql://host/db'
    """
    return re.sub(r"//[^/@]*@", "//", uri)
