//! Documents taken apart into elements: nothing is believed of their lengths.

use super::{Odd, Result};

pub const DOUBLE: u8 = 0x01;
pub const STRING: u8 = 0x02;
pub const DOCUMENT: u8 = 0x03;
pub const ARRAY: u8 = 0x04;
pub const BINARY: u8 = 0x05;
pub const OBJECT_ID: u8 = 0x07;
pub const BOOL: u8 = 0x08;
pub const DATE: u8 = 0x09;
pub const NULL: u8 = 0x0A;
pub const CODE: u8 = 0x0D;
pub const INT32: u8 = 0x10;
pub const TIMESTAMP: u8 = 0x11;
pub const INT64: u8 = 0x12;
pub const DECIMAL: u8 = 0x13;
pub const MIN_KEY: u8 = 0xFF;
pub const MAX_KEY: u8 = 0x7F;

/// Where the documents in a row of them begin and end. What is no document any more is one to the
/// end, for others to say what is wrong with it.
pub fn documents(part: &[u8]) -> impl Iterator<Item = (usize, usize)> + '_ {
    let mut at = 0;
    std::iter::from_fn(move || {
        if at >= part.len() {
            return None;
        }
        let begin = at;
        let length = length_at(part, at).unwrap_or(0);
        at = if length >= 5 && length <= part.len() - at { at + length } else { part.len() };
        Some((begin, at))
    })
}

fn length_at(data: &[u8], at: usize) -> Option<usize> {
    let bytes = data.get(at..at.checked_add(4)?)?;
    usize::try_from(i32::from_le_bytes(bytes.try_into().ok()?)).ok()
}

/// The elements of one document, one after the other.
pub struct Elements<'a> {
    data: &'a [u8],
    at: usize,
}

pub struct Element<'a> {
    pub kind: u8,
    pub name: &'a [u8],
    /// Its bytes: of a string and of binary data without the length before them, of a document or
    /// an array all.
    pub value: &'a [u8],
    pub subtype: u8,
}

impl<'a> Elements<'a> {
    pub fn of(document: &'a [u8]) -> Result<Self> {
        if length_at(document, 0) != Some(document.len())
            || document.len() < 5
            || document[document.len() - 1] != 0
        {
            return Err(Odd);
        }
        Ok(Elements { data: &document[..document.len() - 1], at: 4 })
    }

    pub fn next(&mut self) -> Result<Option<Element<'a>>> {
        if self.at == self.data.len() {
            return Ok(None);
        }
        let kind = self.data[self.at];
        self.at += 1;
        let rest = &self.data[self.at..];
        let length = rest.iter().position(|byte| *byte == 0).ok_or(Odd)?;
        let name = &rest[..length];
        self.at += length + 1;
        let mut subtype = 0;
        let value = match kind {
            DOUBLE | DATE | TIMESTAMP | INT64 => self.take(8)?,
            INT32 => self.take(4)?,
            BOOL => self.take(1)?,
            OBJECT_ID => self.take(12)?,
            DECIMAL => self.take(16)?,
            NULL | MIN_KEY | MAX_KEY => &[],
            STRING | CODE => {
                let length = length_at(self.data, self.at).ok_or(Odd)?;
                self.at += 4;
                match self.take(length)? {
                    [text @ .., 0] => text,
                    _ => return Err(Odd),
                }
            }
            DOCUMENT | ARRAY => {
                let length = length_at(self.data, self.at).ok_or(Odd)?;
                self.take(length)?
            }
            BINARY => {
                let length = length_at(self.data, self.at).ok_or(Odd)?;
                self.at += 4;
                subtype = self.take(1)?[0];
                self.take(length)?
            }
            _ => return Err(Odd),
        };
        Ok(Some(Element { kind, name, value, subtype }))
    }

    fn take(&mut self, size: usize) -> Result<&'a [u8]> {
        if size > self.data.len() - self.at {
            return Err(Odd);
        }
        let taken = &self.data[self.at..self.at + size];
        self.at += size;
        Ok(taken)
    }
}

impl Element<'_> {
    pub fn int32(&self) -> i32 {
        i32::from_le_bytes(self.value.try_into().expect("4 bytes"))
    }

    pub fn int64(&self) -> i64 {
        i64::from_le_bytes(self.value.try_into().expect("8 bytes"))
    }

    pub fn double(&self) -> f64 {
        f64::from_le_bytes(self.value.try_into().expect("8 bytes"))
    }

    pub fn boolean(&self) -> Result<bool> {
        match self.value {
            [0] => Ok(false),
            [1] => Ok(true),
            _ => Err(Odd),
        }
    }

    pub fn text(&self) -> Result<&str> {
        std::str::from_utf8(self.value).map_err(|_| Odd)
    }
}

/// Names met in one document: the same one twice is odd.
#[derive(Default)]
pub struct Names<'a> {
    met: Vec<&'a [u8]>,
    marks: u64,
}

impl<'a> Names<'a> {
    pub fn add(&mut self, name: &'a [u8]) -> Result<()> {
        let (first, last) = (name.first().unwrap_or(&0), name.last().unwrap_or(&0));
        let mark = 1_u64 << ((usize::from(*first) * 7 + usize::from(*last) * 3 + name.len()) % 64);
        // Looked for only where a name like it has been: of few names none is, mostly.
        if self.marks & mark != 0 && self.met.contains(&name) {
            return Err(Odd);
        }
        self.marks |= mark;
        self.met.push(name);
        if self.met.len() > 1000 {
            return Err(Odd); // each would be looked for among all before it
        }
        Ok(())
    }
}
