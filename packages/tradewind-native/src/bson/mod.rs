//! BSON (<https://bsonspec.org/spec.html>) as lines of extended JSON and as typed columns.
//!
//! What is rare, and what is malformed, is left to the caller's Python, which knows each case and
//! its words: a document is written here whole or not at all.

mod columns;
mod element;
mod json;
mod numbers;

use pyo3::prelude::*;
use pyo3::types::PyBytes;

pub use columns::BsonColumns;
use element::documents;

/// A document that is not for this decoder.
#[derive(Debug)]
pub struct Odd;

pub type Result<T> = std::result::Result<T, Odd>;

/// Bytes, and documents that are missing in them: where they belong, and where they begin and end.
type Lines<'py> = (Bound<'py, PyBytes>, Vec<(usize, usize, usize)>);

/// Write documents, one after the other in `part`, as lines of MongoDB's extended JSON.
#[pyfunction]
pub fn bson_lines<'py>(
    py: Python<'py>,
    part: &Bound<'py, PyBytes>,
    canonical: bool,
) -> PyResult<Lines<'py>> {
    let part = part.as_bytes();
    let (out, odd) = py.detach(|| {
        let mut out = Vec::with_capacity(part.len() * 2);
        let mut odd = Vec::new();
        for (begin, end) in documents(part) {
            let before = out.len();
            match json::document(&mut out, &part[begin..end], canonical, 0) {
                Ok(()) => out.push(b'\n'),
                Err(Odd) => {
                    out.truncate(before);
                    odd.push((before, begin, end));
                }
            }
        }
        (out, odd)
    });
    Ok((PyBytes::new(py, &out), odd))
}
