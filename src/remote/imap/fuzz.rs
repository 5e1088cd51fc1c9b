//! Whatever a server sends: octets go through framing, parsing and the jobs of a session, and nothing may panic, hang or
//! take memory without bound. Entry points of the targets in `tests/fuzz`, and of a property test.

use std::collections::BTreeSet;

use super::append::{Append, Grouping};
use super::bodies::{BodySink, FetchedMessage};
use super::capability::Capabilities;
use super::name::WireName;
use super::observe::{Access, Ask};
use super::session::Session;
use crate::error::{Error, Kind, Result};
use crate::mail::{Flags, PermanentFlags, RemoteCheckpoint, Uid, UidSet, UidValidity, UnixSeconds};
use crate::remote::net::{Exchange, Meter, OutBuffer, Until};

const CAPABILITIES: [&str; 3] = [
    "IMAP4rev1 ENABLE QRESYNC ESEARCH UIDPLUS NAMESPACE LIST-EXTENDED LIST-STATUS SPECIAL-USE OBJECTID LITERAL+ MOVE",
    "IMAP4rev1 CONDSTORE X-GM-EXT-1 LITERAL- APPENDLIMIT=100",
    "IMAP4rev1",
];

/// A server that says `octets` in pieces, whatever it is asked, and hangs up.
struct Babbler {
    octets: Vec<u8>,
    piece: usize,
}

impl Exchange for Babbler {
    fn exchange(&mut self, output: &mut OutBuffer, input: &mut Vec<u8>, until: Until) -> Result<()> {
        output.consume(usize::MAX);
        if until != Until::InputArrives {
            return Ok(());
        }
        if self.octets.is_empty() {
            return Err(Error::new(Kind::Unreachable, "The connection was closed by the server"));
        }
        let piece = self.piece.min(self.octets.len());
        input.extend(self.octets.drain(..piece));
        Ok(())
    }
}

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
    let babbler = Babbler { octets: octets.to_vec(), piece: usize::from(piece) + 1 };
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
