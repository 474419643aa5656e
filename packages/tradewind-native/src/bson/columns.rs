//! Fields of documents as Arrow arrays.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::builder::{
    BinaryBuilder, BooleanBuilder, Float64Builder, Int64Builder, StringBuilder,
    TimestampMicrosecondBuilder,
};
use arrow_array::{ArrayRef, ListArray};
use arrow_buffer::{NullBufferBuilder, OffsetBuffer, ScalarBuffer};
use arrow_schema::Field;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use super::element::{self, documents, Element, Elements};
use super::{json, numbers, Odd, Result};
use crate::arrow::Batch;

enum Kind {
    Bool(BooleanBuilder),
    Int64(Int64Builder),
    Float64(Float64Builder),
    Timestamp(TimestampMicrosecondBuilder),
    Binary(BinaryBuilder),
    /// Text, and what is written as text.
    Text(StringBuilder, fn(&mut Vec<u8>, &Element) -> Result<()>),
    List(Box<Kind>, Vec<i32>, NullBufferBuilder),
}

impl Kind {
    fn new(word: &str) -> Option<Self> {
        Some(match word {
            "bool" => Kind::Bool(BooleanBuilder::new()),
            "int64" => Kind::Int64(Int64Builder::new()),
            "float64" => Kind::Float64(Float64Builder::new()),
            "timestamp" => Kind::Timestamp(TimestampMicrosecondBuilder::new()),
            "binary" => Kind::Binary(BinaryBuilder::new()),
            "string" => Kind::Text(StringBuilder::new(), text),
            "decimal" => Kind::Text(StringBuilder::new(), decimal),
            "uuid" => Kind::Text(StringBuilder::new(), uuid),
            "json" => Kind::Text(StringBuilder::new(), |out, element| {
                json::value(out, element, false, 0)
            }),
            "canonical" => Kind::Text(StringBuilder::new(), |out, element| {
                json::value(out, element, true, 0)
            }),
            _ => match Kind::new(word.strip_prefix("list:")?)? {
                Kind::List(..) => return None,
                element => {
                    Kind::List(Box::new(element), vec![0], NullBufferBuilder::new(1024))
                }
            },
        })
    }

    fn push_null(&mut self) {
        match self {
            Kind::Bool(values) => values.append_null(),
            Kind::Int64(values) => values.append_null(),
            Kind::Float64(values) => values.append_null(),
            Kind::Timestamp(values) => values.append_null(),
            Kind::Binary(values) => values.append_null(),
            Kind::Text(values, _) => values.append_null(),
            Kind::List(_, offsets, valid) => {
                offsets.push(*offsets.last().expect("it begins with 0"));
                valid.append_null();
            }
        }
    }

    fn push(&mut self, element: &Element, scratch: &mut Vec<u8>) -> Result<()> {
        if element.kind == element::NULL {
            self.push_null();
            return Ok(());
        }
        match self {
            Kind::Bool(values) if element.kind == element::BOOL => {
                values.append_value(element.boolean()?);
            }
            Kind::Int64(values) => values.append_value(integer(element)?),
            Kind::Float64(values) => values.append_value(match element.kind {
                element::DOUBLE => element.double(),
                _ => exactly(integer(element)?)?,
            }),
            Kind::Timestamp(values) if element.kind == element::DATE => {
                values.append_value(element.int64().checked_mul(1000).ok_or(Odd)?);
            }
            Kind::Binary(values) if element.kind == element::BINARY && element.subtype == 0 => {
                values.append_value(element.value);
            }
            Kind::Text(values, write) => {
                scratch.clear();
                write(scratch, element)?;
                values.append_value(std::str::from_utf8(scratch).map_err(|_| Odd)?);
            }
            Kind::List(items, offsets, valid) if element.kind == element::ARRAY => {
                let mut elements = Elements::of(element.value)?;
                let mut end = *offsets.last().expect("it begins with 0");
                while let Some(item) = elements.next()? {
                    items.push(&item, scratch)?;
                    end = end.checked_add(1).ok_or(Odd)?;
                }
                offsets.push(end);
                valid.append_non_null();
            }
            _ => return Err(Odd),
        }
        Ok(())
    }

    fn finish(&mut self) -> ArrayRef {
        match self {
            Kind::Bool(values) => Arc::new(values.finish()),
            Kind::Int64(values) => Arc::new(values.finish()),
            Kind::Float64(values) => Arc::new(values.finish()),
            Kind::Timestamp(values) => Arc::new(values.finish().with_timezone("UTC")),
            Kind::Binary(values) => Arc::new(values.finish()),
            Kind::Text(values, _) => Arc::new(values.finish()),
            Kind::List(items, offsets, valid) => {
                let items = items.finish();
                let ends = std::mem::replace(offsets, vec![0]);
                let field = Arc::new(Field::new("item", items.data_type().clone(), true));
                let ends = OffsetBuffer::new(ScalarBuffer::from(ends));
                Arc::new(ListArray::new(field, ends, items, valid.finish()))
            }
        }
    }
}

fn integer(element: &Element) -> Result<i64> {
    match element.kind {
        element::INT32 => Ok(i64::from(element.int32())),
        element::INT64 => Ok(element.int64()),
        _ => Err(Odd),
    }
}

/// The double that is exactly this number.
fn exactly(number: i64) -> Result<f64> {
    let near = number as f64;
    if near as i128 == i128::from(number) {
        return Ok(near);
    }
    Err(Odd)
}

fn text(out: &mut Vec<u8>, element: &Element) -> Result<()> {
    match element.kind {
        element::STRING => out.extend_from_slice(element.value),
        element::OBJECT_ID => numbers::hex(out, element.value),
        _ => return Err(Odd),
    }
    Ok(())
}

fn decimal(out: &mut Vec<u8>, element: &Element) -> Result<()> {
    if element.kind == element::DECIMAL {
        return numbers::decimal(out, element.value);
    }
    numbers::integer(out, integer(element)?);
    Ok(())
}

fn uuid(out: &mut Vec<u8>, element: &Element) -> Result<()> {
    if element.kind != element::BINARY || element.subtype != 4 || element.value.len() != 16 {
        return Err(Odd);
    }
    for (at, end) in [(0, 4), (4, 6), (6, 8), (8, 10), (10, 16)] {
        if at > 0 {
            out.push(b'-');
        }
        numbers::hex(out, &element.value[at..end]);
    }
    Ok(())
}

struct Column {
    name: Vec<u8>,
    kind: Kind,
    /// The number of rows when a value came last: so each document has one at most.
    filled: usize,
}

/// Makes columns of documents.
///
/// Memory: the columns of one batch.
#[pyclass(module = "tradewind_native")]
pub struct BsonColumns {
    words: Vec<(String, String)>,
    columns: Vec<Column>,
    places: HashMap<Vec<u8>, usize>,
}

#[pymethods]
impl BsonColumns {
    /// `columns` are names, and words of what they are.
    #[new]
    fn new(columns: Vec<(String, String)>) -> PyResult<Self> {
        let mut made = BsonColumns { words: columns, columns: Vec::new(), places: HashMap::new() };
        made.begin()?;
        Ok(made)
    }

    /// Make a batch of documents, one after the other in `part`; None where one of them is not for
    /// this decoder.
    fn decode(&mut self, py: Python<'_>, part: &Bound<'_, PyBytes>) -> PyResult<Option<Batch>> {
        let part = part.as_bytes();
        let rows = py.detach(|| self.read(part));
        match rows {
            Ok(rows) => {
                let columns = self.columns.iter_mut().map(|column| {
                    column.filled = 0;
                    column.kind.finish()
                });
                Ok(Some(Batch::new(columns.collect(), rows)))
            }
            Err(Odd) => {
                self.begin()?;
                Ok(None)
            }
        }
    }
}

impl BsonColumns {
    fn begin(&mut self) -> PyResult<()> {
        self.columns.clear();
        self.places.clear();
        for (name, word) in &self.words {
            let kind = Kind::new(word)
                .ok_or_else(|| PyValueError::new_err(format!("There is no column {word:?}.")))?;
            self.places.insert(name.as_bytes().to_vec(), self.columns.len());
            self.columns.push(Column { name: name.as_bytes().to_vec(), kind, filled: 0 });
        }
        Ok(())
    }

    fn read(&mut self, part: &[u8]) -> Result<usize> {
        let mut rows = 0;
        let mut scratch = Vec::new();
        for (begin, end) in documents(part) {
            rows += 1;
            let mut elements = Elements::of(&part[begin..end])?;
            // Documents mostly have their fields in the order of the columns.
            let mut next = 0;
            while let Some(element) = elements.next()? {
                let place = match self.columns.get(next) {
                    Some(column) if column.name == element.name => next,
                    _ => *self.places.get(element.name).ok_or(Odd)?,
                };
                let column = &mut self.columns[place];
                if column.filled == rows {
                    return Err(Odd);
                }
                column.kind.push(&element, &mut scratch)?;
                column.filled = rows;
                next = place + 1;
            }
            for column in &mut self.columns {
                if column.filled != rows {
                    column.kind.push_null();
                }
            }
        }
        Ok(rows)
    }
}
