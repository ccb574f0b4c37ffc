"""The playground: a request put together by hand, priced while one types, sent once, and its runs beside it.

form       what the form says, and the request for a model that comes of it
pictures   reference images: files, earlier images, and those of an earlier request
form_view  what the form shows: what is legal for its models, what each would cost, what is wrong with it
ordering   the requests placed, each once
cards      how what was ordered stands
pages      the routes
"""
