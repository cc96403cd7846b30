from collections.abc import Iterable, Sequence

STEP: str

class ArrowLayout:
    missing: list[str]
    def __init__(
        self,
        schema: object,
        *,
        keys: Sequence[str] | None = None,
        required: Iterable[str] = (),
        plain_steps: bool = False,
    ) -> None: ...
    @property
    def names(self) -> list[str]: ...
