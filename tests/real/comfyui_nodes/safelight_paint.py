"""A node for a real ComfyUI that takes its time and breaks when told to, as its namesake in ``fake.py``."""

import time

import comfy.model_management
import comfy.utils
import torch


class SafelightPaint:
    CATEGORY = "safelight"
    RETURN_TYPES = ("IMAGE",)
    FUNCTION = "paint"

    @classmethod
    def INPUT_TYPES(cls):
        return {
            "required": {
                "prompt": ("STRING", {"multiline": True}),
                "negative": ("STRING", {}),
                "width": ("INT", {"default": 64, "min": 16, "max": 4096}),
                "height": ("INT", {"default": 64, "min": 16, "max": 4096}),
                "frames": ("INT", {"default": 1, "min": 1, "max": 1000}),
                "seed": ("INT", {"default": 0, "min": 0, "max": 18446744073709551615}),
                "steps": ("INT", {"default": 4, "min": 1, "max": 10000}),
                "seconds": ("FLOAT", {"default": 0.0, "min": 0.0, "max": 600.0}),
                "breaks": (["no", "value", "memory"], {}),
            },
            "optional": {"image1": ("IMAGE", {}), "image2": ("IMAGE", {})},
        }

    def paint(self, prompt, negative, width, height, frames, seed, steps, seconds, breaks, image1=None, image2=None):
        progress = comfy.utils.ProgressBar(steps)
        for _ in range(steps):
            ends = time.monotonic() + seconds / steps
            while time.monotonic() < ends:
                time.sleep(0.02)
                comfy.model_management.throw_exception_if_processing_interrupted()
            progress.update(1)
        if breaks == "memory":
            raise torch.OutOfMemoryError("Allocation on device")
        if breaks == "value":
            raise ValueError("the paint has dried")
        color = [seed & 255, seed >> 8 & 255, seed >> 16 & 255]
        images = [
            torch.tensor([min(part + frame, 255) for part in color]).expand(height, width, 3) for frame in range(frames)
        ]
        return (torch.stack(images) / 255,)


NODE_CLASS_MAPPINGS = {"SafelightPaint": SafelightPaint}
