from histscan._core.page import Page

class ProtobufPage(Page):
    def __init__(self, data: bytes) -> None: ...
