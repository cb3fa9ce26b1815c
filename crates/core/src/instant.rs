//! The times in image configs, as points in time that can be compared.

use std::time::Duration;

/// A point in time, to the nanosecond.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Instant {
    seconds: i64,
    nanos: u32,
}

/// 2000-01-01T00:00:00Z in seconds since 1970.
const YEAR_2000: i64 = 946_684_800;

impl Instant {
    /// Reads an RFC 3339 time. `None` for what is no time, and for the year 1, by which Go writes "unknown".
    pub fn parse(text: &str) -> Option<Self> {
        let number = |range: std::ops::Range<usize>| -> Option<i64> {
            let digits = text.get(range)?;
            digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse().ok())?
        };
        let separators = [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':')];
        if !separators
            .iter()
            .all(|&(at, byte)| text.as_bytes().get(at).is_some_and(|b| b.eq_ignore_ascii_case(&byte)))
        {
            return None;
        }
        let (year, month, day) = (number(0..4)?, number(5..7)?, number(8..10)?);
        let (hour, minute, second) = (number(11..13)?, number(14..16)?, number(17..19)?);
        if !(1..=12).contains(&month) || !(1..=31).contains(&day) || year == 1 {
            return None;
        }
        let rest = text.get(19..)?;
        let (nanos, zone) = match rest.strip_prefix('.') {
            Some(fraction) => {
                let end = fraction.find(|c: char| !c.is_ascii_digit()).unwrap_or(fraction.len());
                let (digits, zone) = fraction.split_at(end);
                let digits = digits.get(..9).unwrap_or(digits);
                (format!("{digits:0<9}").parse().ok()?, zone)
            }
            None => (0, rest),
        };
        let offset = match zone.as_bytes() {
            [b'Z' | b'z'] => 0,
            [sign @ (b'+' | b'-'), _, _, b':', _, _] => {
                let start = text.len() - 5;
                let minutes = number(start..start + 2)? * 60 + number(start + 3..start + 5)?;
                if *sign == b'-' { -minutes } else { minutes }
            }
            _ => return None,
        };
        let days = days_since_1970(year, month, day);
        Some(Self { seconds: days * 86_400 + hour * 3600 + minute * 60 + second - offset * 60, nanos })
    }

    /// Whole seconds since 1970.
    pub fn seconds(self) -> i64 {
        self.seconds
    }

    /// The time from an earlier instant to this one; none from a later one.
    pub fn since(self, earlier: Self) -> Duration {
        let nanos = |instant: Self| i128::from(instant.seconds) * 1_000_000_000 + i128::from(instant.nanos);
        let nanos = nanos(self).saturating_sub(nanos(earlier));
        let second = 1_000_000_000;
        match (u64::try_from(nanos / second), u32::try_from(nanos % second)) {
            (Ok(seconds), Ok(nanos)) => Duration::new(seconds, nanos),
            _ => Duration::ZERO,
        }
    }

    /// True if it is a time at which something was made. Reproducible builders fix it to a time before there were
    /// images: 1970 (jib, nix, bazel), 1980 (buildpacks).
    pub fn is_told(self) -> bool {
        self.seconds >= YEAR_2000
    }
}

/// The proleptic Gregorian calendar, counted in years that begin in March.
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    year * 365 + leap_days + day_of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(text: &str) -> Option<i64> {
        Instant::parse(text).map(Instant::seconds)
    }

    #[test]
    fn times_of_every_engine_are_read() {
        assert_eq!(seconds("1970-01-01T00:00:00Z"), Some(0));
        assert_eq!(seconds("2000-01-01T00:00:00Z"), Some(YEAR_2000));
        assert_eq!(seconds("2024-02-29T12:30:15.123456789Z"), Some(1_709_209_815));
        assert_eq!(seconds("2024-02-29T13:30:15+01:00"), Some(1_709_209_815));
        assert_eq!(seconds("2024-02-29T11:00:15.5-01:30"), Some(1_709_209_815));
        for text in [
            "",
            "2024",
            "yesterday",
            "0001-01-01T00:00:00Z",
            "2024-13-01T00:00:00Z",
            "2024-02-29 12:30",
            "2024-02-29T12:30:15",
            "2024-02-29T12:30:15.5",
            "2024-02-29T12:30:15+0100",
            "2024-02-29T12:30:15+é:00",
            "äöü",
        ] {
            assert_eq!(seconds(text), None, "{text}");
        }
    }

    #[test]
    fn they_are_compared_as_points_in_time() {
        let at = |text: &str| Instant::parse(text).unwrap();
        assert_eq!(at("2024-02-29T12:30:15.5Z"), at("2024-02-29T13:30:15.500000000+01:00"));
        assert!(at("2024-02-29T12:30:15Z") < at("2024-02-29T12:30:15.000000001Z"));
        assert!(at("2024-02-29T12:30:15.09Z") < at("2024-02-29T12:30:15.1Z"));
        assert!(at("2024-02-29T23:30:00-02:00") > at("2024-03-01T01:00:00Z"));
        assert!(at("2024-02-29T12:30:15.1234567891Z") == at("2024-02-29T12:30:15.123456789Z"));
        let (early, late) = (at("2024-02-29T12:30:15.9Z"), at("2024-02-29T12:30:17.1Z"));
        assert_eq!(late.since(early), Duration::from_millis(1200));
        assert_eq!(early.since(late), Duration::ZERO);
    }

    #[test]
    fn what_builders_fix_says_nothing() {
        let is_told = |text: &str| Instant::parse(text).unwrap().is_told();
        assert!(!is_told("1970-01-01T00:00:01Z") && !is_told("1980-01-01T00:00:01Z"));
        assert!(is_told("2013-03-20T00:00:00Z"));
    }

    #[test]
    fn each_day_of_the_calendar_follows_the_one_before() {
        let is_leap = |year: i64| year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
        let mut expected = days_since_1970(1896, 1, 1);
        assert_eq!(expected, -27_028);
        for year in 1896..=2104 {
            let february = if is_leap(year) { 29 } else { 28 };
            let lengths = [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
            for (month, days) in (1..).zip(lengths) {
                for day in 1..=days {
                    assert_eq!(days_since_1970(year, month, day), expected, "{year}-{month}-{day}");
                    expected += 1;
                }
            }
        }
        assert_eq!(Instant::parse("2104-12-31T23:59:59Z").unwrap().seconds(), expected * 86_400 - 1);
    }
}
