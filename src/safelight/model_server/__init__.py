"""The model server: pipelines of diffusers, deployed on Ray Serve, behind an HTTP API of OpenAI's shape.

work        an order as a pipeline is given it, what comes of it, and what is wrong with one
bodies      an order as HTTP brings it; ``forms`` are those with files
desk        the orders of one server, from their arrival to the file that is fetched
app         the HTTP API, over any ``Runner``
weights     a folder of them, before anything is loaded
loading     a pipeline's weights, on the device that they are for
drawing     one order, made by a loaded pipeline
replica     a loaded pipeline that makes one order at a time, and tells how far it is
serving     the deployments of Ray Serve
application what Ray Serve is pointed to
environment what Ray reads as it is imported
local       a Ray of one's own, for as long as the command runs

torch, diffusers and Ray are imported by ``loading``, ``drawing``, ``replica``, ``serving`` and ``local`` alone, and
nobody imports these before they are needed.
"""
