"""What a page says after something was done, by the word that the address carries."""

from __future__ import annotations

SAID = {
    "signed_in": "You are signed in.",
}
