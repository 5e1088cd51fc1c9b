//! A tolerant reader of server data: atoms, quoted strings, literals and lists, whatever they mean (RFC 3501 §9).
//!
//! It never fails, it ends: a value that makes no sense is `None`, and the caller keeps what it has. 8-bit text is taken
//! as it comes, quoted strings lose their escapes, nesting is bounded, and nothing is copied that need not be.

use std::borrow::Cow;

use super::frame::{Line, Went};
use crate::mail::{Uid, UidSet};

/// How deep lists may stand in lists.
const NESTING_MOST: usize = 50;

/// One value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value<'a> {
    /// An atom or number; `NIL` is [`Value::Nil`].
    Atom(&'a [u8]),
    /// A quoted string or a literal that was kept.
    Text(Cow<'a, [u8]>),
    /// A literal of so many octets that went elsewhere.
    Elsewhere(u64, Went),
    /// `NIL`.
    Nil,
    /// A list in parentheses.
    List(Vec<Value<'a>>),
}

impl<'a> Value<'a> {
    /// The octets of an atom or a string; `None` for everything else.
    pub fn octets(&self) -> Option<&[u8]> {
        match self {
            Value::Atom(atom) => Some(atom),
            Value::Text(text) => Some(text),
            Value::Elsewhere(..) | Value::Nil | Value::List(_) => None,
        }
    }

    /// The values of a list; none for everything else.
    pub fn items(&self) -> &[Value<'a>] {
        match self {
            Value::List(items) => items,
            _ => &[],
        }
    }

    /// The number it is.
    pub fn number(&self) -> Option<u64> {
        number(self.octets()?)
    }

    /// The text it is, 8-bit octets that are no UTF-8 replaced.
    pub fn text(&self) -> Option<Cow<'_, str>> {
        self.octets().map(String::from_utf8_lossy)
    }
}

/// Reads values from a line, left to right.
#[derive(Debug, Clone)]
pub struct Tokens<'a> {
    line: &'a Line,
    at: usize,
}

impl<'a> Tokens<'a> {
    /// Begins at the start of `line`.
    pub fn new(line: &'a Line) -> Tokens<'a> {
        Tokens { line, at: 0 }
    }

    /// The next octet after blanks, left where it is; `None` at the end and before a literal.
    pub fn peek(&mut self) -> Option<u8> {
        while self.line.literal_at(self.at).is_none() && self.byte() == Some(b' ') {
            self.at += 1;
        }
        if self.line.literal_at(self.at).is_some() { None } else { self.byte() }
    }

    /// Goes past `want` when it is the next octet after blanks.
    pub fn skip(&mut self, want: u8) -> bool {
        let there = self.peek() == Some(want);
        self.at += usize::from(there);
        there
    }

    /// What is left of the text.
    pub fn rest(&mut self) -> &'a [u8] {
        self.peek();
        self.line.text().get(self.at..).unwrap_or_default()
    }

    /// Goes on to `stop` or to the end, and gives what is passed.
    pub fn until(&mut self, stop: &[u8]) -> &'a [u8] {
        let rest = self.rest();
        let end = rest.windows(stop.len().max(1)).position(|w| w == stop).unwrap_or(rest.len());
        self.at += end;
        rest.get(..end).unwrap_or_default()
    }

    /// The next atom; `None` when something else is next. Brackets of a `BODY[…]` belong to it.
    pub fn atom(&mut self) -> Option<&'a [u8]> {
        self.peek()?;
        let start = self.at;
        while let Some(b) = self.byte() {
            if self.line.literal_at(self.at).is_some() || matches!(b, b' ' | b'(' | b')' | b'"') {
                break;
            }
            self.at += 1;
            if b == b'[' && is_section(self.line.text().get(start..self.at).unwrap_or_default()) {
                self.close_section();
            }
        }
        self.line.text().get(start..self.at).filter(|atom| !atom.is_empty())
    }

    /// The next atom as a number.
    pub fn number(&mut self) -> Option<u64> {
        number(self.atom()?)
    }

    /// The next value; `None` at the end of the line or list, and when lists stand too deep.
    pub fn value(&mut self) -> Option<Value<'a>> {
        self.value_within(NESTING_MOST)
    }

    /// Goes past the next value; `false` when there was none.
    pub fn pass(&mut self) -> bool {
        let mut depth = 0usize;
        loop {
            match self.peek() {
                Some(b'(') => {
                    self.at += 1;
                    depth += 1;
                    if depth > NESTING_MOST {
                        return false;
                    }
                }
                Some(b')') if depth > 0 => {
                    self.at += 1;
                    depth -= 1;
                }
                _ => {
                    if self.string().is_none() && self.atom().is_none() {
                        return false;
                    }
                }
            }
            if depth == 0 {
                return true;
            }
        }
    }

    fn value_within(&mut self, depth: usize) -> Option<Value<'a>> {
        if let Some(string) = self.string() {
            return Some(string);
        }
        if self.peek()? != b'(' {
            let atom = self.atom()?;
            return Some(if atom.eq_ignore_ascii_case(b"NIL") { Value::Nil } else { Value::Atom(atom) });
        }
        let inner = depth.checked_sub(1)?;
        self.at += 1;
        let mut items = Vec::new();
        while !self.skip(b')') {
            items.push(self.value_within(inner)?);
        }
        Some(Value::List(items))
    }

    /// The next value when it is a literal or a quoted string.
    pub fn string(&mut self) -> Option<Value<'a>> {
        let next = self.peek();
        if let Some(literal) = self.line.literal_at(self.at) {
            self.at += 1;
            if literal.went != Went::Inline {
                return Some(Value::Elsewhere(literal.octets, literal.went));
            }
            let start = self.at;
            self.at = start.checked_add(usize::try_from(literal.octets).ok()?)?;
            return Some(Value::Text(Cow::Borrowed(self.line.text().get(start..self.at)?)));
        }
        if next? != b'"' {
            return None;
        }
        self.at += 1;
        let start = self.at;
        let mut unescaped: Option<Vec<u8>> = None;
        // A string without its end takes the rest of the line.
        while let Some(b) = self.byte() {
            self.at += 1;
            match b {
                b'"' => break,
                b'\\' => {
                    let so_far = self.line.text().get(start..self.at - 1).unwrap_or_default();
                    let out = unescaped.get_or_insert_with(|| so_far.to_vec());
                    out.extend(self.byte());
                    self.at += 1;
                }
                b => {
                    if let Some(out) = &mut unescaped {
                        out.push(b);
                    }
                }
            }
        }
        if let Some(text) = unescaped {
            return Some(Value::Text(Cow::Owned(text)));
        }
        let taken = self.line.text().get(start..self.at).unwrap_or_default();
        Some(Value::Text(Cow::Borrowed(taken.strip_suffix(b"\"").unwrap_or(taken))))
    }

    fn byte(&self) -> Option<u8> {
        self.line.text().get(self.at).copied()
    }

    /// Goes past the `]` of a section, or stays when there is none.
    fn close_section(&mut self) {
        let rest = self.line.text().get(self.at..).unwrap_or_default();
        if let Some(end) = rest.iter().position(|b| *b == b']') {
            self.at += end + 1;
        }
    }
}

/// Whether `[` opens a section after this much of an atom; in a flag or a mailbox's name it is a character like others.
fn is_section(atom: &[u8]) -> bool {
    [&b"BODY["[..], b"BINARY[", b"BINARY.SIZE[", b"BODY.PEEK["].iter().any(|s| atom.eq_ignore_ascii_case(s))
}

/// Reads a number of digits only.
pub fn number(digits: &[u8]) -> Option<u64> {
    let plain = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    std::str::from_utf8(digits).ok().filter(|_| plain)?.parse().ok()
}

/// Reads a UID.
pub fn uid(digits: &[u8]) -> Option<Uid> {
    number(digits).and_then(|n| u32::try_from(n).ok()).and_then(Uid::new)
}

/// Reads a `sequence-set` of UIDs in any order, as VANISHED and ESEARCH carry it; `None` when a part is none.
pub fn uid_set(text: &[u8]) -> Option<UidSet> {
    let mut ranges = Vec::new();
    for part in text.split(|b| *b == b',') {
        let mut ends = part.split(|b| *b == b':');
        let first = uid(ends.next()?)?;
        let last = ends.next().map_or(Some(first), uid)?;
        ends.next().is_none().then_some(())?;
        ranges.push((first.min(last), first.max(last)));
    }
    // In rising order each goes in at the end, however a server mixed them.
    ranges.sort_unstable();
    let mut set = UidSet::new();
    ranges.into_iter().for_each(|(first, last)| set.insert_range(first, last));
    Some(set)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn values(line: &Line) -> Vec<Value<'_>> {
        let mut tokens = Tokens::new(line);
        std::iter::from_fn(|| tokens.value()).collect()
    }

    fn text(text: &str) -> Value<'_> {
        Value::Text(Cow::Borrowed(text.as_bytes()))
    }

    #[test]
    fn atoms_strings_lists_and_literals() {
        let line = Line::of(
            b"* LIST (\\Noselect x) \"\\\"\" \"a\\\\b\xe9\" nil [Gmail]/All {3}\r\n() {0}\r\n (NIL (a \"\")) BODY[HEADER (a b)]<0>\r\n",
        );
        assert_eq!(
            values(&line),
            [
                Value::Atom(b"*"),
                Value::Atom(b"LIST"),
                Value::List(vec![Value::Atom(b"\\Noselect"), Value::Atom(b"x")]),
                text("\""),
                Value::Text(Cow::Borrowed(b"a\\b\xe9")),
                Value::Nil,
                Value::Atom(b"[Gmail]/All"),
                text("() "),
                text(""),
                Value::List(vec![Value::Nil, Value::List(vec![Value::Atom(b"a"), text("")])]),
                Value::Atom(b"BODY[HEADER (a b)]<0>"),
            ]
        );
    }

    #[test]
    fn nesting_is_bounded() {
        let line = Line::of(format!("{}x{}\r\n", "(".repeat(51), ")".repeat(51)).as_bytes());
        assert_eq!(Tokens::new(&line).value(), None);
        assert!(!Tokens::new(&line).pass());
        let line = Line::of(format!("{}x{}\r\n", "(".repeat(50), ")".repeat(50)).as_bytes());
        assert!(Tokens::new(&line).value().is_some());
        assert!(Tokens::new(&line).pass());
    }

    #[test]
    fn sets_come_in_any_order() {
        assert_eq!(uid_set(b"9,3:1,7").unwrap().to_string(), "1:3,7,9");
        for bad in [&b""[..], b"1:*", b"0", b"1:2:3", b"1,,2", b"-1"] {
            assert_eq!(uid_set(bad), None);
        }
    }

    proptest! {
        #[test]
        fn never_panics_and_always_ends(bytes in prop::collection::vec(prop::sample::select(b"(()\"\\{}[]* aNIL1BODY[\xff,:\r\n".to_vec()), 0..120)) {
            let mut input = bytes;
            input.extend_from_slice(b"{3}\r\n)(\" (\r\n");
            let mut framer = super::super::frame::Framer::default();
            let mut rest = &input[..];
            while let Ok(fed) = framer.feed(rest, &mut super::super::frame::KeepSmall) {
                if fed.complete {
                    let line = framer.line();
                    prop_assert!(values(line).len() <= line.text().len() + 2);
                    let mut tokens = Tokens::new(line);
                    let passed = std::iter::from_fn(|| tokens.pass().then_some(())).count();
                    prop_assert!(passed >= values(line).len());
                }
                rest = &rest[fed.used..];
                if rest.is_empty() { break }
            }
            uid_set(&input);
        }
    }
}
