"""CSV files that are no tables: each is refused by its cause, with the line."""

import zipfile

import numpy as np
import pytest

from xpgrad._errors import DataError
from xpgrad.cli import tables

ROWS = [(k / 8, k % 3, k % 2) for k in range(20)]
TABLE = "a,b,y\n" + "".join(f"{a},{b},{y}\n" for a, b, y in ROWS)


def with_line(number, text):
    """The table with another line at this number, the header being line 1."""
    lines = TABLE.splitlines()
    lines[number - 1] = text
    return "\n".join(lines) + "\n"


def with_column(name, *first, rest="1"):
    """The table with one more column, whose first values are these."""
    values = [*first, *[rest] * (len(ROWS) - len(first))]
    lines = TABLE.splitlines()
    return (
        "\n".join([f"{lines[0]},{name}", *[f"{x},{v}" for x, v in zip(lines[1:], values, strict=True)]]) + "\n"
    )


MALFORMED = {
    "a row longer than the header": (with_line(4, "1,2,0,7"), "longer than the header, in line 4", "4 fields"),
    "the first row longer": (with_line(2, "1,2,0,7"), "longer than the header, in line 2"),
    "every row longer": (TABLE.replace("\n", ",5\n").replace("y,5", "y"), "longer than the header, in line 2"),
    "a row shorter": (with_line(9, "1,2"), "shorter than the header, in line 9", "2 fields"),
    "a long row after a text of two lines": (
        with_line(3, '"1",2,0\n"x\ny",2,0\n1,2,0,7'),
        "longer than the header, in line 6",
    ),
    "a header name twice": (TABLE.replace("a,b,y", "a,a,y"), "two columns of the same name", "'a'", "1 and 2"),
    "commas at the ends": (
        TABLE.replace("\n", ",\n"),
        "column without a name",
        "4 of 4",
        "take away the comma at the end of each line",
    ),
    "a comma at the end of one row": (with_line(5, "1,2,0,"), "in line 5", "take away the comma"),
    "the row number as a column": (
        "\n".join(f"{k or ''},{x}" for k, x in enumerate(TABLE.splitlines())),
        "column without a name",
        "1 of 4",
        "index=False",
    ),
    "semicolons": (TABLE.replace(",", ";"), "separated by a semicolon, not by the comma", "--delimiter ';'"),
    "tabs": (TABLE.replace(",", "\t"), "separated by a tab", "--delimiter tab"),
    "no header": (TABLE.partition("\n")[2], "numbers where the names", "0.0,0,0"),
    "a decimal comma": (with_column("c", '"3,14"'), "'3,14' in row 1", "decimal point"),
    "thousands": (with_column("c", "1", '"1,234,567"'), "'1,234,567' in row 2", "without commas"),
    "a decimal comma without quotes": (with_line(7, "3,14,2,0"), "line 7", "decimal point"),
    "booleans with a blank": (
        with_column("flag", "True", "", "False", rest="True"),
        "column 'flag'",
        "1 of 20",
        "missing, in row 2",
    ),
    "integers beyond 64 bits": (
        with_column("id", *[str(2**64 + k) for k in range(20)]),
        "column 'id'",
        "beyond 64 bits '18446744073709551616' in row 1",
    ),
    "dates": (with_column("day", *["2013-01-01"] * 20), "'2013-01-01' in row 1", "--drop day"),
    "a quote that is not closed": (with_line(6, '"1,2,0'), "quote that is not closed", "begins in line 6"),
    "text after a quote": (with_line(6, '"1"x,2,0'), "quote that is not closed", "begins in line 6"),
    "NUL": (with_line(6, "1,\0,0"), "a NUL character in line 6"),
    "an empty file": ("", "not even a header"),
    "blank lines alone": ("\n\n\n", "not even a header"),
    "a header alone": ("a,b,y\n", "has no rows", "a, b, y"),
}


@pytest.mark.parametrize("case", MALFORMED)
@pytest.mark.parametrize("ending", ["\n", "\r\n"], ids=["unix", "windows"])
def test_a_malformed_file_is_refused_by_its_cause(case, ending, tmp_path):
    text, *expected = MALFORMED[case]
    path = tmp_path / "t.csv"
    path.write_bytes(text.replace("\n", ending).encode())
    with pytest.raises(DataError) as error:
        tables.load(path, "y")
    for words in (*expected, str(path)):
        assert words in str(error.value)


ENCODED = {
    "UTF-16": ("utf-16", "utf-8-sig", "encoded in UTF-16", "--encoding utf-16"),
    "UTF-16 without a mark": ("utf-16-le", "utf-8-sig", "encoded in UTF-16", "--encoding utf-16-le"),
    "UTF-16 the other way round": ("utf-16-be", "utf-8-sig", "encoded in UTF-16", "--encoding utf-16-be"),
    "Latin-1": ("latin-1", "utf-8-sig", "is not UTF-8", "byte 0xe9 in line 1", "--encoding latin-1"),
    "ASCII by name": ("latin-1", "ascii", "is not ascii", "line 1"),
    "no encoding": ("utf-8", "utf-9", "no encoding 'utf-9'"),
}


@pytest.mark.parametrize("case", ENCODED)
def test_another_encoding_is_refused_with_the_option(case, tmp_path):
    encoding, told, *expected = ENCODED[case]
    path = tmp_path / "t.csv"
    path.write_bytes(TABLE.replace("a,", "année,", 1).encode(encoding))
    with pytest.raises(DataError) as error:
        tables.load(path, "y", encoding=told)
    for words in expected:
        assert words in str(error.value)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "latin-1", "cp1252"])
def test_a_file_in_the_encoding_that_was_told_is_read(encoding, tmp_path):
    path = tmp_path / "t.csv"
    path.write_bytes(TABLE.replace("a,", "année,", 1).encode(encoding))
    problem = tables.load(path, "y", encoding="utf-8-sig" if encoding == "utf-8" else encoding)
    assert problem.columns == ("année", "b")


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"], ids=["no mark", "byte order mark"])
def test_a_byte_order_mark_is_no_part_of_the_first_name(mark, tmp_path):
    path = tmp_path / "t.csv"
    path.write_bytes(mark + TABLE.encode())
    assert tables.load(path, "y").columns == ("a", "b")


@pytest.mark.parametrize("delimiter", [";", "\t", "|", " "])
def test_a_file_with_the_delimiter_that_was_told_is_read(delimiter, tmp_path):
    path = tmp_path / "t.csv"
    path.write_text(TABLE.replace(",", delimiter))
    problem = tables.load(path, "y", delimiter=delimiter)
    np.testing.assert_array_equal(np.hstack([problem.Y, problem.Y_test])[0], [y for _, _, y in ROWS])


def test_names_and_numbers_in_quotes_and_blank_lines_are_read(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text(TABLE.replace("a,b,y", '"a, in m","b ""x""",y').replace("\n", "\n\n"))
    problem = tables.load(path, "y")
    assert problem.columns == ("a, in m", 'b "x"')
    np.testing.assert_array_equal(np.hstack([problem.Y, problem.Y_test])[0], [y for _, _, y in ROWS])


def test_an_archive_of_two_files_is_refused(tmp_path):
    path = tmp_path / "t.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.csv", TABLE)
        archive.writestr("b.csv", TABLE)
    with pytest.raises(DataError, match=r"holds 2 files[\s\S]*a\.csv, b\.csv"):
        tables.load(path, "y")
