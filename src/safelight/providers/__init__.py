"""Backends, one file (or folder) each, behind ``safelight.domain.ports.Provider``.

registry     the kinds there are, and the backends of one process
openai       servers of OpenAI's shape, in several dialects
comfyui      a ComfyUI workflow of one's own
getimg       the hosted API, or another Safelight
builtin      the procedural renderer that ships: no neural network, no key to buy
noop         makes the smallest file there is, at once: for measuring everything around a backend
chaos        misbehaves on demand: for rehearsing failures
chaos_blind  the same, and cannot be asked for a job by our id
"""
