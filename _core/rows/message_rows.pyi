from typing_extensions import Self

from histscan._core.rows.dict_rows import RowDecoder

class MessageRowDecoder(RowDecoder):
    def __new__(cls, schema: int) -> Self: ...
