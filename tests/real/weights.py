"""Random weights for the smallest model that sd-server takes.

The Ovis-Image architecture is the one of those it knows whose widths and depths are all read from the file: a diffusion
transformer of one double and one single block, 128 wide, told by a one-layer language model, 32 wide. The pictures mean
nothing; that each follows from prompt, seed and size, and takes a fraction of a second, is all that is asked of them.
"""

import json
from pathlib import Path

import numpy as np

HIDDEN = 128  # of the transformer; one head, and the rotary embedding fixes a head at 128
MLP = 4 * HIDDEN
LATENT = 16
PATCH = 4 * LATENT
LANGUAGE = 32  # of the language model
VOCABULARY = 151_936  # the tokenizer's, which is compiled in
HEADS, KEY_HEADS, HEAD = 32, 8, 128  # of the language model; fixed for its kind
TAE = 64

WIDE = "text_encoders.llm.model.embed_tokens.weight"  # words are told apart by it
LAST = "tae.decoder.layers.18"  # what it puts out is clipped to 0..1: it and what each block adds are kept small

Shapes = dict[str, tuple[int, ...]]


def linear(name: str, inputs: int, outputs: int, *, bias: bool = True) -> Shapes:
    shapes: Shapes = {f"{name}.weight": (outputs, inputs)}
    if bias:
        shapes[f"{name}.bias"] = (outputs,)
    return shapes


def convolution(name: str, inputs: int, outputs: int, size: int = 3, *, bias: bool = True) -> Shapes:
    shapes: Shapes = {f"{name}.weight": (outputs, inputs, size, size)}
    if bias:
        shapes[f"{name}.bias"] = (outputs,)
    return shapes


def gated(name: str, width: int, hidden: int, *, bias: bool) -> Shapes:
    return (
        linear(f"{name}.gate_proj", width, hidden, bias=bias)
        | linear(f"{name}.up_proj", width, hidden, bias=bias)
        | linear(f"{name}.down_proj", hidden, width, bias=bias)
    )


def stream(name: str) -> Shapes:
    """One of the two streams, picture and text, of the double block."""
    return (
        linear(f"{name}_mod.lin", HIDDEN, 6 * HIDDEN)
        | linear(f"{name}_attn.qkv", HIDDEN, 3 * HIDDEN)
        | linear(f"{name}_attn.proj", HIDDEN, HIDDEN)
        | {f"{name}_attn.norm.{which}_norm.scale": (HIDDEN,) for which in ("query", "key")}
        | gated(f"{name}_mlp", HIDDEN, MLP, bias=True)
    )


def transformer() -> Shapes:
    shapes = (
        linear("img_in", PATCH, HIDDEN)
        | linear("time_in.in_layer", 256, HIDDEN)
        | linear("time_in.out_layer", HIDDEN, HIDDEN)
        | {"txt_norm.scale": (LANGUAGE,)}
        | linear("txt_in", LANGUAGE, HIDDEN)
        | stream("double_blocks.0.img")
        | stream("double_blocks.0.txt")
        | linear("single_blocks.0.linear1", HIDDEN, 3 * HIDDEN + 2 * MLP)
        | linear("single_blocks.0.linear2", HIDDEN + MLP, HIDDEN)
        | linear("single_blocks.0.modulation.lin", HIDDEN, 3 * HIDDEN)
        | {f"single_blocks.0.norm.{which}_norm.scale": (HIDDEN,) for which in ("query", "key")}
        | linear("final_layer.linear", HIDDEN, PATCH)
        | linear("final_layer.adaLN_modulation.1", HIDDEN, 2 * HIDDEN)
    )
    return {f"model.diffusion_model.{name}": shape for name, shape in shapes.items()}


def language_model() -> Shapes:
    layer = "layers.0"
    shapes = (
        {"embed_tokens.weight": (VOCABULARY, LANGUAGE), "norm.weight": (LANGUAGE,)}
        | {f"{layer}.{which}_layernorm.weight": (LANGUAGE,) for which in ("input", "post_attention")}
        | linear(f"{layer}.self_attn.q_proj", LANGUAGE, HEADS * HEAD, bias=False)
        | linear(f"{layer}.self_attn.k_proj", LANGUAGE, KEY_HEADS * HEAD, bias=False)
        | linear(f"{layer}.self_attn.v_proj", LANGUAGE, KEY_HEADS * HEAD, bias=False)
        | linear(f"{layer}.self_attn.o_proj", HEADS * HEAD, LANGUAGE, bias=False)
        | {f"{layer}.self_attn.{which}_norm.weight": (HEAD,) for which in ("q", "k")}
        | gated(f"{layer}.mlp", LANGUAGE, 4 * LANGUAGE, bias=False)
    )
    return {f"text_encoders.llm.model.{name}": shape for name, shape in shapes.items()}


def block(name: str) -> Shapes:
    shapes: Shapes = {}
    for part in (0, 2, 4):
        shapes |= convolution(f"{name}.conv.{part}", TAE, TAE)
    return shapes


def autoencoder() -> Shapes:
    """The tiny autoencoder: what is left out of the numbering is activations and upsampling, which have no weights."""
    shapes = convolution("encoder.layers.0", 3, TAE) | convolution("encoder.layers.14", TAE, LATENT)
    for number in (2, 6, 10):
        shapes |= convolution(f"encoder.layers.{number}", TAE, TAE, bias=False)
    for number in (1, 3, 4, 5, 7, 8, 9, 11, 12, 13):
        shapes |= block(f"encoder.layers.{number}")
    shapes |= convolution("decoder.layers.0", LATENT, TAE) | convolution("decoder.layers.18", TAE, 3)
    for number in (6, 11, 16):
        shapes |= convolution(f"decoder.layers.{number}", TAE, TAE, bias=False)
    for number in (2, 3, 4, 7, 8, 9, 12, 13, 14, 17):
        shapes |= block(f"decoder.layers.{number}")
    return {f"tae.{name}": shape for name, shape in shapes.items()}


def values(name: str, shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    if len(shape) == 1:
        level = 1.0 if name.endswith((".scale", "norm.weight")) else 0.5 if name.startswith(LAST) else 0.0
        return np.full(shape, level, np.float32)
    spread = 1.0 if name == WIDE else np.sqrt(2 / np.prod(shape[1:]))
    if name.startswith(LAST) or name.endswith(".conv.4.weight"):
        spread *= 0.1
    return (rng.standard_normal(shape, np.float32) * spread).astype(np.float16)


def write(path: Path, shapes: Shapes, rng: np.random.Generator) -> None:
    """A safetensors file: the length of the header, the header as JSON, the tensors. Matrices are half precision."""
    header: dict[str, object] = {}
    chunks: list[bytes] = []
    offset = 0
    for name, shape in shapes.items():
        tensor = values(name, shape, rng)
        data = tensor.tobytes()
        kind = "F16" if tensor.dtype == np.float16 else "F32"
        header[name] = {"dtype": kind, "shape": shape, "data_offsets": [offset, offset + len(data)]}
        chunks.append(data)
        offset += len(data)
    head = json.dumps(header).encode()
    head += b" " * (-len(head) % 8)
    path.write_bytes(len(head).to_bytes(8, "little") + head + b"".join(chunks))


def write_model(folder: Path) -> None:
    """`model.safetensors` and `tae.safetensors`, 18 MB together, the same each time."""
    rng = np.random.default_rng(0)
    write(folder / "model.safetensors", transformer() | language_model(), rng)
    write(folder / "tae.safetensors", autoencoder(), rng)
