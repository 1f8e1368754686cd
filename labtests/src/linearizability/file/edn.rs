//! As much of EDN, Clojure's notation of values, as histories have.

use crate::linearizability::Value;

/// A value in EDN. Maps, sets and lists are lists, a map's of its keys and values in turn; keywords and symbols are texts.
///
/// # Errors
/// What is wrong.
pub fn parse(text: &str) -> Result<Value, String> {
    let mut parser = Parser(text);
    let value = parser.value()?;
    parser.space();
    if parser.0.is_empty() { Ok(value) } else { Err(format!("{:?} is too much", parser.0)) }
}

struct Parser<'a>(&'a str);

impl Parser<'_> {
    fn space(&mut self) {
        self.0 = self.0.trim_start_matches(|letter: char| letter.is_whitespace() || letter == ',');
    }

    fn value(&mut self) -> Result<Value, String> {
        self.space();
        let Some(first) = self.0.chars().next() else { return Err("something is missing".into()) };
        let rest = &self.0[first.len_utf8()..];
        match first {
            '{' => self.list(rest, '}'),
            '[' => self.list(rest, ']'),
            '(' => self.list(rest, ')'),
            '#' if rest.starts_with('{') => self.list(&rest[1..], '}'),
            // A tag says what kind of a value follows.
            '#' => {
                self.0 = rest;
                self.word();
                self.value()
            }
            '"' => self.text(rest),
            _ => self.atom(),
        }
    }

    fn list<'a>(&mut self, rest: &'a str, end: char) -> Result<Value, String>
    where
        Self: Sized,
    {
        let skip = self.0.len() - rest.len();
        self.0 = &self.0[skip..];
        let mut items = Vec::new();
        loop {
            self.space();
            if let Some(rest) = self.0.strip_prefix(end) {
                self.0 = rest;
                return Ok(Value::List(items));
            }
            if self.0.is_empty() {
                return Err(format!("a {end:?} is missing; is the file cut off?"));
            }
            items.push(self.value()?);
        }
    }

    fn text(&mut self, rest: &str) -> Result<Value, String> {
        let skip = self.0.len() - rest.len();
        let rest = &self.0[skip..];
        let mut text = String::new();
        let mut letters = rest.char_indices();
        while let Some((at, letter)) = letters.next() {
            match letter {
                '"' => {
                    self.0 = &rest[at + 1..];
                    return Ok(Value::Text(text));
                }
                '\\' => text.push(match letters.next() {
                    Some((_, 'n')) => '\n',
                    Some((_, 't')) => '\t',
                    Some((_, other)) => other,
                    None => break,
                }),
                other => text.push(other),
            }
        }
        Err("a '\"' is missing; is the file cut off?".into())
    }

    fn word(&mut self) -> &str {
        let ends = |letter: char| letter.is_whitespace() || ",()[]{}\"".contains(letter);
        let (word, rest) = self.0.split_at(self.0.find(ends).unwrap_or(self.0.len()));
        self.0 = rest;
        word
    }

    fn atom(&mut self) -> Result<Value, String> {
        let word = self.word();
        Ok(match word {
            "" => return Err(format!("{:?} is not in its place", self.0)),
            "nil" => Value::Null,
            "true" => Value::Bool(true),
            "false" => Value::Bool(false),
            word => match word.trim_end_matches(['N', 'M']).parse() {
                Ok(number) => Value::Number(number),
                Err(_) => Value::Text(word.into()),
            },
        })
    }
}
