//! One column: bytes of a field into an Arrow array.

use std::sync::Arc;

use arrow_array::builder::{BinaryBuilder, BooleanBuilder, PrimitiveBuilder, StringBuilder};
use arrow_array::types::{
    Date32Type, Decimal128Type, Decimal256Type, Float32Type, Float64Type, Int16Type, Int32Type,
    Int64Type, Time64MicrosecondType, TimestampMicrosecondType, UInt32Type,
};
use arrow_array::{ArrayRef, ListArray};
use arrow_buffer::{i256, NullBufferBuilder, OffsetBuffer, ScalarBuffer};
use arrow_schema::Field;

use super::numeric::{self, Numeric};
use super::texts;
use crate::cursor::Cursor;
use crate::errors::{Fault, Result};

/// Days and microseconds from 1970 to 2000, where PostgreSQL begins to count.
const DAYS: i32 = 10_957;
const MICROS: i64 = DAYS as i64 * DAY;
const DAY: i64 = 86_400_000_000;
/// The first and last day of the years 1 to 9999, from 1970: others have no place in Arrow's text.
const FIRST_DAY: i32 = -719_162;
const LAST_DAY: i32 = 2_932_896;

pub enum Column {
    Bool(BooleanBuilder),
    Int2(PrimitiveBuilder<Int16Type>),
    Int4(PrimitiveBuilder<Int32Type>),
    Int8(PrimitiveBuilder<Int64Type>),
    Oid(PrimitiveBuilder<UInt32Type>),
    Float4(PrimitiveBuilder<Float32Type>),
    Float8(PrimitiveBuilder<Float64Type>),
    Date(PrimitiveBuilder<Date32Type>),
    Time(PrimitiveBuilder<Time64MicrosecondType>),
    Timestamp(PrimitiveBuilder<TimestampMicrosecondType>, Option<&'static str>),
    Decimal128(PrimitiveBuilder<Decimal128Type>, Vec<i128>, u8, i8),
    Decimal256(PrimitiveBuilder<Decimal256Type>, Vec<i256>, u8, i8),
    Bytes(BinaryBuilder),
    Text(StringBuilder),
    Jsonb(StringBuilder),
    /// Written as text from its own form.
    Written(StringBuilder, fn(&[u8], &mut String) -> Result<()>, String),
    List(Box<Column>, Vec<i32>, NullBufferBuilder),
}

impl Column {
    /// Make one of a word like `int4`, `decimal:12:2` or `list:text`.
    pub fn new(word: &str) -> Option<Self> {
        let written = |write| Some(Column::Written(StringBuilder::new(), write, String::new()));
        if let Some(element) = word.strip_prefix("list:") {
            let element = Column::new(element)?;
            if matches!(element, Column::List(..)) {
                return None;
            }
            return Some(Column::List(Box::new(element), vec![0], NullBufferBuilder::new(1024)));
        }
        if let Some(numbers) = word.strip_prefix("decimal:") {
            let (precision, scale) = numbers.split_once(':')?;
            return Self::decimal(precision.parse().ok()?, scale.parse().ok()?);
        }
        match word {
            "bool" => Some(Column::Bool(BooleanBuilder::new())),
            "int2" => Some(Column::Int2(PrimitiveBuilder::new())),
            "int4" => Some(Column::Int4(PrimitiveBuilder::new())),
            "int8" => Some(Column::Int8(PrimitiveBuilder::new())),
            "oid" => Some(Column::Oid(PrimitiveBuilder::new())),
            "float4" => Some(Column::Float4(PrimitiveBuilder::new())),
            "float8" => Some(Column::Float8(PrimitiveBuilder::new())),
            "date" => Some(Column::Date(PrimitiveBuilder::new())),
            "time" => Some(Column::Time(PrimitiveBuilder::new())),
            "timestamp" => Some(Column::Timestamp(PrimitiveBuilder::new(), None)),
            "timestamptz" => Some(Column::Timestamp(PrimitiveBuilder::new(), Some("UTC"))),
            "bytea" => Some(Column::Bytes(BinaryBuilder::new())),
            "text" => Some(Column::Text(StringBuilder::new())),
            "jsonb" => Some(Column::Jsonb(StringBuilder::new())),
            "numeric" => written(numeric::write),
            "uuid" => written(texts::uuid),
            "interval" => written(texts::interval),
            "timetz" => written(texts::timetz),
            _ => None,
        }
    }

    fn decimal(precision: u8, scale: i8) -> Option<Self> {
        if scale < 0 || scale as u8 > precision {
            return None;
        }
        match precision {
            1..=38 => {
                let powers = (0..=38).map(|power| 10_i128.pow(power)).collect();
                Some(Column::Decimal128(PrimitiveBuilder::new(), powers, precision, scale))
            }
            39..=76 => {
                let ten = i256::from_i128(10);
                let powers = (0..=76).map(|power| ten.wrapping_pow(power)).collect();
                Some(Column::Decimal256(PrimitiveBuilder::new(), powers, precision, scale))
            }
            _ => None,
        }
    }

    pub fn push_null(&mut self) {
        match self {
            Column::Bool(values) => values.append_null(),
            Column::Int2(values) => values.append_null(),
            Column::Int4(values) => values.append_null(),
            Column::Int8(values) => values.append_null(),
            Column::Oid(values) => values.append_null(),
            Column::Float4(values) => values.append_null(),
            Column::Float8(values) => values.append_null(),
            Column::Date(values) => values.append_null(),
            Column::Time(values) => values.append_null(),
            Column::Timestamp(values, _) => values.append_null(),
            Column::Decimal128(values, ..) => values.append_null(),
            Column::Decimal256(values, ..) => values.append_null(),
            Column::Bytes(values) => values.append_null(),
            Column::Text(values) | Column::Jsonb(values) | Column::Written(values, ..) => {
                values.append_null();
            }
            Column::List(_, offsets, valid) => {
                offsets.push(*offsets.last().expect("it begins with 0"));
                valid.append_null();
            }
        }
    }

    /// Decode a value; tell how many bytes of text it became where that may be far more than it was.
    pub fn push(&mut self, value: &[u8]) -> Result<usize> {
        match self {
            Column::Bool(values) => values.append_value(match value {
                [0] => false,
                [1] => true,
                _ => return Err(Fault::Malformed(0, "a boolean of neither 0 nor 1".to_string())),
            }),
            Column::Int2(values) => values.append_value(i16::from_be_bytes(fixed(value)?)),
            Column::Int4(values) => values.append_value(i32::from_be_bytes(fixed(value)?)),
            Column::Int8(values) => values.append_value(i64::from_be_bytes(fixed(value)?)),
            Column::Oid(values) => values.append_value(u32::from_be_bytes(fixed(value)?)),
            Column::Float4(values) => {
                let number = f32::from_be_bytes(fixed(value)?);
                // There is one NaN, as in text.
                values.append_value(if number.is_nan() { f32::NAN } else { number });
            }
            Column::Float8(values) => {
                let number = f64::from_be_bytes(fixed(value)?);
                values.append_value(if number.is_nan() { f64::NAN } else { number });
            }
            Column::Date(values) => {
                let days = i32::from_be_bytes(fixed(value)?).saturating_add(DAYS);
                if !(FIRST_DAY..=LAST_DAY).contains(&days) {
                    return Err(Fault::Unfit("a date outside the years 1 to 9999"));
                }
                values.append_value(days);
            }
            Column::Time(values) => {
                let micros = i64::from_be_bytes(fixed(value)?);
                if !(0..=DAY).contains(&micros) {
                    return Err(Fault::Malformed(0, "a time of no day".to_string()));
                }
                if micros == DAY {
                    return Err(Fault::Unfit("24:00:00"));
                }
                values.append_value(micros);
            }
            Column::Timestamp(values, _) => {
                let micros = i64::from_be_bytes(fixed(value)?).saturating_add(MICROS);
                let days = micros.div_euclid(DAY);
                if !(i64::from(FIRST_DAY)..=i64::from(LAST_DAY)).contains(&days) {
                    return Err(Fault::Unfit("a timestamp outside the years 1 to 9999"));
                }
                values.append_value(micros);
            }
            Column::Decimal128(values, powers, precision, scale) => {
                let number = Numeric::read(value)?;
                let (precision, scale) = (usize::from(*precision), i32::from(*scale));
                values.append_value(number.decimal128(powers, precision, scale)?);
            }
            Column::Decimal256(values, powers, precision, scale) => {
                let number = Numeric::read(value)?;
                let (precision, scale) = (usize::from(*precision), i32::from(*scale));
                values.append_value(number.decimal256(powers, precision, scale)?);
            }
            Column::Bytes(values) => values.append_value(value),
            Column::Text(values) => values.append_value(utf8(value)?),
            Column::Jsonb(values) => match value {
                [1, text @ ..] => values.append_value(utf8(text)?),
                _ => return Err(Fault::Malformed(0, "jsonb of no known version".to_string())),
            },
            Column::Written(values, write, text) => {
                text.clear();
                write(value, text)?;
                if values.values_slice().len() + text.len() > i32::MAX as usize {
                    return Err(Fault::Unfit("2 GB of text"));
                }
                values.append_value(&text);
                return Ok(text.len());
            }
            Column::List(element, offsets, valid) => {
                let grown = list(element, offsets, value)?;
                valid.append_non_null();
                return Ok(grown);
            }
        }
        Ok(0)
    }

    pub fn finish(&mut self) -> ArrayRef {
        match self {
            Column::Bool(values) => Arc::new(values.finish()),
            Column::Int2(values) => Arc::new(values.finish()),
            Column::Int4(values) => Arc::new(values.finish()),
            Column::Int8(values) => Arc::new(values.finish()),
            Column::Oid(values) => Arc::new(values.finish()),
            Column::Float4(values) => Arc::new(values.finish()),
            Column::Float8(values) => Arc::new(values.finish()),
            Column::Date(values) => Arc::new(values.finish()),
            Column::Time(values) => Arc::new(values.finish()),
            Column::Timestamp(values, zone) => {
                Arc::new(values.finish().with_timezone_opt(zone.map(Arc::from)))
            }
            Column::Decimal128(values, _, precision, scale) => Arc::new(
                values
                    .finish()
                    .with_precision_and_scale(*precision, *scale)
                    .expect("checked when it was made"),
            ),
            Column::Decimal256(values, _, precision, scale) => Arc::new(
                values
                    .finish()
                    .with_precision_and_scale(*precision, *scale)
                    .expect("checked when it was made"),
            ),
            Column::Bytes(values) => Arc::new(values.finish()),
            Column::Text(values) | Column::Jsonb(values) | Column::Written(values, ..) => {
                Arc::new(values.finish())
            }
            Column::List(element, offsets, valid) => {
                let items = element.finish();
                let ends = std::mem::replace(offsets, vec![0]);
                let field = Arc::new(Field::new("item", items.data_type().clone(), true));
                let ends = OffsetBuffer::new(ScalarBuffer::from(ends));
                Arc::new(ListArray::new(field, ends, items, valid.finish()))
            }
        }
    }
}

/// Decode an array: dimensions, whether it has nulls, the elements' type, for each dimension its
/// length and lower bound, and the elements.
fn list(element: &mut Column, offsets: &mut Vec<i32>, value: &[u8]) -> Result<usize> {
    let mut cursor = Cursor::new(value);
    let dimensions = cursor.i32()?;
    if !(0..=6).contains(&dimensions) {
        return Err(Fault::Malformed(0, format!("an array of {dimensions} dimensions")));
    }
    cursor.take(8)?;
    let (mut count, mut first) = (i64::from(dimensions > 0), 1);
    for _ in 0..dimensions {
        let length = cursor.i32()?;
        count = if length < 0 { -1 } else { count.saturating_mul(i64::from(length)) };
        first = cursor.i32()?;
        if count < 0 || count > value.len() as i64 {
            break;
        }
    }
    if count < 0 || count > (cursor.left() / 4) as i64 {
        return Err(Fault::Malformed(12, format!("an array of {count} elements")));
    }
    let begin = cursor.at();
    for _ in 0..count {
        let length = cursor.i32()?;
        if length < -1 {
            return Err(cursor.malformed("an element of a length below 0"));
        }
        cursor.take(length.max(0) as usize)?;
    }
    cursor.end()?;
    if dimensions > 1 {
        return Err(Fault::Unfit("an array of several dimensions"));
    }
    if first != 1 {
        return Err(Fault::Unfit("an array that does not begin with 1"));
    }
    let mut cursor = Cursor::new(value);
    cursor.take(begin)?;
    let mut grown = 0;
    for _ in 0..count {
        let length = cursor.i32()?;
        if length < 0 {
            element.push_null();
            continue;
        }
        let at = cursor.at();
        grown += element.push(cursor.take(length as usize)?).map_err(|fault| match fault {
            Fault::Malformed(within, what) => Fault::Malformed(at + within, what),
            unfit => unfit,
        })?;
    }
    let before = *offsets.last().expect("it begins with 0");
    let end = before.checked_add(count as i32).ok_or(Fault::Unfit("2 billion elements"))?;
    offsets.push(end);
    Ok(grown)
}

fn fixed<const N: usize>(value: &[u8]) -> Result<[u8; N]> {
    value
        .try_into()
        .map_err(|_| Fault::Malformed(0, format!("a value of {} bytes, not {N}", value.len())))
}

fn utf8(value: &[u8]) -> Result<&str> {
    std::str::from_utf8(value).map_err(|_| Fault::Unfit("text that is not UTF-8"))
}
