"""Make a video with the official client: submit it, ask until it is there, and save it.

pip install getimg
export GETIMG_AI_BASE_URL=http://127.0.0.1:8484 GETIMG_API_KEY=sk_...
python video.py
"""

import sys
import time
from pathlib import Path

import httpx
from getimg import GetimgAI

client = GetimgAI()

accepted = client.videos.generations.create(
    model="seedance-v1-5-pro",
    prompt="A timelapse of clouds rolling over a mountain peak",
    aspect_ratio="16:9",
    resolution="480p",
    duration=4,
    sound=True,
)
print(f"{accepted.id} is accepted")

# Once it is accepted it survives any crash: a program that ends here can ask for the same id later.
while (made := client.videos.generations.retrieve(accepted.id)).status == "pending":
    time.sleep(1)
if made.status != "completed":
    sys.exit(f"{made.error.code}: {made.error.message}")

video = made.data[0]
file = Path("video.mp4")
file.write_bytes(httpx.get(video.url).content)
print(f"{file}: {video.width}x{video.height}, {video.duration:g} s, {made.usage.total_cost} USD")
