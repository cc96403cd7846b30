from typing_extensions import Self

class JsonContext:
    def __new__(cls, allow_surrogates: bool = False) -> Self: ...
