"""The public v2 contract.

routes                                    every route, and the shape of an error
requests, wire                            what goes over the wire: bodies, and answers
images, videos, models, billing, history, events  what the routes do
openapi, operations                       the API described, from the same structs
links                                     what can be called after an answer
examples                                  what its examples, and test events, are made of
"""
