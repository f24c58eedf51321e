# Licensed under a 3-clause BSD style license - see LICENSE
"""
Records that are kept as JSON: typed fields, a version of their form, and no entry lost that has no field.
"""

import json
import reprlib
import types
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from typing import Any, ClassVar, Self

from ._types import PathLike

__all__ = ["Document"]

_LARGEST = 2 * 10**7  # bytes of a file


@dataclass(frozen=True, kw_only=True)
class Document:
    """
    A record with typed fields, to be derived from.

    ``form`` is the version of the form (1 for a file without one); ``others`` keeps entries of the file that have no
    field. Raise ``error`` of the class, a ValueError, if a field is of another type, or the form is newer than this
    version of the package.
    """

    newest: ClassVar[int] = 1
    """Newest form that is known."""
    noun: ClassVar[str] = "a record"
    """Name of the thing in messages."""
    error: ClassVar[type[ValueError]] = ValueError

    form: int = 1
    others: dict = field(default_factory=dict)

    def __post_init__(self):
        for one in fields(self):
            value = getattr(self, one.name)
            if not isinstance(value, one.type) or (isinstance(value, bool) and not _takes_bool(one.type)):
                wanted = getattr(one.type, "__name__", str(one.type))
                raise self.error(f"{one.name} of {self.noun} must be of type {wanted}, got {reprlib.repr(value)}")
        if self.form < 1:
            raise self.error(f"form of {self.noun} must be 1 or more, got {self.form}")
        if self.form > self.newest:
            raise self.error(
                f"{self.noun} of form {self.form} cannot be read: this version of astro-photz knows forms up to "
                f"{self.newest}; update astro-photz"
            )

    @classmethod
    def of(cls, entries: dict) -> Self:
        """
        Make a record of the entries of a file.

        None stands for an absent entry; entries without a field go to ``others``. Raise ``error`` of the class if an
        entry is missing or of another type.
        """
        given = {name: value for name, value in entries.items() if value is not None}
        missing = [name for name in cls._needed() if name not in given]
        if missing:
            raise cls.error(f"{cls.noun} must have {', '.join(missing)}")
        known = {one.name: given.pop(one.name) for one in fields(cls) if one.name in given and one.name != "others"}
        return cls(**known, others=given)

    @classmethod
    def of_file(cls, path: PathLike, *, needed: tuple = ()) -> Self:
        """
        Read a record.

        A file must have the entries in ``needed``, besides those of fields without a default. Raise ``error`` of the
        class if the file is not JSON, lacks an entry, or has one of another type.
        """
        path = Path(path)
        if path.exists() and not path.is_file():  # a pipe would be waited for
            raise cls.error(f"{path} is not {cls.noun}: it is no file")
        with open(path, "rb") as file:
            return cls.of_bytes(file.read(_LARGEST + 1), path, needed=needed)

    @classmethod
    def of_bytes(cls, content: bytes, path: PathLike, *, needed: tuple = ()) -> Self:
        """
        Read a record from the bytes of its file.

        ``path`` is for messages; all else is as in `of_file`.
        """
        if len(content) > _LARGEST:
            raise cls.error(f"{path} is not {cls.noun}: it has more than {_LARGEST} bytes")
        try:
            entries = json.loads(content.decode("utf-8"))
        except (ValueError, RecursionError) as error:  # also of other text than UTF-8, and of numbers without end
            raise cls.error(f"{path} is not JSON: {error}") from error
        if not isinstance(entries, dict):
            raise cls.error(f"{path} is not {cls.noun}: it holds no entries by name")
        missing = [name for name in needed if name not in entries]
        if missing:
            raise cls.error(f"{path} lacks {', '.join(missing)}")
        try:
            return cls.of(entries)
        except cls.error as error:
            raise cls.error(f"{path}: {error}") from error

    def entries(self) -> dict:
        """
        Collect the entries for a file.

        Optional ones that are None or an empty dict are left out.
        """
        told = {one.name: getattr(self, one.name) for one in fields(self) if one.name != "others"} | self.others
        return {name: value for name, value in told.items() if value not in (None, {}) or name in self._needed()}

    def updated(self, **entries: Any) -> Self:
        """
        Replace or add entries.

        Return a new record; entries without a field go to ``others``.
        """
        return type(self).of(self.entries() | entries)

    @classmethod
    def _needed(cls):
        return [one.name for one in fields(cls) if one.default is one.default_factory is MISSING]


def _takes_bool(wanted):
    kinds = wanted.__args__ if isinstance(wanted, types.UnionType) else (wanted,)
    return bool in kinds or object in kinds
