//! Numbers and dates as the JSON of orjson and the text of Python have them.

use super::{Odd, Result};

/// A finite double in its shortest form, as orjson writes it.
pub fn double(out: &mut Vec<u8>, number: f64) {
    let mut buffer = ryu::Buffer::new();
    let text = buffer.format_finite(number).as_bytes();
    match text.iter().position(|byte| *byte == b'e') {
        Some(at) if text[at + 1] != b'-' => {
            out.extend_from_slice(&text[..=at]);
            out.push(b'+');
            out.extend_from_slice(&text[at + 1..]);
        }
        _ => out.extend_from_slice(text),
    }
}

/// A finite double as Python's `repr` writes it.
pub fn double_repr(out: &mut Vec<u8>, number: f64) {
    // The same shortest digits: where two are as near, ryu takes the even one, as Python does.
    let mut buffer = ryu::Buffer::new();
    let text = buffer.format_finite(number);
    let text = match text.strip_prefix('-') {
        Some(rest) => {
            out.push(b'-');
            rest
        }
        None => text,
    };
    let (mantissa, power) = text.split_once('e').unwrap_or((text, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let all = [whole, fraction].concat();
    let digits = all.trim_start_matches('0');
    // Where the point stands, counted from the first digit.
    let mut point = whole.len() as i32 - (all.len() - digits.len()) as i32;
    point += power.parse::<i32>().expect("a number");
    let digits = digits.trim_end_matches('0');
    if digits.is_empty() {
        out.extend_from_slice(b"0.0");
        return;
    }
    if (-3..=16).contains(&point) {
        if point <= 0 {
            out.extend_from_slice(b"0.");
            out.extend(std::iter::repeat_n(b'0', -point as usize));
            out.extend_from_slice(digits.as_bytes());
        } else if digits.len() <= point as usize {
            out.extend_from_slice(digits.as_bytes());
            out.extend(std::iter::repeat_n(b'0', point as usize - digits.len()));
            out.extend_from_slice(b".0");
        } else {
            out.extend_from_slice(digits[..point as usize].as_bytes());
            out.push(b'.');
            out.extend_from_slice(digits[point as usize..].as_bytes());
        }
        return;
    }
    out.push(digits.as_bytes()[0]);
    if digits.len() > 1 {
        out.push(b'.');
        out.extend_from_slice(digits[1..].as_bytes());
    }
    let sign = if point < 1 { '-' } else { '+' };
    out.extend_from_slice(format!("e{sign}{:02}", (point - 1).abs()).as_bytes());
}

pub fn integer(out: &mut Vec<u8>, number: i64) {
    if number < 0 {
        out.push(b'-');
    }
    let mut digits = [0_u8; 20];
    let mut at = digits.len();
    let mut left = number.unsigned_abs();
    loop {
        at -= 1;
        digits[at] = b'0' + (left % 10) as u8;
        left /= 10;
        if left == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

/// A decimal of IEEE 754-2008 in its binary integer form, as Python's `str` of a Decimal writes it.
pub fn decimal(out: &mut Vec<u8>, value: &[u8]) -> Result<()> {
    let low = u64::from_le_bytes(value[..8].try_into().expect("8 bytes"));
    let high = u64::from_le_bytes(value[8..].try_into().expect("8 bytes"));
    if (high >> 61) & 3 == 3 {
        return Err(Odd); // infinite, no number, or more digits than there may be
    }
    let exponent = ((high >> 49) & 0x3FFF) as i64 - 6176;
    let coefficient = u128::from(high & ((1 << 49) - 1)) << 64 | u128::from(low);
    if coefficient >= 10_u128.pow(34) {
        return Err(Odd);
    }
    if high >> 63 == 1 {
        out.push(b'-');
    }
    let digits = coefficient.to_string();
    let adjusted = exponent + digits.len() as i64 - 1;
    if exponent <= 0 && adjusted >= -6 {
        let point = digits.len() as i64 + exponent;
        if exponent == 0 {
            out.extend_from_slice(digits.as_bytes());
        } else if point > 0 {
            out.extend_from_slice(digits[..point as usize].as_bytes());
            out.push(b'.');
            out.extend_from_slice(digits[point as usize..].as_bytes());
        } else {
            out.extend_from_slice(b"0.");
            out.extend(std::iter::repeat_n(b'0', -point as usize));
            out.extend_from_slice(digits.as_bytes());
        }
        return Ok(());
    }
    out.push(digits.as_bytes()[0]);
    if digits.len() > 1 {
        out.push(b'.');
        out.extend_from_slice(digits[1..].as_bytes());
    }
    out.extend_from_slice(format!("E{adjusted:+}").as_bytes());
    Ok(())
}

pub const LAST_MILLISECOND: i64 = 253_402_300_799_999;

/// Milliseconds from 1970 on as `2026-01-31T12:00:00.123Z`, without a fraction where it is 0.
pub fn date(out: &mut Vec<u8>, milliseconds: i64) {
    let (days, of_day) = (milliseconds / 86_400_000, milliseconds % 86_400_000);
    // From days to a date: http://howardhinnant.github.io/date_algorithms.html#civil_from_days.
    let shifted = days + 719_468;
    let era = shifted / 146_097;
    let day_of_era = shifted % 146_097;
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let mut two = |number: i64, after: u8| {
        out.extend_from_slice(&[b'0' + (number / 10) as u8, b'0' + (number % 10) as u8]);
        if after != 0 {
            out.push(after);
        }
    };
    two(year / 100, 0);
    two(year % 100, b'-');
    two(month, b'-');
    two(day, b'T');
    two(of_day / 3_600_000, b':');
    two(of_day / 60_000 % 60, b':');
    two(of_day / 1000 % 60, 0);
    let fraction = of_day % 1000;
    if fraction != 0 {
        out.push(b'.');
        out.extend_from_slice(&[
            b'0' + (fraction / 100) as u8,
            b'0' + (fraction / 10 % 10) as u8,
            b'0' + (fraction % 10) as u8,
        ]);
    }
    out.push(b'Z');
}

pub fn hex(out: &mut Vec<u8>, bytes: &[u8]) {
    for byte in bytes {
        out.push(b"0123456789abcdef"[usize::from(byte >> 4)]);
        out.push(b"0123456789abcdef"[usize::from(byte & 15)]);
    }
}

const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

pub fn base64(out: &mut Vec<u8>, bytes: &[u8]) {
    for group in bytes.chunks(3) {
        let mut number = 0_usize;
        for at in 0..3 {
            number = number << 8 | usize::from(*group.get(at).unwrap_or(&0));
        }
        for at in 0..4 {
            let digit = BASE64[number >> (18 - 6 * at) & 63];
            out.push(if at > group.len() { b'=' } else { digit });
        }
    }
}
