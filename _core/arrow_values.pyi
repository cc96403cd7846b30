from histscan._core.arrow_layout import ArrowLayout

class ArrowValues:
    @property
    def layout(self) -> ArrowLayout: ...
