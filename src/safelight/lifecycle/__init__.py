"""The life of a generation, in eight steps. File names are its steps.

submit     check the request, gather its references; then one transaction: idempotency, limits, hold, row, job
run        claim it with a run token and a lease, call the backend, keep its handle, poll it
deliver    measure what came, convert it if asked, sign its provenance, hash it, store it
settle     one transaction, only with the live run token: state, media, capture, release, daily cost
sign       an absolute link for each file, good until the second it is deleted
download   check the link, find the file
expire     mark what is due, delete it, see that it is gone, record it
reconcile  find what lost its runner or waits to be looked at, and see to it

Beside them: claims and leases (a runner's hold on a generation), backend (what a run says to backends), changes (who
waits hears of it), cancel, thumbnails, receipts, orphans, erase, webhooks (who asked to be told is told), views (how a
generation stands), and services (what all of them need).
"""
