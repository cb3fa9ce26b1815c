//! The output of a program of libFuzzer.

use super::record::Turn;

/// Takes in a line.
pub(super) fn read(line: &str, turn: &mut Turn) {
    let number = |text: &str| text.trim().parse::<u64>().ok();
    let after = |key: &str| {
        let mut words = line.split_whitespace().skip_while(|word| *word != key);
        words.nth(1).and_then(number)
    };
    if let Some(value) = line.strip_prefix("stat::number_of_executed_units:").and_then(number) {
        turn.runs = value;
    } else if let Some(value) = line.strip_prefix("stat::peak_rss_mb:").and_then(number) {
        turn.resident = value;
    } else if let Some(value) = line.strip_prefix("MEMORY").and_then(number) {
        turn.memory = turn.memory.max(value);
    } else if line.starts_with('#') {
        turn.coverage = after("cov:").unwrap_or(0).max(turn.coverage);
        turn.features = after("ft:").unwrap_or(0).max(turn.features);
    } else if let Some((_, file)) = line.split_once("Test unit written to ") {
        let reason = turn.finding.take().unwrap_or_default();
        turn.finding = Some(format!("{reason} ({file})").trim_start().to_owned());
    } else if line.contains("panicked at") || line.contains("ERROR: libFuzzer:") {
        turn.finding.get_or_insert_with(|| line.trim().to_owned());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(lines: &str) -> Turn {
        let mut turn = Turn::default();
        lines.lines().for_each(|line| read(line, &mut turn));
        turn
    }

    #[test]
    fn numbers_are_read_where_they_are_said() {
        let turn = of("#2\tINITED cov: 11 ft: 12 corp: 1/1b exec/s: 0 rss: 30Mb\nMEMORY 500\nMEMORY 900\n\
             #65173\tDONE   cov: 413 ft: 1907 corp: 809/12Kb lim: 76 exec/s: 3100 rss: 87Mb\n\
             stat::number_of_executed_units: 65173\nstat::peak_rss_mb:              87\n");
        assert_eq!((turn.runs, turn.coverage, turn.features), (65173, 413, 1907));
        assert_eq!((turn.memory, turn.resident, turn.finding), (900, 87, None));
    }

    #[test]
    fn a_finding_has_its_reason_and_its_input() {
        let turn = of(
            "thread '<unnamed>' panicked at src/x.rs:5:1:\nout of bounds\n==1== ERROR: libFuzzer: deadly signal\n\
             artifact_prefix='a/'; Test unit written to a/crash-1\n",
        );
        assert_eq!(turn.finding.as_deref(), Some("thread '<unnamed>' panicked at src/x.rs:5:1: (a/crash-1)"));
    }
}
