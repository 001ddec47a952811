//! Rows in a form that is the same whatever store they lie in.

use std::error::Error;
use std::fmt;

use bytes::BytesMut;
use cqrs_core::{StoreError, Value};
use rusqlite::types::ValueRef;
use tokio_postgres::types::{IsNull, ToSql, Type, to_sql_checked};

/// A row's values in the order of its table's columns: null, whole numbers, text and bytes. Booleans are 0 and 1, UUIDs their
/// 16 bytes, as in a store that has no types for them.
pub type Row = Vec<Value>;

const NULL: u8 = 0;
const INT: u8 = 1;
const TEXT: u8 = 2;
const BYTES: u8 = 3;

/// Appends a row's bytes: each value as its kind, its length where that varies, and itself. With the number of columns known
/// it reads back as nothing else.
pub(crate) fn put(row: &[Value], out: &mut Vec<u8>) {
    for value in row {
        match value {
            Value::Null => out.push(NULL),
            Value::Int(n) => put_int(*n, out),
            Value::Bool(b) => put_int(i64::from(*b), out),
            Value::Text(text) => put_sized(TEXT, text.as_bytes(), out),
            Value::Bytes(bytes) => put_sized(BYTES, bytes, out),
            Value::Uuid(id) => put_sized(BYTES, id.as_bytes(), out),
        }
    }
}

fn put_int(n: i64, out: &mut Vec<u8>) {
    out.push(INT);
    out.extend_from_slice(&n.to_be_bytes());
}

fn put_sized(kind: u8, bytes: &[u8], out: &mut Vec<u8>) {
    out.push(kind);
    out.extend_from_slice(&(bytes.len() as u32).to_be_bytes());
    out.extend_from_slice(bytes);
}

/// Takes a row of `columns` values off the front of what [`put`] made; `None` if it isn't that.
pub(crate) fn take(bytes: &mut &[u8], columns: usize) -> Option<Row> {
    let mut row = Vec::with_capacity(columns);
    for _ in 0..columns {
        let (&kind, rest) = bytes.split_first()?;
        *bytes = rest;
        row.push(match kind {
            NULL => Value::Null,
            INT => {
                let (n, rest) = bytes.split_first_chunk::<8>()?;
                *bytes = rest;
                Value::Int(i64::from_be_bytes(*n))
            }
            TEXT => Value::Text(String::from_utf8(take_sized(bytes)?.to_vec()).ok()?),
            BYTES => Value::Bytes(take_sized(bytes)?.to_vec()),
            _ => return None,
        });
    }
    Some(row)
}

fn take_sized<'a>(bytes: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    let (value, rest) = rest.split_at_checked(u32::from_be_bytes(*length) as usize)?;
    *bytes = rest;
    Some(value)
}

/// About how much memory a row takes.
pub(crate) fn weight(row: &[Value]) -> usize {
    let of = |value: &Value| match value {
        Value::Text(text) => text.len(),
        Value::Bytes(bytes) => bytes.len(),
        _ => 0,
    };
    row.iter().map(|value| of(value) + 32).sum()
}

pub(crate) fn of_sqlite(value: ValueRef<'_>) -> Result<Value, StoreError> {
    Ok(match value {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(n) => Value::Int(n),
        ValueRef::Text(text) => {
            let text = std::str::from_utf8(text)
                .map_err(|error| StoreError::Corrupt(format!("text that isn't UTF-8: {error}")))?;
            Value::Text(text.to_owned())
        }
        ValueRef::Blob(bytes) => Value::Bytes(bytes.to_vec()),
        ValueRef::Real(_) => {
            return Err(StoreError::Corrupt("a number that isn't whole, which no column holds".to_owned()));
        }
    })
}

pub(crate) fn of_postgres(row: &tokio_postgres::Row, column: usize) -> Result<Value, StoreError> {
    fn get<'a, T: tokio_postgres::types::FromSql<'a>>(
        row: &'a tokio_postgres::Row,
        column: usize,
        make: impl FnOnce(T) -> Value,
    ) -> Result<Value, StoreError> {
        let value: Option<T> = row.try_get(column).map_err(|error| StoreError::Corrupt(error.to_string()))?;
        Ok(value.map_or(Value::Null, make))
    }
    match *row.columns()[column].type_() {
        Type::INT8 => get(row, column, Value::Int),
        Type::INT4 => get(row, column, |n: i32| Value::Int(n.into())),
        Type::INT2 => get(row, column, |n: i16| Value::Int(n.into())),
        Type::BOOL => get(row, column, |b: bool| Value::Int(b.into())),
        Type::TEXT | Type::VARCHAR => get(row, column, Value::Text),
        Type::BYTEA => get(row, column, Value::Bytes),
        Type::UUID => get(row, column, |id: uuid::Uuid| Value::Bytes(id.as_bytes().to_vec())),
        ref other => Err(StoreError::Other(format!(
            "the column {} has the type {other}, which has no equal in other stores",
            row.columns()[column].name()
        ))),
    }
}

/// A value on its way into a column through `COPY`, which takes the column's own binary form and converts nothing.
#[derive(Debug)]
pub(crate) struct Copied<'a>(pub(crate) &'a Value);

impl ToSql for Copied<'_> {
    fn to_sql(&self, ty: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        match (self.0, ty) {
            (Value::Null, _) => Ok(IsNull::Yes),
            (Value::Int(n), &Type::INT8) => n.to_sql(ty, out),
            (Value::Int(n), &Type::INT4) => i32::try_from(*n)?.to_sql(ty, out),
            (Value::Int(n), &Type::INT2) => i16::try_from(*n)?.to_sql(ty, out),
            (Value::Int(n), &Type::BOOL) => (*n != 0).to_sql(ty, out),
            (Value::Text(text), &Type::TEXT | &Type::VARCHAR) => text.to_sql(ty, out),
            (Value::Bytes(bytes), &Type::BYTEA) => bytes.to_sql(ty, out),
            (Value::Bytes(bytes), &Type::UUID) => uuid::Uuid::from_slice(bytes)?.to_sql(ty, out),
            (value, ty) => {
                let kind = match value {
                    Value::Int(_) | Value::Bool(_) => "a number",
                    Value::Text(_) => "text",
                    _ => "bytes",
                };
                Err(format!("{kind} can't be copied into a column of the type {ty}").into())
            }
        }
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

/// A running hash over rows.
#[derive(Clone, Default)]
pub struct Digest {
    rows: u64,
    hash: blake3::Hasher,
    buffer: Vec<u8>,
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Digest").field("rows", &self.rows).finish_non_exhaustive()
    }
}

impl Digest {
    /// Takes a row in.
    pub fn add(&mut self, row: &[Value]) {
        self.rows += 1;
        self.buffer.clear();
        put(row, &mut self.buffer);
        self.hash.update(&self.buffer);
    }

    /// How many rows there were.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// The hash of all of them, in their order.
    pub fn hash(&self) -> [u8; 32] {
        *self.hash.finalize().as_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_reads_back_as_what_was_put_and_one_that_is_cut_reads_as_nothing() {
        let row = vec![
            Value::Int(-7),
            Value::Null,
            Value::Text("é".to_owned()),
            Value::Bytes(vec![0, 255]),
            Value::Text(String::new()),
        ];
        let mut bytes = Vec::new();
        put(&row, &mut bytes);
        assert_eq!(take(&mut bytes.as_slice(), row.len()), Some(row.clone()));
        for end in 0..bytes.len() {
            assert_eq!(take(&mut &bytes[..end], row.len()), None, "cut at {end}");
        }
    }

    #[test]
    fn the_hash_tells_rows_apart_by_order_kind_and_border() {
        let hash = |rows: &[Row]| {
            let mut digest = Digest::default();
            for row in rows {
                digest.add(row);
            }
            digest.hash()
        };
        let text = |text: &str| Value::Text(text.to_owned());
        let all = [
            hash(&[vec![text("ab"), text("")]]),
            hash(&[vec![text("a"), text("b")]]),
            hash(&[vec![Value::Bytes(b"ab".to_vec()), text("")]]),
            hash(&[vec![text("ab"), Value::Null]]),
            hash(&[vec![text("1"), Value::Int(1)], vec![text("2"), Value::Int(2)]]),
            hash(&[vec![text("2"), Value::Int(2)], vec![text("1"), Value::Int(1)]]),
        ];
        for (i, one) in all.iter().enumerate() {
            assert!(!all[..i].contains(one), "{i}");
        }
    }
}
