"""Google's models: the Gemini Developer API with a key, or Vertex AI (Agent Platform) with a service account.

settings          what a connection and a binding are told
tokens            access tokens of Vertex, got and renewed
saying            whether an API can be told all that an order says
generate_content  a picture in the answer to its order
interactions      pictures and clips as jobs that run in the background
veo               clips as long-running operations of Vertex
files             where what was made lies
answers           numbers, words and times as Google writes them
errors            what a refusal means
provider          the port
checks            a look at a live one
"""

from safelight.providers.google.provider import KIND

__all__ = ["KIND"]
