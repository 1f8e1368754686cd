//! The table: a row for each line, with the paper's numbers beside it.

use super::figure::{self, Claim};
use super::summary::{Downtime, Measured};
use labtests::report::Row;

/// The header of the columns of [`row`].
pub fn header(with_paper: bool) -> Row {
    let heads = ["trials", "min", "median", "mean", "p99", "worst", "elections"].map(String::from);
    let row = new_row("timeouts", heads);
    if with_paper { row.with_note("the paper".into()) } else { row }
}

/// The row of a line, in milliseconds.
pub fn row(measured: &Measured, with_paper: bool) -> Row {
    let percentile = |percent| shown(measured.percentile(percent));
    let values = [
        measured.trials.len().to_string(),
        percentile(0),
        percentile(50),
        shown(measured.mean()),
        percentile(99),
        percentile(100),
        format!("{:.2}", measured.elections()),
    ];
    let claims = figure::claims(measured.line).filter(|_| with_paper);
    let claims: Vec<_> = claims.map(|claim| compared(claim, claim.ours(measured))).collect();
    new_row(&measured.line.to_string(), values).with_note(claims.join("; "))
}

fn new_row(title: &str, values: [String; 7]) -> Row {
    let widths = [6, 9, 9, 9, 9, 9, 9];
    let values = values.into_iter().zip(widths);
    Row::new(format!("{title:<14}"), values.map(|(value, width)| format!("{value:>width$}")))
}

fn shown(downtime: Downtime) -> String {
    downtime.ms().map_or("never".into(), |ms| format!("{ms:.1}"))
}

/// What the paper says, and how much larger our value is.
fn compared(claim: Claim, ours: Downtime) -> String {
    let said = format!("{} {:.0}", claim.name(), claim.ms());
    match (claim, ours.ms()) {
        (Claim::Over(least), ours) => {
            let so = ours.is_none_or(|ms| ms > least);
            format!("{said} ({})", if so { "confirmed" } else { "not confirmed" })
        }
        (_, Some(ms)) => format!("{said} ({:+.0} %)", (ms / claim.ms() - 1.0) * 100.0),
        (_, None) => format!("{said} (never)"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::line::Line;
    use super::super::trial::Outcome;
    use super::*;
    use labrpc::time::Duration;

    fn measured(from: u64, to: u64, ms: &[Option<u64>]) -> Measured {
        let outcome = |ms: &Option<u64>| {
            let time = ms.map(Duration::from_millis);
            Outcome { elected: time, replaced: time, elections: 2 }
        };
        Measured::new(Line::new(from, to), ms.iter().map(|ms| (1, outcome(ms))).collect())
    }

    fn words(row: Row) -> String {
        row.fit(None).split_whitespace().collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn a_row_has_the_paper_beside_it() {
        let row = |measured| words(row(&measured, true));
        let seen = row(measured(12, 24, &[Some(20), Some(50)]));
        let paper = "mean 35 (+0 %); worst 152 (-67 %)";
        assert_eq!(seen, format!("12-24 ms 2 20.0 20.0 35.0 50.0 50.0 2.00 {paper}"));
        let seen = row(measured(150, 150, &[None]));
        let paper = "over 10000 (confirmed)";
        assert_eq!(seen, format!("150-150 ms 1 never never never never never 2.00 {paper}"));
        let seen = row(measured(150, 150, &[None, Some(9_000)]));
        assert!(seen.ends_with("over 10000 (not confirmed)"), "{seen}");
    }

    #[test]
    fn where_the_paper_says_nothing_there_is_nothing() {
        let seen = row(&measured(150, 151, &[Some(1)]), true).fit(None);
        assert!(seen.ends_with("2.00"), "{seen:?}");
        let seen = row(&measured(12, 24, &[Some(1)]), false).fit(None);
        assert!(seen.ends_with("2.00"), "{seen:?}");
        let header = |with_paper| header(with_paper).fit(None);
        assert!(header(true).ends_with("  the paper") && header(false).ends_with("elections"));
    }
}
