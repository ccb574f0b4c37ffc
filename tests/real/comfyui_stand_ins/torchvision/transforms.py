"""Names that are imported, and not used here."""


class Normalize:
    def __init__(self, *arguments, **options):
        pass


Compose = Resize = Normalize
