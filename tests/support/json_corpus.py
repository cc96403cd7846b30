"""JSON texts that are hard to read, and a comparison of values that lets nothing pass.

The oracle is `json.loads`, always: the names below say what each list is about, `loads` says what is valid.
"""

from __future__ import annotations

import json
import struct

# fmt: off
INTEGERS = (
    "0", "-0", "1", "-1", "9", "10", "99999999", "100000000", "1234567890123456789",
    *(str(2**power + offset) for power in (31, 32, 53, 62, 63, 64, 128) for offset in (-1, 0, 1)),
    *(str(-(2**power) + offset) for power in (31, 32, 53, 62, 63, 64, 128) for offset in (-1, 0, 1)),
    "9" * 18, "9" * 19, "-" + "9" * 19, "1" + "0" * 400,
    # On both sides of Python's limit on the digits of an int.
    "7" * 4300, "-" + "7" * 4300, "7" * 4301, "-" + "7" * 4301,
)

FLOATS = (
    "0.0", "-0.0", "0e0", "-0e0", "0E+5", "-0.0e-99", "0.000e400", "0e999999999999999999999",
    "-0e-999999999999999999999",
    "1.0", "-1.5", "0.1", "0.30000000000000004", "1e0", "1E5", "1e+05", "1e-05", "1.5e3", "3.14159265358979",
    "1e22", "1e23", "-1e22", "-1e23", "9007199254740993.0", "9007199254740992.5", "9007199254740991.5e1",
    "1e308", "1.7976931348623157e308", "1.7976931348623158e308", "1.7976931348623159e308", "1e309", "-1e309",
    "1e400", "-1e400", "1e-400", "-1e-400", "1e999999999999999999999", "1e-999999999999999999999",
    "2.2250738585072014e-308", "2.2250738585072011e-308", "2.225073858507201e-308", "5e-324", "-5e-324",
    "2.4703282292062327e-324", "2.4703282292062328e-324", "2.5e-324", "4.9406564584124654e-324", "1e-323",
    # Half way between two doubles, and a digit to either side of it.
    "1.00000000000000011102230246251565404", "1.00000000000000011102230246251565404236316680908203125",
    "1.00000000000000011102230246251565404236316680908203124",
    "1.000000000000000111022302462515654042363166809082031251",
    "9007199254740993e0", "9007199254740993.00000000000000000000000000001", "90071992547409930000000000000000000e-19",
    "8.5e-1", "123456789012345678901234567890.5", "0.000000000000000000000000000000123456789012345678901",
    "0." + "0" * 400 + "1", "0." + "0" * 320 + "123456789e10", "1" + "0" * 400 + "e-400",
    "1" + "0" * 308 + ".0", "1" + "0" * 309 + ".0", "0." + "123456789" * 100, "-" + "123456789" * 40 + ".5e-300",
    "1e" + "0" * 400 + "5", "12345678923456789e-09",
)

LITERALS = ("null", "true", "false", "NaN", "Infinity", "-Infinity")

STRINGS = (
    '""', '"a"', '"NaN"', '"{[,:]}"', '"/"', '"\x7f"', '" "',
    '"' + "x" * 15 + '"', '"' + "x" * 16 + '"', '"' + "x" * 17 + '"', '"' + "a" * 100_000 + '"',
    '"' + "x" * 511 + '\\n"', '"' + "x" * 512 + '\\n"', '"' + "é" * 50_000 + '\\t"',
    '"' + "é" * 300 + "\\u00e9" * 300 + '"', '"' + "\\\\" * 40 + '"', '"' + "a" * 14 + "\\u0062" + "c" * 20 + '"',
    r'"\"\\\/\b\f\n\r\t"', r'"\u0000\u001f\u007f\u0080\u07ff\u0800\uffff"', r'"\u00E9\u00e9\uABCD\uabcd"',
    r'"\ud83d\ude00"', r'"\uD83D\uDE00 and \ud83d\ude00"',
    # Surrogates without their partner.
    r'"\ud83d"', r'"\ude00"', r'"\ude00\ud83d"', r'"\ud83d\ud83d\ude00"', r'"\ud83dx"', r'"\ud83d\n"',
    r'"\ud83d\u0041"',
    r'"\udfff\udc00\ud800"', r'"é\ud800é"', '"\ud83d"', '"\ude00"', '"\ud83d\ude00"', '"\ud83d\\ude00"',
    '"\\ud83d\ude00"',
    '"é ß 世界 \U0001f389 \U0010ffff \ufffe \uffff"', '"\u2028\u2029\ufeff"',
)

CONTAINERS = (
    "[]", "{}", "[[]]", "[{}]", '{"a":{}}', '{"a":[]}', '{"a":[],"b":{}}',
    "[1,-1.5,null,true,false,NaN,Infinity,-Infinity,1e400]", '[[[["deep"]]],{"a":{"b":{"c":[NaN]}}}]',
    '{"":1}', '{"":{"":{"":null}}}', '{"a":1,"a":2}', '{"a":1,"b":2,"a":3,"a":{"a":4,"a":5}}',
    r'{"a":1,"\u0061":2,"b":3}',
    r'{"a.b":1,"a":{"b":2},"a\".b":3,"\\":4,"\n":5,"\/":6}', r'{"\ud800":1,"\udc00":2,"\ud83d\ude00":3}',
    '{"\ud800":1}',
    '{"ключ \U0001f511":1,"\u2028":2,"é":3,"e\u0301":4}',
    '{"' + "k" * 100_000 + '":1}', '{"' + "ü" * 50_000 + '":{"' + "k" * 5_000 + '":1}}',
    '{"' + "k" * 4_090 + '":1,"' + "k" * 4_091 + '":2,"' + "k" * 4_092 + '":3,"' + "k" * 4_093 + '":4}',
    "{" + ",".join(f'"key{index}":{index}' for index in range(500)) + "}",
    "[" + ",".join(map(str, range(5_000))) + "]", "[" * 200 + "]" * 200, '{"a":' * 200 + "1" + "}" * 200,
)

SPACES = (
    " 1", "1 ", " \t\n\r1\r\n\t ", "[\r\n]", '\n{\n  "a"\n:\n1\n}\n', '{\t"a"\t:\t{\t"b"\t:\tNaN\t}\t}',
    '{ "a" : 1 , "b" : [ 1 , 2 ] , "c" : { } , "d" : [ ] }', '{"a" :1}', '{"a": 1}', '{"a":1 ,"b":2}', '{"a":1, "b":2}',
    '{"a":1}\n', " " * 100 + '{"a":' + " " * 100 + "1" + " " * 100 + "}" + " " * 100,
    "{" + " " * 5_000 + '"a"' + " " * 5_000 + ":" + " " * 5_000 + "1}",
)

MALFORMED = (
    "", " ", "\n\t", "\x00", "\ufeff1", "\u00a01", "\x0b1", "\x0c1", "1\x00", "1\u2028", "\ud800", "1\ud800",
    "01", "-01", "00", "1.", ".5", "-.5", "+1", "1e", "1e+", "1e-", "1E", "1.e5", "1.5.5", "1e5.5", "- 1", "-", "--1",
    "0x10", "1_000", "1,000", "1e5e5", "1 2", "\u0661", "1d", "1f", "0b1", "-a", "1-", "1+1",
    "nul", "nulll", "Null", "NULL", "tru", "truee", "True", "fals", "False", "n", "t", "f", "undefined", "None",
    "nan", "Nan", "NAN", "Na", "NaNN", "-NaN", "+NaN", "inf", "Infinit", "-Infinit", "Infinityy", "+Infinity", "-Inf",
    '"', '"a', '"a\\', '"a\\"', "'a'", '"a""', '"\\x41"', '"\\u12"', '"\\u12"3"', '"\\u123', '"\\uzzzz"', '"\\u 123"',
    '"\\u+123"', '"\\u0x12"', '"\\ud83d\\u12"', '"\\ud83d\\uzzzz"', '"\\ud83d\\x"', '"\\ud83d\\', '"\\U0041"', '"\\a"',
    '"\\\n"', '"\\0"', '"\t"', '"\n"', '"\r"', '"\x00"', '"\x1f"', '"é\x01"', '"' + "x" * 16 + '\x02"', '"\\t\x03"',
    "[", "]", "{", "}", "[1", "[1,", "[1,]", "[,1]", "[,]", "[1 2]", "[1,,2]", "[1}", "[1;2]", "[1]]", "[[1]", "[1],",
    '{"a"', '{"a":', '{"a":1', '{"a":1,', '{"a":1,}', "{,}", '{,"a":1}', '{"a":1,,"b":2}', '{"a":1]', '{"a" 1}',
    '{"a"=1}', '{"a":}', '{"a"::1}', '{"a":1:2}', '{"a":1 "b":2}', '{"a":1;"b":2}', "{1:2}", "{a:1}", "{null:1}",
    "{'a':1}", '{"a":1}}', '{"a":1}{"a":2}', '{"a":1} x', '{"a":{"b":1}', '{"a":[1}', '{"a\n":1}', '{"\\x":1}',
    '{"a":01}',
    "// 1", "/* */ 1", "1 // one", "# 1", '{"a":1} // end', "(1)", "<1>", "{[]}", "{{}}", "[}", "{]",
    "[" * 100, '{"a":' * 100, '"' + "x" * 1_000, "{" + " " * 1_000,
)

# Bytes that are not UTF-8, each to stand inside of a JSON string.
NOT_UTF8 = (
    b"\x80", b"\xbf", b"\xc3", b"\xc3(", b"\xc0\x80", b"\xc1\xbf", b"\xe2\x80", b"\xe2(\xa1", b"\xe0\x80\x80",
    b"\xe0\x9f\xbf",
    b"\xf0\x9f\x98", b"\xf0\x80\x80\x80", b"\xf0\x8f\xbf\xbf", b"\xf4\x90\x80\x80", b"\xf5\x80\x80\x80", b"\xff",
    b"\xfe",
    # Surrogates as if they were characters.
    b"\xed\xa0\x80", b"\xed\xbf\xbf", b"\xed\xa0\xbd\xed\xb8\x80", b"\xed\xa0\xbd\\ude00", b"\\ud83d\xed\xb8\x80",
    b"fine \xc3\xa9 until \xe9 here", b"x" * 16 + b"\xff", b"\xff" + b"x" * 16, b"\\n\xff", b"\xff\\n", b"\\u00e9\xc3",
)
# fmt: on

CORPUS: tuple[str, ...] = (*INTEGERS, *FLOATS, *LITERALS, *STRINGS, *CONTAINERS, *SPACES, *MALFORMED)


def fingerprint(value: object) -> list[object]:
    """Lists the parts of a value with everything that `==` ignores: types, the bits of floats, the order of keys.

    Args:
        value: What `json.loads` may give; nested however deeply.

    Returns:
        A list that equals another's only if the values are the same in every respect.
    """
    parts: list[object] = []
    waiting = [value]
    while waiting:
        value = waiting.pop()
        parts.append(type(value))
        if isinstance(value, dict):
            parts.append([(type(key), key) for key in value])
            waiting.extend(value.values())
        elif isinstance(value, list | tuple):
            parts.append(len(value))
            waiting.extend(value)
        elif isinstance(value, float):
            parts.append(struct.pack("<d", value))
        else:
            parts.append(value)
    return parts


def is_json(text: str) -> bool:
    """Returns True if `json.loads` accepts the text."""
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def is_utf8(text: str) -> bool:
    """Returns True if the text can be encoded in UTF-8, which has no surrogates."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
