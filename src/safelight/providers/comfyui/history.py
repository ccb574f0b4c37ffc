"""What ComfyUI's history says of a job: which file is the result, or why there is none."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import urlencode

import msgspec

from safelight.domain.generations import GenerationType
from safelight.domain.outcomes import Answer, Failed, FailureClass

_EXTENSIONS = {
    GenerationType.IMAGE: frozenset({".png", ".jpg", ".jpeg", ".webp"}),
    GenerationType.VIDEO: frozenset({".mp4", ".m4v"}),
}
_OUT_OF_MEMORY = "OutOfMemory"


class SavedFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file that the server kept, as it names it. ``folder`` is ``output``, ``temp`` or ``input``."""

    filename: str
    subfolder: str = ""
    folder: str = "output"

    @property
    def path(self) -> str:
        """Where it is served, behind the server's address."""
        return f"view?{urlencode({'filename': self.filename, 'subfolder': self.subfolder, 'type': self.folder})}"


def expected_files(prefix: str, type_: GenerationType) -> list[SavedFile]:
    """What the usual nodes name the first file that they save with a prefix."""
    if type_ is GenerationType.IMAGE:
        names = [f"{prefix}_00001_{extension}" for extension in (".png", ".webp", ".jpg")]
    else:
        # The last two are of Video Helper Suite, which writes a clip with sound beside the silent one.
        names = [f"{prefix}_00001_.mp4", f"{prefix}_00001-audio.mp4", f"{prefix}_00001.mp4"]
    return [SavedFile(filename=name) for name in names]


def result_in(outputs: object, type_: GenerationType, wanted: str | None) -> SavedFile | None:
    """The file that was ordered, among the outputs of a job: of ``wanted`` node if one is named.

    Files that were kept come before temporary ones.
    """
    found = [
        file
        for node_id, output in (outputs.items() if isinstance(outputs, dict) else ())
        if wanted in (None, node_id)
        for file in _files(output)
        if PurePosixPath(file.filename).suffix.lower() in _EXTENSIONS[type_]
    ]
    return next((file for file in found if file.folder == "output"), found[0] if found else None)


def _files(output: object) -> Iterator[SavedFile]:
    """Each entry with a file name, under whatever word a node lists it."""
    for entries in output.values() if isinstance(output, dict) else ():
        for entry in entries if isinstance(entries, list) else ():
            if isinstance(entry, dict) and isinstance(entry.get("filename"), str):
                subfolder, folder = entry.get("subfolder"), entry.get("type")
                yield SavedFile(
                    filename=entry["filename"],
                    subfolder=subfolder if isinstance(subfolder, str) else "",
                    folder=folder if isinstance(folder, str) else "output",
                )


def names_in(outputs: object) -> str:
    """What a job saved, for people."""
    every = [
        file.filename for output in (outputs.values() if isinstance(outputs, dict) else ()) for file in _files(output)
    ]
    return ", ".join(every[:8]) or "nothing"


def failure_in(status: object) -> Failed | None:
    """Why a job made nothing, if its status says so. Its inputs, which are in there too, are left out."""
    if not isinstance(status, dict) or status.get("status_str") != "error":
        return None
    messages = status.get("messages")
    said = {
        message[0]: message[1]
        for message in (messages if isinstance(messages, list) else ())
        if isinstance(message, list) and len(message) == 2
        if isinstance(message[0], str) and isinstance(message[1], dict)
    }
    if "execution_error" in said:
        return execution_failure(said["execution_error"])
    if "execution_interrupted" in said:
        return Failed(FailureClass.CANCELED, "it was interrupted there")
    return Failed(FailureClass.PERMANENT, "the workflow failed, and the server does not say why")


def execution_failure(error: dict[str, Any]) -> Failed:
    """A node that broke: which, with what, and what it said."""
    kind, node_type, message = (
        str(error.get(key) or "?").strip() for key in ("exception_type", "node_type", "exception_message")
    )
    words = f"node {error.get('node_id')} ({node_type}): {kind}: {message}"
    is_memory = _OUT_OF_MEMORY in kind
    reason = FailureClass.TRANSIENT if is_memory else FailureClass.PERMANENT
    detail = "the server ran out of memory" if is_memory else "a node of the workflow failed"
    return Failed(reason, detail, answer=Answer(code=kind, words=words))


def refusal_words(body: object) -> tuple[str | None, str]:
    """The code and the words of an answer that refuses a graph, each node's own errors included."""
    document = body if isinstance(body, dict) else {}
    error = document.get("error")
    code, said = None, []
    if isinstance(error, dict):
        code = str(error.get("type") or "") or None
        said.append(": ".join(str(part) for part in (error.get("message"), error.get("details")) if part))
    elif error:
        said.append(str(error))
    nodes = document.get("node_errors")
    for node_id, entry in nodes.items() if isinstance(nodes, dict) else ():
        errors = entry.get("errors") if isinstance(entry, dict) else None
        for each in errors if isinstance(errors, list) else ():
            if isinstance(each, dict):
                what = ": ".join(str(part) for part in (each.get("message"), each.get("details")) if part)
                said.append(f"node {node_id} ({entry.get('class_type')}): {what}")
    return code, "; ".join(part for part in said if part) or "it refuses the graph, and does not say why"
