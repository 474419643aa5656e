//! PostgreSQL's `COPY ... TO STDOUT (FORMAT binary)` as Arrow arrays.
//!
//! <https://www.postgresql.org/docs/current/sql-copy.html#SQL-COPY-BINARY-FORMAT>: a header, rows of
//! a count of fields and each field's length and bytes, and an end. Several such streams may follow
//! each other: the ranges of one query.

mod column;
mod numeric;
mod texts;

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyByteArray, PyBytes};

use crate::arrow::Batch;
use crate::errors::Located;
use column::Column;

const SIGNATURE: &[u8; 11] = b"PGCOPY\n\xff\r\n\0";
const CRITICAL: i32 = 0xFFFF_0000_u32 as i32;

#[derive(Clone, Copy, PartialEq)]
enum State {
    Header,
    Rows,
}

/// Decodes a stream of rows.
///
/// Memory: the bytes of one row that has not come whole, and the columns of one batch.
#[pyclass(module = "tradewind_native")]
pub struct CopyDecoder {
    columns: Vec<Column>,
    most: usize,
    state: State,
    buffer: Vec<u8>,
    /// Offset in the stream of the buffer's first byte.
    base: u64,
    rows: usize,
    size: usize,
    failed: bool,
}

#[pymethods]
impl CopyDecoder {
    /// `columns` are words of `tradewind.move`'s plain form of this; a batch ends with the row that
    /// makes it `size` bytes of the stream.
    #[new]
    fn new(columns: Vec<String>, size: usize) -> PyResult<Self> {
        let columns = columns
            .iter()
            .map(|word| {
                Column::new(word)
                    .ok_or_else(|| PyValueError::new_err(format!("There is no column {word:?}.")))
            })
            .collect::<PyResult<Vec<Column>>>()?;
        Ok(CopyDecoder {
            columns,
            most: size,
            state: State::Header,
            buffer: Vec::new(),
            base: 0,
            rows: 0,
            size: 0,
            failed: false,
        })
    }

    /// Take bytes as they came, and give the batches that they complete.
    fn decode(&mut self, py: Python<'_>, pieces: Vec<Bound<'_, PyAny>>) -> PyResult<Vec<Batch>> {
        self.usable()?;
        for piece in &pieces {
            if let Ok(bytes) = piece.cast::<PyBytes>() {
                self.buffer.extend_from_slice(bytes.as_bytes());
            } else {
                // Another thread may change it, so it is copied while Python's lock is held.
                self.buffer.append(&mut piece.cast::<PyByteArray>()?.to_vec());
            }
        }
        py.detach(|| {
            let buffer = std::mem::take(&mut self.buffer);
            let mut batches = Vec::new();
            let result = self.read(&buffer, &mut batches);
            self.failed = result.is_err();
            let read = result?;
            self.buffer = buffer;
            self.buffer.drain(..read);
            self.base += read as u64;
            Ok::<_, Located>(batches)
        })
        .map_err(PyErr::from)
    }

    /// Give the rows that are left, after the stream's end.
    fn finish(&mut self) -> PyResult<Option<Batch>> {
        self.usable()?;
        if self.state != State::Header || !self.buffer.is_empty() {
            self.failed = true;
            return Err(Located::malformed(
                self.base + self.buffer.len() as u64,
                "the stream ends before its end mark",
            )
            .into());
        }
        Ok((self.rows > 0).then(|| self.batch()))
    }
}

impl CopyDecoder {
    fn usable(&self) -> PyResult<()> {
        if self.failed {
            return Err(PyValueError::new_err("The stream was malformed: it cannot go on."));
        }
        Ok(())
    }

    fn batch(&mut self) -> Batch {
        let rows = std::mem::take(&mut self.rows);
        self.size = 0;
        Batch::new(self.columns.iter_mut().map(Column::finish).collect(), rows)
    }

    /// Read whole rows; tell how many bytes they were.
    fn read(&mut self, data: &[u8], batches: &mut Vec<Batch>) -> Result<usize, Located> {
        let mut at = 0;
        loop {
            if self.state == State::Header {
                match header(data, at, self.base)? {
                    Some(end) => at = end,
                    None => return Ok(at),
                }
                self.state = State::Rows;
            }
            let Some(count) = i16_at(data, at) else { return Ok(at) };
            if count == -1 {
                at += 2;
                self.state = State::Header;
                continue;
            }
            if count < 0 || count as usize != self.columns.len() {
                let wanted = self.columns.len();
                let what = format!("a row of {count} fields, where {wanted} are expected");
                return Err(Located::malformed(self.base + at as u64, what));
            }
            let Some(end) = self.row_end(data, at + 2)? else { return Ok(at) };
            let grown = self.row(data, at + 2)?;
            self.rows += 1;
            self.size += (end - at).max(grown);
            at = end;
            if self.size >= self.most {
                batches.push(self.batch());
            }
        }
    }

    /// Find the end of a row; None where it has not come whole.
    fn row_end(&self, data: &[u8], mut at: usize) -> Result<Option<usize>, Located> {
        for _ in &self.columns {
            let Some(length) = i32_at(data, at) else { return Ok(None) };
            if length < -1 {
                let what = format!("a field of {length} bytes");
                return Err(Located::malformed(self.base + at as u64, what));
            }
            at += 4 + length.max(0) as usize;
        }
        Ok((at <= data.len()).then_some(at))
    }

    /// Decode a row that is whole; tell how many bytes of text its numbers became.
    fn row(&mut self, data: &[u8], mut at: usize) -> Result<usize, Located> {
        let mut grown = 0;
        for (number, column) in self.columns.iter_mut().enumerate() {
            let length = i32_at(data, at).unwrap_or(-1);
            at += 4;
            if length < 0 {
                column.push_null();
                continue;
            }
            let value = &data[at..at + length as usize];
            grown += column
                .push(value)
                .map_err(|fault| Located::of_value(fault, self.base, at, number, value))?;
            at += value.len();
        }
        Ok(grown)
    }
}

fn header(data: &[u8], at: usize, base: u64) -> Result<Option<usize>, Located> {
    let here = &data[at..];
    let known = here.len().min(SIGNATURE.len());
    if here[..known] != SIGNATURE[..known] {
        return Err(Located::malformed(base + at as u64, "it is no binary COPY"));
    }
    let (Some(flags), Some(extension)) = (i32_at(data, at + 11), i32_at(data, at + 15)) else {
        return Ok(None);
    };
    if flags & CRITICAL != 0 || extension < 0 {
        let what = format!("a header with flags {flags:#x} and {extension} bytes behind it");
        return Err(Located::malformed(base + at as u64 + 11, what));
    }
    let end = at + 19 + extension as usize;
    Ok((end <= data.len()).then_some(end))
}

fn i16_at(data: &[u8], at: usize) -> Option<i16> {
    Some(i16::from_be_bytes(data.get(at..at + 2)?.try_into().ok()?))
}

fn i32_at(data: &[u8], at: usize) -> Option<i32> {
    Some(i32::from_be_bytes(data.get(at..at + 4)?.try_into().ok()?))
}
