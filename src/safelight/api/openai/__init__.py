"""OpenAI's API, as far as it is about pictures and films: what its clients send and read, below ``/v1``.

routes    every route, and the shape of an error
errors    what an error is called here, by which status it goes, and the names of parameters
requests  reading what is asked for: the same from JSON and from a form
sizes     from a size in pixels, and a quality, to what a model lists
models    the catalog, by every name
images    pictures made and edited, so many at once
wire      pictures and what they cost, as clients read them
inline    pictures within an answer, from the store and never whole in memory
videos    videos made, looked at, listed, fetched, made again, deleted; and video_wire, how clients read them
"""
