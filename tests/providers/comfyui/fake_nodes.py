"""The nodes of the fake: what they take, and what they make."""

from __future__ import annotations

import asyncio
import copy
import io
import json
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
from PIL import Image, UnidentifiedImageError
from PIL.PngImagePlugin import PngInfo

MODELS = ["dreamshaper_8.safetensors", "sd_xl_base_1.0.safetensors"]
_SIZE = {"default": 512, "min": 16, "max": 16384, "step": 8}
_SEED = {"default": 0, "min": 0, "max": 18446744073709551615, "control_after_generate": True}
_PREFIX = ["STRING", {"default": "ComfyUI"}]
_HIDDEN = {"prompt": "PROMPT", "extra_pnginfo": "EXTRA_PNGINFO"}
_COMBO = {"multiselect": False}
CLASSES: dict[str, dict[str, Any]] = {
    "CheckpointLoaderSimple": {"required": {"ckpt_name": [MODELS, {}]}},
    "CLIPTextEncode": {
        "required": {"text": ["STRING", {"multiline": True, "dynamicPrompts": True}], "clip": ["CLIP", {}]}
    },
    "EmptyLatentImage": {
        "required": {
            "width": ["INT", _SIZE],
            "height": ["INT", _SIZE],
            "batch_size": ["INT", {"default": 1, "min": 1, "max": 4096}],
        }
    },
    "KSampler": {
        "required": {
            "model": ["MODEL", {}],
            "seed": ["INT", _SEED],
            "steps": ["INT", {"default": 20, "min": 1, "max": 10000}],
            "cfg": ["FLOAT", {"default": 8.0, "min": 0.0, "max": 100.0, "step": 0.1, "round": 0.01}],
            "sampler_name": [["euler", "dpmpp_2m"], {}],
            "scheduler": [["normal", "karras"]],
            "positive": ["CONDITIONING", {}],
            "negative": ["CONDITIONING", {}],
            "latent_image": ["LATENT", {}],
            "denoise": ["FLOAT", {"default": 1.0, "min": 0.0, "max": 1.0, "step": 0.01}],
        }
    },
    "VAEDecode": {"required": {"samples": ["LATENT", {}], "vae": ["VAE", {}]}},
    "EmptyImage": {
        "required": {
            "width": ["INT", {"default": 512, "min": 1, "max": 16384, "step": 1}],
            "height": ["INT", {"default": 512, "min": 1, "max": 16384, "step": 1}],
            "batch_size": ["INT", {"default": 1, "min": 1, "max": 4096}],
            "color": ["INT", {"default": 0, "min": 0, "max": 0xFFFFFF, "step": 1, "display": "color"}],
        }
    },
    "ImageInvert": {"required": {"image": ["IMAGE"]}},
    "LoadImage": {"required": {"image": [[], {"image_upload": True}]}},
    "SaveImage": {"required": {"images": ["IMAGE", {}], "filename_prefix": _PREFIX}, "hidden": _HIDDEN},
    "PreviewImage": {"required": {"images": ["IMAGE"]}, "hidden": _HIDDEN},
    "CreateVideo": {
        "required": {
            "images": ["IMAGE", {}],
            "fps": ["FLOAT", {"default": 30.0, "min": 1.0, "max": 120.0, "step": 1.0}],
        },
        "optional": {"audio": ["AUDIO", {}]},
    },
    "SaveVideo": {
        "required": {
            "video": ["VIDEO", {}],
            "filename_prefix": ["STRING", {"default": "video/ComfyUI", "multiline": False}],
            "format": ["COMBO", {"default": "auto", "options": ["auto", "mp4"], **_COMBO}],
            "codec": ["COMBO", {"default": "auto", "options": ["auto", "h264"], **_COMBO}],
        },
        "hidden": {"prompt": ["PROMPT"], "extra_pnginfo": ["EXTRA_PNGINFO"]},
    },
    "SafelightPaint": {
        "required": {
            "prompt": ["STRING", {"multiline": True}],
            "negative": ["STRING", {}],
            "width": ["INT", {"default": 64, "min": 16, "max": 4096}],
            "height": ["INT", {"default": 64, "min": 16, "max": 4096}],
            "frames": ["INT", {"default": 1, "min": 1, "max": 1000}],
            "seed": ["INT", {"default": 0, "min": 0, "max": 18446744073709551615}],
            "steps": ["INT", {"default": 4, "min": 1, "max": 10000}],
            "seconds": ["FLOAT", {"default": 0.0, "min": 0.0, "max": 600.0}],
            "breaks": [["no", "value", "memory"], {}],
        },
        "optional": {"image1": ["IMAGE", {}], "image2": ["IMAGE", {}]},
    },
}
OUTPUT_NODES = ("SaveImage", "PreviewImage", "SaveVideo")


class Interrupted(Exception):
    """Somebody asked for the running job to stop."""


class OutOfMemoryError(Exception):
    """As torch has it."""


OutOfMemoryError.__module__ = "torch"


class Server:
    """What jobs share."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.is_interrupted = False
        self.cache: dict[str, Any] = {}

    def annotated(self, name: str) -> Path:
        """The file of a name that may say its folder at the end."""
        for folder in ("output", "input", "temp"):
            if name.endswith(f" [{folder}]"):
                return self.folder / folder / name.removesuffix(f" [{folder}]")
        return self.folder / "input" / name


Tell = Callable[[str, dict[str, Any]], Awaitable[None]]


class Run:
    """One job's nodes, each run once. ``at`` is the one that runs."""

    def __init__(self, comfy: Server, prompt_id: str, graph: dict[str, Any], send: Tell) -> None:
        self.comfy, self.prompt_id, self.graph, self.send = comfy, prompt_id, graph, send
        self.values: dict[str, Any] = {}
        self.outputs: dict[str, Any] = {}
        self.states: dict[str, Any] = {}
        self.executed: list[str] = []
        self.at = next(iter(graph))

    def cached(self, good: list[str]) -> list[str]:
        ids = {node_id for output in good for node_id in upstream(output, self.graph)}
        return [node_id for node_id in self.graph if node_id in ids and self.signature(node_id) in self.comfy.cache]

    def signature(self, node_id: str) -> str:
        node = self.graph[node_id]
        inputs = {
            name: self.signature(value[0]) if isinstance(value, list) else value
            for name, value in node["inputs"].items()
        }
        return json.dumps([node["class_type"], inputs], sort_keys=True)

    async def value(self, node_id: str) -> Any:
        if node_id in self.values:
            return self.values[node_id]
        signature, node = self.signature(node_id), self.graph[node_id]
        if signature in self.comfy.cache:
            self.values[node_id], output = self.comfy.cache[signature]
        else:
            inputs = {
                name: await self.value(value[0]) if isinstance(value, list) else value
                for name, value in node["inputs"].items()
            }
            self.at = node_id
            await self.share(node_id, 0, 1, "running")
            await self.tell("executing", node=node_id, display_node=node_id)
            self.values[node_id], output = await self.made(node_id, inputs)
            await self.share(node_id, 1, 1, "finished")
            self.executed.append(node_id)
            self.comfy.cache[signature] = self.values[node_id], output
        if output is not None:
            self.outputs[node_id] = output
            await self.tell("executed", node=node_id, display_node=node_id, output=output)
        return self.values[node_id]

    async def tell(self, kind: str, **data: Any) -> None:
        await self.send(kind, {"prompt_id": self.prompt_id, **data})

    async def share(self, node_id: str, value: float, most: float, state: str) -> None:
        self.states[node_id] = {"value": value, "max": most, "state": state, "node_id": node_id}
        await self.tell("progress_state", nodes=copy.deepcopy(self.states))

    async def made(self, node_id: str, inputs: dict[str, Any]) -> tuple[Any, dict[str, Any] | None]:
        """A node's value, and what it shows."""
        kind = self.graph[node_id]["class_type"]
        if kind in ("KSampler", "SafelightPaint"):
            return await self.painted(node_id, kind, inputs), None
        if kind in OUTPUT_NODES:
            return None, self.shown(kind, inputs)
        match kind:
            case "EmptyImage":
                shape = (inputs["batch_size"], inputs["height"], inputs["width"], 3)
                color = inputs["color"]
                return np.full(shape, [color >> 16, color >> 8 & 255, color & 255], np.uint8), None
            case "EmptyLatentImage":
                return (inputs["width"], inputs["height"]), None
            case "VAEDecode":
                return inputs["samples"], None
            case "ImageInvert":
                return 255 - inputs["image"], None
            case "LoadImage":
                return self.loaded(inputs["image"]), None
            case "CreateVideo":
                return (inputs["images"], inputs["fps"]), None
        return f"a {kind}", None

    async def painted(self, node_id: str, kind: str, inputs: dict[str, Any]) -> Any:
        await self.steps(node_id, inputs["steps"], inputs.get("seconds", 0))
        if kind == "KSampler":
            return _painted(inputs["seed"], *inputs["latent_image"], 1)
        if inputs["breaks"] == "memory":
            raise OutOfMemoryError("Allocation on device")
        if inputs["breaks"] == "value":
            raise ValueError("the paint has dried")
        return _painted(inputs["seed"], inputs["width"], inputs["height"], inputs["frames"])

    def loaded(self, name: str) -> Any:
        path = self.comfy.annotated(name)
        try:
            with Image.open(path) as image:
                return np.asarray(image.convert("RGB"))[None]
        except UnidentifiedImageError:
            raise UnidentifiedImageError(f"cannot identify image file '{path}'") from None

    def shown(self, kind: str, inputs: dict[str, Any]) -> dict[str, Any]:
        if kind == "SaveVideo":
            images, fps = inputs["video"]
            return {"images": [self.saved_clip(images, fps, inputs["filename_prefix"])], "animated": [True]}
        if kind == "PreviewImage":
            return {"images": self.saved_pictures(inputs["images"], "ComfyUI_temp", "temp")}
        return {"images": self.saved_pictures(inputs["images"], inputs["filename_prefix"], "output")}

    async def steps(self, node_id: str, steps: int, seconds: float) -> None:
        for step in range(steps):
            ends = time.monotonic() + seconds / steps
            while time.monotonic() < ends:
                await asyncio.sleep(0.02)
                if self.comfy.is_interrupted:
                    self.comfy.is_interrupted = False
                    raise Interrupted
            await self.share(node_id, step + 1, steps, "running")
            await self.tell("progress", value=step + 1, max=steps, node=node_id)

    def saved_pictures(self, images: Any, prefix: str, folder: str) -> list[dict[str, str]]:
        files = []
        for image in images:
            name = self.next_name(prefix, "png", folder)
            told = PngInfo()
            told.add_text("prompt", json.dumps(self.graph))
            Image.fromarray(image).save(self.comfy.folder / folder / name, pnginfo=told)
            files.append({"filename": name, "subfolder": "", "type": folder})
        return files

    def saved_clip(self, images: Any, fps: float, prefix: str) -> dict[str, str]:
        name, target = self.next_name(prefix, "mp4", "output"), io.BytesIO()
        with av.open(target, "w", format="mp4", options={"movflags": "use_metadata_tags"}) as container:
            container.metadata["prompt"] = json.dumps(self.graph)
            stream = container.add_stream("libx264", rate=round(fps))
            stream.height, stream.width = images.shape[1:3]
            stream.pix_fmt = "yuv420p"
            for image in images:
                container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
            container.mux(stream.encode())
        (self.comfy.folder / "output" / name).write_bytes(target.getvalue())
        return {"filename": name, "subfolder": "", "type": "output"}

    def next_name(self, prefix: str, extension: str, folder: str) -> str:
        count = len(list((self.comfy.folder / folder).glob(f"{prefix}_*"))) + 1
        return f"{prefix}_{count:05}_.{extension}"


def _painted(seed: int, width: int, height: int, frames: int) -> Any:
    """Frames in a colour of the seed, each a little lighter."""
    color = np.array([seed & 255, seed >> 8 & 255, seed >> 16 & 255])
    return np.stack([np.full((height, width, 3), np.minimum(color + frame, 255), np.uint8) for frame in range(frames)])


def upstream(output: str, graph: dict[str, Any]) -> list[str]:
    """A node, and what it is made of."""
    found, waiting = [], [output]
    while waiting:
        node_id = waiting.pop()
        if node_id not in found:
            found.append(node_id)
            waiting += [value[0] for value in graph[node_id]["inputs"].values() if isinstance(value, list)]
    return found
