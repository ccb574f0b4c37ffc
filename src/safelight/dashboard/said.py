"""What a page says after something was done, by the word that the address carries."""

from __future__ import annotations

SAID = {
    "books_all_checked": "All of the books were checked.",
    "books_too_long": "The check takes longer than a page may. Run 'safelight books --all', which takes its time.",
    "credit_added": "The credit is added.",
    "credit_once": "This was added before: the form was sent twice, and counted once.",
    "credit_taken": "The credit is taken back.",
    "limits_changed": "The limits are changed. They hold from the next request on.",
    "signed_in": "You are signed in.",
    "workspace_created": "The workspace is made. Give it credit, then a key.",
    "workspace_erased": "The workspace is gone, and soon what it had. The books keep its amounts.",
}
