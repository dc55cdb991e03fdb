"""The error of the bridge."""

from __future__ import annotations


class BridgeError(ValueError):
    """A call of libemagram failed; `code` is its EMAGRAM_ERROR_* number, the text is one sentence."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code

    def __reduce__(self) -> tuple[type[BridgeError], tuple[int, str]]:
        """Travel between ranks with the code."""
        return type(self), (self.code, str(self))
