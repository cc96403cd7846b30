"""The first inputs of each target, made of the tests' data: ``python -m fuzz.seeds TARGET FOLDER``."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from fuzz.inputs import PART_END, ROW_END, join_messages
from fuzz.oracles.arrow_tables import FIXED
from tests.support import wire
from tests.support.encodings import history_body, sampled_body, spell_every_unit
from tests.support.json_corpus import CORPUS, FLOATS, INTEGERS, LITERALS, STRINGS, is_json
from tests.support.paths import EXAMPLE, REAL_LOGS

__all__ = ["write_seeds"]

_LONGEST = 300
"""Longer texts of the corpus gain nothing: the fuzzer makes its own."""

_TEXTS = [text.encode("utf-8", "surrogatepass") for text in CORPUS if len(text) <= _LONGEST]
_ROWS = [
    '{"_step":0,"loss":0.25,"epoch":1,"text":"é\\n","ok":true,"none":null,"nan":NaN}',
    '{"_step":1,"loss":1e-07,"epoch":2,"list":[1,2.5,null],"nested":{"a":{"b":"c"}},"big":18446744073709551615}',
]
_PAIRS = [
    *(("x.a", "1"), ("x.b.c", "2")),
    *(("_step", "7"), ("loss", "0.125"), ("val", '{"loss":1,"acc":{"top1":2}}'), ("val.loss", "3"), ("t", '"é"')),
    *(("a", "[1,2.5]"), ("flag", "true"), ("none", "null"), ("n", "NaN"), ("big", "18446744073709551615")),
]


def write_seeds(name: str, folder: Path) -> None:
    """Writes the first inputs of a target, each under the name that libFuzzer gives it.

    Args:
        name: The target.
        folder: An existing folder.
    """
    for seed in _SEEDS[name]():
        path = folder / hashlib.sha1(seed, usedforsecurity=False).hexdigest()
        if not path.exists():
            path.write_bytes(seed)


_LONG_KEYS = ["k" * 40 + end for end in ("a", "b", "ba", "é", '\\"')]
"""Keys that are the same for longer than is compared at once."""

_MANY_KEYS = [[f"k{place}" for place in range(count)] for count in (300, 8_300)] + [["k" * 5_000, "a"]]
"""More keys than are learnt at once, and than are learnt at all; and a key that is too long."""


def _texts() -> Iterator[bytes]:
    yield from _TEXTS
    for order in (_LONG_KEYS, _LONG_KEYS[::-1], [*_LONG_KEYS[1:], "x"]):
        long_rows = [dict.fromkeys(keys, keys[0]) for keys in (*[_LONG_KEYS] * 3, order, _LONG_KEYS)]
        yield ROW_END.join(json.dumps(row).encode() for row in long_rows)
        yield ROW_END.join(json.dumps({"x": row, "y": [row]}).encode() for row in long_rows)
    yield ROW_END.join(row.encode() for row in _ROWS * 3)
    yield b"[" + b"1," * 140 + b'{"a":[' + b"null," * 140 + b'""]}]'
    yield ROW_END.join(json.dumps({"x": value}).encode() for value in (1, 2.5, "a", None, [1], {"b": 1}))
    # More than is read without looking for its end first.
    yield ROW_END.join(json.dumps({"x": 'a"' * 2_500 + last}, ensure_ascii=False).encode() for last in ("é", "→", "😀"))
    yield b'{"x":"' + b"a\\n" * 2_000
    for keys in _MANY_KEYS:
        rows = [json.dumps(dict.fromkeys(keys[first:], first)).encode() for first in (0, 0, len(keys) // 2)]
        yield ROW_END.join(rows)


def _numbers() -> Iterator[bytes]:
    for text in (*INTEGERS, *FLOATS, *LITERALS):
        if len(text) <= _LONGEST:
            yield b"\0" + text.encode()
            yield b"\x28" + b"x" * 40 + text.encode() + b',"next"}'


def _strings() -> Iterator[bytes]:
    for text in STRINGS:
        if len(text) <= _LONGEST:
            yield b"\x01" + text[1:].encode("utf-8", "surrogatepass")
            yield b"\x10" + b"padding so that whole vectors are read: " + text[1:].encode("utf-8", "surrogatepass")
    # Forms of two bytes that are too long.
    for start in (b"\x01", b"\x10padding so that whole vectors are read: "):
        yield from (start + form + b'a"' for form in (b"\xc0\x80", b"\xc1\xbf"))


def _messages() -> list[bytes]:
    rows = [[(key, text) for key, text in _PAIRS[:5]], [(key, text) for key, text in _PAIRS]]
    return [wire.page(rows), wire.page([rows[0]] * 4), wire.group(3, wire.varint_field(1, 300) + wire.group(2))]


def _wire_fields() -> Iterator[bytes]:
    yield from _messages()
    yield wire.fixed64_field(2, 1.5) + wire.fixed32_field(3, 7) + wire.varint_field(7, -1)
    yield wire.varint(2**64 - 1) + wire.varint(1, length=10)


def _checksums() -> Iterator[bytes]:
    for length in (0, 1, 7, 8, 63, 64, 65, 127, 128, 300):
        yield bytes([1, 0]) + bytes(range(256))[:length] + bytes(max(0, length - 256))


def _graphql() -> Iterator[bytes]:
    yield b"\0" + history_body(_ROWS)
    yield b"\0" + history_body(_ROWS, spell_every_unit)
    yield b"\1" + sampled_body(_ROWS)
    long_row = {"list": [*range(2_000)], "text": 'a "quoted" text', "nested": {"é": [None, {}]}}
    for end in ("}", ', "more": nul}'):
        yield b"\0" + history_body([json.dumps(long_row)[:-1] + end])
    rest = json.dumps({**long_row, "list": [*range(5_000)]})
    yield b"\0" + history_body([rest, rest[:-1] + ', "odd": "\\ud800"}'])
    yield b'\0{"errors":[{"message":"no"}],"data":{"project":null}}'
    for errors in ('{"message":1}', "[1,{}]", "null", "[]"):
        yield f'\0{{"errors":{errors},"data":{{"project":{{"run":{{"history":[]}}}}}}}}'.encode()
    for history in (
        "1",
        "[1]",
        '["{}",2]',
        '["{}"',
        '["{}";',
        '["{}","',
        "null",
        "[]",
        '["\\ud800\xff"]',
        '["{\\"a\\":\\"\xff\\"}"]',
        '["\\u00e9{}"]',
    ):
        yield b'\0{"data":{"project":{"run":{"history":' + history.encode("latin-1") + b"}}}}"
    for sampled in ("1", "[1]", "[[{}],[{}], 1]", "[[{}],nul]", "[[{}];", "[[{} {}]]", "[[{}]", "[]"):
        yield b'\1{"data":{"project":{"run":{"sampledHistory":' + sampled.encode() + b"}}}}"
    body = b'\0{"data":{"project":{"run":{"history":["{}" , "{\\"a\\":1}","\\u00e9"]}}}}'
    for length in range(len(body)):
        yield body[:length]
    for data in (
        '{"project":1}',
        '{"project":{}}',
        '{"project":{"run":[]}}',
        '{"project":{"run":null,"run":{}}}',
        '{"project":{"run":null}}',
        '{"project":null}',
        "null",
        "[]",
    ):
        yield b'\0{"data":' + data.encode() + b"}"
    for choice in (2, 3, 4, 5):
        for text in _TEXTS:
            yield bytes([choice]) + text
        yield bytes([choice]) + ROW_END.join(row.encode() for row in _ROWS * 3)
        yield bytes([choice]) + json.dumps({f"key {place}": "é" * place for place in range(30)}).encode()
        for end in ("", ', "more": nul'):
            yield bytes([choice]) + f'{{"list": {long_row["list"]}{end}}}'.encode()
            yield bytes([choice]) + f'{{"text": "é", "é": 1{end}}}'.encode()


def _protobuf() -> Iterator[bytes]:
    for message in _messages():
        yield b"\1" + message
    for text in _TEXTS:
        yield b"\0" + text
        yield b"\1" + wire.page([[("a", text)]])


def _items() -> list[bytes]:
    plain = [wire.item(key, text) for key, text in _PAIRS]
    nested = [wire.item([key], text) for key, text in _PAIRS] + [wire.item(["a", "b"], "1"), wire.item(["a", "c"], "2")]
    typed = [
        wire.field(1, "none") + wire.varint_field(3, 1),
        wire.field(2, "flag") + wire.varint_field(4, 1),
        wire.field(2, "_step") + wire.varint_field(5, 9),
        wire.field(2, "x") + wire.fixed64_field(6, 2.5),
        wire.field(2, "t") + wire.field(7, "text"),
        wire.field(2, "j") + wire.field(8, '{"a":1}'),
    ]
    return [*plain, *nested, *typed]


def _records() -> list[bytes]:
    step = wire.field(2, wire.varint_field(1, 5))
    fields = [wire.field(1, item) for item in _items()]
    return [b"".join(fields), b"".join(fields) + step, fields[0] + fields[1], fields[1] + step, step, b""]


def _histories() -> Iterator[bytes]:
    for options in (0, 3, 4):
        head = bytes([options]) + (2).to_bytes(8, "little") + (9).to_bytes(8, "little")
        yield head + join_messages(_records())
        yield head + join_messages([_records()[2]] * 5)
        for item in _items():
            yield head + join_messages([wire.field(1, item)] * 3)

    # A key that is predicted, and another one of the same length, or another kind of value.
    keys = ["k" * 40 + end for end in "ab"]
    first, other = (wire.field(1, key) for key in keys)
    one = wire.field(16, "1")
    for second in (other + one, first + wire.fixed64_field(6, 2.5), first + wire.field(7, "t"), first):
        rows = [
            wire.field(1, first + one),
            wire.field(1, second),
            wire.field(1, second + one),
            wire.field(1, first + one),
        ]
        for options in (0, 4):
            yield bytes([options]) + bytes(16) + join_messages([rows[0], rows[0], *rows, b"".join(rows)])

    head = bytes([7]) + (0).to_bytes(8, "little") + (9).to_bytes(8, "little")
    name, row = wire.field(1, "_step"), wire.field(1, wire.item("a", "1"))
    for text in (
        "5",
        "-5",
        "5.0",
        "5.5",
        "1e300",
        "NaN",
        "nul",
        "1 2",
        '"x"',
        "007",
        " 7 ",
        "18446744073709551615",
        "",
    ):
        items = [name + wire.field(16, text), wire.field(16, text) + name, name + wire.field(8, text)]
        for item in (*items, wire.field(2, "_step") + wire.field(16, text)):
            yield head + join_messages([row + wire.field(1, item), wire.field(1, item) + wire.field(2, b"\x08\x05")])
    for payload in (wire.fixed64_field(6, 5.0), wire.fixed64_field(6, 1e300), wire.varint_field(5, -1), b"\x28", b""):
        yield head + join_messages([row + wire.field(1, name + payload), wire.field(1, payload + name)])
    nested = wire.field(2, "_step") + wire.field(2, "below") + wire.field(16, "1") + wire.varint_field(30, 1)
    for item in (nested, b"\xff", wire.field(1, b"\xff") + wire.field(16, "1"), b"\x12\x7f", b"\x0a\x80", nested[:-1]):
        yield head + join_messages([row, row + wire.field(1, item), row])
    for step in (b"", b"\x08", b"\x08\x80", b"\x10\x01", b"\x12\x05", b"\x08\x05\x08\x07", b"\xff"):
        yield head + join_messages([row + wire.field(2, step), row + wire.field(2, step) * 2, row])


def _updates() -> Iterator[bytes]:
    updates = [wire.field(1, item) for item in _items()]
    removals = [wire.field(2, wire.field(1, "a")), wire.field(2, wire.field(2, "a") + wire.field(2, "b"))]
    yield join_messages([*updates, *removals])
    yield join_messages([b"".join(updates), b"".join(removals), updates[0]])
    yield join_messages([removals[0], updates[-1], removals[1]])
    below = wire.field(2, wire.field(2, "a") + wire.field(2, "b") + wire.field(2, "c"))
    yield join_messages([wire.field(1, wire.item("a", '{"b":{"c":1,"d":2}}')), below, below, removals[1]])


def _logs() -> Iterator[bytes]:
    records = [wire.field(wire.HISTORY, record) for record in _records()]
    others = [wire.run_record("id", entity="e", project="p"), wire.update_record(wire.SUMMARY, [("a", "1")])]
    yield wire.write_log([*others, *records])
    yield wire.write_log(records)[:-3]
    log = wire.write_log(records[:1])
    parts = [wire.chunk(kind, records[1][at : at + 60]) for kind, at in ((2, 0), (3, 60), (4, 120))]
    yield log + b"".join(parts) + wire.chunk(1, records[2]) + bytes(20)
    # Records of several chunks, and the border of two blocks.
    text = json.dumps("y" * 12_000)
    yield wire.write_log(wire.history_record([(["_step"], str(step)), (["x"], text)]) for step in range(3))
    # Chunks in the wrong order or of no known type, and zeros, each where reading goes on at the next block.
    whole = [wire.history_record([("a", str(step)), ("x", text)], step) for step in range(9)]
    rest = wire.write_log(whole)[wire.BLOCK_SIZE :]
    part = records[1][:60]
    for chunks in (
        [wire.chunk(9, part)],
        [wire.chunk(0, part)],
        [wire.chunk(2, part), wire.chunk(2, part)],
        [wire.chunk(2, part), wire.chunk(1, part)],
        [wire.chunk(3, part)],
        [wire.chunk(4, part)],
        [wire.chunk(1, b"\xff" + part)],
        [wire.chunk(2, part), wire.chunk(3, part)],
        [wire.chunk(2, part), bytes(3)],
        [],
    ):
        begin = log + b"".join(chunks)
        yield begin
        yield begin + bytes(wire.BLOCK_SIZE - len(begin)) + rest
        yield begin + bytes(2 * wire.BLOCK_SIZE - len(begin)) + rest
        yield begin + bytes(10) + b"\1" + bytes(wire.BLOCK_SIZE - len(begin) - 11) + rest
    yield wire.write_log(whole)[: wire.BLOCK_SIZE] + b"\1" * wire.BLOCK_SIZE + rest[wire.BLOCK_SIZE :]
    yield wire.write_log(whole)[: wire.BLOCK_SIZE + 3]
    yield wire.write_log([wire.history_record([("x", text * 3), ("a", "{")], 0), *whole])
    yield wire.write_log([wire.history_record([("x", json.dumps("y" * 40_000)), ("a", "{")], 0), *whole])
    # Blocks that are counted from behind the header, as wandb-core did before 0.17.6.
    for size in (12_000, 32_730, 32_760):
        long_rows = [wire.history_record([("x", json.dumps("y" * size))], step) for step in range(4)]
        for cut in (0, 5, 3_000):
            yield wire.shift_blocks(long_rows)[: -cut or None]
            yield wire.write_log(long_rows)[: -cut or None]
    for path in (EXAMPLE, *REAL_LOGS.glob("*.wandb")):
        yield path.read_bytes()[:2_000]


def _row(pairs: Iterable[tuple[str, str]]) -> bytes:
    return PART_END.join(part.encode() for pair in pairs for part in pair)


def _columns() -> Iterator[bytes]:
    for options in range(8):
        yield bytes([options | 0x48]) + ROW_END.join([_row(_PAIRS), _row(_PAIRS[:5]), _row(_PAIRS[5:])])
        yield bytes([options]) + ROW_END.join([_row(_PAIRS[:3])] * 6)
        yield bytes([options]) + _row([("a", "{"), ("b", "1")])
        yield bytes([options | 0x48]) + ROW_END.join(
            _row([("n", text), ("m", text), ("z", "1")])
            for text in ("-7", "-2.5e-3", "9007199254740993", '"NaN"', '"-Infinity"')
        )
    for text in _TEXTS:
        yield bytes([len(text) % 8]) + b"a" + PART_END + text

    paths = [("a.b.c", "1"), ("z.q", "[1, 2]"), ("a.b.d", ' {"x": 1} '), ("a.e", '"é"'), ("b", "1")]
    for more in ([], [("a.b", "2")], [("a.b.c", "2")], [("a", "3")], [("odd", '"\\ud800"')]):
        for options in (6, 7):
            yield bytes([options | 0x48]) + ROW_END.join([_row([*paths, *more]), _row([*more, *paths[::-1]])] * 2)
    for options in range(8):
        yield bytes([options | 0x48]) + ROW_END.join([_row([(key, "1") for key in _LONG_KEYS])] * 3)
    for texts in (
        ["1.5", '"NaN"', "3", '"-Infinity"', '"Infinity"'],
        ["-7"] * 5,
        ["[1]", "{}", "true", "null", "1.5"],
        ["18446744073709551615", "-1", "2", "null", "3"],
        ["[9007199254740993]", "[0.5]", "[]", "null", "[1]"],
        ["true", "false", "false", "true", "false"],
        [f'"{"t" * length}"' for length in (5, 16, 40, 100, 700)],
        [f'"{before}{"t" * 40}{after}"' for before, after in (("", ""), ("", "\\n"), ("\\n", ""), ("", "é"), ("", ""))],
        ['"t"', f'"{"é" * 40}\\n{"t" * 40}"', f'"\\u00e9{"t" * 80}"', '"\\ud83d\\ude00\\n"', f'"{"数" * 60}"', '"t"'],
        *(['"t"', '"é"', f'"{"é" * 40}{end}'] for end in ("", '"x', '\x01"', '\\x"', '\\ud800"', '\\u12"', '\\"')),
        # The values before the malformed one decide the type of the column.
        ["-7", "9007199254740993", "[", "3", "[]", "["],
        ["[]", "[", "[1]"],
        # The lists of a chunk are all empty, those of the one before are not.
        ["[1]", "[2]", "[3]", "[]", "[]", "[]"],
    ):
        for options in range(8):
            yield bytes([options | 0x48]) + ROW_END.join(_row([("x", text), ("y", "0")]) for text in texts)
            yield bytes([options | 0x48]) + ROW_END.join(
                [*[_row([("y", "0")])] * 9, *(_row([("x", text)]) for text in texts)]
            )
    for keys in _MANY_KEYS:
        rows = [_row([(key, "1") for key in keys[first:]]) for first in (0, 0, len(keys) // 2, len(keys) // 2)]
        for options in range(8) if len(keys) < 1_000 else (0, 5):
            yield bytes([options | 0x48]) + ROW_END.join(rows)
    for options in range(8):
        escaped = [_row([("t", text), ("x", text)]) for text in ('"\\u004eaN"', '"-Infinit\\u0079"', '"\\u0061"')]
        yield bytes([options | 0x48]) + ROW_END.join(escaped)
        yield bytes([options | 0x48]) + ROW_END.join(_row([("x", text)]) for text in ("false", "1", '"t"', "true"))
        yield bytes([options | 0x48]) + ROW_END.join([*[_row([("a", "1")])] * 600, _row([("b", "2")])])


def _selections() -> Iterator[bytes]:
    keys = [b"_step\xfeloss", b"val.loss\xfeval", b"never", b"", b"val.acc.top1\xfeval.acc\xfea"]
    for options in range(8):
        for requested in keys:
            yield bytes([options]) + requested + ROW_END + ROW_END.join([_row(_PAIRS), _row(_PAIRS[:5])] * 2)


def _arrow_table(*arrays: bytes, rows: int) -> bytes:
    return bytes([1, 9, rows, len(arrays) - 1]) + b"".join(arrays) + bytes([1, 0, 2][: len(arrays)])


def _array(choice: int, slots: int) -> bytes:
    """An array as `TableMaker` reads it: numbers, texts with one letter each, or bits."""
    head = bytes([choice, 0, 0])
    if choice < len(FIXED):
        return head + bytes(place % 251 + 1 for place in range(slots * FIXED[choice][1]))
    if choice < len(FIXED) + 4:
        return head + bytes([slots, 0, 0, *[1] * slots]) + (b'a"\n\x07z\\' * slots)[:slots]
    return head + b"\x05" * ((slots + 7) // 8)


def _list(items: bytes, slots: int) -> bytes:
    """A list of two items in each slot; there must be as many."""
    return bytes([24, 0, 0, 2 * slots, 0, 0, *[2] * slots]) + items


def _struct(*members: bytes) -> bytes:
    return bytes([27, 0, 0, len(members)]) + b"".join(members)


def _arrow() -> Iterator[bytes]:
    for choice in range(32):
        yield bytes([0, 9, 3, 0, choice, 0, 0]) + bytes(range(1, 120))
        yield bytes([0, 9, 4, 1, choice, 1, 1, 0x5D]) + bytes(range(200, 256)) + bytes(100)
    for choice in (24, 25, 26, 27, 28):
        for inner in range(32):
            yield bytes([1, 9, 3, 0, choice, 0, 0, 6, 0, 0, 1, 2, 3, 1, inner, 0, 0]) + bytes(range(1, 100))
    text, flags, numbers, times = _array(20, 3), _array(31, 3), _array(10, 3), _array(19, 3)
    lists = [_list(items, 3) for items in (_array(20, 6), _array(31, 6), _array(7, 6), _list(_array(20, 6), 6))]
    for place in range(32):
        yield _arrow_table(_struct(text, _array(place, 3)), _list(_array(place, 6), 3), rows=3)
    for nested in (*lists, _struct(flags, _struct(text, times)), _struct(lists[0], lists[3]), _struct(times, lists[1])):
        yield _arrow_table(nested, numbers, rows=3)
        # Beside bytes, rows are decoded.
        yield _arrow_table(nested, _array(21, 3), rows=3)
    for texts in (
        [b'{"a":1}', b"[1 ,2]", b" null "],
        [b'{"a":{"b":[2 ]}}', b'"x"', b"[}"],
        [b'{"\\ud800":1}', b"{} ", b"1.5"],
    ):
        ends = [sum(map(len, texts[:count])) for count in range(4)]
        content = b"".join(end.to_bytes(4, "little") for end in ends) + b"".join(texts)
        yield _arrow_table(bytes([29, 0, 0, ends[3], 1]) + content, numbers, rows=3)
    # Numbers of half precision that are infinite, or not a number.
    yield _arrow_table(bytes([8, 0, 0]) + b"\x00\x7c\x01\x7c\x00\xfc", numbers, rows=3)
    # Nanoseconds, and times with a zone.
    for choice in range(4):
        for unit in (1, 1_000):
            times = b"".join((place * unit).to_bytes(8, "little") for place in (0, 7, 86_399_000_000_001))
            yield _arrow_table(bytes([30, 0, 0, choice]) + times, numbers, rows=3)
    # A column of steps, and one of numbers.
    steps = b"".join(step.to_bytes(8, "little") for step in (5, 2, 9, 2))
    yield bytes([1, 9, 4, 1, 6, 0, 0]) + steps + bytes([10, 0, 0]) + steps + bytes([2, 0])


_SEEDS: dict[str, Callable[[], Iterable[bytes]]] = {
    "arrow": _arrow,
    "checksums": _checksums,
    "columns": _columns,
    "graphql": _graphql,
    "histories": _histories,
    "logs": _logs,
    "numbers": _numbers,
    "protobuf": _protobuf,
    "selections": _selections,
    "strings": _strings,
    "texts": _texts,
    "updates": _updates,
    "values": lambda: [text for text in _TEXTS if is_json(text.decode("utf-8", "replace")) or len(text) < 40],
    "wire_fields": _wire_fields,
}


if __name__ == "__main__":
    write_seeds(sys.argv[1], Path(sys.argv[2]))
