"""From a prompt to a brief: the words for subject, light, style, details and colours, and the seeds of chance.

Words that are not known still count: the whole prompt feeds the hash from which layout, palette and shapes are
drawn, so two prompts with the same known words give two different pictures.
"""

import hashlib
import re

import msgspec
import numpy as np

Rgb = tuple[float, float, float]  # 0..1, display-referred sRGB


def _table(**groups: str) -> dict[str, str]:
    return {word: name for name, words in groups.items() for word in words.split()}


# Subjects that are named outright, in the order in which they win over one another.
SUBJECT_ORDER = (
    "portrait", "stilllife", "underwater", "space", "village", "city", "forest", "desert", "meadow", "sea",
    "mountains",
)  # fmt: skip
SUBJECTS = _table(
    portrait="portrait face headshot selfie bust",
    stilllife="still fruit fruits vase bowl apple apples pear pears oranges lemon lemons table teapot cup "
    "coffee bottle bottles jar bread wine product cake food breakfast",
    underwater="underwater reef coral fish fishes jellyfish whale seabed submarine aquarium",
    space="space galaxy nebula planet planets cosmos cosmic orbit astronaut universe asteroid saturn",
    village="village hamlet cottage cottages town farmhouse farm countryside chalet house houses cabin",
    city="city cities skyline street streets downtown skyscraper skyscrapers tower towers metropolis urban "
    "cyberpunk tokyo york london paris cityscape megacity alley",
    forest="forest forests wood woods jungle woodland grove rainforest taiga trees",
    desert="desert deserts dune dunes sahara canyon mesa sand cactus mars",
    meadow="meadow meadows field fields garden gardens flower flowers tulip tulips lavender poppy poppies sunflower "
    "sunflowers wildflowers prairie bloom rose roses grassland savanna",
    sea="sea ocean beach coast harbor harbour island islands waves wave surf seascape sailing lighthouse "
    "sailboat lagoon shore bay ship",
    mountains="mountain mountains peak peaks alps summit hill hills valley ridge cliff cliffs glacier himalaya "
    "volcano fjord highlands landscape lake river snowcapped",
)
# Beings make a portrait only where no place is named.
BEINGS = frozenset(
    _table(
        being="woman man girl boy person people king queen cat dog lion tiger fox horse child wizard robot "
        "knight warrior "
        "lady gentleman samurai princess elf sailor astronaut owl"
    )
)
LIGHTS = _table(
    dawn="dawn sunrise daybreak morning",
    day="day noon midday sunny daylight bright afternoon summer",
    golden="golden goldenhour autumn amber warm",
    dusk="dusk sunset twilight evening sundown",
    night="night midnight moonlit moonlight nocturnal starry starlit dark moon aurora",
    neon="neon cyberpunk synthwave vaporwave glowing",
    storm="storm stormy thunder thunderstorm lightning tempest",
    overcast="overcast cloudy grey gray misty foggy fog mist rainy drizzle haze hazy",
)
LIGHT_ORDER = ("neon", "storm", "dawn", "dusk", "night", "golden", "day", "overcast")
STYLES = _table(
    watercolor="watercolor watercolour aquarelle gouache wash",
    ink="ink sumi calligraphy sketch charcoal pencil drawing etching monochrome",
    flat="flat vector minimal minimalist poster cartoon anime illustration screenprint papercut geometric",
    pixel="pixel pixelart pixelated bit 8bit 16bit voxel sprite",
    oil="oil impressionist impressionism brushstrokes painterly monet gogh acrylic canvas impasto",
    film="film analog analogue vintage polaroid kodak retro cinematic 35mm",
    photo="photo photograph photography photorealistic realistic photographic dslr haze",
)
STYLE_ORDER = ("pixel", "watercolor", "ink", "oil", "flat", "film", "photo")
DETAILS = _table(
    snow="snow snowy winter frozen ice icy blizzard snowfall frost",
    rain="rain rainy drizzle downpour raining monsoon",
    fog="fog foggy mist misty haze hazy",
    lake="lake river stream pond fjord reflection reflections creek water",
    moon="moon moonlit moonlight",
    sun="sun sunrise sunset",
    stars="stars starry starlit milky",
    aurora="aurora borealis northern",
    boats="boat boats ship ships sailboat sailboats sailing sail yacht fishing harbor harbour",
    birds="bird birds gull gulls seagulls geese crane cranes swallows eagle",
    trees="tree trees pine pines fir firs forest birch woodland",
    flowers="flower flowers tulip tulips lavender poppy poppies rose roses wildflowers blossom",
    clouds="cloud clouds cloudy timelapse",
    lightning="lightning thunder thunderstorm",
    lighthouse="lighthouse",
    figure="astronaut traveler traveller hiker wanderer lone figure man woman person monk",
    timelapse="timelapse hyperlapse",
    waves="wave waves surf stormy",
    volcano="volcano lava eruption",
    mountains="mountain mountains alpine alps peak peaks",
)
COLOURS: dict[str, Rgb] = {
    "red": (0.80, 0.13, 0.12), "crimson": (0.70, 0.06, 0.18), "scarlet": (0.86, 0.16, 0.08),
    "orange": (0.95, 0.50, 0.12), "amber": (0.98, 0.66, 0.16), "gold": (0.90, 0.70, 0.22),
    "yellow": (0.97, 0.83, 0.22), "green": (0.22, 0.55, 0.26), "emerald": (0.08, 0.56, 0.38),
    "teal": (0.08, 0.50, 0.52), "turquoise": (0.20, 0.74, 0.72), "cyan": (0.20, 0.76, 0.88),
    "blue": (0.14, 0.34, 0.78), "indigo": (0.24, 0.18, 0.58), "purple": (0.46, 0.20, 0.62),
    "violet": (0.54, 0.28, 0.74), "lavender": (0.66, 0.56, 0.86), "magenta": (0.82, 0.16, 0.58),
    "pink": (0.95, 0.56, 0.68), "brown": (0.44, 0.28, 0.17), "white": (0.96, 0.95, 0.93),
    "black": (0.07, 0.07, 0.09), "silver": (0.74, 0.76, 0.80), "turquoises": (0.20, 0.74, 0.72),
}  # fmt: skip


class Brief(msgspec.Struct, frozen=True, kw_only=True):  # hashable: finishes cache by it
    """What a prompt asks for. ``light`` is "" where the prompt names none."""

    subject: str
    light: str
    style: str
    details: frozenset[str]
    colours: tuple[Rgb, ...]
    digest: bytes

    def rng(self, label: str) -> np.random.Generator:
        """A stream of chance of its own for each label, the same for the same prompt and seed."""
        seed = hashlib.blake2b(self.digest + label.encode(), digest_size=16).digest()
        return np.random.Generator(np.random.PCG64(int.from_bytes(seed, "big")))

    def has(self, *names: str) -> bool:
        """Whether any of these details was asked for."""
        return not self.details.isdisjoint(names)


def _first(names: tuple[str, ...], found: set[str], default: str) -> str:
    return next((name for name in names if name in found), default)


def _subject(words: list[str]) -> str:
    found = {SUBJECTS[word] for word in words if word in SUBJECTS}
    if "still" in words and "life" not in words:  # "a still lake" is no still life
        found = {SUBJECTS[word] for word in words if word in SUBJECTS and word != "still"}
    if not found and not BEINGS.isdisjoint(words):
        return "portrait"
    return _first(SUBJECT_ORDER, found, "abstract")


def read(prompt: str, seed: int) -> Brief:
    """Read a prompt; never fails, whatever the language: what is not understood becomes an abstract picture."""
    words = re.findall(r"[a-z0-9]+", prompt.lower().replace("time-lapse", "timelapse").replace("8-bit", "8bit"))
    lights = {LIGHTS[word] for word in words if word in LIGHTS}
    styles = {STYLES[word] for word in words if word in STYLES}
    colours = tuple(dict.fromkeys(COLOURS[word] for word in words if word in COLOURS))
    return Brief(
        subject=_subject(words),
        light=_first(LIGHT_ORDER, lights, ""),
        style=_first(STYLE_ORDER, styles, "photo"),
        details=frozenset(DETAILS[word] for word in words if word in DETAILS),
        colours=colours[:4],
        digest=hashlib.blake2b(f"{seed}\n{prompt}".encode("utf-8", "surrogatepass"), digest_size=32).digest(),
    )
