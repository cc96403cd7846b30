from typing_extensions import Self

class MessageRowDecoder:
    def __new__(cls, schema: int) -> Self: ...
