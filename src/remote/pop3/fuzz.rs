//! Whatever a server sends: octets go through status lines, lists, unstuffing and every job of a session, and nothing
//! may panic, hang or take memory without bound. Entry points of the targets in `tests/fuzz`, and of the mutation and
//! property tests.

use std::collections::BTreeSet;

use super::capability::Capabilities;
use super::retrieve::MaildropSink;
use super::session::Session;
use super::status::Reply;
use super::unstuff::{LineEnd, Unstuffer};
use super::wire::Wire;
use crate::error::{Error, Kind, Result};
use crate::mail::MessageNumber;
use crate::remote::net::babbler::Babbler;
use crate::remote::net::{Exchange, Meter};

/// Holds the session to the calls that it promises: in order, each message once.
struct Strict {
    due: BTreeSet<MessageNumber>,
    now: Option<MessageNumber>,
}

impl MaildropSink for Strict {
    fn start(&mut self, number: MessageNumber) -> Result<()> {
        assert!(self.now.is_none() && self.due.contains(&number), "a message that is not due");
        self.now = Some(number);
        Ok(())
    }

    fn data(&mut self, octets: &[u8]) -> Result<()> {
        assert!(self.now.is_some() && !octets.is_empty(), "data of no message");
        Ok(())
    }

    fn done(&mut self, number: MessageNumber) -> Result<()> {
        assert!(self.now.take() == Some(number) && self.due.remove(&number), "the end of no message");
        Ok(())
    }

    fn refused(&mut self, number: MessageNumber, _error: &Error) -> Result<()> {
        assert!(self.now != Some(number) && self.due.remove(&number), "the refusal of no message");
        Ok(())
    }
}

/// A session against a server that says `data`; its first two octets choose what is done and how the rest is cut.
pub fn server(data: &[u8]) {
    let &[job, piece, ref octets @ ..] = data else { return };
    let babbler: Box<dyn Exchange + Send> = Box::new(Babbler::new(octets, piece));
    let lines = if job % 2 == 0 { vec!["PIPELINING".to_owned(), "TOP".to_owned()] } else { Vec::new() };
    let capabilities = Capabilities::new(Some(lines), &BTreeSet::new());
    let mut session = Session::over(Wire::new(babbler, Meter::default()), capabilities);
    let mut numbers: Vec<MessageNumber> = (1..=5).filter_map(MessageNumber::new).collect();
    if job & 2 != 0
        && let Ok(listing) = session.listing()
    {
        assert!(listing.entries.is_sorted_by(|a, b| a.number < b.number), "each number once");
        numbers = listing.entries.iter().map(|entry| entry.number).collect();
    }
    let mut sink = Strict { due: numbers.iter().copied().collect(), now: None };
    let outcome = match job / 4 % 4 {
        0 => session.headers(&numbers, &mut sink),
        1 => session.delete(&numbers).map(|outcomes| sink.due.retain(|n| outcomes.iter().all(|(m, _)| m != n))),
        _ => session.retrieve(&numbers, &mut sink),
    };
    assert!(outcome.is_err() || sink.due.is_empty(), "a message without an outcome");
    assert!(outcome.is_err() || !session.is_broken());
    // What comes out is right or refused; here it only has to come out.
    drop(session.stat());
    drop(session.quit());
}

/// Status lines and multi-line answers: how they are cut makes no difference, and what a server stuffs comes out as it
/// went in. The first octet is the cut.
pub fn replies(data: &[u8]) {
    let Some((piece, octets)) = data.split_first() else { return };
    let piece = usize::from(*piece).max(1);
    for line in octets.split(|octet| *octet == b'\n') {
        for line_end in [LineEnd::CrLf, LineEnd::Lf] {
            let Some(reply) = Reply::parse(line, line_end) else { continue };
            let refusal = reply.refusal("refused", Kind::Refused);
            assert!(refusal.to_string().len() < 10_000 && reply.code().len() <= 3 * line.len());
        }
    }
    for line_end in [LineEnd::CrLf, LineEnd::Lf] {
        let whole = unstuff(line_end, octets, octets.len().max(1));
        assert_eq!(unstuff(line_end, octets, piece), whole, "in pieces of {piece}");
        assert!(whole.0.len() <= octets.len());
        let stuffed = stuff(line_end, octets);
        let (message, used) = unstuff(line_end, &[&stuffed[..], b"+OK"].concat(), piece);
        assert_eq!((message, used), (ended(line_end, octets), Some(stuffed.len())), "there and back");
    }
}

/// What comes of an answer that arrives in pieces, and how much of it there was when it ended.
fn unstuff(line_end: LineEnd, octets: &[u8], piece: usize) -> (Vec<u8>, Option<usize>) {
    let (mut unstuffer, mut message, mut used) = (Unstuffer::new(line_end), Vec::new(), 0);
    for chunk in octets.chunks(piece) {
        let fed = unstuffer.feed(chunk, &mut |piece| {
            message.extend_from_slice(piece);
            Ok(())
        });
        let Ok(fed) = fed else { return (message, None) };
        used += fed.used;
        if fed.ended {
            return (message, Some(used));
        }
    }
    (message, None)
}

fn mark(line_end: LineEnd) -> &'static [u8] {
    match line_end {
        LineEnd::CrLf => b"\r\n",
        LineEnd::Lf => b"\n",
    }
}

/// A message with the line end that every answer ends with.
fn ended(line_end: LineEnd, message: &[u8]) -> Vec<u8> {
    let is_ended = message.is_empty() || message.ends_with(mark(line_end));
    [message, if is_ended { b"" } else { mark(line_end) }].concat()
}

/// As a server sends it.
fn stuff(line_end: LineEnd, message: &[u8]) -> Vec<u8> {
    let (mut out, mut at_start) = (Vec::new(), true);
    for octet in ended(line_end, message) {
        if at_start && octet == b'.' {
            out.push(b'.');
        }
        out.push(octet);
        at_start = out.ends_with(mark(line_end));
    }
    out.extend_from_slice(b".");
    out.extend_from_slice(mark(line_end));
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    const WORDS: &[&str] = &[
        "+OK\r\n",
        "+OK\r\n",
        "+OK\r\n",
        "+OK 2 320\r\n",
        "+OK\n",
        "-ERR\r\n",
        "-ERR [SYS/TEMP] x\r\n",
        "+ \r\n",
        ".\r\n",
        ".\r\n",
        ".\r\n",
        ".\n",
        "..\r\n",
        ".",
        "\r\n",
        "\r",
        "\n",
        "\0",
        "1 120\r\n",
        "2 200\r\n",
        "1 a\r\n",
        "2 b\r\n",
        "2 a\r\n",
        "0 1\r\n",
        "99999999999 -1\r\n",
        "Subject: x\r\n",
        "\r\n\r\n",
        "text",
        "+OK\r\n1 120\r\n2 200\r\n.\r\n",
        "+OK\r\n1 a\r\n2 b\r\n.\r\n",
        "+OK\r\na: b\r\n\r\n..\r\n.\r\n",
        "\u{ff}",
    ];

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4000))]
        #[test]
        fn whatever_a_server_says_is_taken(job in 0u8..16, piece in 0u8..40, words in prop::collection::vec(prop::sample::select(WORDS), 0..60)) {
            super::server(&[&[job, piece], words.concat().as_bytes()].concat());
        }
    }
}
