"""Lose an answer, ask again, and pay once.

pip install getimg
export GETIMG_AI_BASE_URL=http://127.0.0.1:8484 GETIMG_API_KEY=sk_...
python idempotent.py
"""

import uuid
from pathlib import Path

import httpx
from getimg import APIConnectionError, GetimgAI

client = GetimgAI()

# One key for each image that you want. Keep it with the order, and it holds across a restart of your program too.
key = str(uuid.uuid4())


def generate(patience_seconds: float):
    """The image of this key. A repeat must be the same request, to the letter."""
    return client.with_options(timeout=patience_seconds, max_retries=0).images.generate(
        model="seedream-5-lite",
        prompt="A red sailboat at sunset, oil on canvas",
        resolution="1K",
        extra_headers={"Idempotency-Key": key},
    )


def balance() -> str:
    return client.billing.retrieve_balance().balance


before = balance()
try:
    made = generate(patience_seconds=0.05)
except APIConnectionError:
    print("The answer was lost. The image may have been made, and it may not.")
    made = generate(patience_seconds=300)

Path("sailboat.jpeg").write_bytes(httpx.get(made.data[0].url).content)
print(f"{made.id} cost {made.usage.total_cost} USD; the balance went from {before} to {balance()} USD")
