//! A matrix of round trips between regions.
//!
//! ```text
//! # round trips in ms
//!         dallas london tokyo
//! dallas       -    115   145
//! london     115      -   245
//! tokyo      145    245     -
//! ```

use labrpc::time::Duration;
use std::fmt;
use std::fs;
use std::ops::RangeInclusive;
use std::path::Path;
use std::str::FromStr;

/// Regions, with the round trip time between each two.
#[derive(Debug)]
pub struct Regions {
    names: Vec<String>,
    round_trips: Vec<Vec<Duration>>,
}

/// Five regions of a public cloud: the average round trips that IBM Cloud measured between them from 27 July to 25 August 2024
/// (its documentation, "VPC network latency"), rounded to 5 ms.
const FIVE: &str = "
            dallas washington london tokyo sydney
dallas           -         30    115   145    185
washington      30          -     75   165    215
london         115         75      -   245    260
tokyo          145        165    245     -    115
sydney         185        215    260   115      -
";

/// With fewer servers, a crash leaves no majority; with more, the setting is too far from the paper's.
const HOW_MANY: RangeInclusive<usize> = 3..=9;

/// No round trip takes longer than a minute, in ms.
const LONGEST: f64 = 60_000.0;

impl Regions {
    /// The regions of a file, or the five built-in regions, whose name is `regions`.
    ///
    /// # Errors
    /// The file can't be read, or is malformed.
    pub fn read(path: &Path) -> Result<Regions, String> {
        if path == Path::new("regions") {
            return FIVE.parse();
        }
        let text = fs::read_to_string(path);
        let text = text.map_err(|error| format!("can't read {}: {error}", path.display()))?;
        text.parse().map_err(|wrong| format!("{}: {wrong}", path.display()))
    }

    /// One row for each region, with round trips.
    pub fn round_trips(&self) -> &[Vec<Duration>] {
        &self.round_trips
    }
}

impl fmt::Display for Regions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.names.join(", "))
    }
}

impl FromStr for Regions {
    type Err = String;

    fn from_str(text: &str) -> Result<Regions, String> {
        let lines = text.lines().zip(1..).map(|(line, number)| {
            let words = line.split('#').next().unwrap_or_default().split_whitespace();
            (number, words.collect::<Vec<_>>())
        });
        let mut lines = lines.filter(|(_, words)| !words.is_empty());
        let (number, names) =
            lines.next().ok_or("the line with the names of the regions is missing")?;
        check_names(&names).map_err(|wrong| format!("line {number}: {wrong}"))?;
        let mut round_trips: Vec<Vec<Duration>> = Vec::new();
        for (number, words) in lines {
            let row = row(&names, &round_trips, &words);
            round_trips.push(row.map_err(|wrong| format!("line {number}: {wrong}"))?);
        }
        match names.get(round_trips.len()) {
            Some(missing) => Err(format!("the row of {missing} is missing")),
            None => {
                Ok(Regions { names: names.iter().map(ToString::to_string).collect(), round_trips })
            }
        }
    }
}

fn check_names(names: &[&str]) -> Result<(), String> {
    if !HOW_MANY.contains(&names.len()) {
        let (least, most) = HOW_MANY.into_inner();
        return Err(format!("expected {least} to {most} regions, not {}", names.len()));
    }
    match names.iter().enumerate().find(|(i, name)| names[..*i].contains(name)) {
        Some((_, twice)) => Err(format!("{twice} is named twice")),
        None => Ok(()),
    }
}

/// The row after those `above`.
fn row(names: &[&str], above: &[Vec<Duration>], words: &[&str]) -> Result<Vec<Duration>, String> {
    let me = above.len();
    let (Some(name), Some((first, numbers))) = (names.get(me), words.split_first()) else {
        return Err("every region already has its row".into());
    };
    if first != name {
        return Err(format!("expected the row of {name}, not {first:?}"));
    }
    if numbers.len() != names.len() {
        let (wanted, found) = (names.len(), numbers.len());
        return Err(format!("{name} has {found} round trips instead of {wanted}"));
    }
    let cells = numbers.iter().zip(names).enumerate();
    cells.map(|(to, (number, other))| {
        let round_trip = if to == me { nothing(number) } else { milliseconds(number) };
        let round_trip = round_trip.ok_or_else(|| {
            let wanted = if to == me { "- or 0" } else { "a number of milliseconds" };
            format!("from {name} to {other}: expected {wanted}, not {number:?}")
        })?;
        match above.get(to) {
            Some(row) if row[me] != round_trip => Err(format!(
                "the round trip from {name} to {other} is {round_trip:?}, but from {other} to {name} it is {:?}",
                row[me]
            )),
            _ => Ok(round_trip),
        }
    })
    .collect()
}

fn nothing(text: &str) -> Option<Duration> {
    (text == "-" || milliseconds(text) == Some(Duration::ZERO)).then_some(Duration::ZERO)
}

fn milliseconds(text: &str) -> Option<Duration> {
    let ms: f64 = text.parse().ok()?;
    (0.0..=LONGEST).contains(&ms).then(|| Duration::from_micros((ms * 1e3).round() as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn wrong(text: &str, words: &str) {
        let error = text.parse::<Regions>().unwrap_err();
        assert!(error.contains(words), "{error}");
    }

    #[test]
    fn the_built_in_regions_are_five() {
        let five = Regions::read(Path::new("regions")).unwrap();
        assert_eq!(five.to_string(), "dallas, washington, london, tokyo, sydney");
        assert_eq!(five.round_trips()[2][4], Duration::from_millis(260));
    }

    #[test]
    fn comments_empty_lines_and_fractions_are_welcome() {
        let text = "# three\n a b c # names\n\na 0 1.5 2\nb 1.5 - 3 # b\nc 2 3 -";
        let regions: Regions = text.parse().unwrap();
        assert_eq!(regions.round_trips()[1][0], Duration::from_micros(1_500));
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line() {
        wrong("", "the line with the names of the regions is missing");
        wrong("# a b c\n", "the line with the names of the regions is missing");
        wrong("a b", "line 1: expected 3 to 9 regions, not 2");
        wrong("a b a", "line 1: a is named twice");
        wrong("a b c\na 0 1 2\nc 1 0 3", "line 3: expected the row of b, not \"c\"");
        wrong("a b c\n\na 0 1", "line 3: a has 2 round trips instead of 3");
        wrong("a b c\na 0 x 2", "line 2: from a to b: expected a number of milliseconds");
        wrong("a b c\na 0 -1 2", "not \"-1\"");
        wrong("a b c\na 0 NaN 2", "not \"NaN\"");
        wrong("a b c\na 0 1e99 2", "not \"1e99\"");
        wrong("a b c\na 5 1 2", "line 2: from a to a: expected - or 0, not \"5\"");
        wrong(
            "a b c\na 0 1 2\nb 4 0 3",
            "line 3: the round trip from b to a is 4ms, but from a to b it is 1ms",
        );
        wrong("a b c\na 0 1 2\nb 1 0 3", "the row of c is missing");
        wrong(
            "a b c\na 0 1 2\nb 1 0 3\nc 2 3 0\nd 1 1 1",
            "line 5: every region already has its row",
        );
    }
}
