//! FETCH data of one message (RFC 3501 §7.4.2): items in any order, unknown ones passed over, nothing copied that the
//! caller does not keep. This is the hot path: a listing of 100,000 messages comes through here.

use std::borrow::Cow;

use super::date;
use super::frame::{Line, Went};
use super::token::{self, Tokens, Value};
use crate::mail::{Flags, Uid, UnixSeconds};

/// What one FETCH response says; `None` for what it does not, or says in a way that makes no sense.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Fetched<'a> {
    /// UID.
    pub uid: Option<Uid>,
    /// FLAGS.
    pub flags: Option<Flags>,
    /// RFC822.SIZE in octets.
    pub size: Option<u64>,
    /// INTERNALDATE.
    pub internal_date: Option<UnixSeconds>,
    /// EMAILID (RFC 8474 §5.1) or X-GM-MSGID.
    pub email_id: Option<String>,
    /// The whole message (`BODY[]`, `RFC822`, `BINARY[]`).
    pub body: Option<Body<'a>>,
    /// A part of its header (`BODY[HEADER…]`).
    pub header: Option<Body<'a>>,
}

/// A message or a part of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body<'a> {
    /// It went to the taker of literals: so many octets.
    Streamed(u64),
    /// It is here.
    Kept(Cow<'a, [u8]>),
    /// The server says that there is none, or it was too large to keep and nobody waited for it.
    Absent,
}

impl<'a> Fetched<'a> {
    /// Reads what stands behind the word FETCH; what is broken ends the reading and leaves what came before.
    pub fn read(mut tokens: Tokens<'a>) -> Fetched<'a> {
        let mut fetched = Fetched::default();
        tokens.skip(b'(');
        while !tokens.skip(b')') {
            let Some(name) = tokens.atom() else { break };
            if !fetched.item(name, &mut tokens) {
                break;
            }
        }
        fetched
    }

    /// Takes one item in; `false` when its value is not there.
    fn item(&mut self, name: &[u8], tokens: &mut Tokens<'a>) -> bool {
        let is = |word: &str| name.eq_ignore_ascii_case(word.as_bytes());
        if is("UID") {
            self.uid = tokens.atom().and_then(token::uid);
            true
        } else if is("FLAGS") {
            self.flags = flags(tokens);
            self.flags.is_some()
        } else if is("RFC822.SIZE") {
            self.size = tokens.number();
            true
        } else if is("INTERNALDATE") {
            let value = tokens.value();
            self.internal_date = value.as_ref().and_then(Value::octets).and_then(date::parse);
            value.is_some()
        } else if is("EMAILID") || is("X-GM-MSGID") {
            let value = tokens.value();
            let id = value.as_ref().and_then(|v| v.items().first().or(Some(v))).and_then(Value::text);
            self.email_id = id.map(Cow::into_owned);
            value.is_some()
        } else if is_whole(name) {
            let value = tokens.value();
            self.body = value.map(Body::of);
            self.body.is_some()
        } else if starts_with(name, b"BODY[HEADER") {
            let value = tokens.value();
            self.header = value.map(Body::of);
            self.header.is_some()
        } else {
            tokens.pass()
        }
    }
}

impl<'a> Body<'a> {
    fn of(value: Value<'a>) -> Body<'a> {
        match value {
            Value::Elsewhere(octets, Went::Streamed) => Body::Streamed(octets),
            Value::Text(text) => Body::Kept(text),
            // An atom is no string (RFC 3501 §9 `nstring`): it may be a literal whose size makes no sense, as `{-1}`.
            Value::Atom(_) | Value::Elsewhere(..) | Value::Nil | Value::List(_) => Body::Absent,
        }
    }
}

fn flags(tokens: &mut Tokens<'_>) -> Option<Flags> {
    let mut flags = Flags::none();
    if !tokens.skip(b'(') {
        return tokens.atom().filter(|nil| nil.eq_ignore_ascii_case(b"NIL")).map(|_| flags);
    }
    while !tokens.skip(b')') {
        let flag = match tokens.string() {
            Some(quoted) => quoted,
            None => Value::Atom(tokens.atom()?),
        };
        if let Some(name) = flag.octets().and_then(|o| std::str::from_utf8(o).ok()) {
            flags.insert_imap(name);
        }
    }
    Some(flags)
}

/// Whether an item is the whole message.
fn is_whole(name: &[u8]) -> bool {
    [&b"BODY[]"[..], b"BODY[]<0>", b"RFC822", b"BINARY[]"].iter().any(|w| name.eq_ignore_ascii_case(w))
}

fn starts_with(name: &[u8], start: &[u8]) -> bool {
    name.get(..start.len()).is_some_and(|s| s.eq_ignore_ascii_case(start))
}

/// Whether the literal that follows `line` is a whole message, and whose, when the line has said so already.
pub fn opens_body(line: &Line) -> Option<Option<Uid>> {
    let mut tokens = Tokens::new(line);
    let star = tokens.atom()? == b"*" && tokens.number().is_some();
    if !(star && tokens.atom()?.eq_ignore_ascii_case(b"FETCH") && tokens.skip(b'(')) {
        return None;
    }
    let mut uid = None;
    loop {
        let name = tokens.atom()?;
        if name.eq_ignore_ascii_case(b"UID") {
            uid = Some(token::uid(tokens.atom()?)?);
        } else if tokens.rest().is_empty() {
            return is_whole(name).then_some(uid);
        } else if !tokens.pass() {
            return None;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::frame::{Framer, Literals};
    use super::super::reply::{Reply, Untagged};
    use super::*;
    use crate::error::Result;

    struct Stream(Vec<u8>, Option<Option<Uid>>);

    impl Literals for Stream {
        fn literal(&mut self, line: &Line, _octets: u64) -> Result<Went> {
            self.1 = opens_body(line);
            Ok(if self.1.is_some() { Went::Streamed } else { Went::Inline })
        }

        fn data(&mut self, bytes: &[u8]) -> Result<()> {
            self.0.extend_from_slice(bytes);
            Ok(())
        }
    }

    #[test]
    fn the_body_is_known_before_its_literal() {
        for (response, uid) in [
            ("* 1 FETCH (BODY[] {3}\r\nabc UID 7)\r\n", None),
            ("* 1 FETCH (UID 7 FLAGS (\\Seen a) body[] {3}\r\nabc)\r\n", Uid::new(7)),
            ("* 1 FETCH (X (\"(\" NIL) UID 7 RFC822 {3}\r\nabc)\r\n", Uid::new(7)),
            ("* 1 FETCH (X {1}\r\n( UID 7 BODY[]<0> {3}\r\nabc)\r\n", Uid::new(7)),
        ] {
            let (mut framer, mut taker) = (Framer::default(), Stream(Vec::new(), None));
            let fed = framer.feed(response.as_bytes(), &mut taker).unwrap();
            assert!(fed.complete);
            assert_eq!((taker.0.as_slice(), taker.1), (&b"abc"[..], Some(uid)), "{response}");
            let Reply::Untagged(Untagged::Fetch(tokens)) = Reply::of(framer.line()) else { panic!() };
            let fetched = Fetched::read(tokens);
            assert_eq!((fetched.uid, fetched.body), (Uid::new(7), Some(Body::Streamed(3))));
        }
        for other in ["* 1 FETCH (BODY[HEADER] {1}\r\na)\r\n", "* LIST () NIL {1}\r\na\r\n", "* 1 FETCH ({1}\r\na)\r\n"]
        {
            let (mut framer, mut taker) = (Framer::default(), Stream(Vec::new(), None));
            framer.feed(other.as_bytes(), &mut taker).unwrap();
            assert_eq!(taker.1, None, "{other}");
        }
    }

    proptest! {
        #[test]
        fn never_panics(bytes in prop::collection::vec(prop::sample::select(
            ["(", ")", " ", "\"", "\\", "UID", "1", "FLAGS", "BODY[]", "BODY[HEADER", "INTERNALDATE", "NIL", "EMAILID", "\u{ff}", "]", "*"].to_vec()), 0..40))
        {
            let line = Line::of(format!("* 1 FETCH ({}\r\n", bytes.concat()).as_bytes());
            opens_body(&line);
            if let Reply::Untagged(Untagged::Fetch(tokens)) = Reply::of(&line) {
                Fetched::read(tokens);
            }
        }
    }
}
