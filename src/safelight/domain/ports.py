"""What the core asks of providers and blob stores. A capability is a type: what a part can do, it implements."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Generic, Literal, Protocol, TypeVar, runtime_checkable

import msgspec

from safelight.domain.catalog import Binding, Model
from safelight.domain.connections import DEFAULT_POLLS_PER_SECOND, ConnectionSettings, NoOptions, Secret
from safelight.domain.generations import GenerationType
from safelight.domain.media import Reference
from safelight.domain.outcomes import Cancellation, Finding, FindOutcome, Handle, PollOutcome, SubmitOutcome
from safelight.domain.request import Order

Options = TypeVar("Options", bound=msgspec.Struct)


class Job(msgspec.Struct, Generic[Options], frozen=True, kw_only=True):
    """All that a call about one order may know, the same after a restart: it is rebuilt from the row.

    ``id`` is what the backend may know the order by: one that is given again, as it came to nothing, has another.
    The generation's own is ``generation_id``. ``upstream_model``, ``options`` and ``size_word`` (the backend's own
    word for the size that is asked for, where the catalog has one) are the binding's. ``submitted_at``: when the
    order was about to be given, by this machine's clock. ``workdir`` is an empty folder, made when it is first
    asked for, that lives as long as the run. ``progress`` may be called with 0 to 1 at any pace, from the event
    loop's thread. ``reference_url`` makes a link to a reference image by its index, good for an hour, for a backend
    that can reach this service. ``callback_url``: where it may tell that something happened (see ``Hintable``).
    """

    id: str
    generation_id: str
    type: GenerationType
    upstream_model: str
    options: Options
    submitted_at: datetime
    make_workdir: Callable[[], Path]
    progress: Callable[[float], None]
    reference_url: Callable[[int], str]
    size_word: str | None = None
    callback_url: str

    @property
    def workdir(self) -> Path:
        return self.make_workdir()

    @property
    def idempotency_key(self) -> str:
        """A key for a backend that takes one order by it once: a UUID that is always the same for this order."""
        return str(uuid.uuid5(_IDEMPOTENCY, self.id))


_IDEMPOTENCY = uuid.UUID("0f9f2e1c-5a63-4d3f-9d0a-3c6f0c5a7d11")


class Provider(Protocol):
    """A backend that makes media. ``submit`` is called at most once for an order whose intent is on record."""

    async def submit(self, order: Order, job: Job[Any]) -> SubmitOutcome: ...

    async def close(self) -> None: ...


@runtime_checkable
class Pollable(Protocol):
    """A backend whose jobs outlive the call that started them."""

    async def poll(self, handle: Handle, job: Job[Any]) -> PollOutcome: ...


class Asked(msgspec.Struct, frozen=True):
    """A job that is asked about, and the handle that its backend gave."""

    handle: Handle
    job: Job[Any]


@runtime_checkable
class BatchPollable(Protocol):
    """A backend that is asked about many jobs in one request, ``poll_batch`` at most. The answers come in order."""

    poll_batch: int

    async def poll_many(self, asked: Sequence[Asked]) -> Sequence[PollOutcome]: ...


@runtime_checkable
class Cancelable(Protocol):
    """A backend that can be asked to stop a job."""

    async def cancel(self, handle: Handle, job: Job[Any]) -> Cancellation: ...


@runtime_checkable
class Findable(Protocol):
    """A backend that finds a job by our own id of it, ``Job.id``, or by what else a job tells."""

    async def find(self, job: Job[Any]) -> FindOutcome: ...


class Callback(msgspec.Struct, frozen=True, kw_only=True):
    """A request that a backend made to a ``callback_url``. ``job_id`` is that of the address.

    Names of ``headers`` are in lower case.
    """

    job_id: str
    headers: Mapping[str, str]
    body: bytes


@runtime_checkable
class Hintable(Protocol):
    """A backend that tells that something happened to a job.

    Its word is never taken for it: it only makes the next question come sooner, if ``hint`` finds that it is news.
    Where the backend signs what it sends, what is not signed by it is none.
    """

    async def hint(self, callback: Callback) -> bool: ...


@runtime_checkable
class Checkable(Protocol):
    """A backend that can be looked at: whether it is there, takes our key, has the model and makes its sizes.

    Nothing is ordered, and nothing is paid. Every trouble is a finding, none is raised.
    """

    async def check(self, model: Model, binding: Binding) -> Sequence[Finding]: ...


@runtime_checkable
class Sizeless(Protocol):
    """A backend that makes one size whatever is ordered, so that another size than that is nothing to tell."""

    is_sizeless: bool


@runtime_checkable
class Repeatable(Protocol):
    """A backend that may be given the same order again: nothing is paid and nothing is left behind."""

    repeatable: bool


@runtime_checkable
class Algorithmic(Protocol):
    """A backend that draws by rule, with no trained model: its files are marked so (C2PA's digital source types)."""

    is_algorithmic: bool


@runtime_checkable
class Local(Protocol):
    """A backend that computes on this machine: at most ``slots`` generations at once in one process."""

    slots: int


@runtime_checkable
class HoldsSecrets(Protocol):
    """A backend that knows secrets besides those that its connection refers to, such as a token it was given."""

    @property
    def secrets(self) -> tuple[str, ...]: ...


class Places(Protocol):
    """So many orders at once, and no more: one that enters takes a place until it leaves. A semaphore is one."""

    def locked(self) -> bool:
        """Whether the next one has to wait."""

    async def __aenter__(self) -> None: ...

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None, /
    ) -> None: ...


class Backend(msgspec.Struct, frozen=True, kw_only=True):
    """A connection, opened. ``options`` is the type of its bindings' options.

    ``places`` is how many orders one process may have with it at once; None: as many as there are. A process asks it
    about jobs ``polls_per_second`` times a second at most. ``flat_is_refusal``: nothing to see is how it refuses.
    ``kind``: the name of its kind of provider.
    """

    connection: str
    provider: Provider
    options: type[msgspec.Struct]
    secrets: tuple[str, ...] = ()
    places: Places | None = None
    polls_per_second: float = DEFAULT_POLLS_PER_SECOND
    flat_is_refusal: bool = False
    kind: str = "unknown"

    def every_secret(self) -> tuple[str, ...]:
        """What must turn up in nothing that is kept or shown."""
        more = self.provider.secrets if isinstance(self.provider, HoldsSecrets) else ()
        return (*self.secrets, *more)


class Backends(Protocol):
    """The backends of one process, by the names of their connections."""

    def open(self, connection: str) -> Backend:
        """The backend, opened when it is first asked for. Raises ``ConfigurationError`` if the catalog has it no more,
        or if it cannot be opened."""


class Host(msgspec.Struct, frozen=True, kw_only=True):
    """What the machine lends to a backend: its data folder, how many processes may render, and how to read a secret.

    ``catalog_dir``: the folder of the catalog, from which the files that it names are looked for.
    """

    data_dir: Path
    render_processes: int
    read_secret: Callable[[Secret], str]
    catalog_dir: Path = Path()


class ProviderKind(msgspec.Struct, frozen=True, kw_only=True):
    """A kind of backend: what a catalog may say of a connection and of a binding to it, and how one is opened.

    ``needs`` is a module that an extra of the package brings, and that extra's name. ``is_local``: it computes on the
    worker's own machine. ``ignores``: what a model may promise and no backend of this kind is told. ``check_binding``
    finds what would keep a model from being served, and asks nobody: it raises ``ConfigurationError`` that begins with
    the option at fault.
    """

    settings: type[ConnectionSettings] = ConnectionSettings
    options: type[msgspec.Struct] = NoOptions
    open: Callable[[Any, Host], Provider]
    needs: tuple[str, str] | None = None
    is_local: bool = False
    ignores: tuple[Literal["seed", "negative_prompt"], ...] = ()
    check_binding: Callable[[Model, Binding, Host], None] | None = None


class Moderator(Protocol):
    """Says what must not be made. Each answer is the category that is violated, or None."""

    async def check_prompt(self, prompt: str, workspace: str) -> str | None: ...

    async def check_images(self, images: Sequence[Reference], workspace: str) -> str | None: ...

    async def close(self) -> None: ...


class BlobFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What a store knows of one object."""

    key: str
    size_bytes: int
    modified_at: datetime


class BlobStore(Protocol):
    """Where files are kept. Keys are ``/``-separated relative paths; an object is whole or absent."""

    async def put(self, key: str, source: Path | bytes, *, mime_type: str, consume: bool = False) -> None:
        """Store a file, by its path or by its bytes, durably under ``key``. Repeating it is harmless.

        With ``consume`` the file at a path is gone afterwards: a store on the same disk moves it instead of copying.
        Raises ``ServiceUnavailable``, and then no part of the object is visible.
        """

    async def get(self, key: str) -> bytes:
        """The whole object (for small ones). Raises ``FileNotFoundError``."""

    def stream(self, key: str, start: int, end: int) -> AsyncIterator[bytes]:
        """Bytes ``start`` (inclusive) to ``end`` (exclusive) in chunks. Raises ``FileNotFoundError``.

        An object shorter than ``end`` raises ``ServiceUnavailable`` before the first chunk.
        """

    def local_path(self, key: str) -> Path | None:
        """Where the object lies on this machine's disk, for whoever reads it there; None for remote stores."""

    async def delete(self, keys: list[str]) -> None:
        """Delete objects. One that is absent already is no error."""

    async def exists(self, key: str) -> bool: ...

    async def present(self, keys: list[str]) -> set[str]:
        """Those of the objects that are there."""

    def walk(self, prefix: str) -> AsyncIterator[BlobFacts]:
        """Every object under ``prefix``."""

    async def probe(self) -> None:
        """Write, read and delete a small object; raises ``ServiceUnavailable`` with the reason."""

    async def close(self) -> None: ...


@runtime_checkable
class MakingStore(Protocol):
    """A store that works in threads of its own, where what is stored may be made as well: handing a small file from
    one thread to another costs about as much as storing it."""

    async def put_made(self, key: str, make: Callable[[], bytes | Path]) -> None:
        """As ``put`` with ``consume`` of what ``make`` returns, on the same thread. What it raises comes out."""


class LinkNote(msgspec.Struct, frozen=True, kw_only=True):
    """A kept file, as whoever sends it by its link alone must know it. ``sha256`` is lower-case hex."""

    generation_id: str
    index: int
    workspace_id: int
    key: str
    size_bytes: int
    sha256: str
    deletes_at_unix: int


@runtime_checkable
class NotingStore(Protocol):
    """A store beside which a web server may check links and send files by itself, as far as there are notes of them.

    Where there is no such server, nothing is written and nothing is to be withdrawn. All raise ``ServiceUnavailable``.
    """

    async def want_notes(self) -> None:
        """There is such a server from now on."""

    async def note_links(self, notes: list[LinkNote]) -> None:
        """Files that are on record, stored and kept. Whatever has no note is left to the API."""

    async def withdraw_links(self, files: list[tuple[str, int]]) -> None:
        """That server sends these files no more, by generation id and index. Repeating it is harmless."""

    async def withdraw_workspace(self, workspace_id: int) -> None:
        """Nor anything of that workspace, ever again."""

    async def sweep_notes(self, first_id: str, last_id: str) -> int:
        """Remove notes of files that are gone, of generations made from the one id to the other; how many."""


ReadMethod = Literal["GET", "HEAD"]


@runtime_checkable
class PresignedStore(Protocol):
    """A store that can hand out its own links, good without any key of ours."""

    async def presigned_url(self, key: str, expires_seconds: int, *, method: ReadMethod = "GET") -> str:
        """A link to the object for one method, good within ``expires_seconds``. The object need not exist."""
