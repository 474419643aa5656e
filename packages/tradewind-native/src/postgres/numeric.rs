//! Numbers of base 10,000, as `numeric_send` writes them: count of digits, weight of the first,
//! sign, digits after the point to show, and the digits, 16 bits each.

use arrow_buffer::i256;

use crate::cursor::Cursor;
use crate::errors::{Fault, Result};

const NEGATIVE: u16 = 0x4000;

pub struct Numeric<'a> {
    weight: i32,
    negative: bool,
    scale: usize,
    digits: &'a [u8],
}

impl<'a> Numeric<'a> {
    pub fn read(value: &'a [u8]) -> Result<Self> {
        let mut cursor = Cursor::new(value);
        let count = cursor.i16()?;
        let weight = i32::from(cursor.i16()?);
        let sign = cursor.i16()? as u16;
        let scale = (cursor.i16()? & 0x3FFF) as usize;
        if !matches!(sign, 0 | NEGATIVE) {
            return Err(match sign {
                0xC000 | 0xD000 | 0xF000 => Fault::Unfit("NaN or infinity"),
                _ => Fault::Malformed(4, "a number of no sign".to_string()),
            });
        }
        if count < 0 {
            return Err(Fault::Malformed(0, "a number of less than no digits".to_string()));
        }
        let digits = cursor.take(2 * count as usize)?;
        cursor.end()?;
        let zeros = digits.chunks_exact(2).take_while(|digit| *digit == [0, 0]).count();
        let digits = &digits[2 * zeros..];
        let weight = if digits.is_empty() { -1 } else { weight - zeros as i32 };
        let numeric = Numeric { weight, negative: sign == NEGATIVE, scale, digits };
        if let Some(at) = (0..numeric.count()).find(|&at| numeric.digit(at) > 9999) {
            return Err(Fault::Malformed(8 + 2 * (zeros + at), "a digit above 9999".to_string()));
        }
        Ok(numeric)
    }

    fn count(&self) -> usize {
        self.digits.len() / 2
    }

    fn digit(&self, at: usize) -> u16 {
        u16::from_be_bytes([self.digits[2 * at], self.digits[2 * at + 1]])
    }

    /// The digit of a weight, 0 where none is written.
    fn of_weight(&self, weight: i32) -> u16 {
        let at = self.weight - weight;
        if at < 0 || at as usize >= self.count() {
            return 0;
        }
        self.digit(at as usize)
    }

    /// The number times 10^scale, where that is whole and below 10^precision.
    pub fn decimal128(&self, powers: &[i128], precision: usize, scale: i32) -> Result<i128> {
        let mut total: i128 = 0;
        for at in 0..self.count() {
            let digit = i128::from(self.digit(at));
            if digit == 0 {
                continue;
            }
            let power = 4 * (self.weight - at as i32) + scale;
            let part = if power >= 0 {
                powers.get(power as usize).and_then(|factor| digit.checked_mul(*factor))
            } else {
                cut(self.digit(at), power).map(i128::from)
            };
            total = part.and_then(|part| total.checked_add(part)).ok_or(UNFIT)?;
        }
        if total >= powers[precision] {
            return Err(UNFIT);
        }
        Ok(if self.negative { -total } else { total })
    }

    /// The same for up to 76 digits.
    pub fn decimal256(&self, powers: &[i256], precision: usize, scale: i32) -> Result<i256> {
        let mut total = i256::ZERO;
        for at in 0..self.count() {
            let digit = self.digit(at);
            if digit == 0 {
                continue;
            }
            let power = 4 * (self.weight - at as i32) + scale;
            let part = if power >= 0 {
                let digit = i256::from_i128(i128::from(digit));
                powers.get(power as usize).and_then(|factor| digit.checked_mul(*factor))
            } else {
                cut(digit, power).map(|part| i256::from_i128(i128::from(part)))
            };
            total = part.and_then(|part| total.checked_add(part)).ok_or(UNFIT)?;
        }
        if total >= powers[precision] {
            return Err(UNFIT);
        }
        Ok(if self.negative { total.wrapping_neg() } else { total })
    }

    /// Write it as PostgreSQL prints it.
    pub fn write(&self, out: &mut String) {
        if self.negative {
            out.push('-');
        }
        if self.weight < 0 {
            out.push('0');
        }
        for weight in (0..=self.weight).rev() {
            let digit = self.of_weight(weight);
            if weight == self.weight {
                out.push_str(&digit.to_string());
            } else {
                push_four(out, digit, 4);
            }
        }
        if self.scale > 0 {
            out.push('.');
            let mut left = self.scale;
            let mut weight = -1;
            while left > 0 {
                push_four(out, self.of_weight(weight), left.min(4));
                left = left.saturating_sub(4);
                weight -= 1;
            }
        }
    }
}

/// Write any number, also one that is none.
pub fn write(value: &[u8], out: &mut String) -> Result<()> {
    let special = match value.get(4..6) {
        Some([0xC0, 0]) => "NaN",
        Some([0xD0, 0]) => "Infinity",
        Some([0xF0, 0]) => "-Infinity",
        _ => {
            Numeric::read(value)?.write(out);
            return Ok(());
        }
    };
    out.push_str(special);
    Ok(())
}

const UNFIT: Fault = Fault::Unfit("more digits than the column has");

/// A digit times 10^power, a negative one, where nothing is lost.
fn cut(digit: u16, power: i32) -> Option<u16> {
    let divisor = match power {
        -1 => 10,
        -2 => 100,
        -3 => 1000,
        _ => return None,
    };
    (digit % divisor == 0).then_some(digit / divisor)
}

fn push_four(out: &mut String, digit: u16, length: usize) {
    let digits = [digit / 1000, digit / 100 % 10, digit / 10 % 10, digit % 10];
    for one in &digits[..length] {
        out.push((b'0' + *one as u8) as char);
    }
}
