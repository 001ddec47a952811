//! The kernel's values and rows on both drivers.

use std::fmt::Write as _;

use bytes::{BufMut as _, BytesMut};
use cqrs_core::{Row, RowError, Value};
use rusqlite::types::{ToSqlOutput, ValueRef};
use tokio_postgres::types::{Format, IsNull, ToSql, Type, to_sql_checked};
use uuid::Uuid;

use crate::postgres::Param;

/// A value on its way to SQLite.
pub(crate) struct ToSqlite<'a>(pub(crate) &'a Value);

impl rusqlite::ToSql for ToSqlite<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self.0 {
            Value::Null => ValueRef::Null,
            Value::Bool(b) => ValueRef::Integer(i64::from(*b)),
            Value::Int(n) => ValueRef::Integer(*n),
            Value::Text(text) => ValueRef::Text(text.as_bytes()),
            Value::Bytes(bytes) => ValueRef::Blob(bytes),
            Value::Uuid(id) => ValueRef::Blob(id.as_bytes()),
        }))
    }
}

/// A value on its way to PostgreSQL. Bytes and UUIDs say their type; the others travel as text, which the server reads as
/// the type that the statement wants, so that an integer goes into a column of any integer type and a truth value too.
#[derive(Debug)]
pub(crate) struct ToPostgres<'a>(pub(crate) &'a Value);

type BoxError = Box<dyn std::error::Error + Sync + Send>;

impl ToPostgres<'_> {
    fn of_type(&self) -> Type {
        match self.0 {
            Value::Bytes(_) => Type::BYTEA,
            Value::Uuid(_) => Type::UUID,
            Value::Null | Value::Bool(_) | Value::Int(_) | Value::Text(_) => Type::UNKNOWN,
        }
    }
}

impl ToSql for ToPostgres<'_> {
    fn to_sql(&self, ty: &Type, out: &mut BytesMut) -> Result<IsNull, BoxError> {
        match self.0 {
            Value::Null => return Ok(IsNull::Yes),
            Value::Bool(b) => out.put_u8(if *b { b'1' } else { b'0' }),
            Value::Int(n) => write!(out, "{n}")?,
            Value::Text(text) => out.put_slice(text.as_bytes()),
            Value::Bytes(bytes) => out.put_slice(bytes),
            Value::Uuid(id) => return id.to_sql(ty, out),
        }
        Ok(IsNull::No)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    fn encode_format(&self, _: &Type) -> Format {
        if self.of_type() == Type::UNKNOWN { Format::Text } else { Format::Binary }
    }

    to_sql_checked!();
}

/// Parameters as the PostgreSQL driver takes them.
pub(crate) fn postgres_params<'a>(params: &'a [ToPostgres<'a>]) -> Vec<Param<'a>> {
    params.iter().map(|value| (value as &(dyn ToSql + Sync), value.of_type())).collect()
}

fn error(column: usize, detail: impl std::fmt::Display) -> RowError {
    RowError { column, detail: detail.to_string() }
}

/// A row of SQLite's.
pub(crate) struct SqliteRow<'a, 'stmt>(pub(crate) &'a rusqlite::Row<'stmt>);

impl SqliteRow<'_, '_> {
    fn value(&self, column: usize) -> Result<ValueRef<'_>, RowError> {
        self.0.get_ref(column).map_err(|e| error(column, e))
    }
}

impl Row for SqliteRow<'_, '_> {
    fn int(&self, column: usize) -> Result<Option<i64>, RowError> {
        self.value(column)?.as_i64_or_null().map_err(|e| error(column, e))
    }
    fn text(&self, column: usize) -> Result<Option<String>, RowError> {
        let text = self.value(column)?.as_str_or_null().map_err(|e| error(column, e))?;
        Ok(text.map(str::to_owned))
    }
    fn bytes(&self, column: usize) -> Result<Option<Vec<u8>>, RowError> {
        let bytes = self.value(column)?.as_blob_or_null().map_err(|e| error(column, e))?;
        Ok(bytes.map(<[u8]>::to_vec))
    }
    fn uuid(&self, column: usize) -> Result<Option<Uuid>, RowError> {
        let bytes = self.value(column)?.as_blob_or_null().map_err(|e| error(column, e))?;
        bytes.map(Uuid::from_slice).transpose().map_err(|e| error(column, e))
    }
}

/// A row of PostgreSQL's.
pub(crate) struct PostgresRow<'a>(pub(crate) &'a tokio_postgres::Row);

impl Row for PostgresRow<'_> {
    fn int(&self, column: usize) -> Result<Option<i64>, RowError> {
        let of = self.0.columns().get(column).map(|found| found.type_().clone());
        match of {
            Some(Type::INT4) => self
                .0
                .try_get::<_, Option<i32>>(column)
                .map(|n| n.map(i64::from))
                .map_err(|e| error(column, e)),
            Some(Type::INT2) => self
                .0
                .try_get::<_, Option<i16>>(column)
                .map(|n| n.map(i64::from))
                .map_err(|e| error(column, e)),
            Some(Type::BOOL) => self
                .0
                .try_get::<_, Option<bool>>(column)
                .map(|b| b.map(i64::from))
                .map_err(|e| error(column, e)),
            _ => self.0.try_get(column).map_err(|e| error(column, e)),
        }
    }
    fn text(&self, column: usize) -> Result<Option<String>, RowError> {
        self.0.try_get(column).map_err(|e| error(column, e))
    }
    fn bytes(&self, column: usize) -> Result<Option<Vec<u8>>, RowError> {
        self.0.try_get(column).map_err(|e| error(column, e))
    }
    fn uuid(&self, column: usize) -> Result<Option<Uuid>, RowError> {
        match self.0.columns().get(column).map(tokio_postgres::Column::type_) {
            Some(&Type::BYTEA) => {
                let bytes = self.0.try_get::<_, Option<&[u8]>>(column).map_err(|e| error(column, e))?;
                bytes.map(Uuid::from_slice).transpose().map_err(|e| error(column, e))
            }
            _ => self.0.try_get(column).map_err(|e| error(column, e)),
        }
    }
}
