"""A trained model as a file: the estimator, with preparation and record beside it.

In:  a Trained, or a Source.
Out: bytes, or the Trained.
Holds: ``xg.learn.load`` reads the same file, and gives the estimator. No code is stored, and none is run.
"""

from __future__ import annotations

from xpgrad._errors import DataError, message
from xpgrad._version import __version__
from xpgrad.cli.models.preparation import preparation_of
from xpgrad.cli.models.training import FORMAT, Trained
from xpgrad.cli.sources import Source
from xpgrad.learn.files import packed, unpacked


def content_of(trained: Trained) -> bytes:
    """The content of the file."""
    record = {name: part for name, part in trained.record.items() if name != "preparation"}
    return packed(
        trained.model, {"format": FORMAT, "preparation": trained.preparation.to_json(), "record": record}
    )


def read_model(source: Source) -> Trained:
    """Read a model that `xpgrad train` wrote.

    Raises
    ------
    DataError
        The file is truncated or altered, is no model, was not written by `xpgrad train`, or was written by a
        newer version.
    """
    try:
        with source.open() as file:
            content = file.read()
    except OSError as error:
        raise DataError(message(f"cannot read {source}", {"reason": str(error.strerror)}, at="")) from error
    model, table = unpacked(content, source)
    if table is None:
        raise DataError(
            message(
                f"{source} holds a {type(model).__name__}, but not how a table becomes its columns",
                at="",
                remedy="xpgrad train writes both; xg.learn.load reads this file in Python",
            )
        )
    try:
        if table["format"] > FORMAT:
            raise DataError(
                message(
                    f"{source} was written by xpgrad {table['record'].get('version')}; this is xpgrad "
                    f"{__version__}, which reads tables up to format {FORMAT}",
                    {"format": str(table["format"])},
                    at="",
                    remedy="pip install --upgrade xpgrad",
                )
            )
        preparation = preparation_of(table["preparation"])
        record = {**table["record"], "preparation": table["preparation"]}
    except (LookupError, TypeError, AttributeError) as error:
        raise DataError(
            message(f"{source} does not say how a table becomes its columns", {"lacks": str(error)}, at="")
        ) from error
    return Trained(model, preparation, record)
