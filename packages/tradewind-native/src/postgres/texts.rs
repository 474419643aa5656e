//! Types that become text, written as PostgreSQL prints them (intervals as ISO 8601).

use crate::cursor::Cursor;
use crate::errors::Result;

const SECOND: i64 = 1_000_000;

pub fn uuid(value: &[u8], out: &mut String) -> Result<()> {
    let mut cursor = Cursor::new(value);
    let bytes: [u8; 16] = cursor.array()?;
    cursor.end()?;
    for (at, byte) in bytes.iter().enumerate() {
        if matches!(at, 4 | 6 | 8 | 10) {
            out.push('-');
        }
        for nibble in [byte >> 4, byte & 15] {
            out.push(b"0123456789abcdef"[nibble as usize] as char);
        }
    }
    Ok(())
}

/// See `EncodeInterval` of PostgreSQL's `datetime.c`.
pub fn interval(value: &[u8], out: &mut String) -> Result<()> {
    let mut cursor = Cursor::new(value);
    let (micros, days, months) = (cursor.i64()?, cursor.i32()?, cursor.i32()?);
    cursor.end()?;
    match (micros, days, months) {
        (i64::MAX, i32::MAX, i32::MAX) => return Ok(out.push_str("infinity")),
        (i64::MIN, i32::MIN, i32::MIN) => return Ok(out.push_str("-infinity")),
        (0, 0, 0) => return Ok(out.push_str("PT0S")),
        _ => (),
    }
    out.push('P');
    part(out, i64::from(months / 12), 'Y');
    part(out, i64::from(months % 12), 'M');
    part(out, i64::from(days), 'D');
    if micros != 0 {
        out.push('T');
        part(out, micros / (3600 * SECOND), 'H');
        part(out, micros / (60 * SECOND) % 60, 'M');
        let rest = micros % (60 * SECOND);
        if rest != 0 {
            if rest < 0 {
                out.push('-');
            }
            seconds(out, rest.unsigned_abs(), 1);
            out.push('S');
        }
    }
    Ok(())
}

/// See `EncodeTimeOnly` there.
pub fn timetz(value: &[u8], out: &mut String) -> Result<()> {
    let mut cursor = Cursor::new(value);
    let (micros, zone) = (cursor.i64()?, cursor.i32()?);
    cursor.end()?;
    if !(0..=86_400 * SECOND).contains(&micros) {
        return Err(cursor.malformed("a time of no day"));
    }
    let micros = micros as u64;
    two(out, micros / (3600 * SECOND as u64));
    out.push(':');
    two(out, micros / (60 * SECOND as u64) % 60);
    out.push(':');
    seconds(out, micros % (60 * SECOND as u64), 2);
    // It is counted to the west.
    out.push(if zone <= 0 { '+' } else { '-' });
    let zone = u64::from(zone.unsigned_abs());
    two(out, zone / 3600);
    if zone % 3600 != 0 {
        out.push(':');
        two(out, zone / 60 % 60);
    }
    if zone % 60 != 0 {
        out.push(':');
        two(out, zone % 60);
    }
    Ok(())
}

fn part(out: &mut String, number: i64, unit: char) {
    if number != 0 {
        out.push_str(&number.to_string());
        out.push(unit);
    }
}

fn two(out: &mut String, number: u64) {
    out.push_str(&format!("{number:02}"));
}

fn seconds(out: &mut String, micros: u64, width: usize) {
    let (whole, fraction) = (micros / SECOND as u64, micros % SECOND as u64);
    out.push_str(&format!("{whole:0width$}"));
    if fraction != 0 {
        let digits = format!("{fraction:06}");
        out.push('.');
        out.push_str(digits.trim_end_matches('0'));
    }
}
