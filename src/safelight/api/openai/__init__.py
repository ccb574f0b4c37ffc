"""OpenAI's API, as far as it is about pictures and films: what its clients send and read, below ``/v1``.

routes              every route, and the shape of an error
errors              what an error is called here, by which status it goes, and the names of parameters
sizes               from a size in pixels to what a model lists
models              the catalog, by every name
videos, video_wire  what the routes of videos do, and what goes over the wire there
form_body           a form as the JSON body that says the same
"""
