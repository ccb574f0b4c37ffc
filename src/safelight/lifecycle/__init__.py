"""The life of a generation, in eight steps. File names are its steps.

submit     check the request, gather its references; then one transaction: idempotency, limits, hold, row, job
run        claim it with a run token and a lease, call the backend, keep its handle, poll it
deliver    measure what came, convert it if asked, store it, hash it
settle     one transaction, only with the live run token: state, media, capture, release, daily cost
sign       an absolute link for each file, good until the second it is deleted
download   check the link, find the file
expire     delete what is due
reconcile  find what lost its runner, and give it a new one

services holds what the steps need, and views tells how a generation stands.
"""
