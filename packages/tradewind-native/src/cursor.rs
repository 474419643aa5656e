//! Reading big-endian and little-endian numbers from bytes that may end anywhere.

use crate::errors::{Fault, Result};

pub struct Cursor<'a> {
    data: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    pub fn new(data: &'a [u8]) -> Self {
        Cursor { data, at: 0 }
    }

    pub fn at(&self) -> usize {
        self.at
    }

    pub fn left(&self) -> usize {
        self.data.len() - self.at
    }

    pub fn take(&mut self, size: usize) -> Result<&'a [u8]> {
        if size > self.left() {
            return Err(self.malformed("it ends too early"));
        }
        let taken = &self.data[self.at..self.at + size];
        self.at += size;
        Ok(taken)
    }

    pub fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let taken = self.take(N)?;
        Ok(taken.try_into().expect("of that length"))
    }

    pub fn i16(&mut self) -> Result<i16> {
        Ok(i16::from_be_bytes(self.array()?))
    }

    pub fn i32(&mut self) -> Result<i32> {
        Ok(i32::from_be_bytes(self.array()?))
    }

    pub fn i64(&mut self) -> Result<i64> {
        Ok(i64::from_be_bytes(self.array()?))
    }

    pub fn end(&self) -> Result<()> {
        if self.left() > 0 {
            return Err(self.malformed("it is longer than its type"));
        }
        Ok(())
    }

    pub fn malformed(&self, what: &str) -> Fault {
        Fault::Malformed(self.at, what.to_string())
    }
}
