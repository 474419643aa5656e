//! MongoDB's extended JSON, relaxed and canonical, as `extended_json.py` writes it:
//! <https://github.com/mongodb/specifications/blob/master/source/extended-json/extended-json.md>.

use super::element::{self, Element, Elements, Names};
use super::numbers;
use super::{Odd, Result};

/// Documents within documents; deeper ones are left to others.
const DEEPEST: usize = 64;

pub fn document(out: &mut Vec<u8>, data: &[u8], canonical: bool, depth: usize) -> Result<()> {
    if depth > DEEPEST {
        return Err(Odd);
    }
    let mut elements = Elements::of(data)?;
    let mut names = Names::default();
    out.push(b'{');
    let mut first = true;
    while let Some(element) = elements.next()? {
        // `$ref` and its like make more of a document than its elements.
        if element.name.first() == Some(&b'$') {
            return Err(Odd);
        }
        names.add(element.name)?;
        if !std::mem::take(&mut first) {
            out.push(b',');
        }
        string(out, std::str::from_utf8(element.name).map_err(|_| Odd)?);
        out.push(b':');
        value(out, &element, canonical, depth)?;
    }
    out.push(b'}');
    Ok(())
}

fn array(out: &mut Vec<u8>, data: &[u8], canonical: bool, depth: usize) -> Result<()> {
    if depth > DEEPEST {
        return Err(Odd);
    }
    let mut elements = Elements::of(data)?;
    out.push(b'[');
    let mut first = true;
    while let Some(element) = elements.next()? {
        if !std::mem::take(&mut first) {
            out.push(b',');
        }
        value(out, &element, canonical, depth)?;
    }
    out.push(b']');
    Ok(())
}

pub fn value(out: &mut Vec<u8>, element: &Element, canonical: bool, depth: usize) -> Result<()> {
    match element.kind {
        element::STRING => string(out, element.text()?),
        element::DOCUMENT => document(out, element.value, canonical, depth + 1)?,
        element::ARRAY => array(out, element.value, canonical, depth + 1)?,
        element::NULL => out.extend_from_slice(b"null"),
        element::BOOL => out.extend_from_slice(if element.boolean()? { b"true" } else { b"false" }),
        element::INT32 if canonical => {
            wrapped(out, "$numberInt", |out| numbers::integer(out, i64::from(element.int32())));
        }
        element::INT32 => numbers::integer(out, i64::from(element.int32())),
        element::INT64 if canonical => {
            wrapped(out, "$numberLong", |out| numbers::integer(out, element.int64()));
        }
        element::INT64 => numbers::integer(out, element.int64()),
        element::DOUBLE => double(out, element.double(), canonical),
        element::OBJECT_ID => wrapped(out, "$oid", |out| numbers::hex(out, element.value)),
        element::DATE => date(out, element.int64(), canonical),
        element::DECIMAL => {
            out.extend_from_slice(b"{\"$numberDecimal\":\"");
            numbers::decimal(out, element.value)?;
            out.extend_from_slice(b"\"}");
        }
        element::BINARY if element.subtype != 2 => {
            out.extend_from_slice(b"{\"$binary\":{\"base64\":\"");
            numbers::base64(out, element.value);
            out.extend_from_slice(b"\",\"subType\":\"");
            numbers::hex(out, &[element.subtype]);
            out.extend_from_slice(b"\"}}");
        }
        element::CODE => {
            out.extend_from_slice(b"{\"$code\":");
            string(out, element.text()?);
            out.push(b'}');
        }
        element::TIMESTAMP => {
            let number = element.int64() as u64;
            out.extend_from_slice(b"{\"$timestamp\":{\"t\":");
            numbers::integer(out, (number >> 32) as i64);
            out.extend_from_slice(b",\"i\":");
            numbers::integer(out, (number & 0xFFFF_FFFF) as i64);
            out.extend_from_slice(b"}}");
        }
        element::MIN_KEY => out.extend_from_slice(b"{\"$minKey\":1}"),
        element::MAX_KEY => out.extend_from_slice(b"{\"$maxKey\":1}"),
        _ => return Err(Odd),
    }
    Ok(())
}

fn wrapped(out: &mut Vec<u8>, name: &str, write: impl FnOnce(&mut Vec<u8>)) {
    out.extend_from_slice(b"{\"");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\":\"");
    write(out);
    out.extend_from_slice(b"\"}");
}

fn double(out: &mut Vec<u8>, number: f64, canonical: bool) {
    if !number.is_finite() {
        let text = match number {
            _ if number.is_nan() => "NaN",
            _ if number > 0.0 => "Infinity",
            _ => "-Infinity",
        };
        return wrapped(out, "$numberDouble", |out| out.extend_from_slice(text.as_bytes()));
    }
    if canonical {
        wrapped(out, "$numberDouble", |out| numbers::double_repr(out, number));
    } else {
        numbers::double(out, number);
    }
}

fn date(out: &mut Vec<u8>, milliseconds: i64, canonical: bool) {
    out.extend_from_slice(b"{\"$date\":");
    if canonical || !(0..=numbers::LAST_MILLISECOND).contains(&milliseconds) {
        wrapped(out, "$numberLong", |out| numbers::integer(out, milliseconds));
    } else {
        out.push(b'"');
        numbers::date(out, milliseconds);
        out.push(b'"');
    }
    out.push(b'}');
}

/// Write a string, and escape what JSON wants escaped.
fn string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    let bytes = text.as_bytes();
    let mut begin = 0;
    for (at, byte) in bytes.iter().enumerate() {
        if *byte >= 0x20 && *byte != b'"' && *byte != b'\\' {
            continue;
        }
        out.extend_from_slice(&bytes[begin..at]);
        begin = at + 1;
        match byte {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            0x08 => out.extend_from_slice(b"\\b"),
            0x09 => out.extend_from_slice(b"\\t"),
            0x0A => out.extend_from_slice(b"\\n"),
            0x0C => out.extend_from_slice(b"\\f"),
            0x0D => out.extend_from_slice(b"\\r"),
            _ => {
                out.extend_from_slice(b"\\u00");
                numbers::hex(out, &[*byte]);
            }
        }
    }
    out.extend_from_slice(&bytes[begin..]);
    out.push(b'"');
}
