"""Many rows in one prepared statement, from plain values.

Django's bulk_create spends a tenth of a millisecond a row on what is the same for every row; a host with a thousand
guests has four thousand rows.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from django.db import connection, models

_AS_THEY_ARE = {
    "BigAutoField", "BooleanField", "CharField", "FloatField", "ForeignKey", "IntegerField", "PositiveBigIntegerField",
    "PositiveIntegerField", "PositiveSmallIntegerField", "TextField",
}  # fmt: skip


def insert_rows(
    model: type[models.Model],
    names: Sequence[str],
    rows: Iterable[Sequence[Any]],
    *,
    same: Mapping[str, Any] | None = None,
    unique: Sequence[str] = (),
    update: Collection[str] = (),
) -> None:
    """Insert `rows`, each with the values of the columns `names`, and all with those of `same`. Defaults of the model
    are not filled in.

    A row that is there already, by the columns `unique`, gets the new values of the columns `update`.
    """
    same = same or {}
    fields = [model._meta.get_field(name) for name in (*names, *same)]
    quote = connection.ops.quote_name
    columns = ", ".join(quote(_column(field)) for field in fields)
    # Names of tables and columns are those of our models.
    sql = f"INSERT INTO {quote(model._meta.db_table)} ({columns}) VALUES ({', '.join(['%s'] * len(fields))})"  # noqa: S608
    if unique:
        key = ", ".join(quote(_column(model._meta.get_field(name))) for name in unique)
        changed = [quote(_column(model._meta.get_field(name))) for name in update]
        sql += f" ON CONFLICT ({key}) DO UPDATE SET {', '.join(f'{name} = EXCLUDED.{name}' for name in changed)}"
    converters = [_conversion(field) for field in fields]
    conversions = [(index, convert) for index, convert in enumerate(converters[: len(names)]) if convert]
    pairs = zip(same.values(), converters[len(names) :], strict=True)
    tail = [convert(value) if convert else value for value, convert in pairs]
    values = []
    for row in rows:
        prepared = [*row, *tail]
        for index, convert in conversions:
            prepared[index] = convert(prepared[index])
        values.append(prepared)
    if values:
        with connection.cursor() as cursor:
            cursor.executemany(sql, values)


def _column(field: Any) -> str:
    return str(field.column)


def _conversion(field: Any) -> Callable[[Any], Any] | None:
    """How a value of Python's becomes one of the database's driver, or None where it is one."""
    kind = field.get_internal_type()
    if kind in _AS_THEY_ARE or (kind == "UUIDField" and connection.features.has_native_uuid_field):
        return None
    if kind == "UUIDField":
        return lambda value: value.hex
    if kind == "DateTimeField":
        return lru_cache(maxsize=8)(connection.ops.adapt_datetimefield_value)  # mostly one: now
    if kind == "JSONField":
        nothing = connection.ops.adapt_json_value([], field.encoder)  # mostly that
        return lambda value: nothing if value == [] else connection.ops.adapt_json_value(value, field.encoder)
    return lambda value: field.get_db_prep_save(value, connection)
