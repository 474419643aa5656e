//! What goes wrong: bytes that are no message of the protocol, and values without a place in Arrow.

use pyo3::create_exception;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

create_exception!(
    tradewind_native,
    DecodeError,
    PyValueError,
    "Bytes that cannot be decoded.\n\nIts arguments: what is wrong, the offset in the stream, and \
     where it is a single value that its column cannot hold the column's number and the value's bytes."
);

/// What is wrong with some bytes.
#[derive(Debug)]
pub enum Fault {
    /// They are not what the protocol says. Where, and why.
    Malformed(usize, String),
    /// A value that its column's type cannot hold.
    Unfit(&'static str),
}

pub type Result<T> = std::result::Result<T, Fault>;

/// A fault, and which value it is in.
#[derive(Debug)]
pub struct Located {
    pub what: String,
    pub offset: u64,
    pub value: Option<(usize, Vec<u8>)>,
}

impl Located {
    pub fn malformed(offset: u64, what: impl Into<String>) -> Self {
        Located { what: what.into(), offset, value: None }
    }

    /// Say where a value stands: `base` is the offset of the bytes that the decoder was given.
    pub fn of_value(fault: Fault, base: u64, begin: usize, column: usize, value: &[u8]) -> Self {
        match fault {
            Fault::Malformed(at, what) => Located::malformed(base + (begin + at) as u64, what),
            Fault::Unfit(what) => Located {
                what: what.to_string(),
                offset: base + begin as u64,
                value: Some((column, value.to_vec())),
            },
        }
    }
}

impl From<Located> for PyErr {
    fn from(found: Located) -> PyErr {
        Python::attach(|py| match found.value {
            None => DecodeError::new_err((found.what, found.offset)),
            Some((column, value)) => DecodeError::new_err((
                found.what,
                found.offset,
                column,
                PyBytes::new(py, &value).unbind(),
            )),
        })
    }
}
