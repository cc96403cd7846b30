from typing_extensions import Self

from histscan._core.pages.graphql_page import JsonPage

class LinesPage(JsonPage):
    blank_count: int
    stop: int

    def __new__(cls, lines: bytes, begin: int = 0) -> Self: ...
    def text(self, index: int) -> bytes: ...
