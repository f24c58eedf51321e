# Licensed under a 3-clause BSD style license - see LICENSE
"""SkyServer's searches, carried out by SQLite."""

import functools
import json
import re
import sqlite3
import threading

import astropy.units as u
import numpy as np
from astropy.coordinates import SkyCoord, search_around_sky
from astropy.table import Table

__all__ = ["Database"]


class Database:
    """
    The catalogue and the fields, in SQLite, under SkyServer's names.

    Parameters
    ----------
    catalogue : `~astropy.table.Table`
        See `~astro_photz.testing.catalogues.photo_catalogue`.
    fields : `~astropy.table.Table`
        See `~astro_photz.testing.catalogues.field_table`.
    """

    def __init__(self, catalogue, fields):
        self._lock = threading.Lock()
        self._catalogue = catalogue
        self._coords = SkyCoord(catalogue["ra"], catalogue["dec"], unit="deg")
        self._connection = sqlite3.connect(":memory:", check_same_thread=False)
        self._connection.create_function("fPhotoTypeN", 1, {3: "GALAXY", 6: "STAR"}.get)
        self._store("PhotoObjAll", catalogue)
        self._store("Field", fields)
        self._connection.execute("CREATE VIEW PhotoObj AS SELECT * FROM PhotoObjAll WHERE mode IN (1, 2)")

    def _store(self, name, table):
        self._connection.execute(f"DROP TABLE IF EXISTS {name}")
        self._connection.execute(f"CREATE TABLE {name} ({', '.join(table.colnames)})")
        marks = ", ".join("?" * len(table.colnames))
        rows = zip(*(table[column].tolist() for column in table.colnames), strict=True)
        self._connection.executemany(f"INSERT INTO {name} VALUES ({marks})", rows)

    def _select(self, sql):
        # T-SQL's temporary tables, owner and row limit, in SQLite's words.
        sql = sql.replace("#", "_").replace("dbo.", "")
        sql = re.sub(r"^\s*SELECT\s+(DISTINCT\s+)?TOP\s+(\d+)(.*)", r"SELECT \1\3 LIMIT \2", sql, flags=re.I | re.S)
        cursor = self._connection.execute(sql)
        # Columns come back under the names by which the query called them, whatever their case in the schema.
        called = {word.lower(): word for word in reversed(re.findall(r"\w+", sql))}
        lines = [",".join(called.get(column[0].lower(), column[0]) for column in cursor.description)]
        lines += [",".join(_format(value) for value in row) for row in cursor]
        return "#Table1\n" + "\n".join(lines) + "\n"

    def answer(self, sql):
        """Answer a query with CSV."""
        with self._lock:
            return self._select(sql)

    def crossid(self, sql, positions, radius, *, nearest):
        """
        Answer a query that joins uploaded positions to the objects around them.

        Parameters
        ----------
        sql : str
        positions : list of tuple of float
            Right ascension and declination (deg).
        radius : float
            In arcmin.
        nearest : bool
            Whether to keep only the nearest primary object of each position.

        Returns
        -------
        str
            CSV.
        """
        coords = SkyCoord([p[0] for p in positions], [p[1] for p in positions], unit="deg")
        up, found = [], []
        if len(self._coords) and len(coords):
            up, found, distance, _ = search_around_sky(coords, self._coords, radius * u.arcmin)
            order = np.lexsort((distance, up))
            up, found = up[order], found[order]
            if nearest:
                primary = self._catalogue["mode"][found] == 1
                up, first = np.unique(up[primary], return_index=True)
                found = found[primary][first]
        ids = np.asarray(self._catalogue["objID"], dtype=np.int64)[np.asarray(found, dtype=int)]
        with self._lock:
            self._store("_x", Table({"up_id": np.asarray(up, dtype=int) + 1, "objID": ids}))
            self._store("_upload", Table({"up_id": np.arange(len(positions)) + 1}))
            return self._select(sql)

    def alter(self, column, value, object_id):
        """Change a value of an object."""
        with self._lock:
            self._connection.execute(f"UPDATE PhotoObjAll SET {column} = ? WHERE objID = ?", (value, int(object_id)))

    @functools.cached_property
    def schema(self):
        """Names of PhotoObjAll's columns, as JSON: SkyServer's answer to ``fDocColumns``."""
        rows = [{"name": name, "type": "", "unit": ""} for name in self._catalogue.colnames]
        return json.dumps([{"TableName": "Table1", "Rows": rows}])

    def close(self):
        """Forget everything."""
        self._connection.close()


def _format(value):
    if value is None:
        return "null"
    return f"{value:.15g}" if isinstance(value, float) else str(value)
