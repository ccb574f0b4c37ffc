"""What a page says after something was done, by the word that the address carries."""

from __future__ import annotations

SAID = {
    "signed_in": "You are signed in.",
    "job_canceled": "The job was canceled. Nothing was charged.",
    "job_cancel_requested": "The backend is being asked to stop. The price stays held until its end is known.",
    "job_cancel_too_late": "It was too late to cancel: the job had ended.",
    "media_deleted": "The media is deleted, and the prompt with it. The receipt is below.",
    "media_being_deleted": "Nobody can download the media any more. Its deletion is tried until it is seen to be gone.",
}
