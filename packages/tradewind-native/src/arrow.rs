//! Arrays on their way to Python, by Arrow's PyCapsule interface
//! (<https://arrow.apache.org/docs/format/CDataInterface/PyCapsuleInterface.html>).

use std::ffi::CString;
use std::sync::Arc;

use arrow_array::ffi::{FFI_ArrowArray, FFI_ArrowSchema};
use arrow_array::{Array, ArrayRef, StructArray};
use arrow_schema::{DataType, Field, Fields};
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::PyCapsule;

/// Rows as columns, named by their numbers: `pyarrow.record_batch` takes it.
#[pyclass(frozen, module = "tradewind_native")]
pub struct Batch {
    columns: StructArray,
}

impl Batch {
    pub fn new(columns: Vec<ArrayRef>, rows: usize) -> Self {
        let fields: Fields = columns
            .iter()
            .enumerate()
            .map(|(number, column)| {
                Arc::new(Field::new(number.to_string(), column.data_type().clone(), true))
            })
            .collect();
        let columns = if fields.is_empty() {
            StructArray::new_empty_fields(rows, None)
        } else {
            StructArray::new(fields, columns, None)
        };
        Batch { columns }
    }
}

#[pymethods]
impl Batch {
    fn __len__(&self) -> usize {
        self.columns.len()
    }

    fn __arrow_c_schema__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyCapsule>> {
        capsule(py, schema(self.columns.data_type())?, "arrow_schema")
    }

    #[pyo3(signature = (requested_schema=None))]
    #[allow(unused_variables)] // It may be ignored, says the interface.
    fn __arrow_c_array__<'py>(
        &self,
        py: Python<'py>,
        requested_schema: Option<Bound<'py, PyAny>>,
    ) -> PyResult<(Bound<'py, PyCapsule>, Bound<'py, PyCapsule>)> {
        let array = FFI_ArrowArray::new(&self.columns.to_data());
        Ok((
            capsule(py, schema(self.columns.data_type())?, "arrow_schema")?,
            capsule(py, array, "arrow_array")?,
        ))
    }
}

fn schema(type_: &DataType) -> PyResult<FFI_ArrowSchema> {
    FFI_ArrowSchema::try_from(type_).map_err(|error| PyRuntimeError::new_err(error.to_string()))
}

fn capsule<'py, T: 'static + Send>(
    py: Python<'py>,
    value: T,
    name: &str,
) -> PyResult<Bound<'py, PyCapsule>> {
    PyCapsule::new(py, value, Some(CString::new(name).expect("a name without NUL")))
}
