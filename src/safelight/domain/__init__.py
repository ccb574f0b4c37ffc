"""What Safelight means: values, rules and ports. Standard library and msgspec only, no I/O.

access      who sent a request
errors      one tree of errors, each with its code and kind
ids         request ids (``req-`` and a ULID) and API keys
money       US dollars as integer nano-dollars
catalog     models, rates and bindings, and the reading of a catalog document
pricing     which rate applies, and the price of an order
orders      a request checked against its model, with the defaults filled in
states      what a generation goes through, and what of it shows on the wire
signing     signed download links
outcomes    what a backend can answer
media       what is known of a file
text        how a stranger's words are repeated in a message
ports       what providers and blob stores must offer
"""
