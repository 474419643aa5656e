//! Decoders without input and output of their own: Python reads bytes and hands them in, Arrow
//! arrays (by the C data interface) or encoded bytes come out. Python's lock is let go meanwhile.
//!
//! Bytes of a server are trusted in nothing: each length is checked against what is there, and what
//! is malformed is an error with the place where it stands.

mod arrow;
mod bson;
mod cursor;
mod errors;
mod postgres;

use pyo3::prelude::*;

#[pymodule]
fn tradewind_native(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add("DecodeError", module.py().get_type::<errors::DecodeError>())?;
    module.add_class::<arrow::Batch>()?;
    module.add_class::<bson::BsonColumns>()?;
    module.add_function(wrap_pyfunction!(bson::bson_lines, module)?)?;
    module.add_class::<postgres::CopyDecoder>()?;
    Ok(())
}
