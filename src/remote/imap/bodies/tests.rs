//! Fetching against scripted servers.

use super::fetching::LATER_MOST;
use super::*;
use crate::error::Kind;
use crate::mail::MessageIdHash;
use crate::remote::imap::scripted::play;

/// What a sink is told, in words.
#[derive(Default)]
struct Told {
    words: Vec<String>,
    body: Vec<u8>,
    fails: bool,
}

impl Told {
    /// What was told, without whose it is.
    fn of_messages(self) -> Vec<String> {
        self.words.into_iter().filter(|word| !word.starts_with("mailbox")).collect()
    }
}

impl BodySink for Told {
    fn mailbox(&mut self, which: usize) {
        self.words.push(format!("mailbox {which}"));
    }

    fn start(&mut self, octets: u64) -> Result<()> {
        self.body.clear();
        self.words.push(format!("start {octets}"));
        Ok(())
    }

    fn data(&mut self, bytes: &[u8]) -> Result<()> {
        self.body.extend_from_slice(bytes);
        if self.fails { Err(Error::new(Kind::LocalTree, "The disk is full")) } else { Ok(()) }
    }

    fn message(&mut self, meta: FetchedMessage) -> Result<()> {
        self.words.push(format!("{} {} {:?}", meta.uid, meta.octets, String::from_utf8_lossy(&self.body)));
        Ok(())
    }

    fn missing(&mut self, uid: Uid, refusal: Option<&Error>) -> Result<()> {
        let why = refusal.map_or_else(|| "gone".to_owned(), Error::to_string);
        self.words.push(format!("missing {uid}: {why}"));
        Ok(())
    }
}

/// A sink that wants these, the last one first.
struct Wishes(Told, Vec<More>);

impl BodySink for Wishes {
    fn mailbox(&mut self, which: usize) {
        self.0.mailbox(which);
    }

    fn start(&mut self, octets: u64) -> Result<()> {
        self.0.start(octets)
    }

    fn data(&mut self, bytes: &[u8]) -> Result<()> {
        self.0.data(bytes)
    }

    fn message(&mut self, meta: FetchedMessage) -> Result<()> {
        self.0.message(meta)
    }

    fn missing(&mut self, uid: Uid, refusal: Option<&Error>) -> Result<()> {
        self.0.missing(uid, refusal)
    }

    fn more(&mut self) -> Option<More> {
        let more = self.1.pop();
        if let Some(More::Same(uids)) = &more {
            self.0.words.push(format!("want {uids}"));
        }
        more
    }
}

const OPENED: &str = "* OK [UIDVALIDITY 7] x\nTAG OK\n";

fn fetch(uids: &str, script: &[(&str, &str)]) -> (Result<()>, Vec<String>) {
    let (mut session, _) = play("IMAP4rev1", script);
    let mut told = Told::default();
    let mailbox = WireName::new(b"a").unwrap();
    let result = session.fetch_bodies(&mailbox, UidValidity(7), &UidSet::parse(uids).unwrap(), &mut told);
    assert!(!session.is_broken());
    (result, told.of_messages())
}

fn wanted(name: &str, uids: &str) -> Wanted {
    let (mailbox, uids) = (WireName::new(name.as_bytes()).unwrap(), UidSet::parse(uids).unwrap());
    Wanted { mailbox, validity: Some(UidValidity(7)), uids }
}

fn fetch_all(uids: &[(&str, &str)], script: &[(&str, &str)]) -> (Vec<Result<()>>, Vec<String>, String) {
    let (mut session, log) = play("IMAP4rev1", script);
    let wanted = uids.iter().map(|(name, uids)| wanted(name, uids)).collect();
    let mut told = Told::default();
    let outcomes = session.fetch_all(wanted, 384, &mut told).unwrap();
    let log = log.lock().unwrap().clone();
    (outcomes, told.words, log)
}

#[test]
fn several_mailboxes_are_fetched_in_one_flight() {
    let one = |uid: u32| format!("* 1 FETCH (UID {uid} BODY[] {{1}}\na)\nTAG OK\n");
    let (outcomes, told, _) = fetch_all(
        &[("a", "1"), ("b", "1:2"), ("c", "5")],
        &[
            // Nothing is answered before all is asked.
            ("EXAMINE \"a\"", ""),
            ("UID FETCH 1 ", ""),
            ("EXAMINE \"b\"", ""),
            ("UID FETCH 1:2 ", ""),
            ("EXAMINE \"c\"", ""),
            (
                "UID FETCH 5 ",
                &[
                    "* OK [UIDVALIDITY 7] x\nA1 OK\n",
                    &one(1).replace("TAG", "A2"),
                    "* OK [UIDVALIDITY 7] x\nA3 OK\n",
                    &one(2).replace("TAG", "A4"),
                    "* OK [UIDVALIDITY 7] x\nA5 OK\n",
                    &one(5).replace("TAG", "A6"),
                ]
                .concat(),
            ),
        ],
    );
    assert!(outcomes.iter().all(std::result::Result::is_ok));
    let gone = "missing 1: gone";
    let expected =
        ["mailbox 0", "start 1", "1 1 \"a\"", "mailbox 1", "start 1", "2 1 \"a\"", gone, "mailbox 2", "start 1"];
    assert_eq!(told[..9], expected);
    assert_eq!(told[9..], ["5 1 \"a\""]);
}

#[test]
fn what_a_sink_wants_meanwhile_joins_the_flight() {
    let more = |uids| More::Same(UidSet::parse(uids).unwrap());
    let wishes = vec![more("9"), more("4"), More::Another(wanted("b", "3")), more("2")];
    let mut sink = Wishes(Told::default(), wishes);
    let (mut session, log) = play(
        "IMAP4rev1",
        &[
            ("EXAMINE \"a\"", OPENED),
            ("UID FETCH 1 ", "* 1 FETCH (UID 1 BODY[] {1}\na)\nTAG OK\n"),
            ("UID FETCH 2 ", "TAG OK\n"),
            ("EXAMINE \"b\"", "* OK [UIDVALIDITY 8] x\nTAG OK\n"),
            ("UID FETCH 3 ", "TAG OK\n"),
            ("UID FETCH 4 ", "TAG OK\n"),
            ("UID FETCH 9 ", "TAG OK\n"),
        ],
    );
    let outcomes = session.fetch_all(vec![wanted("a", "1")], 384, &mut sink).unwrap();
    assert_eq!(outcomes.iter().map(std::result::Result::is_ok).collect::<Vec<_>>(), [true, false]);
    let wishes = ["want 2", "want 4", "want 9"];
    assert_eq!(sink.0.words[..3], wishes, "they are asked for before anything has come");
    assert_eq!(sink.0.words[3..], ["mailbox 0", "start 1", "1 1 \"a\"", "missing 2: gone"]);
    assert_eq!(log.lock().unwrap().lines().count(), 7);
}

#[test]
fn the_window_is_filled_anew_when_half_of_it_has_come() {
    let wishes = (2..=8).rev().map(|uid| More::Same(UidSet::range(Uid::new(uid).unwrap(), Uid::new(uid).unwrap())));
    let mut sink = Wishes(Told::default(), wishes.collect());
    let script: Vec<(&str, &str)> =
        [("EXAMINE", OPENED)].into_iter().chain((0..8).map(|_| ("UID FETCH", "TAG OK\n"))).collect();
    let (mut session, _) = play("IMAP4rev1", &script);
    session.fetch_all(vec![wanted("a", "1")], 4, &mut sink).unwrap().remove(0).unwrap();
    let told: Vec<&str> = sink.0.words.iter().filter_map(|word| word.split([' ', ':']).nth(1)).collect();
    assert_eq!(told.join(" "), "2 3 4 0 1 2 5 6 3 4 7 8 5 6 7 8");
}

#[test]
fn a_refused_mailbox_keeps_none_and_a_refused_chunk_is_asked_for_in_its_own_mailbox() {
    let body = "* 1 FETCH (UID 1 BODY[] {1}\na)\nTAG OK\n";
    let (outcomes, told, log) = fetch_all(
        &[("a", "1"), ("b", "1:2"), ("c", "1"), ("d", "1")],
        &[
            ("EXAMINE \"a\"", "TAG NO [NONEXISTENT] x\n"),
            // A server that leaves another mailbox open: what comes is of no mailbox that was asked.
            ("UID FETCH 1 ", body),
            ("EXAMINE \"b\"", OPENED),
            ("UID FETCH 1:2 ", "TAG NO cannot\n"),
            ("EXAMINE \"c\"", "* OK [UIDVALIDITY 8] x\nTAG OK\n"),
            ("UID FETCH 1 ", body),
            ("EXAMINE \"d\"", OPENED),
            ("UID FETCH 1 ", body),
            ("EXAMINE \"b\"", OPENED),
            ("UID FETCH 1 ", body),
            ("UID FETCH 2 ", "TAG NO cannot read 2\n"),
        ],
    );
    assert_eq!(outcomes.iter().map(std::result::Result::is_ok).collect::<Vec<_>>(), [false, true, false, true]);
    assert_eq!(told[..5], ["mailbox 3", "start 1", "1 1 \"a\"", "mailbox 1", "start 1"]);
    assert!(told[6].starts_with("missing 2") && told.len() == 7, "{told:?}");
    assert_eq!(log.lines().count(), 11);
}

#[test]
fn bodies_come_in_every_form_and_order() {
    let (result, told) = fetch(
        "1:6",
        &[
            ("EXAMINE \"a\"", OPENED),
            (
                "UID FETCH 1:6 (UID BODY.PEEK[])",
                "* 3 FETCH (BODY[] {3}\nabc UID 3)\n* 1 FETCH (UID 1 FLAGS (\\Seen) BODY[] {0}\n)\n\
                 * 2 FETCH (UID 2 BODY[] \"q\\\"\")\n* 4 FETCH (UID 4 BODY[] NIL)\n* 9 FETCH (UID 9 BODY[] {3}\nxyz)\n\
                 * 5 FETCH (UID 5 FLAGS (\\Seen))\n* 3 FETCH (UID 3 BODY[] {3}\nagain)\nTAG OK\n",
            ),
        ],
    );
    result.unwrap();
    let gone = "gone";
    assert_eq!(
        told,
        [
            "start 3",
            "3 3 \"abc\"",
            "start 0",
            "1 0 \"\"",
            "start 2",
            "2 2 \"q\\\"\"",
            &format!("missing 4: {gone}"),
            &format!("missing 5: {gone}"),
            &format!("missing 6: {gone}"),
        ]
    );
}

#[test]
fn a_bad_message_is_named_and_the_rest_comes() {
    let (result, told) = fetch(
        "1:3",
        &[
            ("EXAMINE", OPENED),
            ("UID FETCH 1:3", "* 1 FETCH (UID 1 BODY[] {1}\na)\nTAG NO [SERVERBUG] cannot read\n"),
            ("UID FETCH 2 ", "TAG NO cannot read 2\n"),
            ("UID FETCH 3 ", "* 3 FETCH (UID 3 BODY[] {1}\nc)\nTAG OK\n"),
        ],
    );
    result.unwrap();
    assert_eq!(told[..2], ["start 1", "1 1 \"a\""]);
    assert!(told[2].starts_with("missing 2") && told[2].contains("cannot read 2"));
    assert_eq!(told[3..], ["start 1", "3 1 \"c\""]);
}

#[test]
fn bodies_of_another_mailbox_are_not_taken() {
    let anew = "* OK [UIDVALIDITY 8] x\nTAG OK\n";
    let body = "* 1 FETCH (UID 1 BODY[] {1}\na)\nTAG OK\n";
    let (result, told) = fetch("1", &[("EXAMINE", anew), ("UID FETCH 1 ", body)]);
    assert!(result.unwrap_err().to_string().contains("replaced"));
    assert!(told.is_empty());
    let (result, told) = fetch("1", &[("EXAMINE", "TAG NO gone\n"), ("UID FETCH 1 ", body)]);
    assert!(result.is_err() && told.is_empty());
}

#[test]
fn a_server_that_wants_a_pause_gets_it() {
    let (result, told) = fetch(
        "1:2",
        &[("EXAMINE", OPENED), ("UID FETCH 1:2", "TAG NO Request is throttled. Suggested Backoff Time: 1 s\n")],
    );
    assert_eq!(result.unwrap_err().kind(), Kind::TryLater);
    assert!(told.is_empty());

    let unavailable = "TAG NO [UNAVAILABLE] FETCH Server error while fetching messages\n";
    let one = |rest: &'static str| {
        [("EXAMINE", OPENED), ("UID FETCH 1:2", unavailable), ("UID FETCH 1 ", unavailable), ("UID FETCH 2 ", rest)]
    };
    let (result, told) = fetch("1:2", &one("* 1 FETCH (UID 2 BODY[] \"b\")\nTAG OK\n"));
    result.unwrap();
    assert!(told[0].starts_with("missing 1") && told[2] == "2 1 \"b\"");

    let script: Vec<(&str, &str)> =
        [("EXAMINE", OPENED)].into_iter().chain((0..30).map(|_| ("UID FETCH", unavailable))).collect();
    let (result, told) = fetch("1:128", &script);
    assert_eq!(result.unwrap_err().kind(), Kind::TryLater);
    assert_eq!(told.len(), LATER_MOST - 1);
}

#[test]
fn at_most_three_chunks_are_on_the_wire_and_a_failing_sink_ends_it() {
    let reply = "TAG OK\n";
    let script: Vec<(&str, &str)> =
        [("EXAMINE", OPENED)].into_iter().chain((0..8).map(|_| ("UID FETCH", reply))).collect();
    let (result, told) = fetch("1:1000", &script);
    result.unwrap();
    assert_eq!(told.len(), 1000);

    let (mut session, log) = play(
        "IMAP4rev1",
        &[("EXAMINE", OPENED), ("UID FETCH", "* 1 FETCH (UID 1 BODY[] {3}\nabc)\n"), ("UID", ""), ("UID", "")],
    );
    let mut told = Told { fails: true, ..Told::default() };
    let mailbox = WireName::new(b"a").unwrap();
    let all = UidSet::parse("1:1000").unwrap();
    let error = session.fetch_bodies(&mailbox, UidValidity(7), &all, &mut told).unwrap_err();
    assert_eq!((error.kind(), session.is_broken()), (Kind::LocalTree, true));
    assert_eq!(log.lock().unwrap().lines().count(), 1 + IN_FLIGHT as usize, "EXAMINE, and three chunks");
}

#[test]
fn header_fields_come_without_bodies() {
    let (mut session, _) = play(
        "IMAP4rev1",
        &[
            ("EXAMINE", OPENED),
            (
                "UID FETCH 1:4 (UID BODY.PEEK[HEADER.FIELDS (MESSAGE-ID X-TUID X-OFFLINEIMAP)])",
                "* 1 FETCH (UID 1 BODY[HEADER.FIELDS (MESSAGE-ID X-TUID X-OFFLINEIMAP)] {43}\nMessage-ID: <a@b>\nX-TUID: 0123456789ab\n\n)\n\
                 * 2 FETCH (BODY[HEADER.FIELDS (\"MESSAGE-ID\")] \"\" UID 2)\n\
                 * 3 FETCH (BODY[HEADER.FIELDS (MESSAGE-ID)] NIL UID 3)\nTAG OK\n",
            ),
        ],
    );
    let fields = session.header_fields(&WireName::new(b"a").unwrap(), &UidSet::parse("1:4").unwrap()).unwrap();
    let uid = |n| Uid::new(n).unwrap();
    let first = HeaderFields { message_id: MessageIdHash::of_value(b"<a@b>"), stamps: 22 };
    let none = HeaderFields::default();
    assert_eq!(fields, BTreeMap::from([(uid(1), first), (uid(2), none), (uid(3), none)]));
}
