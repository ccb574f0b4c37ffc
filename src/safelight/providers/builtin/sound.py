"""What a scene sounds like: wind, waves, rain, a city's hum, birds or a soft pad, made of filtered noise."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from safelight.providers.builtin.encode import SAMPLE_RATE
from safelight.providers.builtin.reading import Brief

Samples = NDArray[np.floating[Any]]


def _shaped(rng: np.random.Generator, count: int, low: float, high: float, tilt: float) -> Samples:
    """Noise of unit deviation between two frequencies (Hz), falling by ``tilt`` powers of frequency."""
    size = 1 << (count - 1).bit_length()
    frequency = np.maximum(np.fft.rfftfreq(size, 1 / SAMPLE_RATE), 1).astype(np.float32)
    white = rng.standard_normal(2 * frequency.size, dtype=np.float32).view(np.complex64)
    gain = (frequency / 1000) ** -tilt / (1 + (low / frequency) ** 4) / (1 + (frequency / high) ** 4)
    line: Samples = np.fft.irfft(white * gain)[:count]
    return line / np.float32(line.std() + 1e-9)


def _swell(rng: np.random.Generator, time: Samples, period: float, depth: float) -> Samples:
    """A slow breath between 1 - depth and 1."""
    phase, second = rng.uniform(0, 6.28, 2).astype(np.float32)
    wave = 0.6 * np.sin(time * (6.283 / period) + phase) + 0.4 * np.sin(time * (6.283 / period / 0.618) + second)
    result: Samples = 1 - depth / 2 * (1 + wave)
    return result


_BEDS = {
    # what: (low Hz, high Hz, tilt, level, breath seconds, breath depth)
    "wind": (90, 700, 0.9, 0.10, 5.5, 0.6),
    "air": (500, 3500, 0.6, 0.018, 7.0, 0.5),
    "waves": (60, 2600, 0.7, 0.12, 6.5, 0.85),
    "stream": (500, 6000, 0.4, 0.035, 2.3, 0.3),
    "rain": (700, 9000, 0.1, 0.055, 9.0, 0.2),
    "city": (40, 320, 1.0, 0.10, 8.0, 0.3),
    "deep": (25, 160, 1.2, 0.13, 9.0, 0.5),
}
_SCENES = {
    "mountains": ("wind", "air"), "village": ("wind", "stream"), "sea": ("waves", "air"), "city": ("city", "air"),
    "forest": ("air", "wind"), "desert": ("wind",), "space": ("deep",), "underwater": ("deep", "stream"),
    "meadow": ("air", "wind"), "portrait": ("air",), "stilllife": ("air",), "abstract": ("deep",),
}  # fmt: skip
_CHORDS = ((0, 7, 12, 16, 19), (0, 7, 10, 15, 19), (0, 5, 12, 14, 21), (0, 7, 11, 16, 23))


def ambience(brief: Brief, seconds: int) -> Samples:
    """(2, seconds * 48000) samples between -1 and 1, faded in and out."""
    count = seconds * SAMPLE_RATE
    time = (np.arange(count, dtype=np.float32)) / np.float32(SAMPLE_RATE)
    beds = list(_SCENES[brief.subject])
    beds += ["rain"] if brief.has("rain") else []
    beds += ["waves"] if brief.has("boats") and "waves" not in beds else []
    mixed = np.zeros((2, count), np.float32)
    for bed in beds:
        low, high, tilt, level, period, depth = _BEDS[bed]
        for side in (0, 1):
            rng = brief.rng(f"{bed}{side}")
            breath = _swell(brief.rng(bed), time + np.float32(side * 0.35), period, depth)
            mixed[side] += _shaped(rng, count, low, high, tilt) * breath * np.float32(level)
    _pad(brief, time, mixed)
    if brief.has("birds", "trees") or brief.subject in ("forest", "meadow"):
        _calls(brief, seconds, mixed)
    fade = np.minimum(1, np.minimum(time, np.float32(seconds) - time) / np.float32(min(0.8, seconds / 4)))
    mixed *= fade
    result: Samples = np.tanh(mixed * np.float32(1.4)).astype(np.float32) * np.float32(0.8)
    return result


def _pad(brief: Brief, time: Samples, mixed: Samples) -> None:
    """A quiet chord whose voices drift against each other."""
    rng = brief.rng("pad")
    root = 65.4 * 2 ** (int(rng.integers(0, 8)) / 12)
    chord = _CHORDS[int(rng.integers(len(_CHORDS)))]
    for voice in chord:
        pitch = root * 2 ** (voice / 12)
        breath = _swell(rng, time, float(rng.uniform(4, 9)), 0.8)
        for side in (0, 1):
            detune = 1 + rng.uniform(-0.0025, 0.0025)
            phase = np.float32(6.283 * pitch * detune) * time + np.float32(rng.uniform(0, 6.28))
            tone = np.sin(phase) + np.float32(0.22) * np.sin(phase * 2) + np.float32(0.07) * np.sin(phase * 3)
            mixed[side] += tone * breath * np.float32(0.016)


def _calls(brief: Brief, seconds: int, mixed: Samples) -> None:
    """A few birds, far off."""
    rng = brief.rng("calls")
    for _ in range(max(2, seconds)):
        notes, start = int(rng.integers(2, 6)), rng.uniform(0.3, max(0.4, seconds - 0.8))
        pitch, pan = rng.uniform(2200, 4200), rng.uniform(0.15, 0.85)
        for note in range(notes):
            length = int(SAMPLE_RATE * rng.uniform(0.05, 0.12))
            at = int((start + note * 0.13) * SAMPLE_RATE)
            if at + length >= mixed.shape[1]:
                break
            t = np.arange(length, dtype=np.float32) / length
            sweep = pitch * (1 + rng.uniform(-0.15, 0.2) * t)
            call = np.sin(np.cumsum(sweep) * (6.283 / SAMPLE_RATE)) * np.sin(np.pi * t) ** 2 * 0.028
            mixed[0, at : at + length] += call * (1 - pan)
            mixed[1, at : at + length] += call * pan
