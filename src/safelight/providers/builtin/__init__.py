"""The built-in renderer: procedural, with no neural network. It draws a scene from the words of a prompt.

``spec`` says what can be asked for; ``render`` is the way in. In the order in which a picture is made:

    reading      the prompt's words become a brief: subject, light, style, details, colours, seeds of chance
    references   pictures that were given lend their colours and their composition
    palette      the colours of the light
    scenes/      a scene per subject: elements, listed back to front, each with its depth
    canvas       the picture that numpy and Skia share
    sky, terrain, water, weather, shapes    what scenes are made of
    noise, planes    fractal tiles, and fast work on whole planes
    mirror       what water shows, pixel by pixel
    frame        planar frames, and how layers are laid on them
    frame_canvas, ink_mask    the canvas of clips, and what is drawn on it with one ink
    marks        many small marks of a frame, such as drops and flakes
    still_layers what of a clip stands still, painted once
    finishes     what makes a style of a painted scene: watercolour, ink, oil, flat, pixel, film, photograph
    motion       the same scene over time: camera drift, still and slow layers, given first and last frames
    sound        what the scene sounds like
    encode       PNG, JPEG, WebP and MP4 files
"""

from safelight.providers.builtin.provider import KIND

__all__ = ["KIND"]
