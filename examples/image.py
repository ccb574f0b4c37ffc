"""Make an image with the official client, and save it.

pip install getimg
export GETIMG_AI_BASE_URL=http://127.0.0.1:8484 GETIMG_API_KEY=sk_...
python image.py
"""

from pathlib import Path

import httpx
from getimg import GetimgAI

client = GetimgAI()

made = client.images.generate(
    model="seedream-5-lite",
    prompt="A watercolor painting of a mountain village at dawn",
    aspect_ratio="16:9",
    resolution="1K",
    output_format="png",
)
image = made.data[0]
file = Path("image.png")
file.write_bytes(httpx.get(image.url).content)
print(f"{file}: {image.width}x{image.height}, {made.usage.total_cost} USD, kept until {image.deletes_at.date()}")
