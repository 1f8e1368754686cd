//! Results for CI servers, as JUnit XML.

use super::draft::Draft;
use super::groups::{Runs, Told};
use super::pattern::{clipped, first_line};
use crate::interrupt::Interrupt;
use crate::outcome::Report;
use labrpc::run::Failure;
use labrpc::time::Duration;
use quick_xml::Writer;
use quick_xml::events::{BytesDecl, BytesEnd, BytesStart, BytesText, Event};
use std::io::{self, Write};
use std::path::Path;

/// A JUnit file that appears only when it is complete. Each run is a testcase. The first failure of each group is there in full,
/// the others have their message and the command that replays them.
pub struct JunitFile {
    draft: Draft,
    told: Told,
    tests: u64,
    failures: u64,
    wall: Duration,
}

/// Longer messages are cut in the attribute, which CI servers show as a title. The text of the failure has all of it.
const LONGEST_TITLE: usize = 1000;

type Xml<'a> = Writer<&'a mut dyn Write>;

/// Attributes of an element.
type Attributes<'a> = [(&'a str, String)];

impl JunitFile {
    /// Prepares to write `path`, see [`Draft::create`].
    ///
    /// # Errors
    /// The path can't be written.
    pub fn create(path: &Path) -> Result<JunitFile, String> {
        let draft = Draft::create(path, "--junit")?;
        Ok(JunitFile { draft, told: Told::default(), tests: 0, failures: 0, wall: Duration::ZERO })
    }

    /// Where the file will be.
    pub fn path(&self) -> &Path {
        self.draft.path()
    }

    /// Adds a run. If it failed, `group` is the number of its group.
    pub fn add(&mut self, report: &Report, group: Option<usize>, runs: Runs<'_>) {
        self.tests += 1;
        self.failures += u64::from(report.result.is_err());
        self.wall += report.wall;
        let news = report.result.is_err() && self.told.is_news(group);
        self.draft.add(|to| {
            let mut xml = Writer::new(to);
            let case = of_run(report, runs.is_sweep);
            let Err(failure) = &report.result else { return empty(&mut xml, "testcase", &case) };
            begin(&mut xml, "testcase", &case)?;
            properties(&mut xml, &facts(report, failure, group, runs))?;
            let body = match news {
                true => super::failure(report, runs.again),
                false => in_brief(report, failure, group, runs),
            };
            let title = clipped(first_line(&failure.message), LONGEST_TITLE);
            let kind = format!("{:?}", failure.kind);
            element(&mut xml, "failure", &[("type", kind), ("message", title)], &body)?;
            end(&mut xml, "testcase")
        });
    }

    /// Writes the file in one step. `not_run` runs are missing, because of an interrupt or after the first failure. `groups`
    /// describes the groups of failures, if there are any.
    ///
    /// # Errors
    /// The disk is full, or the folder went away.
    pub fn finish(
        mut self,
        groups: Option<&str>,
        interrupted: Option<Interrupt>,
        not_run: u64,
    ) -> Result<(), String> {
        let (made, all) = (self.tests, self.tests + not_run);
        let missing = (not_run > 0).then(|| match interrupted {
            Some(by) => ("error", format!("interrupted by {by} after {made} of {all} runs")),
            None => ("skipped", format!("ended at a failure after {made} of {all} runs")),
        });
        let head = self.head(missing.as_ref().map(|(what, _)| *what));
        self.draft.add(|to| {
            let mut xml = Writer::new(to);
            if let Some((what, why)) = missing {
                let name = format!("the other {not_run} runs");
                let case = [("classname", "raftlab".into()), ("name", name), ("time", "0".into())];
                begin(&mut xml, "testcase", &case)?;
                element(&mut xml, what, &[("message", why)], "")?;
                end(&mut xml, "testcase")?;
            }
            if let Some(groups) = groups {
                element(&mut xml, "system-out", &[], groups)?;
            }
            end(&mut xml, "testsuite")?;
            end(&mut xml, "testsuites")
        });
        self.draft.finish(&head.map_err(|error| error.to_string())?)
    }

    /// What comes before the testcases: the counts, which are known only at the end.
    fn head(&self, missing: Option<&str>) -> io::Result<Vec<u8>> {
        let counts = |what: &str| u64::from(missing == Some(what)).to_string();
        let attributes = [
            ("name", "raftlab".into()),
            ("tests", (self.tests + u64::from(missing.is_some())).to_string()),
            ("failures", self.failures.to_string()),
            ("errors", counts("error")),
            ("skipped", counts("skipped")),
            ("time", seconds(self.wall)),
        ];
        let mut head = Vec::new();
        let mut xml = Writer::new(&mut head as &mut dyn Write);
        xml.write_event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)))?;
        xml.get_mut().write_all(b"\n")?;
        begin(&mut xml, "testsuites", &attributes)?;
        begin(&mut xml, "testsuite", &attributes)?;
        Ok(head)
    }
}

fn seconds(time: Duration) -> String {
    format!("{:.3}", time.as_secs_f64())
}

fn of_run(report: &Report, is_sweep: bool) -> [(&'static str, String); 3] {
    let seed = if is_sweep { format!(", seed {}", report.seed) } else { String::new() };
    [
        ("classname", report.test.part.into()),
        ("name", format!("{}{seed}", report.test.name)),
        ("time", seconds(report.wall)),
    ]
}

/// What programs may want to know about a failed run.
fn facts(
    report: &Report,
    failure: &Failure,
    group: Option<usize>,
    runs: Runs<'_>,
) -> Vec<(&'static str, String)> {
    let mut facts = vec![
        ("seed", report.seed.to_string()),
        ("world", report.world.name().into()),
        ("lab_seconds", failure.at.as_secs_f64().to_string()),
        ("replay", runs.again.command(report.world, report.test, report.seed)),
    ];
    facts.extend(super::groups::property(failure).map(|property| ("property", property)));
    facts.extend(failure.place.clone().map(|place| ("place", place)));
    facts.extend(group.map(|number| ("group", number.to_string())));
    facts
}

/// A failure whose group is already there in full.
fn in_brief(report: &Report, failure: &Failure, group: Option<usize>, runs: Runs<'_>) -> String {
    let group = match group {
        Some(number) => format!(
            "This is failure {number}: the first testcase of this group has its last events."
        ),
        None => "This failure is in no group, because there are too many groups.".into(),
    };
    let again = super::how_again(report, runs.again);
    format!("{failure}\n\n{group}\n\nagain: {again}")
}

fn properties(xml: &mut Xml<'_>, facts: &[(&'static str, String)]) -> io::Result<()> {
    begin(xml, "properties", &[])?;
    for (name, value) in facts {
        let attributes = [("name", (*name).to_string()), ("value", value.clone())];
        empty(xml, "property", &attributes)?;
    }
    end(xml, "properties")
}

fn start<'a>(name: &'a str, attributes: &Attributes<'_>) -> BytesStart<'a> {
    let mut element = BytesStart::new(name);
    attributes.iter().for_each(|(name, value)| element.push_attribute((*name, &*valid(value))));
    element
}

/// An element that has only attributes.
fn empty(xml: &mut Xml<'_>, name: &str, attributes: &Attributes<'_>) -> io::Result<()> {
    xml.write_event(Event::Empty(start(name, attributes)))?;
    xml.get_mut().write_all(b"\n")
}

/// Begins an element that has others in it.
fn begin(xml: &mut Xml<'_>, name: &str, attributes: &Attributes<'_>) -> io::Result<()> {
    xml.write_event(Event::Start(start(name, attributes)))?;
    xml.get_mut().write_all(b"\n")
}

fn end(xml: &mut Xml<'_>, name: &str) -> io::Result<()> {
    xml.write_event(Event::End(BytesEnd::new(name)))?;
    xml.get_mut().write_all(b"\n")
}

/// An element that has nothing but text in it.
fn element(
    xml: &mut Xml<'_>,
    name: &str,
    attributes: &Attributes<'_>,
    text: &str,
) -> io::Result<()> {
    xml.write_event(Event::Start(start(name, attributes)))?;
    xml.write_event(Event::Text(BytesText::new(&valid(text))))?;
    end(xml, name)
}

/// The text, with characters that XML 1.0 does not allow (not even escaped) written as in Rust: `\u{1b}`.
fn valid(text: &str) -> String {
    let mut valid = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '\t' | '\n' | '\r' => valid.push(letter),
            '\0'..'\u{20}' | '\u{fffe}' | '\u{ffff}' => valid.extend(letter.escape_unicode()),
            _ => valid.push(letter),
        }
    }
    valid
}

#[cfg(test)]
mod tests;
