"""What a page says after something was done, by the word that the address carries."""

from __future__ import annotations

SAID = {
    "signed_in": "You are signed in.",
    "books_checked": "The books were checked: what came since they were last closed.",
    "books_being_checked": "The books are being checked already.",
    "books_not_checked": "The check took too long, and was broken off. 'safelight books' takes the time that it needs.",
}
