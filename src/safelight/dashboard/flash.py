"""What a page says after something was done, by the word that the address carries."""

from __future__ import annotations

MESSAGES = {
    "books_all_checked": "All of the books were checked.",
    "books_too_long": "The check takes longer than a page may. Run 'safelight books --all', which takes its time.",
    "credit_added": "The credit is added.",
    "credit_once": "This was added before: the form was sent twice, and counted once.",
    "credit_taken": "The credit is taken back.",
    "limits_changed": "The limits are changed. They hold from the next request on.",
    "job_canceled": "The job was canceled. Nothing was charged.",
    "job_cancel_requested": "The backend is being asked to stop. The price stays held until its end is known.",
    "job_cancel_too_late": "It was too late to cancel: the job had ended.",
    "media_deleted": "The media is deleted, and the prompt with it. The receipt is below.",
    "media_being_deleted": "Nobody can download the media any more. Its deletion is tried until it is seen to be gone.",
    "key_changed": "The key is changed.",
    "key_revoked": "The key is revoked. It ends within a second everywhere, and so do the sessions that it opened.",
    "session_ended": "The session is ended.",
    "endpoint_enabled": "The endpoint is enabled. What failed meanwhile can be sent again.",
    "endpoint_disabled": "The endpoint is disabled. Nothing more is sent to it.",
    "endpoint_deleted": "The endpoint is gone, and its log.",
    "test_sent": "The test event is on its way to every endpoint that is told of its type.",
    "nobody_listens": "Nobody was told: no endpoint that is enabled is told of this type.",
    "resent": "It is on its way again: this is the new delivery of the same event.",
    "resent_failed": "What failed is on its way again.",
    "nothing_resent": "Nothing was sent: nothing has failed there, or the endpoint is disabled.",
    "books_checked": "The books were checked: what came since they were last closed.",
    "books_being_checked": "The books are being checked already.",
    "books_not_checked": "The check took too long, and was broken off. 'safelight books' takes the time that it needs.",
    "workspace_created": "The workspace is made. Give it credit, then a key.",
    "workspace_erased": "The workspace is gone, and soon what it had. The books keep its amounts.",
}
