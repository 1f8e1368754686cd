//! A row of a table: on one line if it fits, and otherwise on several lines.

/// A row. All rows of a table have cells of the same widths, so that columns are aligned with their headers.
#[derive(Clone, Debug)]
pub struct Row {
    title: String,
    cells: Vec<String>,
    note: String,
}

/// Put before each line below a title.
const INDENT: &str = "  ";

impl Row {
    /// Makes a row from its title and its cells, which are padded with spaces.
    pub fn new(title: String, cells: impl IntoIterator<Item = String>) -> Row {
        Row { title, cells: cells.into_iter().collect(), note: String::new() }
    }

    /// Adds a text of any length at the end.
    pub fn with_note(self, note: String) -> Row {
        Row { note, ..self }
    }

    /// How many columns the row takes on one line, without its note.
    pub fn width(&self) -> usize {
        let cells = self.cells.iter().map(|cell| 1 + columns(cell));
        columns(&self.title) + cells.sum::<usize>()
    }

    /// The row in `width` columns (`None`: no limit). If the row is too long, the title gets a line of its own. The cells
    /// follow below, as many on each line as fit.
    pub fn fit(&self, width: Option<usize>) -> String {
        let width = width.unwrap_or(usize::MAX);
        let mut lines = if self.width() <= width {
            vec![format!("{} {}", self.title, self.cells.join(" "))]
        } else {
            self.stacked(width)
        };
        let is_room = |line: &String| columns(line) + INDENT.len() + columns(&self.note) <= width;
        match &mut lines[..] {
            [line] if is_room(line) => *line += &format!("{INDENT}{}", self.note),
            _ => {
                let room = width.saturating_sub(INDENT.len());
                let words =
                    self.note.split_whitespace().flat_map(|word| match columns(word) <= room {
                        true => vec![word.to_string()],
                        false => broken(word, room),
                    });
                let words: Vec<_> = words.collect();
                lines.extend(packed(INDENT, words.iter().map(String::as_str), width));
            }
        }
        let lines: Vec<_> = lines.iter().map(|line| line.trim_end()).collect();
        lines.join("\n")
    }

    fn stacked(&self, width: usize) -> Vec<String> {
        let title = self.title.split_whitespace().collect::<Vec<_>>().join(" ");
        // A long name may be broken after an underscore.
        let mut lines = broken(&title, width);
        let cells = self.cells.iter().map(String::as_str);
        lines.extend(packed(INDENT, cells, width));
        lines
    }
}

fn columns(text: &str) -> usize {
    text.chars().count()
}

/// A text of one line on lines of that width. The lines below the first are indented by two more spaces.
pub fn wrapped(text: &str, width: Option<usize>) -> String {
    let Some(width) = width.filter(|width| columns(text) > *width) else { return text.into() };
    let indent = &text[..text.len() - text.trim_start().len()];
    let below = format!("{indent}{INDENT}");
    let room = width.saturating_sub(columns(&below)).max(1);
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace().flat_map(|word| pieces(word, room)) {
        match lines.last_mut().filter(|line| columns(line) + 1 + columns(&word) <= width) {
            Some(line) => *line += &format!(" {word}"),
            None => lines.push(format!("{}{word}", if lines.is_empty() { indent } else { &below })),
        }
    }
    lines.join("\n")
}

/// A word in pieces of that width. A long name is broken after an underscore.
fn pieces(word: &str, width: usize) -> Vec<String> {
    if columns(word) <= width {
        return vec![word.into()];
    }
    let lines = broken(word, width);
    let letters = lines.iter().map(|line| line.trim().chars().collect::<Vec<_>>());
    letters.flat_map(|line| line.chunks(width).map(String::from_iter).collect::<Vec<_>>()).collect()
}

/// The words on lines of that width, as many on each line as fit.
fn packed<'a>(indent: &str, words: impl Iterator<Item = &'a str>, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in words {
        match lines.last_mut().filter(|line| columns(line) + 1 + columns(word) <= width) {
            Some(line) => *line += &format!(" {word}"),
            None => lines.push(format!("{indent}{word}")),
        }
    }
    lines
}

/// The text on lines of that width. Each line except the last ends with a space or an underscore, if the text has any.
fn broken(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for piece in text.split_inclusive([' ', '_']) {
        let indent = if lines.is_empty() { "" } else { INDENT };
        match lines.last_mut().filter(|line| columns(line) + columns(piece) <= width) {
            Some(line) => *line += piece,
            None => lines.push(format!("{indent}{piece}")),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row() -> Row {
        let cells = ["  passed", "     1.25", "    12345"].map(String::from);
        Row::new("2A   initial_election    ".into(), cells)
    }

    #[test]
    fn a_row_is_a_line_where_it_fits() {
        let line = "2A   initial_election       passed      1.25     12345";
        assert_eq!(row().fit(None), line);
        assert_eq!(row().width(), columns(line));
        assert_eq!(row().fit(Some(columns(line))), line);
        assert_eq!(row().with_note("a note".into()).fit(None), format!("{line}  a note"));
    }

    #[test]
    fn a_row_is_several_lines_where_it_does_not_fit() {
        let lines = row().fit(Some(23));
        assert_eq!(lines, "2A initial_election\n    passed      1.25\n      12345");
        let noted = row().with_note("said by somebody".into());
        assert_eq!(noted.fit(Some(23)), format!("{lines}\n  said by somebody"));
        assert_eq!(
            noted.fit(Some(60)),
            format!("{}\n  said by somebody", row().fit(None)),
            "without the note, the row fits on one line"
        );
    }

    #[test]
    fn a_long_name_is_broken_and_all_there() {
        let name = "versioned_snapshot_unreliable_recover_concurrent_partition_linearizable";
        let lines = Row::new(format!("4C {name}"), ["1".into()]).fit(Some(40));
        assert!(lines.lines().all(|line| columns(line) <= 40), "{lines}");
        let title: String = lines.lines().map(str::trim_start).collect();
        assert_eq!(title, format!("4C {name}1"));
        let lines =
            Row::new("bug".into(), ["1".into()]).with_note(format!("by {name}")).fit(Some(40));
        assert!(lines.lines().all(|line| columns(line) <= 40), "{lines}");
        assert_eq!(lines.split_whitespace().collect::<String>(), format!("bug1by{name}"));
    }

    #[test]
    fn a_text_is_wrapped_below_its_indent() {
        let text = "FAILED 2B backup, seed 9: as failure 2 above: S0 applied index 3 twice";
        assert_eq!(wrapped(text, None), text);
        assert_eq!(wrapped(text, Some(columns(text))), text);
        let lines = "FAILED 2B backup, seed 9: as failure 2\n  above: S0 applied index 3 twice";
        assert_eq!(wrapped(text, Some(40)), lines);
        assert_eq!(wrapped("  one two three", Some(9)), "  one two\n    three");
        assert_eq!(wrapped("  one twothreefour", Some(9)), "  one\n    twoth\n    reefo\n    ur");
        assert_eq!(wrapped("", Some(3)), "");
    }
}
