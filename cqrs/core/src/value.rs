//! Values that cross into a store, whatever the store.

use jiff::Timestamp;
use uuid::Uuid;

/// One column's value.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// No value.
    Null,
    /// True or false; 0 or 1 where the store has no booleans.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// Text without NUL.
    Text(String),
    /// Bytes.
    Bytes(Vec<u8>),
    /// A UUID; 16 bytes where the store has no type for it.
    Uuid(Uuid),
}

macro_rules! from {
    ($($source:ty => $make:expr;)*) => {
        $(impl From<$source> for Value {
            fn from(value: $source) -> Self {
                $make(value)
            }
        })*
    };
}

from! {
    bool => Value::Bool;
    i64 => Value::Int;
    i32 => |n: i32| Value::Int(n.into());
    u32 => |n: u32| Value::Int(n.into());
    u64 => |n: u64| Value::Int(n as i64);
    usize => |n: usize| Value::Int(n as i64);
    crate::event::Position => |p: crate::event::Position| Value::Int(p.0 as i64);
    String => Value::Text;
    &str => |text: &str| Value::Text(text.to_owned());
    Vec<u8> => Value::Bytes;
    [u8; 32] => |bytes: [u8; 32]| Value::Bytes(bytes.to_vec());
    Uuid => Value::Uuid;
    Timestamp => |at: Timestamp| Value::Int(at.as_millisecond());
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// Why a row couldn't be read.
#[derive(Debug, thiserror::Error)]
#[error("column {column}: {detail}")]
pub struct RowError {
    /// The column's number, from 0.
    pub column: usize,
    /// What is wrong with it.
    pub detail: String,
}

/// One row of a result, whatever the store. Times are stored as milliseconds since 1970.
pub trait Row {
    /// The value of a column that holds whole numbers or booleans.
    fn int(&self, column: usize) -> Result<Option<i64>, RowError>;
    /// The value of a column that holds text.
    fn text(&self, column: usize) -> Result<Option<String>, RowError>;
    /// The value of a column that holds bytes.
    fn bytes(&self, column: usize) -> Result<Option<Vec<u8>>, RowError>;
    /// The value of a column that holds UUIDs.
    fn uuid(&self, column: usize) -> Result<Option<Uuid>, RowError>;
}

/// Types that can be read from a column.
pub trait FromRow: Sized {
    /// Reads the column.
    fn from_row(row: &dyn Row, column: usize) -> Result<Self, RowError>;
}

fn required<T>(value: Option<T>, column: usize) -> Result<T, RowError> {
    value.ok_or_else(|| RowError { column, detail: "unexpectedly null".to_owned() })
}

macro_rules! readable {
    ($($target:ty => $read:ident, $convert:expr;)*) => {
        $(
            impl FromRow for $target {
                fn from_row(row: &dyn Row, column: usize) -> Result<Self, RowError> {
                    let value = required(row.$read(column)?, column)?;
                    ($convert)(value).map_err(|detail: String| RowError { column, detail })
                }
            }
            impl FromRow for Option<$target> {
                fn from_row(row: &dyn Row, column: usize) -> Result<Self, RowError> {
                    row.$read(column)?
                        .map(|value| ($convert)(value).map_err(|detail: String| RowError { column, detail }))
                        .transpose()
                }
            }
        )*
    };
}

readable! {
    i64 => int, Ok;
    u64 => int, |n: i64| u64::try_from(n).map_err(|error| error.to_string());
    u32 => int, |n: i64| u32::try_from(n).map_err(|error| error.to_string());
    bool => int, |n: i64| Ok(n != 0);
    String => text, Ok;
    Vec<u8> => bytes, Ok;
    Uuid => uuid, Ok;
    crate::event::Position => int, |n: i64| Ok(crate::event::Position(n as u64));
    Timestamp => int, |n: i64| Timestamp::from_millisecond(n).map_err(|error| error.to_string());
}

/// Reads columns by number, their types inferred.
pub trait RowExt {
    /// The column's value.
    fn get<T: FromRow>(&self, column: usize) -> Result<T, RowError>;
}

impl RowExt for dyn Row + '_ {
    fn get<T: FromRow>(&self, column: usize) -> Result<T, RowError> {
        T::from_row(self, column)
    }
}
