//! What messages about the same thing have in common.

/// Longer texts are cut here. The text of a panic may have any length.
const LONGEST: usize = 1000;

/// A clause with fewer words says too little: in `S1: bad state` it would be `S1`. Code in backquotes does not count, so that
/// more is left of a failed assertion than its operator.
const FEWEST_WORDS: usize = 3;

/// The first line of a message: what happened.
pub fn first_line(message: &str) -> &str {
    message.lines().next().unwrap_or_default()
}

/// The beginning of the text. If something is cut off, the last letter is `…`.
pub fn clipped(text: &str, most: usize) -> String {
    match text.char_indices().nth(most.saturating_sub(1)) {
        Some((at, letter)) if at + letter.len_utf8() < text.len() => format!("{}…", &text[..at]),
        _ => text.into(),
    }
}

/// The first clause of a message, on one line of limited length.
pub fn in_short(message: &str) -> String {
    on_a_line(first_clause(first_line(message)))
}

/// The first line of a message, with a limited length. Control characters are escaped, because on a terminal they could do
/// anything.
pub fn on_a_line(message: &str) -> String {
    const ENOUGH: usize = 160;
    let mut short = String::new();
    for letter in clipped(first_line(message), ENOUGH).chars() {
        match letter.is_control() {
            true => short.extend(letter.escape_default()),
            false => short.push(letter),
        }
    }
    short
}

/// The first line without numbers.
pub fn numberless(message: &str) -> String {
    let mut pattern = String::new();
    for letter in clipped(first_line(message), LONGEST).chars() {
        match letter {
            '0'..='9' | '.' if pattern.ends_with('#') => {}
            '0'..='9' => pattern.push('#'),
            other => pattern.push(other),
        }
    }
    pattern
}

/// The first clause of the first line, without numbers, units of time, quoted texts, and how long a list is. The clauses after it
/// describe the situation (such as which server is in which term), which is different in each run.
pub fn clause(message: &str) -> String {
    let mut clause = numberless(&unquoted(first_clause(first_line(message))));
    for unit in ["ns", "µs", "ms", "s"] {
        clause = without_unit(&clause, unit);
    }
    for (list, item) in [("S#, S#", "S#"), ("#, #", "#")] {
        while clause.contains(list) {
            clause = clause.replace(list, item);
        }
    }
    clause
}

/// The line up to a colon, a semicolon or a full stop that is not in a quoted text.
fn first_clause(line: &str) -> &str {
    let ends = line.match_indices([':', ';', '.']).map(|(at, _)| at);
    let is_end = |at: &usize| {
        let after = &line[at + 1..];
        let words = without_code(&line[..*at]).split_whitespace().count();
        let is_quoted = line[..*at].matches('"').count() % 2 == 1 && after.contains('"');
        words >= FEWEST_WORDS && !is_quoted && (after.is_empty() || after.starts_with(' '))
    };
    let end = { ends }.find(is_end).unwrap_or(line.len());
    &line[..end]
}

/// The text without what is between backquotes.
fn without_code(text: &str) -> String {
    text.split('`').step_by(2).collect()
}

/// Replaces each text between double quotes.
fn unquoted(line: &str) -> String {
    let mut rest = line;
    let mut text = String::new();
    while let Some((before, (_, after))) =
        rest.split_once('"').and_then(|(before, quoted)| Some((before, quoted.split_once('"')?)))
    {
        text += before;
        text += "\"…\"";
        rest = after;
    }
    text + rest
}

/// `#ms` becomes `#`, because the same time may be written in another unit.
fn without_unit(text: &str, unit: &str) -> String {
    let number = format!("#{unit}");
    let mut pieces = text.split(&number);
    let mut joined = pieces.next().unwrap_or_default().to_string();
    for piece in pieces {
        let is_unit = !piece.starts_with(char::is_alphanumeric);
        joined += "#";
        joined += if is_unit { "" } else { unit };
        joined += piece;
    }
    joined
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_that_differ_in_numbers_have_one_pattern() {
        let one = "S0 applied index 2 after index 0; it took 1.25 s\nmore";
        let other = "S2 applied index 14 after index 11; it took 10 s\nelse";
        assert_eq!(numberless(one), numberless(other));
        assert_eq!(numberless(one), "S# applied index # after index #; it took # s");
        assert_ne!(numberless(one), numberless("S0 applied index 2 twice"));
    }

    #[test]
    fn a_clause_leaves_out_what_differs_between_runs() {
        let same = |one: &str, other: &str, common: &str| {
            assert_eq!((&*clause(one), &*clause(other)), (common, common));
        };
        same(
            "no leader among 3 connected servers after 5 s: S0 is in term 8; S1 is in term 9",
            "no leader among 2 connected servers after 5 s: S0 leads term 1, cut off; S1 is down",
            "no leader among # connected servers after # s",
        );
        same(
            "command \"x: 1\" was not applied within 999.5ms: no server took it",
            "command \"\" was not applied within 2s",
            "command \"…\" was not applied within #",
        );
        same(
            "S0, S1, S2 all say that they lead term 7. Election Safety (Figure 3)",
            "S3, S4 all say that they lead term 12",
            "S# all say that they lead term #",
        );
        same(
            "the members are {1, 2, 3} and not {4}",
            "the members are {1} and not {3, 4}",
            "the members are {#} and not {#}",
        );
    }

    #[test]
    fn a_clause_says_enough_to_tell_failures_apart() {
        assert_eq!(clause("S1: bad state of S2: it is odd"), "S#: bad state of S#");
        assert_eq!(clause("short: text"), "short: text");
        let assertion = "assertion `left == right` failed: S1 votes twice";
        assert_eq!(clause(assertion), "assertion `left == right` failed: S# votes twice");
        assert_eq!(clause("a \"quote that does not end"), "a \"quote that does not end");
        assert_eq!(
            clause("10s after kill() 3 threads still run:\n  S0"),
            "# after kill() # threads still run"
        );
        assert_eq!(clause(""), "");
        assert_ne!(clause("it has 5 servers now"), clause("it has 5xservers now"));
        assert_eq!(clause("in 5 places 3second"), "in # places #second", "no unit");
    }

    #[test]
    fn what_is_shown_in_short_is_one_clean_line_of_limited_length() {
        let clause = "S1 got \"a: b\" from 2 servers";
        assert_eq!(in_short(&format!("{clause}: S0, S2. A server (§5.2)\nmore")), clause);
        assert_eq!(in_short(&format!("{clause}\nmore")), clause);
        assert_eq!(on_a_line("two words here: more\nmore"), "two words here: more");
        assert_eq!(in_short("red \u{1b}[31m and\ttab"), "red \\u{1b}[31m and\\ttab");
        let long = in_short(&"é".repeat(5000));
        assert_eq!(long.chars().count(), 160);
        assert!(long.ends_with("é…"));
        assert_eq!(clipped("abc", 3), "abc");
        assert_eq!(clipped("abcd", 3), "ab…");
    }
}
