"""Logs, metrics and traces, and what they may say.

logs        one line an event
exceptions  an exception in the log without its message
metrics     every metric there is, declared
observe     what the code says as it happens
recording   a process puts on record what it counts
snapshots   the file of a process that this is put in
gathering   what a node's processes counted, as one
listener    where Prometheus asks for it
traces      spans, where they are made
spans       every span there is
names       what they and their attributes are called
exporting   where they go
otlp        spans as OpenTelemetry's SDK makes and sends them
"""
