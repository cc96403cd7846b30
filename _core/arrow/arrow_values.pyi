from histscan._core.arrow.arrow_layout import ArrowLayout

class ArrowValues:
    @property
    def layout(self) -> ArrowLayout: ...
