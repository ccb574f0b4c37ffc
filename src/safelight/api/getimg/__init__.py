"""The public v2 contract.

wire                                     what goes over the wire, in both directions
images, videos, models, billing, history  the routes
openapi                                  the API described, from the same structs
examples                                 what its examples are made of
"""
