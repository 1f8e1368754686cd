//! Draws a figure like the paper's: the cumulative percentage of trials against the time without a leader.

use super::figure::{self, Axis, Claim, Figure};
use super::summary::{Downtime, Measured};
use plotters::coord::types::RangedCoordf64;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

type Area<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;
type Chart<'a, X> = ChartContext<'a, SVGBackend<'a>, Cartesian2d<X, RangedCoordf64>>;

const SIZE: (u32, u32) = (960, 540);

/// The range of the y axis, with some space for a mark at 100 %.
const PERCENT: std::ops::Range<f64> = 0.0..108.0;

/// Colours that most people can distinguish (from Okabe and Ito).
const COLOURS: [RGBColor; 7] = [
    RGBColor(213, 94, 0),
    RGBColor(230, 159, 0),
    RGBColor(0, 158, 115),
    RGBColor(86, 180, 233),
    RGBColor(0, 114, 178),
    RGBColor(204, 121, 167),
    RGBColor(90, 90, 90),
];

/// The maximum number of steps of a line. Steps smaller than a pixel would be useless.
const STEPS: usize = 400;

/// Draws a figure of these lines as SVG, with the paper's numbers if `with_paper` is set. `about` says how the lines were
/// measured.
///
/// # Errors
/// The drawing library fails.
pub fn draw(
    figure: &Figure,
    lines: &[&Measured],
    about: &str,
    with_paper: bool,
) -> Result<String, String> {
    let mut picture = String::new();
    let area = SVGBackend::with_string(&mut picture, SIZE).into_drawing_area();
    let drawn = try_draw(&area, figure, lines, about, with_paper);
    drop(area);
    drawn.map_err(|error| format!("can't draw {}: {error}", figure.file))?;
    Ok(picture)
}

type Drawn = Result<(), DrawingAreaErrorKind<std::io::Error>>;

fn try_draw(
    area: &Area<'_>,
    figure: &Figure,
    lines: &[&Measured],
    about: &str,
    with_paper: bool,
) -> Drawn {
    area.fill(&WHITE)?;
    let area = area.titled(figure.title, ("sans-serif", 24))?;
    let area = area.titled(about, ("sans-serif", 14).into_font().color(&BLACK.mix(0.6)))?;
    let mut builder = ChartBuilder::on(&area);
    builder.margin(12).margin_right(28).x_label_area_size(46).y_label_area_size(64);
    match figure.axis.clone() {
        Axis::Linear(range) => {
            let chart = builder.build_cartesian_2d(range.clone(), PERCENT)?;
            fill(chart, &figure.axis, lines, with_paper)
        }
        Axis::Log(range) => {
            let chart = builder.build_cartesian_2d(range.log_scale(), PERCENT)?;
            fill(chart, &figure.axis, lines, with_paper)
        }
    }?;
    area.present()
}

fn fill<'a, X>(mut chart: Chart<'a, X>, axis: &Axis, lines: &[&Measured], with_paper: bool) -> Drawn
where
    X: Ranged<ValueType = f64> + plotters::coord::ranged1d::ValueFormatter<f64>,
{
    let label = ("sans-serif", 15);
    chart
        .configure_mesh()
        .x_desc("time without a leader (ms)")
        .y_desc("cumulative percent of trials")
        .x_label_formatter(&|ms| format!("{ms:.0}"))
        .y_label_formatter(&|percent| format!("{percent:.0} %"))
        .x_label_style(label)
        .y_label_style(label)
        .axis_desc_style(("sans-serif", 16))
        .x_max_light_lines(5)
        .y_max_light_lines(2)
        .light_line_style(BLACK.mix(0.06))
        .bold_line_style(BLACK.mix(0.14))
        .draw()?;
    let coloured = || lines.iter().zip(COLOURS.into_iter().cycle());
    for (measured, colour) in coloured() {
        let within = steps(measured).into_iter().filter(|(ms, _)| axis.shows(*ms));
        chart
            .draw_series(LineSeries::new(within, colour.stroke_width(2)))?
            .label(legend(measured))
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 22, y)], colour.stroke_width(3)));
    }
    for (measured, colour) in coloured().filter(|_| with_paper) {
        for claim in figure::claims(measured.line).filter(|claim| axis.shows(claim.ms())) {
            mark(&mut chart, measured, claim, colour)?;
        }
    }
    let corner = match axis {
        Axis::Linear(_) => SeriesLabelPosition::LowerRight,
        Axis::Log(_) => SeriesLabelPosition::UpperRight,
    };
    chart
        .configure_series_labels()
        .position(corner)
        .margin(14)
        .legend_area_size(28)
        .label_font(("sans-serif", 15))
        .background_style(WHITE.mix(0.9))
        .border_style(BLACK.mix(0.3))
        .draw()?;
    Ok(())
}

/// One step for each trial, or for several trials at once so that a step is still visible: up where a trial ends, then to the
/// right.
fn steps(measured: &Measured) -> Vec<(f64, f64)> {
    let all = measured.downtimes();
    let every = all.len().div_ceil(STEPS);
    let mut steps = Vec::new();
    let mut before = 0.0;
    for (i, downtime) in all.iter().enumerate() {
        let last = i + 1 == all.len();
        let Some(ms) = downtime.ms() else { break };
        if i % every == 0 || last {
            steps.push((ms, before));
            before = (i + 1) as f64 * 100.0 / all.len() as f64;
            steps.push((ms, before));
        }
    }
    steps
}

/// The name of a line. If the line has no points, the name says why.
fn legend(measured: &Measured) -> String {
    let never = measured.percentile(0) == Downtime::Always;
    format!("{}{}", measured.line, if never { ": never" } else { "" })
}

/// Marks what the paper says about a line: a diamond at a point through which the line would have to pass.
fn mark<X>(chart: &mut Chart<'_, X>, measured: &Measured, claim: Claim, colour: RGBColor) -> Drawn
where
    X: Ranged<ValueType = f64>,
{
    let percent = match claim {
        Claim::Over(_) => 3.0, // just above the axis, because no trial should have ended there
        Claim::Median(_) => 50.0,
        Claim::Mean(_) => passed(measured, claim),
        Claim::Worst(_) => 100.0,
    };
    let text = format!("paper: {} {:.0} ms", claim.name(), claim.ms());
    // Beside the line, or above the graph at the end of the line.
    let (at, across) =
        if percent == 100.0 { ((0, -18), HPos::Center) } else { ((26, 0), HPos::Left) };
    let font = ("sans-serif", 14).into_font().color(&colour).pos(Pos::new(across, VPos::Center));
    let diamond = [(-7, 0), (0, -7), (7, 0), (0, 7), (-7, 0)];
    let mark = EmptyElement::at((claim.ms(), percent))
        + Polygon::new(diamond, WHITE.filled())
        + PathElement::new(diamond, colour.stroke_width(2))
        + Text::new(text, at, font);
    chart.draw_series([mark])?;
    Ok(())
}

/// The percentage of our trials that took no longer than our own mean. So if the means agree, the mark is on the line.
fn passed(measured: &Measured, claim: Claim) -> f64 {
    let mean = claim.ours(measured);
    let passed = measured.downtimes().iter().filter(|downtime| **downtime <= mean).count();
    passed as f64 * 100.0 / measured.downtimes().len() as f64
}

impl Axis {
    fn shows(&self, ms: f64) -> bool {
        let (Axis::Linear(range) | Axis::Log(range)) = self;
        (range.start..=range.end).contains(&ms)
    }
}
