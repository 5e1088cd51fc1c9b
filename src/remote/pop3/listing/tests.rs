//! Listings as servers send them: right, short, long, repeated, refused, without sense, without end.

use super::super::capability::Capabilities;
use super::super::scripted::{answering, flights, number, session};
use super::*;

const PIPELINED: &[&str] = &["PIPELINING", "UIDL", "TOP"];

fn listed(capabilities: &[&str], script: &[(&str, &str)]) -> (Result<Listing>, Vec<String>) {
    let (mut session, log) = session(capabilities, answering(script));
    let listing = session.listing();
    (listing, flights(&log))
}

fn listing(list: &str, uidl: &str) -> Listing {
    listed(PIPELINED, &[("STAT", "+OK 2 320\n"), ("LIST", list), ("UIDL", uidl)]).0.unwrap()
}

fn entry(n: u32, size: u64, uidl: Option<&str>) -> Entry {
    Entry { number: number(n), size, uidl: uidl.map(|u| Uidl::new(u.as_bytes()).unwrap()) }
}

fn odd(listing: &Listing) -> Vec<String> {
    listing.odd.iter().map(Odd::to_string).collect()
}

#[test]
fn one_flight_where_the_server_pipelines() {
    let script = [
        ("STAT", "+OK 2 320\n"),
        ("LIST", "+OK 2 messages (320 octets)\n1 120\n2 200\n.\n"),
        ("UIDL", "+OK\n1 whqtswO00WBw418f9t5JxYwZ\n2 QhdPYR:00WBw1Ph7x7\n.\n"),
    ];
    let (listing, flights) = listed(PIPELINED, &script);
    let listing = listing.unwrap();
    assert_eq!(flights, ["STAT, LIST, UIDL"]);
    assert!(listing.is_whole());
    let wanted = [entry(1, 120, Some("whqtswO00WBw418f9t5JxYwZ")), entry(2, 200, Some("QhdPYR:00WBw1Ph7x7"))];
    assert_eq!(listing.entries, wanted);
    assert_eq!(listing.stat, Stat { messages: 2, octets: 320 });
    let (same, flights) = listed(&["UIDL"], &script);
    assert_eq!(same.unwrap(), listing);
    assert_eq!(flights, ["STAT", "LIST", "UIDL"]);
}

#[test]
fn an_empty_maildrop_is_whole_however_it_is_told() {
    let (listing, flights) = listed(&[], &[("STAT", "+OK 0 0\n")]);
    assert!(listing.unwrap().is_whole());
    assert_eq!(flights, ["STAT"]);
    for empty in ["+OK\n.\n", "-ERR no messages\n"] {
        let (listing, _) = listed(PIPELINED, &[("STAT", "+OK 0 0\n"), ("LIST", empty), ("UIDL", empty)]);
        assert!(listing.unwrap().is_whole());
    }
}

#[test]
fn without_unique_ids_there_are_none_and_nothing_is_odd() {
    let listing = listing("+OK\n1 120\n2 200\n.\n", "-ERR unknown command\n");
    assert_eq!(listing.entries, [entry(1, 120, None), entry(2, 200, None)]);
    assert!(listing.is_whole());
    let (mut session, log) = session(PIPELINED, answering(&[("STAT", "+OK 1 1\n"), ("LIST", "+OK\n1 1\n.\n")]));
    session.capabilities = Capabilities::new(Some(vec!["PIPELINING".into()]), &["UIDL".to_owned()].into());
    assert_eq!(session.listing().unwrap().entries, [entry(1, 1, None)]);
    assert_eq!(flights(&log), ["STAT, LIST"]);
}

#[test]
fn unique_ids_are_passed_through_whatever_they_are() {
    let long = "x".repeat(300);
    let listing = listing("+OK\n1 1\n2 2\n.\n", &format!("+OK\n1   same \u{e9} id\n2 {long}\n.\n"));
    assert_eq!(listing.entries, [entry(1, 1, Some("same \u{e9} id")), entry(2, 2, Some(&long))]);
    let repeated = super::super::scripted::session(
        PIPELINED,
        answering(&[("STAT", "+OK 2 2\n"), ("LIST", "+OK\n1 1\n2 1\n.\n"), ("UIDL", "+OK\n1 a\n2 a\n.\n")]),
    )
    .0
    .listing()
    .unwrap();
    assert_eq!(repeated.entries, [entry(1, 1, Some("a")), entry(2, 1, Some("a"))]);
    assert!(repeated.is_whole() && listing.is_whole());
}

#[test]
fn lists_that_do_not_agree_are_not_whole() {
    let cases: [(&str, &str, &[Entry], &str); 7] = [
        ("1 1\n", "1 a\n", &[entry(1, 1, Some("a"))], "STAT says 2 messages, LIST names 1"),
        (
            "1 1\n2 2\n3 3\n",
            "1 a\n2 b\n3 c\n",
            &[entry(1, 1, Some("a")), entry(2, 2, Some("b")), entry(3, 3, Some("c"))],
            "STAT says 2 messages, LIST names 3",
        ),
        ("1 1\n2 2\n", "2 b\n", &[entry(1, 1, None), entry(2, 2, Some("b"))], "UIDL gives message 1 no unique id"),
        (
            "1 1\n2 2\n",
            "1 a\n2 b\n3 c\n",
            &[entry(1, 1, Some("a")), entry(2, 2, Some("b"))],
            "UIDL names message 3, which LIST does not",
        ),
        (
            "2 2\n1 1\n2 9\n",
            "2 b\n1 a\n",
            &[entry(1, 1, Some("a")), entry(2, 2, Some("b"))],
            "LIST names message 2 twice",
        ),
        ("1 1\n2 2\n", "1 a\n1 b\n1 a\n2 c\n", &[entry(1, 1, None), entry(2, 2, Some("c"))], "two unique ids"),
        (
            "1 1\n2 2\n",
            "1 a\n1 a\n2 c\n",
            &[entry(1, 1, Some("a")), entry(2, 2, Some("c"))],
            "UIDL names message 1 twice",
        ),
    ];
    for (list, uidl, entries, says) in cases {
        let listing = listing(&format!("+OK\n{list}.\n"), &format!("+OK\n{uidl}.\n"));
        assert_eq!(listing.entries, entries);
        assert!(!listing.is_whole());
        assert!(odd(&listing).iter().any(|o| o.contains(says)), "{:?}", odd(&listing));
    }
}

#[test]
fn lines_without_sense_are_left_out_and_named() {
    for line in [
        "0 5",
        "-1 5",
        "4294967296 5",
        "99999999999999999999 5",
        "2 -5",
        "2 99999999999999999999",
        "2 %!d(float64=5461)",
        "2",
        "",
        "two 5",
        "2 5\r3 6",
        "\u{1b}[31m",
    ] {
        let listing = listing(&format!("+OK\n1 1\n{line}\n.\n"), "+OK\n1 a\n.\n");
        assert_eq!(listing.entries, [entry(1, 1, Some("a"))], "{line:?}");
        assert!(odd(&listing)[0].starts_with("LIST says `"), "{:?}", odd(&listing));
        assert!(!odd(&listing)[0].contains('\u{1b}'));
    }
    let too_long = "y".repeat(Uidl::MOST + 1);
    for line in ["0 a", "-2 a", "2", "2 ", &format!("2 {too_long}")] {
        let listing = listing("+OK\n1 1\n2 2\n.\n", &format!("+OK\n1 a\n{line}\n.\n"));
        assert_eq!(listing.entries, [entry(1, 1, Some("a")), entry(2, 2, None)], "{line:?}");
        assert!(!listing.is_whole());
    }
}

#[test]
fn many_oddities_are_told_in_few_lines() {
    let listing = listing(&format!("+OK\n{}.\n", "x\n".repeat(1000)), "+OK\n.\n");
    assert_eq!(listing.odd.len(), ODD_MOST + 1);
    assert_eq!(odd(&listing)[ODD_MOST], "991 more lines make no sense");
}

#[test]
fn an_answer_inside_a_list_ends_the_session() {
    let (mut session, _) = session(
        PIPELINED,
        answering(&[("STAT", "+OK 2 3\n"), ("LIST", "+OK\n1 1\n2 2\n"), ("UIDL", "+OK\n1 a\n2 b\n.\n")]),
    );
    let error = session.listing().unwrap_err();
    assert_eq!(error.kind(), Kind::Protocol);
    assert!(error.to_string().contains("inside a list"), "{error}");
    assert!(session.is_broken());
}

#[test]
fn what_stat_says_has_to_be_two_numbers() {
    for words in ["+OK", "+OK 1", "+OK -1 5", "+OK 1 -5", "+OK 4294967296 5", "+OK a b"] {
        let (mut session, _) = session(&[], answering(&[("STAT", &format!("{words}\n"))]));
        assert_eq!(session.stat().unwrap_err().kind(), Kind::Protocol, "{words}");
    }
    let (mut session, _) = session(&[], answering(&[("STAT", "+OK  2   320 and more\n")]));
    assert_eq!(session.stat().unwrap(), Stat { messages: 2, octets: 320 });
}

#[test]
fn refusals_say_who_must_act_and_leave_the_session_usable() {
    let full = "+OK\n1 1\n.\n";
    for (script, kind) in [
        ([("STAT", "-ERR [SYS/TEMP] busy\n"), ("LIST", full), ("UIDL", full)], Kind::TryLater),
        ([("STAT", "+OK 1 1\n"), ("LIST", "-ERR no\n"), ("UIDL", full)], Kind::Refused),
        ([("STAT", "+OK 1 1\n"), ("LIST", full), ("UIDL", "-ERR [SYS/TEMP] later\n")], Kind::TryLater),
    ] {
        let (mut session, _) = session(PIPELINED, answering(&script));
        assert_eq!(session.listing().unwrap_err().kind(), kind);
        assert!(!session.is_broken());
    }
}

#[test]
fn lines_and_lists_without_end_are_refused_in_bounded_memory() {
    let endless: Vec<u8> = [b"+OK\r\n", "9".repeat(10 << 20).as_bytes()].concat();
    let (mut session, _) = super::super::scripted::session_in_pieces(PIPELINED, 1 << 20, move |_| endless.clone());
    assert_eq!(session.listing().unwrap_err().kind(), Kind::Protocol);
    let mut list = b"+OK\r\n".to_vec();
    (1..=MESSAGES_MOST + 1).for_each(|n| list.extend_from_slice(format!("{n} 1\r\n").as_bytes()));
    let (mut session, _) =
        super::super::scripted::session_in_pieces(PIPELINED, 1 << 20, move |command| match command {
            "STAT" => b"+OK 4000000000 4000000000\r\n".to_vec(),
            _ => list.clone(),
        });
    let error = session.listing().unwrap_err();
    assert!(error.to_string().contains("more than 1048576 messages"), "{error}");
}

#[test]
fn a_server_of_bare_lfs_is_understood() {
    let (mut session, _) = session(PIPELINED, |command| match command {
        "STAT" => b"+OK 2 3\n".to_vec(),
        "LIST" => b"+OK\n1 1\n2 2\n.\n".to_vec(),
        _ => b"+OK\n1 a\n2 b\n.\n".to_vec(),
    });
    assert_eq!(session.listing().unwrap().entries, [entry(1, 1, Some("a")), entry(2, 2, Some("b"))]);
}
