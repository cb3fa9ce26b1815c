//! The Shannon entropy of bytes: in floating point as Go computes it on amd64, so that no other library of
//! mathematics has a say.

/// The entropy of bytes, each symbol rounded up.
pub(super) fn bits(bytes: &[u8]) -> u64 {
    let mut counts = [0u32; 256];
    bytes.iter().for_each(|byte| counts[usize::from(*byte)] += 1);
    let part = 1.0 / bytes.len() as f64;
    let bits: f64 = counts
        .iter()
        .filter(|count| **count > 0)
        .map(|count| (-log2(f64::from(*count) * part) * f64::from(*count)).ceil())
        .sum();
    bits.ceil() as u64
}

/// The logarithm of a number from 2⁻⁶⁴ to 1.
fn log2(number: f64) -> f64 {
    let (fraction, exponent) = split(number);
    if fraction == 0.5 {
        return f64::from(exponent - 1);
    }
    ln(fraction) * (1.0 / std::f64::consts::LN_2) + f64::from(exponent)
}

/// A number as a fraction from a half to one, and a power of two.
fn split(number: f64) -> (f64, i32) {
    let bits = number.to_bits();
    let exponent = (bits >> 52) as i32 - 1022;
    (f64::from_bits(bits & !(0x7ff << 52) | 1022 << 52), exponent)
}

/// The natural logarithm of a fraction from a half to one, as FreeBSD's `e_log.c` has it.
#[expect(clippy::excessive_precision, reason = "the coefficients as they were published")]
fn ln(fraction: f64) -> f64 {
    const LN2_HIGH: f64 = 6.931_471_803_691_238_164_90e-01;
    const LN2_LOW: f64 = 1.908_214_929_270_587_700_02e-10;
    const ODD: [f64; 4] = [
        6.666_666_666_666_735_130e-01,
        2.857_142_874_366_239_149e-01,
        1.818_357_216_161_805_012e-01,
        1.479_819_860_511_658_591e-01,
    ];
    const EVEN: [f64; 3] =
        [3.999_999_999_940_941_908e-01, 2.222_219_843_214_978_396e-01, 1.531_383_769_920_937_332e-01];
    let (fraction, exponent) = match fraction {
        fraction if fraction < std::f64::consts::FRAC_1_SQRT_2 => (2.0 * fraction, -1.0),
        fraction => (fraction, 0.0),
    };
    let rest = fraction - 1.0;
    let s = rest / (2.0 + rest);
    let s2 = s * s;
    let s4 = s2 * s2;
    let odd = s2 * (ODD[0] + s4 * (ODD[1] + s4 * (ODD[2] + s4 * ODD[3])));
    let even = s4 * (EVEN[0] + s4 * (EVEN[1] + s4 * EVEN[2]));
    let half = 0.5 * rest * rest;
    exponent * LN2_HIGH - ((half - (s * (half + (odd + even)) + exponent * LN2_LOW)) - rest)
}

#[cfg(test)]
#[path = "entropy_tests.rs"]
mod tests;
