# Licensed under a 3-clause BSD style license - see LICENSE
"""
A look into an ONNX graph before it is run: all its weights must be inside it.

A tensor of a graph may say that its numbers are in another file (``data_location``, ``external_data``). onnxruntime
looks for it in the folder of the process, and no hash covers it. The graph is read here as what it is, a message of
protocol buffers: a sequence of fields with a number and a type each, some of them messages again. Numbers of
fields: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto.
"""

__all__ = ["weights_outside"]

# For each kind of message that can hold a tensor, the fields to look into, and the kinds of message in them.
_INSIDE = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "function": {7: "node", 11: "attribute"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "tensor": {},
}
_NAME, _EXTERNAL_DATA, _DATA_LOCATION = 8, 13, 14  # of a tensor
_VARINT, _FIXED64, _LENGTH, _FIXED32 = 0, 1, 2, 5  # types of fields
_DEEPEST = 100  # graphs in attributes of nodes of graphs: as deep as protocol buffers go


def weights_outside(content):
    """
    Find a tensor whose numbers are outside the graph.

    Parameters
    ----------
    content : bytes
        Of an ONNX file.

    Returns
    -------
    str or None
        Name of the first such tensor; None if all numbers are inside.

    Raises
    ------
    ValueError
        If it is no message of protocol buffers.

    Examples
    --------
    >>> from astro_photz.models._graph import weights_outside
    >>> tensor = b"B\\x04bias" + b"p\\x01"  # field 8, name; field 14, data_location: EXTERNAL
    >>> graph = b"*" + bytes([len(tensor)]) + tensor  # field 5, initializer
    >>> weights_outside(b":" + bytes([len(graph)]) + graph)  # field 7, graph
    'bias'
    """
    view = memoryview(content)
    left = [("model", 0, len(view), 0)]
    while left:
        kind, start, end, depth = left.pop()
        if depth > _DEEPEST:
            raise ValueError(f"its graphs are nested deeper than {_DEEPEST}")
        name, outside = "", False
        for number, value, span in _fields(view, start, end):
            inner = _INSIDE[kind].get(number)
            if inner and span:
                left.append((inner, *span, depth + 1))
            elif kind == "tensor" and number == _NAME and span:
                name = bytes(view[slice(*span)]).decode("utf-8", "replace")
            elif kind == "tensor" and (number == _EXTERNAL_DATA or (number == _DATA_LOCATION and value != 0)):
                outside = True
        if outside:
            return name or "a tensor without a name"
    return None


def _fields(view, start, end):
    """Yield the number of each field, and its value if that is a whole number, or the place of its bytes."""
    while start < end:
        key, start = _varint(view, start, end)
        number, kind = key >> 3, key & 7
        if key >= 1 << 32:  # some readers would drop the digits above
            raise ValueError("a field has a number that no graph has")
        value, span = None, None
        if kind == _VARINT:
            value, start = _varint(view, start, end)
        elif kind == _LENGTH:
            length, start = _varint(view, start, end)
            span = start, start + length
            start += length
        elif kind in (_FIXED64, _FIXED32):
            start += 8 if kind == _FIXED64 else 4
        else:
            raise ValueError(f"a field has the type {kind}, which no graph has")
        if start > end:
            raise ValueError("a field ends behind the message")
        yield number, value, span


def _varint(view, start, end):
    """Whole number of up to ten bytes, seven bits each, and the place behind it."""
    value = 0
    for shift in range(0, 70, 7):
        if start >= end:
            break
        byte = view[start]
        start += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, start
    raise ValueError("a number has no end")
