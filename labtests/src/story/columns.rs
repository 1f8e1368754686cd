//! A story on a terminal: the time, a column per server with its role and term, and a sentence.

use super::view::{Role, View};
use super::{Kind, Told};
use console::Style;

/// How lines are made.
pub struct Columns {
    views: Vec<View>,
    /// How many columns a line may have; `None`: no limit, and the details are shown as well.
    width: Option<usize>,
    colour: bool,
    /// How wide a server's column is.
    cell: usize,
}

/// The least width of a server's column: mark, role, two digits of the term, link.
const CELL: usize = 5;

/// The least width of a sentence.
const SENTENCE: usize = 24;

/// The width of the time.
const TIME: usize = 14;

/// The colours of terms, in turn. Red and green are for what breaks and what wins.
const TERMS: [u8; 6] = [33, 178, 135, 37, 208, 105];

impl Columns {
    /// For this number of servers.
    pub fn new(servers: usize, width: Option<usize>, colour: bool) -> Columns {
        let views = (0..servers).map(|_| View::default()).collect();
        Columns { views, width, colour, cell: CELL }
    }

    /// The lines above the events.
    pub fn header(&self) -> Vec<String> {
        let legend = "F follower, C candidate, L leader, with its term; ? unknown, x down, / cut off; > acts";
        let servers =
            (0..self.shown_servers()).map(|i| format!("{:<1$}", format!(" S{i}"), self.cell));
        let heads = format!("{:>TIME$}  {}", "time", servers.collect::<String>());
        [legend.to_string(), heads].map(|line| self.fit(line.trim_end()).to_string()).into()
    }

    /// Takes note of what changed. Every event must be passed to it, also one that is not shown.
    pub fn note(&mut self, told: &Told) {
        for change in &told.changes {
            self.views[change.server].change(change);
        }
        let longest = self.views.iter().filter_map(|view| view.term).max().unwrap_or(0);
        self.cell = self.cell.max(CELL - 2 + longest.to_string().len());
    }

    /// The line of an event, after it was [noted](Columns::note).
    pub fn line(&self, told: &Told) -> String {
        let time = format!("{:>11.3} ms  ", super::json::ms(told.at));
        let cells: String = (0..self.shown_servers()).map(|i| self.cell(i, told)).collect();
        let mut text = told.text.clone();
        if let Some(why) = &told.why {
            text += &format!(": {why}");
        }
        if self.width.is_none()
            && let Some(detail) = &told.detail
        {
            text += &format!("  | {detail}");
        }
        let taken = TIME + 2 + self.shown_servers() * self.cell;
        let room = self.width.map(|width| width.saturating_sub(taken));
        let text = shorten(&one_line(&text), room);
        let text = match self.style_of(told) {
            Some(style) => style.force_styling(true).apply_to(text).to_string(),
            None => text,
        };
        format!("{time}{cells}{text}")
    }

    /// How many servers have a column: none on a terminal that has no room for a sentence beside them.
    fn shown_servers(&self) -> usize {
        let taken = TIME + 2 + self.views.len() * self.cell;
        if self.width.is_some_and(|width| width < taken + SENTENCE) { 0 } else { self.views.len() }
    }

    /// What the column of server `i` shows.
    fn cell(&self, i: usize, told: &Told) -> String {
        let view = &self.views[i];
        let acts = told.server == Some(i);
        let mark = if acts { '>' } else { ' ' };
        let term = view.term.map_or("-".into(), |term| term.to_string());
        let state = match (view.alive, view.role) {
            (false, _) => "x".into(),
            (true, Some(role)) => format!("{}{term}", role.letter()),
            (true, None) => format!("?{term}"),
        };
        let link = if view.alive && !view.connected { "/" } else { "" };
        let text = format!("{mark}{:<1$}", format!("{state}{link}"), self.cell - 1);
        if !self.colour {
            return text;
        }
        let style = match view.term {
            _ if !view.alive => Style::new().dim(),
            Some(term) => Style::new().color256(TERMS[(term % TERMS.len() as u64) as usize]),
            None => Style::new(),
        };
        let style =
            if view.role == Some(Role::Leader) && view.alive { style.bold() } else { style };
        let style = if acts { style.reverse() } else { style };
        // The last column stays plain, so that the cells stay apart.
        let (shown, gap) = text.split_at(text.len() - 1);
        format!("{}{gap}", style.force_styling(true).apply_to(shown))
    }

    fn style_of(&self, told: &Told) -> Option<Style> {
        if !self.colour {
            return None;
        }
        let style = Style::new();
        match (told.kind, told.what) {
            (Kind::Role, "leader") => Some(style.green().bold()),
            (Kind::Role, _) => Some(style.bold()),
            (Kind::Commit, _) => Some(style.green()),
            (Kind::Fault, _) => Some(style.red()),
            (_, "lost" | "held") => Some(style.red()),
            (_, "answered") if told.why.is_some() => Some(style.yellow()),
            (Kind::Tester, _) => Some(style.cyan()),
            (Kind::Save | Kind::Client | Kind::Log, _) => Some(style.dim()),
            _ => None,
        }
    }

    fn fit<'a>(&self, text: &'a str) -> std::borrow::Cow<'a, str> {
        match self.width {
            Some(width) if text.chars().count() > width => shorten(text, Some(width)).into(),
            _ => text.into(),
        }
    }
}

/// The text in at most `room` columns.
fn shorten(text: &str, room: Option<usize>) -> String {
    match room {
        Some(room) => console::truncate_str(text, room, "…").into_owned(),
        None => text.into(),
    }
}

/// The text on one line, without characters that would move the cursor.
fn one_line(text: &str) -> String {
    text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect()
}
