from histscan._core.pages.page import Page

class ProtobufPage(Page):
    def __init__(self, data: bytes) -> None: ...
