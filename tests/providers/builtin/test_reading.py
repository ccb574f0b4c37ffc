import pytest

from safelight.providers.builtin import reading
from safelight.providers.builtin.finishes import FINISHES
from safelight.providers.builtin.palette import choose
from safelight.providers.builtin.scenes import SCENES


def test_every_subject_word_is_read():
    for word, subject in reading.SUBJECTS.items():
        prompt = "a still life" if word == "still" else f"a picture of {word}"
        assert reading.read(prompt, 1).subject == subject, word


def test_every_light_style_and_detail_word_is_read():
    for word, light in reading.LIGHTS.items():
        assert reading.read(f"{word} x", 1).light == light, word
    for word, style in reading.STYLES.items():
        assert reading.read(f"{word} x", 1).style == style, word
    for word, detail in reading.DETAILS.items():
        assert detail in reading.read(f"{word} x", 1).details, word
    for word, colour in reading.COLOURS.items():
        assert reading.read(f"{word} x", 1).colours == (colour,), word


def test_whatever_can_be_read_can_be_drawn():
    assert set(reading.SUBJECT_ORDER) | {"abstract"} == set(SCENES)
    assert set(reading.STYLES.values()) == set(FINISHES)
    for light in reading.LIGHT_ORDER:
        word = next(word for word, name in reading.LIGHTS.items() if name == light)
        assert choose(reading.read(word, 1)).name == light


@pytest.mark.parametrize(
    ("prompt", "subject", "light", "style"),
    [
        ("A watercolor painting of a mountain village at dawn", "village", "dawn", "watercolor"),
        ("A timelapse of clouds rolling over a mountain peak", "mountains", "", "photo"),
        ("neon city street at night, pixel art", "city", "neon", "pixel"),
        ("a man walking in the desert at dusk", "desert", "dusk", "photo"),
        ("an oil painting of an old woman", "portrait", "", "oil"),
        ("a still lake in the mountains", "mountains", "", "photo"),
        ("blue and orange abstract swirl", "abstract", "", "photo"),
        ("静かな海の夜明け", "abstract", "", "photo"),
        ("", "abstract", "", "photo"),
    ],
)
def test_prompts_are_read_as_a_person_would(prompt: str, subject: str, light: str, style: str):
    brief = reading.read(prompt, 1)
    assert (brief.subject, brief.light, brief.style) == (subject, light, style)


def test_chance_depends_on_prompt_seed_and_label_alone():
    draws = {reading.read(p, s).rng(label).random() for p in ("a", "b") for s in (1, 2) for label in ("x", "y")}
    assert len(draws) == 8
    assert reading.read("a", 1).rng("x").random() == reading.read("a", 1).rng("x").random()
