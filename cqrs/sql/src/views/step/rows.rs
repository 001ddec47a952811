//! Rows that a step takes in together. PostgreSQL is given an array for each column.

use cqrs_core::{ColumnKind, Statement, StoreError, Together, Value};
use tokio_postgres::types::Type;
use uuid::Uuid;

use crate::postgres::Param;

/// The rows at the beginning of `statements` that are taken in together, as the first one is.
pub(super) fn alike<'a>(of: &'static Together, statements: &'a [Statement]) -> Vec<&'a [Value]> {
    let values = |statement: &'a Statement| match statement {
        Statement::Row { of: other, values } if std::ptr::eq(of, *other) => Some(&values[..]),
        _ => None,
    };
    statements.iter().map_while(values).collect()
}

/// The values of one column.
pub(super) enum Array<'a> {
    Bool(Vec<Option<bool>>),
    Int(Vec<Option<i64>>),
    Text(Vec<Option<&'a str>>),
    Bytes(Vec<Option<&'a [u8]>>),
    Uuid(Vec<Option<Uuid>>),
}

impl Array<'_> {
    pub(super) fn param(&self) -> Param<'_> {
        match self {
            Self::Bool(values) => (values, Type::BOOL_ARRAY),
            Self::Int(values) => (values, Type::INT8_ARRAY),
            Self::Text(values) => (values, Type::TEXT_ARRAY),
            Self::Bytes(values) => (values, Type::BYTEA_ARRAY),
            Self::Uuid(values) => (values, Type::UUID_ARRAY),
        }
    }
}

/// The columns of rows.
pub(super) fn arrays<'a>(of: &Together, rows: &[&'a [Value]]) -> Result<Vec<Array<'a>>, StoreError> {
    of.columns.iter().enumerate().map(|(n, kind)| array(*kind, n, rows)).collect()
}

fn array<'a>(kind: ColumnKind, n: usize, rows: &[&'a [Value]]) -> Result<Array<'a>, StoreError> {
    fn column<'a, T>(
        n: usize,
        rows: &[&'a [Value]],
        read: impl Fn(&'a Value) -> Option<T>,
    ) -> Result<Vec<Option<T>>, StoreError> {
        let value = |row: &&'a [Value]| match row.get(n) {
            None => Err(StoreError::Other(format!("a row has no value {}", n + 1))),
            Some(Value::Null) => Ok(None),
            Some(value) => match read(value) {
                None => Err(StoreError::Other(format!("{value:?} isn't what column {} holds", n + 1))),
                read => Ok(read),
            },
        };
        rows.iter().map(value).collect()
    }
    Ok(match kind {
        ColumnKind::Bool => Array::Bool(column(n, rows, |value| match value {
            Value::Bool(value) => Some(*value),
            _ => None,
        })?),
        ColumnKind::Int => Array::Int(column(n, rows, |value| match value {
            Value::Int(value) => Some(*value),
            _ => None,
        })?),
        ColumnKind::Text => Array::Text(column(n, rows, |value| match value {
            Value::Text(value) => Some(value.as_str()),
            _ => None,
        })?),
        ColumnKind::Bytes => Array::Bytes(column(n, rows, |value| match value {
            Value::Bytes(value) => Some(value.as_slice()),
            _ => None,
        })?),
        ColumnKind::Uuid => Array::Uuid(column(n, rows, |value| match value {
            Value::Uuid(value) => Some(*value),
            _ => None,
        })?),
    })
}

/// What `{rows}` stands for: the arrays as a table, its rows numbered as they came.
pub(super) fn table(of: &Together) -> String {
    let kind = |kind: &ColumnKind| match kind {
        ColumnKind::Bool => "boolean",
        ColumnKind::Int => "bigint",
        ColumnKind::Text => "text",
        ColumnKind::Bytes => "bytea",
        ColumnKind::Uuid => "uuid",
    };
    let arrays: Vec<_> =
        of.columns.iter().enumerate().map(|(n, of)| format!("${}::{}[]", n + 1, kind(of))).collect();
    let names: Vec<_> = (1..=of.columns.len()).map(|n| format!("c{n}")).collect();
    format!("(SELECT * FROM unnest({}) WITH ORDINALITY AS u ({}, nth))", arrays.join(", "), names.join(", "))
}
