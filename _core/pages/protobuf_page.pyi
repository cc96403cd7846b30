from typing_extensions import Self

from histscan._core.pages.page import Page

class ProtobufPage(Page):
    def __new__(cls, data: bytes | memoryview) -> Self: ...
