//! The two graphs of Figure 16, and what the paper says about them.

use super::line::Line;
use super::summary::{Downtime, Measured};
use std::ops::Range;

/// A graph: the cumulative percentage of trials against the time without a leader.
pub struct Figure {
    /// The title above it.
    pub title: &'static str,
    /// The name of its file, without the extension.
    pub file: &'static str,
    /// Its lines.
    pub lines: Vec<Line>,
    /// The range of its x axis.
    pub axis: Axis,
}

/// An x axis, in milliseconds.
#[derive(Clone, PartialEq)]
pub enum Axis {
    /// A linear axis.
    Linear(Range<f64>),
    /// A logarithmic axis.
    Log(Range<f64>),
}

/// The paper's graphs.
pub fn figure_16() -> Vec<Figure> {
    let line = |&(from, to): &(u64, u64)| Line::new(from, to);
    let randomness = [(150, 150), (150, 151), (150, 155), (150, 175), (150, 200), (150, 300)];
    let scale = [(12, 24), (25, 50), (50, 100), (100, 200), (150, 300)];
    vec![
        Figure {
            title: "Without a leader: more randomness in election timeouts",
            file: "elections-randomness",
            lines: randomness.iter().map(line).collect(),
            axis: Axis::Log(50.0..100_000.0),
        },
        Figure {
            title: "Without a leader: shorter election timeouts",
            file: "elections-scale",
            lines: scale.iter().map(line).collect(),
            axis: Axis::Linear(0.0..600.0),
        },
    ]
}

/// Timeouts between regions: from far too short for the longest round trip of 260 ms, to ten times as long.
pub fn wide_area() -> Vec<Figure> {
    let lines = [(100, 200), (200, 400), (300, 600), (600, 1200), (1200, 2400), (2500, 5000)];
    vec![Figure {
        title: "Without a leader: election timeouts in a wide-area network",
        file: "elections-regions",
        lines: lines.iter().map(|&(from, to)| Line::new(from, to)).collect(),
        axis: Axis::Log(50.0..100_000.0),
    }]
}

/// A graph of lines that the user has chosen.
pub fn of_lines(lines: &[Line]) -> Vec<Figure> {
    vec![Figure {
        title: "Without a leader",
        file: "elections-lines",
        lines: once(lines),
        axis: Axis::Log(10.0..100_000.0),
    }]
}

/// These lines without duplicates.
pub fn once(lines: &[Line]) -> Vec<Line> {
    let mut once = Vec::new();
    for line in lines {
        if !once.contains(line) {
            once.push(*line);
        }
    }
    once
}

/// What the paper says about a line, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Claim {
    /// All trials took longer.
    Over(f64),
    /// The median.
    Median(f64),
    /// The mean.
    Mean(f64),
    /// The longest of 1,000 trials.
    Worst(f64),
}

/// All numbers in section 9.3.
const CLAIMS: [(Line, Claim); 5] = [
    (Line::new(150, 150), Claim::Over(10_000.0)),
    (Line::new(150, 155), Claim::Median(287.0)),
    (Line::new(150, 200), Claim::Worst(513.0)),
    (Line::new(12, 24), Claim::Mean(35.0)),
    (Line::new(12, 24), Claim::Worst(152.0)),
];

/// What the paper says about this line.
pub fn claims(line: Line) -> impl Iterator<Item = Claim> {
    CLAIMS.into_iter().filter(move |(of, _)| *of == line).map(|(_, claim)| claim)
}

impl Claim {
    /// The name of the quantity.
    pub fn name(self) -> &'static str {
        match self {
            Claim::Over(_) => "over",
            Claim::Median(_) => "median",
            Claim::Mean(_) => "mean",
            Claim::Worst(_) => "worst",
        }
    }

    /// The paper's number.
    pub fn ms(self) -> f64 {
        match self {
            Claim::Over(ms) | Claim::Median(ms) | Claim::Mean(ms) | Claim::Worst(ms) => ms,
        }
    }

    /// Our measurement of the same quantity.
    pub fn ours(self, measured: &Measured) -> Downtime {
        match self {
            Claim::Over(_) => measured.percentile(0),
            Claim::Median(_) => measured.percentile(50),
            Claim::Mean(_) => measured.mean(),
            Claim::Worst(_) => measured.percentile(100),
        }
    }
}
