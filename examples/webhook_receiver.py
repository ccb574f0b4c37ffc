"""Receive webhooks, and believe those alone whose signature is right (Standard Webhooks).

pip install standardwebhooks
export WEBHOOK_SECRET=whsec_...   # what `safelight webhooks create http://127.0.0.1:8000/` printed
python webhook_receiver.py

Safelight posts to public HTTPS addresses only. To try this on one machine, start it with
SAFELIGHT_REFERENCES_ALLOW=127.0.0.1.
"""

import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from standardwebhooks.webhooks import Webhook, WebhookVerificationError

webhook = Webhook(os.environ["WEBHOOK_SECRET"])
port = int(os.environ.get("PORT", "8000"))
seen: set[str] = set()  # in earnest, a table: deliveries are repeated across your restarts too


class Receiver(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", "0")))
        try:
            event = webhook.verify(body, dict(self.headers))  # the bytes as they came, not JSON written anew
        except (WebhookVerificationError, ValueError):  # a wrong signature, or none at all
            self.answer(401)
            return
        self.answer(204)  # at once: what takes longer is done afterwards
        if (event_id := self.headers["webhook-id"]) not in seen:
            seen.add(event_id)
            print(event["type"], event["data"].get("id"), flush=True)

    def answer(self, status: int) -> None:
        self.send_response(status)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Print events alone, not requests."""


ThreadingHTTPServer(("127.0.0.1", port), Receiver).serve_forever()
