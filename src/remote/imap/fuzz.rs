//! Whatever a server sends: octets go through framing, parsing and the jobs of a session, and nothing may panic, hang or
//! take memory without bound. Entry points of the targets in `tests/fuzz`, and of the mutation and property tests.

use std::collections::BTreeSet;

use super::append::{Append, Grouping};
use super::bodies::{BodySink, FetchedMessage};
use super::capability::Capabilities;
use super::fetch::{Body, Fetched};
use super::frame::{Framer, INLINE_MOST, LINE_MOST, Line, Literals, Went, keep_small};
use super::name::{Names, WireName};
use super::observe::{Access, Ask};
use super::reply::{Reply, Untagged};
use super::session::Session;
use super::token::{Tokens, Value};
use crate::error::{Error, Kind, Result};
use crate::mail::{Flags, PermanentFlags, RemoteCheckpoint, Uid, UidSet, UidValidity, UnixSeconds};
use crate::remote::net::Meter;
use crate::remote::net::babbler::Babbler;

const CAPABILITIES: [&str; 3] = [
    "IMAP4rev1 ENABLE QRESYNC ESEARCH UIDPLUS NAMESPACE LIST-EXTENDED LIST-STATUS SPECIAL-USE OBJECTID LITERAL+ MOVE",
    "IMAP4rev1 CONDSTORE X-GM-EXT-1 LITERAL- APPENDLIMIT=100",
    "IMAP4rev1",
];

/// Counts, and holds the session to the order of calls that it promises.
#[derive(Default)]
struct Counter {
    announced: Option<u64>,
    got: u64,
}

impl BodySink for Counter {
    fn start(&mut self, octets: u64) -> Result<()> {
        (self.announced, self.got) = (Some(octets), 0);
        Ok(())
    }

    fn data(&mut self, bytes: &[u8]) -> Result<()> {
        assert!(self.announced.is_some(), "data before start");
        self.got += bytes.len() as u64;
        Ok(())
    }

    fn message(&mut self, meta: FetchedMessage) -> Result<()> {
        assert_eq!(self.announced.take(), Some(self.got), "a message that is not whole");
        assert_eq!(meta.octets, self.got);
        Ok(())
    }

    fn missing(&mut self, _uid: Uid, _refusal: Option<&Error>) -> Result<()> {
        Ok(())
    }
}

/// One job against a server that says `data`; its first two octets choose the job and how the rest is cut.
pub fn server(data: &[u8]) {
    let &[job, piece, ref octets @ ..] = data else { return };
    let Some(mailbox) = WireName::new(b"a") else { return };
    let words = CAPABILITIES.get(usize::from(job) % CAPABILITIES.len()).copied().unwrap_or_default();
    let babbler = Babbler::new(octets, piece);
    let capabilities = Capabilities::new(words, &BTreeSet::new());
    let mut session = Session::over(Box::new(babbler), Vec::new(), capabilities, &Meter::default());
    let uids = UidSet::range(Uid::MIN, Uid::new(9).unwrap_or(Uid::MAX));
    let validity = UidValidity(7);
    // What comes out is right or refused; here it only has to come out.
    match job / 3 % 8 {
        0 => drop(session.list()),
        1 => {
            let since = RemoteCheckpoint {
                uid_validity: validity,
                uid_next: Uid::new(10),
                highest_modseq: Some(crate::mail::ModSeq(100)),
                messages: 9,
                permanent: PermanentFlags::everything(),
                object_id: None,
            };
            let ask = |since| Ask { wire: mailbox.clone(), since, known: uids.clone(), access: Access::ReadWrite };
            drop(session.observe(&[ask(Some(since)), ask(None)]));
        }
        2 => drop(session.fetch_bodies(&mailbox, validity, &uids, &mut Counter::default())),
        3 => drop(session.header_fields(&mailbox, &uids)),
        4 => drop(session.expunge(&mailbox, validity, &uids)),
        5 => drop(session.move_messages(&mailbox, validity, &uids, &mailbox)),
        6 => drop(session.delete(&mailbox)),
        _ => {
            let message =
                || Append { size: 3, flags: Flags::none(), date: UnixSeconds(0), body: Box::new(&b"abc"[..]) };
            drop(session.append(&mailbox, Grouping::Together, &mut [message(), message()].into_iter(), &mut |_, _| ()));
        }
    }
}

/// Sends literals everywhere they can go, and writes down what it is told.
#[derive(Debug, Default, PartialEq, Eq)]
struct Recorder {
    told: Vec<(Vec<u8>, u64)>,
    data: Vec<u8>,
}

impl Literals for Recorder {
    fn literal(&mut self, line: &Line, octets: u64) -> Result<Went> {
        self.told.push((line.text().to_vec(), octets));
        Ok(match octets % 3 {
            0 => Went::Streamed,
            1 => keep_small(octets),
            _ => Went::Skipped,
        })
    }

    fn data(&mut self, bytes: &[u8]) -> Result<()> {
        self.data.extend_from_slice(bytes);
        Ok(())
    }
}

/// The responses that `octets` are when they come in pieces, and how it ended.
fn frame(octets: &[u8], piece: usize) -> (Vec<Line>, Recorder, Option<Kind>) {
    let (mut framer, mut taker, mut lines) = (Framer::default(), Recorder::default(), Vec::new());
    for mut rest in octets.chunks(piece.max(1)) {
        while !rest.is_empty() {
            match framer.feed(rest, &mut taker) {
                Ok(fed) => {
                    assert!(framer.line().text().len() <= LINE_MOST);
                    if fed.complete {
                        lines.push(framer.line().clone());
                    }
                    rest = rest.get(fed.used..).unwrap_or_default();
                }
                Err(error) => return (lines, taker, Some(error.kind())),
            }
        }
    }
    (lines, taker, None)
}

/// Framing: how the octets are cut makes no difference, and no more is kept than came. The first octet is the cut.
pub fn framing(data: &[u8]) {
    let Some((piece, octets)) = data.split_first() else { return };
    let whole = frame(octets, octets.len());
    assert_eq!(frame(octets, usize::from(*piece)), whole, "in pieces of {piece}");
    let kept: usize = whole.0.iter().map(|line| line.text().len()).sum();
    assert!(kept + whole.1.data.len() <= octets.len(), "more is kept than came");
}

/// The tokenizer: every reading ends, never beyond the line, and what is passed over is what a reading takes.
pub fn tokens(data: &[u8]) {
    for line in &frame(data, data.len()).0 {
        let mut tokens = Tokens::new(line);
        loop {
            let before = tokens.rest().len();
            let mut over = tokens.clone();
            let value = tokens.value();
            let passed = over.pass();
            let rest = tokens.rest();
            match &value {
                Some(value) => {
                    assert!(passed && over.rest() == rest, "passed over is not taken");
                    assert!(depth(value) <= 100 && octets_of(value) <= line.text().len());
                }
                // A bracket that closes nothing, or lists too deep.
                None if !tokens.skip(b')') => break,
                None => {}
            }
            assert!(tokens.rest().len() < before || value.is_some(), "no end");
            if tokens.rest().is_empty() && tokens.peek().is_none() && tokens.clone().string().is_none() {
                break;
            }
        }
        let _ = Tokens::new(line).until(b"))");
        let _ = Reply::of(line);
    }
}

fn depth(value: &Value<'_>) -> usize {
    1 + value.items().iter().map(depth).max().unwrap_or_default()
}

fn octets_of(value: &Value<'_>) -> usize {
    value.octets().map_or(0, <[u8]>::len) + value.items().iter().map(octets_of).sum::<usize>()
}

/// FETCH data: what is read is there, and a body that was streamed has the octets that came for it.
pub fn fetch(data: &[u8]) {
    for line in &frame(data, data.len()).0 {
        let direct = Fetched::read(Tokens::new(line));
        let behind = match Reply::of(line) {
            Reply::Untagged(Untagged::Fetch(tokens)) => Some(Fetched::read(tokens)),
            _ => None,
        };
        for fetched in [Some(direct), behind].into_iter().flatten() {
            for body in [&fetched.body, &fetched.header].into_iter().flatten() {
                if let Body::Kept(octets) = body {
                    assert!(octets.len() <= line.text().len() && octets.len() as u64 <= INLINE_MOST + LINE_MOST as u64);
                }
            }
            if let Some(flags) = &fetched.flags {
                assert!(flags.keywords.len() <= line.text().len());
            }
        }
    }
}

/// Names of mailboxes, there and back. The first two octets are delimiter and prefix.
pub fn mailbox_name(data: &[u8]) {
    let &[delimiter, prefix, ref raw @ ..] = data else { return };
    let delimiter = Some(delimiter).filter(|d| b"/.\\^:".contains(d));
    let prefix = match (delimiter, prefix % 3) {
        (Some(delimiter), 1) => [b"INBOX".as_slice(), &[delimiter]].concat(),
        (Some(delimiter), 2) => [b"Mail".as_slice(), &[delimiter]].concat(),
        _ => Vec::new(),
    };
    let names = || Names::new(&prefix, delimiter);
    let mut listed = names();
    let Ok((name, wire)) = listed.take(raw, delimiter) else { return };
    assert_eq!(wire.as_bytes(), raw, "it is sent back as it came");
    assert_eq!(listed.wire(&name).ok(), Some(wire), "a listed name is known");
    // As a name that the server does not have yet.
    let Ok(made) = names().wire(&name) else { return };
    let read = names().take(made.as_bytes(), delimiter);
    assert_eq!(read.ok().map(|(name, _)| name), Some(name), "what we write reads as what was meant: {made:?}");
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    const WORDS: &[&str] = &[
        "* ",
        "A1 ",
        "A2 ",
        "A3 ",
        "A4 ",
        "OK ",
        "NO ",
        "BAD ",
        "BYE ",
        "\r\n",
        "\r\n",
        "\r\n",
        "+ \r\n",
        "FETCH (",
        "UID ",
        "1 ",
        "2 ",
        "9 ",
        "10 ",
        "7",
        "BODY[] ",
        "{3}\r\nabc",
        "{0}\r\n",
        "{9999999999}\r\n",
        "\"q\\\"\" ",
        "NIL ",
        ") ",
        "(",
        "FLAGS (\\Seen) ",
        "EXISTS",
        "EXPUNGE",
        "VANISHED ",
        "(EARLIER) ",
        "1:4294967295 ",
        "SEARCH ",
        "ESEARCH UID ALL ",
        "[UIDVALIDITY 7] ",
        "[UIDNEXT 10] ",
        "[HIGHESTMODSEQ 100] ",
        "[CLOSED] ",
        "[APPENDUID 7 1] ",
        "LIST () \"/\" a",
        "STATUS a (MESSAGES 0 UIDVALIDITY 7)",
        "NAMESPACE ((\"\" \"/\")) NIL NIL",
        "\u{ff}",
        "[UNAVAILABLE] ",
        "* OK [UIDVALIDITY 7] x\r\nA1 OK\r\n",
        "* OK [UIDVALIDITY 7] x\r\nA1 OK\r\nA2 OK\r\n",
        "* 1 FETCH (UID 1 FLAGS ())\r\n",
    ];

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]
        #[test]
        fn whatever_a_server_says_is_taken(job in 0u8..24, piece in 0u8..40, words in prop::collection::vec(prop::sample::select(WORDS), 0..60)) {
            super::server(&[&[job, piece], words.concat().as_bytes()].concat());
        }
    }
}
