"""The life of a generation, from request to charge. File names are its steps.

submit     check the request, gather its references
accept     one transaction: idempotency, limits, hold, row, job
run        claim it with a run token and a lease, and see it to its end
dispatch   what a run says to backends: which is asked, in which order, what may be repeated
deliver    measure what came, convert it if asked, sign its provenance, hash it, store it
settle     one transaction, only with the live run token: state, media, capture, release, usage
reconcile  find what lost its runner or waits to be looked at, and see to it

Beside them, for runs: make (an image while somebody waits), remix (another take), cancel, claims and leases (a
runner's hold on a generation), presence (that its process lives, for others to see), runner (the runs of one
process), workdir (where a run's files lie), targets and turns (the backend that is asked, and whose turn it is next),
orders (what a backend is given, and how that is traced), polls (asking about jobs, at each connection's pace),
breaker (a connection that keeps failing, or asks to be left alone), links (addresses of ours that a backend is
given), hints (a backend tells of a job), fetch (what it made, brought from where it put that), pauses (between
tries), bills (what backends charge that nobody pays), refusals (what was refused, counted), restored (what was under
way at a backup that is put back), notes (a web server may send the files by itself), and services (what the steps
need).

Who is told: events (what is told, as it is told), notify (who asked to be told is told), followers (who follows misses
nothing), changes (who waits hears of it), looks (what many ask for at once), and watching (people look on).

What can be looked at: views (how a generation stands, for its workspace), job_views, media_views and delivery_views
(its jobs, what is kept of them, and what was sent, as people look at them), records and reports (a generation and why
it stands so, for the operator), queue_views and processes (how all of the work stands, and what each process tells of
itself). What becomes of the files afterwards is ``safelight.keeping``.
"""
