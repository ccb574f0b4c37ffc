"""What Safelight means: values, rules and ports. Standard library and msgspec only, no I/O.

scope              who asks, and for which workspace
roles              what a key, or a person, may do
errors             one tree of errors, each with its code and kind
told_errors        an error as a client reads it out of an answer
ids                request ids (``req-`` and a ULID) and API keys
money              US dollars as integer nano-dollars
generations        what a generation is, what it goes through, and what of it shows on the wire
connections        backends by name: what each may be told, and keys by reference
catalog            models, rates, and the connections that models are bound to
catalog_reader     reading a catalog document
connection_reader  reading its connections and options, each against the types of its kind
field_map          where in a model's own input each part of an order goes
request            what is asked for: the request, the spec with its defaults, the order that a backend gets
pricing            which rate applies, and the price of a spec
signing            signed download links
outcomes           what a backend can answer
ports              what providers and blob stores must offer
media              what is known of a file
object_keys        where a generation's files lie in a store
events             what workspaces can be told of
event_stream       how a stream of server-sent events is read
text               how others' words are read and repeated, and what is secret in them
numbers            how numbers that come as text are read
headers            header fields that requests and answers share
"""
