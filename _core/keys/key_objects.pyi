from typing_extensions import Self

class KeyObjects:
    def __new__(cls, *, are_items: bool) -> Self: ...
