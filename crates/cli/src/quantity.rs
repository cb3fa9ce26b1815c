//! Sizes, times and shares as a person reads them: `1.2 MB`, `3 weeks ago`, `4.1 s`, `0.3 %`.

use std::time::Duration;

use dsync_core::Instant;

/// Bytes in decimal units, with one decimal below a hundred.
pub(crate) fn bytes(n: u64) -> String {
    if n < 1000 {
        return format!("{n} B");
    }
    let mut value = n as f64;
    let mut unit = "";
    for next in ["kB", "MB", "GB", "TB", "PB", "EB"] {
        value /= 1000.0;
        unit = next;
        // A value that would be rounded up to 1000 belongs to the next unit.
        if value < 999.5 {
            break;
        }
    }
    if value < 99.95 { format!("{value:.1} {unit}") } else { format!("{value:.0} {unit}") }
}

/// `part` of `whole` in percent; nothing where there is no whole.
pub(crate) fn percent(part: u64, whole: u64) -> Option<String> {
    if whole == 0 {
        return None;
    }
    let share = part as f64 * 100.0 / whole as f64;
    Some(match share {
        _ if part == 0 => "0 %".into(),
        _ if share < 0.05 => "<0.1 %".into(),
        _ if share < 9.95 => format!("{share:.1} %"),
        _ => format!("{share:.0} %"),
    })
}

/// A duration, in the largest unit that is exact enough.
pub(crate) fn duration(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    if seconds < 59.95 {
        return format!("{seconds:.1} s");
    }
    let seconds = seconds.round() as u64;
    match seconds / 60 {
        minutes @ ..60 => format!("{minutes} min {:02} s", seconds % 60),
        minutes => format!("{} h {:02} min", minutes / 60, minutes % 60),
    }
}

/// An estimate of the time that is left, in whole seconds.
pub(crate) fn about(time: Duration) -> String {
    let seconds = time.as_secs();
    if seconds < 60 { format!("{seconds} s") } else { duration(Duration::from_secs(seconds)) }
}

/// The age of an RFC 3339 time, in its largest unit.
///
/// Nothing for what is no time.
pub(crate) fn age(created: &str, now: i64) -> Option<String> {
    Instant::parse(created).map(|then| ago(now - then.seconds()))
}

/// Two ages, the first of which is greater: `3 days ago, the target's 2 hours ago`; where they read the same,
/// by how much.
pub(crate) fn older((own, other): (Instant, Instant), now: i64) -> String {
    let [own_age, other_age] = [own, other].map(|instant| ago(now - instant.seconds()));
    if own_age == other_age {
        return format!("by {}", duration(other.since(own)));
    }
    format!("built {own_age}, the target's {other_age}")
}

/// A time that is so many seconds past.
pub(crate) fn ago(seconds: i64) -> String {
    let seconds = seconds.max(0);
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    let (n, unit) = match () {
        () if seconds < 60 => return "just now".into(),
        () if minutes < 60 => (minutes, "minute"),
        () if hours < 48 => (hours, "hour"),
        () if days < 14 => (days, "day"),
        () if days < 60 => (days / 7, "week"),
        () if days < 730 => (days * 100 / 3044, "month"),
        () => (days * 100 / 36_525, "year"),
    };
    format!("{} ago", counted(n.unsigned_abs(), unit))
}

/// Reads `100MB`, `1GiB`, `512`: bytes.
pub(crate) fn parse_size(text: &str) -> Result<u64, String> {
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = text.split_at(digits);
    let factor: Option<u64> = match unit.trim_start() {
        "" | "B" => Some(1),
        "k" | "kB" | "KB" => Some(1000),
        "M" | "MB" => Some(1000 * 1000),
        "G" | "GB" => Some(1000 * 1000 * 1000),
        "KiB" => Some(1 << 10),
        "MiB" => Some(1 << 20),
        "GiB" => Some(1 << 30),
        _ => None,
    };
    let size = number.parse::<u64>().ok().zip(factor).and_then(|(number, factor)| number.checked_mul(factor));
    size.ok_or_else(|| "expected a size such as 100MB or 1GiB".into())
}

/// `1 layer`, `2 layers`.
pub(crate) fn counted(n: u64, noun: &str) -> String {
    format!("{n} {noun}{}", if n == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_have_three_figures_at_most() {
        let shown = [0, 999, 1000, 1_249_000, 48_200_000, 99_960_000, 412_000_000, 999_600_000, u64::MAX];
        let shown: Vec<String> = shown.into_iter().map(bytes).collect();
        assert_eq!(
            shown,
            ["0 B", "999 B", "1.0 kB", "1.2 MB", "48.2 MB", "100 MB", "412 MB", "1.0 GB", "18.4 EB"]
        );
    }

    #[test]
    fn shares() {
        let percent = |part, whole| percent(part, whole).unwrap_or_default();
        assert_eq!(percent(1_200_000, 412_000_000), "0.3 %");
        assert_eq!(percent(1, 1_000_000), "<0.1 %");
        assert_eq!(percent(0, 5), "0 %");
        assert_eq!(percent(121, 100), "121 %");
        assert_eq!(percent(5, 0), "");
    }

    #[test]
    fn durations() {
        let duration = |ms| duration(Duration::from_millis(ms));
        assert_eq!(duration(4_120), "4.1 s");
        assert_eq!(duration(59_970), "1 min 00 s");
        assert_eq!(duration(125_000), "2 min 05 s");
        assert_eq!(duration(3_725_000), "1 h 02 min");
        assert_eq!(about(Duration::from_millis(2_900)), "2 s");
        assert_eq!(about(Duration::from_millis(125_900)), "2 min 05 s");
    }

    #[test]
    fn ages() {
        const NOW: i64 = 1_709_209_815; // 2024-02-29T12:30:15Z
        let age = |created| age(created, NOW).unwrap_or_default();
        assert_eq!(age("2024-02-29T12:30:00Z"), "just now");
        assert_eq!(age("2030-01-01T00:00:00Z"), "just now");
        assert_eq!(age("2024-02-29T12:29:00Z"), "1 minute ago");
        assert_eq!(age("2024-02-29T09:00:00Z"), "3 hours ago");
        assert_eq!(age("2024-02-20T12:30:15Z"), "9 days ago");
        assert_eq!(age("2024-01-29T12:30:15Z"), "4 weeks ago");
        assert_eq!(age("2023-11-29T12:30:15Z"), "3 months ago");
        assert_eq!(age("2020-02-29T12:30:15Z"), "4 years ago");
        let older = |own, other| older((Instant::parse(own).unwrap(), Instant::parse(other).unwrap()), NOW);
        assert_eq!(
            older("2024-02-26T09:00:00Z", "2024-02-29T10:30:15Z"),
            "built 3 days ago, the target's 2 hours ago"
        );
        assert_eq!(older("2024-02-26T09:00:00Z", "2024-02-26T10:00:00+01:00"), "by 0.0 s");
        assert_eq!(older("2024-02-26T09:00:00Z", "2024-02-26T09:20:30Z"), "by 20 min 30 s");
        assert_eq!(age("0001-01-01T00:00:00Z"), "");
        assert_eq!(age("yesterday"), "");
    }
}
