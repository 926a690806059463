"""The tables of the native function through which a call enters a program: their words.

In:  nothing.
Out: names for the words, as `entry` writes them, and what `entry_text` does with each of them.
Holds: each word has 8 bytes.
"""

HEADER = (
    *("busy", "guards", "guard_count", "records", "record_count", "objects", "addresses"),
    *("outputs", "output_count", "patches", "patch_count", "main", "table", "end", "flags", "flag_count"),
    *("pieces", "piece_count", "release", "acquire", "none", "get_attribute", "decref", "incref", "clear"),
    *("call", "as_double", "next", "get_entry", "matches", "exception", "held", "held_count", "enough"),
)
"""The words of the header."""

SEQUENCE, DICT, ARRAY, DOUBLE, FLOAT, SAME = range(6)
"""The kinds of a record, one for each argument and each container of arguments."""

RECORD = ("kind", "parent", "index", "type", "a", "b", "c", "position")
"""The words of a record. ``index`` is a place in a tuple or list, or the key in a dict.

    SEQUENCE, DICT   a: the function for its length, b: the length, c: the function for an item
    ARRAY            a: dtype, b: number of axes, c: the address of shape and strides
    DOUBLE, FLOAT    a: where its number goes
    SAME             a: the very object
"""

GUARD = ("of_dict", "owner", "name", "value")
"""The words of a guard: an entry of a dict, or else an attribute. The value of no entry is 0."""

OUTPUT = ("late", "function", "arguments")
PATCH = ("slot", "source", "offset")
PIECE = ("make", "set", "number")


def words(name: str, base: str, fields: tuple[str, ...], kinds: str) -> str:
    """Loads of the words of a record at ``base``, as ``%name.field``."""
    lines = []
    for k, (field, kind) in enumerate(zip(fields, kinds.split(), strict=True)):
        lines.append(f"  %{name}.{field}.at = getelementptr i64, ptr {base}, i64 {k}")
        lines.append(f"  %{name}.{field} = load {kind}, ptr %{name}.{field}.at, align 8")
    return "\n".join(lines)


def references(name: str, before: str, function: str, then: str) -> str:
    """A loop that takes or drops a reference to each array that is held while the program runs."""
    return f"""{name}:
  %{name}.k = phi i64 [ 0, %{before} ], [ %{name}.next, %{name}.one ]
  %{name}.more = icmp slt i64 %{name}.k, %h.held_count
  br i1 %{name}.more, label %{name}.one, label %{then}
{name}.one:
  %{name}.at = getelementptr ptr, ptr %h.held, i64 %{name}.k
  %{name}.where = load ptr, ptr %{name}.at, align 8
  %{name}.x = load ptr, ptr %{name}.where, align 8
  call void %h.{function}(ptr %{name}.x)
  %{name}.next = add i64 %{name}.k, 1
  br label %{name}"""


_NUMBERS = frozenset(
    ("busy", "end", "release", "enough", *[name for name in HEADER if name.endswith("_count")])
)
HEADER_KINDS = " ".join("i64" if name in _NUMBERS else "ptr" for name in HEADER)
