//! Parses the part of EDN, Clojure's notation for values, that histories use.

use crate::linearizability::Value;

/// Parses a value in EDN. Maps, sets and lists become lists; that of a map has its keys and values in turn. Keywords and
/// symbols become texts.
///
/// # Errors
/// What is wrong with the text.
pub fn parse(text: &str) -> Result<Value, String> {
    let mut parser = Parser(text, 0);
    let value = parser.value()?;
    parser.space();
    if parser.0.is_empty() {
        Ok(value)
    } else {
        Err(format!("unexpected {:?} after the value", parser.0))
    }
}

/// Deeper nesting is rejected, so that reading can't use up the stack.
const DEEPEST: u32 = 100;

/// The rest of a text, and the number of open lists.
struct Parser<'a>(&'a str, u32);

impl<'a> Parser<'a> {
    fn space(&mut self) {
        self.0 = self.0.trim_start_matches(|letter: char| letter.is_whitespace() || letter == ',');
    }

    /// Skips this many bytes.
    fn skip(&mut self, bytes: usize) {
        self.0 = &self.0[bytes..];
    }

    fn value(&mut self) -> Result<Value, String> {
        self.space();
        // A tag only tells what kind of value follows.
        while self.0.starts_with('#') && !self.0.starts_with("#{") {
            self.skip(1);
            self.word();
            self.space();
        }
        let Some(first) = self.0.chars().next() else { return Err("a value is missing".into()) };
        match first {
            '{' => self.list(1, '}'),
            '[' => self.list(1, ']'),
            '(' => self.list(1, ')'),
            '#' => self.list(2, '}'),
            '"' => self.text(),
            _ => self.atom(),
        }
    }

    fn list(&mut self, opening: usize, end: char) -> Result<Value, String> {
        self.skip(opening);
        self.1 += 1;
        if self.1 > DEEPEST {
            return Err(format!("more than {DEEPEST} lists are nested"));
        }
        let mut items = Vec::new();
        loop {
            self.space();
            if let Some(rest) = self.0.strip_prefix(end) {
                self.0 = rest;
                self.1 -= 1;
                return Ok(Value::List(items));
            }
            if self.0.is_empty() {
                return Err(format!("a {end:?} is missing; is the file cut off?"));
            }
            items.push(self.value()?);
        }
    }

    fn text(&mut self) -> Result<Value, String> {
        self.skip(1);
        let rest = self.0;
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

    fn word(&mut self) -> &'a str {
        let ends = |letter: char| letter.is_whitespace() || ",()[]{}\"".contains(letter);
        let (word, rest) = self.0.split_at(self.0.find(ends).unwrap_or(self.0.len()));
        self.0 = rest;
        word
    }

    fn atom(&mut self) -> Result<Value, String> {
        let word = self.word();
        Ok(match word {
            "" => return Err(format!("unexpected {:?}", self.0)),
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
