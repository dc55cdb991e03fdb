"""The one error that users of Emagram meet."""


class EmagramError(ValueError):
    """What the user gave cannot be used; the text is one sentence: object, expected, got."""
