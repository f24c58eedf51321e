# Licensed under a 3-clause BSD style license - see LICENSE
"""
Edits of bytes, text and JSON, as values that can be kept: a strategy makes them, a function carries them out.
"""

import copy
import re

from hypothesis import strategies as st

__all__ = [
    "byte_edits",
    "document_edits",
    "edited_bytes",
    "edited_document",
    "edited_text",
    "hostile",
    "mostly",
    "text_edits",
]

_WHOLE = 2**16  # of a length, in which places are told
_PLACES = st.integers(0, _WHOLE - 1) | st.integers(0, 600)  # headers are at the beginning

_NUMBERS = (
    *(
        "nan",
        "inf",
        "-inf",
        "1e400",
        "-1e400",
        "1e-400",
        "0",
        "-0",
        "-1",
        "1_5",
        "0x1F",
        "1e5",
        "١٢",
        "\N{FULLWIDTH DIGIT ONE}5",
        "½",
        "1,5",
    ),
    *(
        "2147483648",
        "4294968339",
        "-2147483649",
        "9223372036854775808",
        "99999999999999999999",
        "1e20",
        "1e38",
        "-9999",
    ),
    *("null", "None", "true", "False", "", " ", "1+2j", "12:34:56", "1d5", "295", "-91", "3.5.7", "--", "²", "1e", "+"),
)
_TEXTS = (
    *(
        "",
        " ",
        "\x00",
        "\n",
        '"',
        "'",
        ",",
        ";",
        "\t",
        "#",
        "é",
        "日本",
        "\u202e",
        "\ufeff",
        "\x1b[31m",
        "\x85",
        "\\",
        "{}",
    ),
    *("ra", "dec", "objid", "a" * 300, "NaN", "=1+1", "../x", "%s", "{0}", "<a>", "]]>", "&x;", "\ud800", "🌌", "ﬁ"),
)
hostile = st.one_of(
    st.sampled_from(
        [None, True, False, 0, -1, 1, 2**31, 2**32 + 1043, 2**63, 2**64, 10**30, 0.5, -0.0, 1e308, 5e-324, 1e20, -9999]
    ),
    st.sampled_from(
        [float("nan"), float("inf"), float("-inf"), [], {}, [[]], [None], {"a": 1}, [1, "a"], [[1.0], [2.0]]]
    ),
    st.sampled_from(_NUMBERS),
    st.sampled_from(_TEXTS),
    st.integers(),
    st.floats(),
    st.text(max_size=8),
)
"""Values of plain Python where another was meant."""


def mostly(right, wrong=hostile, *, times=4):
    """Right values for the greater part, so that inputs reach what lies behind the first check."""
    return st.one_of(*[right] * times, wrong)


def byte_edits(most=4):
    """Edits of bytes: flips, insertions, deletions, copies, an end."""
    runs = st.integers(0, 255).map(lambda code: chr(code)) | st.text(st.characters(max_codepoint=255), max_size=12)
    return st.lists(
        st.one_of(
            st.tuples(st.just("flip"), _PLACES, st.integers(1, 255)),
            st.tuples(st.just("write"), _PLACES, runs | st.sampled_from(["\xff" * 8, "\0" * 8, "\x7f\xff\xff\xff"])),
            st.tuples(st.just("insert"), _PLACES, runs),
            st.tuples(st.just("delete"), _PLACES, st.integers(1, 40)),
            st.tuples(st.just("copy"), _PLACES, _PLACES, st.integers(1, 200)),
            st.tuples(st.just("cut"), _PLACES),
        ),
        max_size=most,
    )


def edited_bytes(content, edits):
    """Carry out `byte_edits`."""
    content = bytearray(content)
    for kind, at, *more in edits:
        at = at * len(content) // _WHOLE if at >= 600 else min(at, len(content))
        if kind == "flip" and at < len(content):
            content[at] ^= more[0]
        elif kind == "write":
            run = more[0].encode("latin-1")
            content[at : at + len(run)] = run
        elif kind == "insert":
            content[at:at] = more[0].encode("latin-1")
        elif kind == "delete":
            del content[at : at + more[0]]
        elif kind == "copy":
            source = more[0] * len(content) // _WHOLE
            content[at:at] = content[source : source + more[1]]
        elif kind == "cut":
            del content[at:]
    return bytes(content)


def text_edits(most=4):
    """Edits of a text: numbers and words replaced, lines moved, and letters as in bytes."""
    return st.lists(
        st.one_of(
            st.tuples(st.just("number"), _PLACES, st.sampled_from(_NUMBERS)),
            st.tuples(st.just("word"), _PLACES, st.sampled_from(_TEXTS) | st.sampled_from(_NUMBERS)),
            st.tuples(st.just("line"), _PLACES, _PLACES),
            st.tuples(st.just("drop line"), _PLACES, st.just(0)),
            st.tuples(st.just("repeat"), _PLACES, st.integers(2, 50)),
            st.tuples(st.just("insert"), _PLACES, st.sampled_from(_TEXTS) | st.text(max_size=6)),
            st.tuples(st.just("delete"), _PLACES, st.integers(1, 30)),
            st.tuples(st.just("cut"), _PLACES, st.just(0)),
        ),
        max_size=most,
    )


_PIECES = {"number": re.compile(r"[+-]?\d[\d.]*(?:[eE][+-]?\d+)?"), "word": re.compile(r"[^\W\d]\w*")}


def edited_text(text, edits):
    """Carry out `text_edits`."""
    for kind, at, value in edits:
        if kind in _PIECES:
            found = list(_PIECES[kind].finditer(text))
            if found:
                piece = found[at * len(found) // _WHOLE]
                text = text[: piece.start()] + value + text[piece.end() :]
        elif kind in ("line", "drop line", "repeat"):
            lines = text.splitlines(keepends=True)
            if lines:
                line = lines.pop(at * len(lines) // _WHOLE)
                if kind == "line":
                    lines.insert(value * (len(lines) + 1) // _WHOLE, line)
                elif kind == "repeat":
                    lines += [line] * value
                text = "".join(lines)
        else:
            place = at * len(text) // _WHOLE
            after = {"insert": value, "cut": ""}.get(kind, "")
            rest = {"cut": "", "delete": text[place + value :] if kind == "delete" else ""}.get(kind, text[place:])
            text = text[:place] + after + rest
    return text


def document_edits(most=3):
    """Edits of JSON: entries replaced, removed, renamed, nested or repeated."""
    return st.lists(
        st.one_of(
            st.tuples(st.just("replace"), _PLACES, hostile),
            st.tuples(st.just("remove"), _PLACES, st.none()),
            st.tuples(st.just("rename"), _PLACES, st.sampled_from(_TEXTS) | st.text(max_size=6)),
            st.tuples(st.just("nest"), _PLACES, st.sampled_from(["list", "dict"])),
            st.tuples(st.just("swap"), _PLACES, _PLACES),
            st.tuples(st.just("repeat"), _PLACES, st.integers(2, 30)),
        ),
        max_size=most,
    )


def edited_document(document, edits):
    """Carry out `document_edits` on a copy."""
    document = {"": copy.deepcopy(document)}
    for kind, at, value in edits:
        places = list(_places(document))
        if not places:
            break
        holder, key = places[at * len(places) // _WHOLE]
        if kind == "replace":
            holder[key] = copy.deepcopy(value)
        elif kind == "remove" and holder is not document:
            del holder[key]
        elif kind == "rename" and isinstance(holder, dict) and holder is not document:
            holder[value] = holder.pop(key)
        elif kind == "nest":
            holder[key] = [holder[key]] if value == "list" else {"a": holder[key]}
        elif kind == "repeat" and isinstance(holder[key], list):
            holder[key] = holder[key] * value
        elif kind == "swap":
            other, name = places[value * len(places) // _WHOLE]
            holder[key], other[name] = copy.deepcopy(other[name]), copy.deepcopy(holder[key])
    return document[""]


def _places(holder):
    """Every entry, as its holder and its key; of a long list, the first ones."""
    entries = list(holder.items()) if isinstance(holder, dict) else list(enumerate(holder))[:12]
    for key, value in entries:
        yield holder, key
        if isinstance(value, dict | list):
            yield from _places(value)
