"""A field map for a workflow, read off its nodes: from what saves the result back to what it is made of.

It is a proposal. Where several nodes would do, or none, nothing is mapped, and a remark says so.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from safelight.domain.generations import GenerationType
from safelight.providers.comfyui.fields import Fields, split
from safelight.providers.comfyui.workflow import Node, Workflow

_TEXTS = ("text", "prompt", "text_g", "text_l", "clip_l", "clip_g", "t5xxl", "llama", "string", "value")
_SEEDS = ("seed", "noise_seed")
_FRAMES = ("length", "frames", "num_frames", "video_length", "frame_count")
_RATES = ("fps", "frame_rate")
_NO_CONDITIONING = (
    "clip",
    "model",
    "vae",
    "image",
    "images",
    "pixels",
    "control_net",
    "latent",
    "latent_image",
    "samples",
)
_LATENTS = ("latent_image", "latent", "samples")
_FIRST = ("start_image", "first_frame", "first_frame_image", "start_frame")
_LAST = ("end_image", "last_frame", "last_frame_image", "end_frame")
_NO_MEDIA = ("Audio", "Latent", "Checkpoint", "Model", "CLIP", "VAE", "GLB", "SVG", "LoRA", "Lora", "DataSet", "Text")
_MOST_STEPS = 200
"""How far a chain of links is followed."""


class Proposal(msgspec.Struct, frozen=True, kw_only=True):
    """The map, and what the workflow makes as it stands. ``remarks``: what was not placed or was left alone."""

    fields: Fields
    type: GenerationType
    width: int | None
    height: int | None
    seconds: float | None
    frames_step: int
    remarks: tuple[str, ...]


def propose(workflow: Workflow) -> Proposal:
    """What the workflow's nodes suggest."""
    return _Reader(workflow).proposal()


class _Reader:
    def __init__(self, workflow: Workflow) -> None:
        self._workflow = workflow
        self._nodes = workflow.nodes
        self._remarks: list[str] = []
        self._consumers: dict[str, list[tuple[str, str]]] = {}
        for node_id, node in self._nodes.items():
            for name in node.inputs:
                if (source := node.link(name)) is not None:
                    self._consumers.setdefault(source, []).append((node_id, name))

    def proposal(self) -> Proposal:
        output, type_ = self._output()
        samplers = self._samplers()
        positive = self._texts(samplers, "positive")
        negative = [place for place in self._texts(samplers, "negative") if place not in positive]
        prompt = self._one_text("prompt", positive) or self._lone_text()
        sized = self._sized_node(samplers)
        width, height, frames = (self._number(sized, name) for name in ("width", "height", None))
        rate = self._rate() if type_ is GenerationType.VIDEO else None
        first, last, references = self._images(type_)
        seed = tuple(dict.fromkeys(self._seeds(samplers)))
        fields = Fields(
            prompt=_places(prompt),
            negative_prompt=_places(self._one_text("negative_prompt", negative)),
            width=width,
            height=height,
            seed=_places(seed),
            references=tuple(references),
            first_frame=first,
            last_frame=last,
            frames=frames if type_ is GenerationType.VIDEO else None,
            fps=rate,
            output=output,
        )
        self._remark_on_gaps(fields, type_, sized)
        count, per_second = self._value(frames), self._value(rate)
        seconds = count / per_second if count and per_second and type_ is GenerationType.VIDEO else None
        return Proposal(
            fields=fields,
            type=type_,
            width=_whole(self._value(width)),
            height=_whole(self._value(height)),
            seconds=seconds,
            frames_step=_step(self._nodes[sized].class_type) if sized and seconds else 1,
            remarks=tuple(self._remarks),
        )

    def _output(self) -> tuple[str | None, GenerationType]:
        saving = [node_id for node_id, node in self._nodes.items() if "filename_prefix" in node.inputs]
        media = [node_id for node_id in saving if _saves(self._nodes[node_id].class_type) is not None]
        if not media:
            self._remarks.append(
                "output: no node saves a picture or a clip under a name. End the workflow in SaveImage or SaveVideo: "
                "what they save is found again after a restart of ComfyUI."
            )
            return None, GenerationType.IMAGE
        types = {node_id: _saves(self._nodes[node_id].class_type) for node_id in media}
        type_ = GenerationType.VIDEO if GenerationType.VIDEO in types.values() else GenerationType.IMAGE
        wanted = [node_id for node_id in media if types[node_id] is type_]
        for node_id in wanted:
            if type_ is GenerationType.VIDEO and not _is_mp4(self._nodes[node_id]):
                self._remarks.append(
                    f"output: {self._workflow.named(node_id)} saves no MP4, as a video has to be. Use SaveVideo."
                )
        if len(wanted) > 1:
            listed = ", ".join(self._workflow.named(node_id) for node_id in wanted)
            self._remarks.append(f"output: {listed} save a result, and none was chosen: map the one that is wanted.")
            return None, type_
        return wanted[0], type_

    def _samplers(self) -> list[str]:
        """Nodes that turn conditions into a picture, or that hold the conditions for one that does."""
        return [
            node_id
            for node_id, node in self._nodes.items()
            if node.link("positive") is not None
            or node.link("noise") is not None
            or ("Guider" in node.class_type and node.link("conditioning") is not None)
            or (
                any(name in node.inputs for name in _SEEDS)
                and any(node.link(name) for name in ("model", "latent_image"))
            )
        ]

    def _texts(self, samplers: Sequence[str], role: str) -> list[str]:
        """The places of the texts that one side of the conditions comes from."""
        found: list[str] = []
        for node_id in samplers:
            node = self._nodes[node_id]
            source = node.link(role)
            if source is None and role == "positive" and node.link("negative") is None:
                source = node.link("conditioning")
            if source is not None:
                found += self._texts_from(source, role)
        return list(dict.fromkeys(found))

    def _texts_from(self, start: str, role: str) -> list[str]:
        found: list[str] = []
        waiting, seen = [start], set[str]()
        while waiting and len(seen) < _MOST_STEPS:
            node_id = waiting.pop(0)
            node = self._nodes.get(node_id)
            if node is None or node_id in seen:
                continue
            seen.add(node_id)
            texts = list(self._text_places(node_id, node))
            if texts:
                found += texts
            elif (own := node.link(role)) is not None:
                waiting.append(own)
            else:
                links = {name: node.link(name) for name in node.inputs if name not in _NO_CONDITIONING}
                waiting += [source for source in links.values() if source is not None]
        return found

    def _text_places(self, node_id: str, node: Node) -> Iterator[str]:
        """Inputs of a node that hold a text; where it is linked, the input at the link's other end."""
        for name in _TEXTS:
            if isinstance(node.inputs.get(name), str):
                yield f"{node_id}.{name}"
            elif (source := node.link(name)) is not None and (origin := self._origin(source, str)) is not None:
                yield origin

    def _origin(self, node_id: str, kind: type) -> str | None:
        """The one literal of a kind that a chain of plain nodes ends in, such as a primitive's value."""
        for _ in range(_MOST_STEPS):
            node = self._nodes.get(node_id)
            if node is None:
                return None
            literals = [name for name, value in node.inputs.items() if _is(value, kind)]
            links = [source for name in node.inputs if (source := node.link(name)) is not None]
            if len(literals) == 1:
                return f"{node_id}.{literals[0]}"
            if literals or len(links) != 1:
                return None
            node_id = links[0]
        return None

    def _one_text(self, key: str, places: list[str]) -> tuple[str, ...]:
        """All places, if one node has them or they say the same; else none of them, and a remark."""
        nodes = {split(place)[0] for place in places}
        said = {self._literal(place) for place in places}
        if len(nodes) <= 1 or len(said) == 1:
            return tuple(places)
        self._remarks.append(
            f"{key}: {', '.join(places)} are several texts that differ, and none was chosen: map those it should go to."
        )
        return ()

    def _lone_text(self) -> tuple[str, ...]:
        """Where no conditions lead to a text: the only one there is."""
        if any(remark.startswith("prompt:") for remark in self._remarks):
            return ()
        found = [
            f"{node_id}.{name}"
            for node_id, node in self._nodes.items()
            for name in ("prompt", "text")
            if isinstance(node.inputs.get(name), str)
        ]
        return tuple(found) if len(found) == 1 else ()

    def _seeds(self, samplers: Sequence[str]) -> Iterator[str]:
        for node_id in samplers:
            node = self._nodes[node_id]
            if node.inputs.get("add_noise") == "disable":
                continue  # it goes on with the noise of another
            noise = node.link("noise")
            for holder in (node_id, noise):
                if holder is not None and holder in self._nodes:
                    yield from (place for name in _SEEDS if (place := self._number(holder, name)) is not None)

    def _sized_node(self, samplers: Sequence[str]) -> str | None:
        """The node that says the size: what the samplers begin with, or the only one that has a size at all."""
        for node_id in samplers:
            found = self._upstream_sized(node_id)
            if found is not None:
                return found
        every = [node_id for node_id, node in self._nodes.items() if {"width", "height"} <= node.inputs.keys()]
        if len(every) > 1:
            listed = ", ".join(self._workflow.named(node_id) for node_id in every)
            self._remarks.append(f"width, height: {listed} have a size, and none was chosen: map the one that decides.")
        return every[0] if len(every) == 1 else None

    def _upstream_sized(self, sampler: str) -> str | None:
        node_id = next((link for name in _LATENTS if (link := self._nodes[sampler].link(name))), None)
        for _ in range(_MOST_STEPS):
            node = self._nodes.get(node_id) if node_id is not None else None
            if node is None:
                return None
            if {"width", "height"} <= node.inputs.keys():
                return node_id
            node_id = next((link for name in _LATENTS if (link := node.link(name))), None)
        return None

    def _number(self, node_id: str | None, name: str | None) -> str | None:
        """The place of a number that a node has, or is given by a link. ``name`` None: of how many frames there are."""
        node = None if node_id is None else self._nodes.get(node_id)
        if node is None:
            return None
        for each in _FRAMES if name is None else (name,):
            if _is(node.inputs.get(each), int):
                return f"{node_id}.{each}"
            if (source := node.link(each)) is not None and (origin := self._origin(source, int)) is not None:
                return origin
        return None

    def _rate(self) -> str | None:
        found = [
            f"{node_id}.{name}"
            for node_id, node in self._nodes.items()
            for name in _RATES
            if _is(node.inputs.get(name), int) or isinstance(node.inputs.get(name), float)
        ]
        if len({self._literal(place) for place in found}) > 1:
            self._remarks.append(f"fps: {', '.join(found)} differ, and none was chosen: give the clip's rate.")
            return None
        return found[0] if found else None

    def _images(self, type_: GenerationType) -> tuple[str | None, str | None, list[str]]:
        """The places of a first and a last frame, and of other reference images, in the order of their nodes."""
        first, last = None, None
        rest: list[str] = []
        for node_id in sorted(self._nodes, key=_in_order):
            node = self._nodes[node_id]
            if not node.class_type.startswith("LoadImage") or not isinstance(node.inputs.get("image"), str):
                continue
            place = f"{node_id}.image"
            if "Mask" in node.class_type:
                self._remarks.append(
                    f"{self._workflow.named(node_id)}: a mask has no part in a request. It was left alone."
                )
                continue
            uses = self._uses(node_id) if type_ is GenerationType.VIDEO else set()
            if first is None and uses & set(_FIRST):
                first = place
            elif last is None and uses & set(_LAST):
                last = place
            else:
                rest.append(place)
        return first, last, rest

    def _uses(self, node_id: str) -> set[str]:
        """The inputs that a picture ends up in, also after it was scaled or the like."""
        names, waiting, seen = set[str](), [node_id], set[str]()
        while waiting and len(seen) < _MOST_STEPS:
            current = waiting.pop()
            if current in seen:
                continue
            seen.add(current)
            for consumer, name in self._consumers.get(current, ()):
                names.add(name)
                if name in ("image", "images", "pixels"):
                    waiting.append(consumer)
        return names

    def _remark_on_gaps(self, fields: Fields, type_: GenerationType, sized: str | None) -> None:
        told = " ".join(self._remarks)
        gaps = {
            "prompt": "no text was found that the result is made from. Without a place, a prompt changes nothing.",
            "negative_prompt": "no text of its own was found. Requests with a negative prompt are refused.",
            "width": "no node says the size. Every result has the size that the workflow gives it.",
            "seed": "no sampler's seed was found. Requests with a seed are refused.",
        }
        if type_ is GenerationType.VIDEO:
            gaps["frames"] = "no number of frames was found. Every clip has the length that the workflow gives it."
            gaps["fps"] = "no rate was found. Give frames a second as a number, where frames are mapped."
        for key, what in gaps.items():
            if getattr(fields, key) is None and f"{key}:" not in told and f"{key}," not in told:
                self._remarks.append(f"{key}: {what}")
        for node_id, node in self._nodes.items() if sized else ():
            if node_id != sized and all(_is(node.inputs.get(side), int) for side in ("width", "height")):
                self._remarks.append(
                    f"{self._workflow.named(node_id)}: it has a size of its own, which was left alone. Map it as well, "
                    "if it has to be the one that is asked for."
                )
        batch = self._nodes[sized].inputs.get("batch_size") if sized else None
        if isinstance(batch, int) and batch > 1:
            self._remarks.append(
                f"{self._workflow.named(str(sized))}: batch_size is {batch}; one result is delivered. Set it to 1."
            )

    def _literal(self, place: str) -> Any:
        node_id, name = split(place)
        return self._nodes[node_id].inputs.get(name)

    def _value(self, place: str | None) -> float | None:
        value = None if place is None else self._literal(place)
        return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _places(found: Sequence[str]) -> str | tuple[str, ...] | None:
    return None if not found else found[0] if len(found) == 1 else tuple(found)


def _saves(class_type: str) -> GenerationType | None:
    """What a node saves, by its name; None for what is no picture and no clip."""
    if any(word in class_type for word in _NO_MEDIA):
        return None
    is_moving = any(word in class_type for word in ("Video", "WEBM", "Webm", "Animated", "GIF"))
    return GenerationType.VIDEO if is_moving else GenerationType.IMAGE


def _is_mp4(node: Node) -> bool:
    if any(word in node.class_type for word in ("WEBM", "Webm", "Animated", "GIF")):
        return False
    said = node.inputs.get("format", "auto")
    return not isinstance(said, str) or said == "auto" or "mp4" in said or "h264" in said or "h265" in said


def _step(class_type: str) -> int:
    """Of how many frames, and one, a model's clips are made, by the node that begins them."""
    known = {"Wan": 4, "Hunyuan": 4, "LTXV": 8, "Cosmos": 8, "Mochi": 6}
    return next((step for word, step in known.items() if word in class_type), 1)


def _is(value: object, kind: type) -> bool:
    return isinstance(value, kind) and not isinstance(value, bool)


def _whole(value: float | None) -> int | None:
    return None if value is None else round(value)


def _in_order(node_id: str) -> tuple[int, str]:
    return (int(node_id), "") if node_id.isdecimal() and node_id.isascii() else (1 << 31, node_id)
