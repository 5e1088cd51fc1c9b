//! Messages that arrive whole, and messages that must not seem to.

use super::super::scripted::{Log, answering, flights, number, numbers, session, session_in_pieces};
use super::*;

const PIPELINED: &[&str] = &["PIPELINING", "TOP"];

/// Writes down what it is told, and holds the session to the order that it promises.
#[derive(Default)]
struct Seen {
    now: Option<(MessageNumber, Vec<u8>)>,
    done: Vec<(u32, String)>,
    refused: Vec<(u32, Kind)>,
    fail_at: Option<u32>,
}

impl MaildropSink for Seen {
    fn start(&mut self, number: MessageNumber) -> Result<()> {
        assert!(self.now.is_none(), "a message began inside another");
        self.now = Some((number, Vec::new()));
        Ok(())
    }

    fn data(&mut self, octets: &[u8]) -> Result<()> {
        assert!(!octets.is_empty(), "nothing is no data");
        let (number, got) = self.now.as_mut().expect("data of no message");
        got.extend_from_slice(octets);
        if self.fail_at == Some(number.get()) { Err(Error::new(Kind::LocalTree, "The disk is full")) } else { Ok(()) }
    }

    fn done(&mut self, number: MessageNumber) -> Result<()> {
        let (started, octets) = self.now.take().expect("the end of no message");
        assert_eq!(started, number);
        self.done.push((number.get(), String::from_utf8_lossy(&octets).into_owned()));
        Ok(())
    }

    fn refused(&mut self, number: MessageNumber, error: &Error) -> Result<()> {
        assert!(self.now.is_none() || self.now.as_ref().is_some_and(|(n, _)| *n != number));
        self.refused.push((number.get(), error.kind()));
        Ok(())
    }
}

fn retrieved(capabilities: &[&str], script: &[(&str, &str)], most: u32) -> (Seen, Result<()>, Log) {
    let (mut session, log) = session(capabilities, answering(script));
    let mut seen = Seen::default();
    let outcome = session.retrieve(&numbers(most), &mut seen);
    assert_eq!(session.is_broken(), outcome.is_err());
    (seen, outcome, log)
}

fn done(list: &[(u32, &str)]) -> Vec<(u32, String)> {
    list.iter().map(|(n, text)| (*n, text.replace('\n', "\r\n"))).collect()
}

const TWO: [(&str, &str); 3] = [("RETR 1", "+OK 6 octets\na\n..b\n.\n"), ("RETR 2", "+OK\n\n.\n"), ("NOOP", "+OK\n")];

#[test]
fn messages_come_in_one_flight_or_one_by_one() {
    let (seen, outcome, log) = retrieved(PIPELINED, &TWO, 2);
    outcome.unwrap();
    assert_eq!(seen.done, done(&[(1, "a\n.b\n"), (2, "\n")]));
    assert_eq!(flights(&log), ["RETR 1, RETR 2, NOOP"]);
    let (seen, outcome, log) = retrieved(&[], &TWO, 2);
    outcome.unwrap();
    assert_eq!(seen.done.len(), 2);
    assert_eq!(flights(&log), ["RETR 1", "RETR 2", "NOOP"]);
    assert!(retrieved(&[], &[], 0).1.is_ok());
}

#[test]
fn a_refused_message_is_named_and_the_rest_comes() {
    for capabilities in [PIPELINED, &[]] {
        let (seen, outcome, _) = retrieved(
            capabilities,
            &[
                ("RETR 1", "-ERR [SYS/TEMP] not now\n"),
                ("RETR 2", "+OK\na\n.\n"),
                ("RETR 3", "-ERR no such message\n"),
                ("NOOP", "-ERR what?\n"),
            ],
            3,
        );
        outcome.unwrap();
        assert_eq!(seen.done, done(&[(2, "a\n")]));
        assert_eq!(seen.refused, [(1, Kind::TryLater), (3, Kind::Refused)]);
    }
}

#[test]
fn a_server_that_always_says_later_is_left_alone() {
    for (capabilities, most_asked) in [(PIPELINED, 512), (&[] as &[&str], LATER_MOST)] {
        let (mut session, log) = session(capabilities, |command| match command {
            "NOOP" => b"+OK\r\n".to_vec(),
            _ => b"-ERR [SYS/TEMP] Server busy\r\n".to_vec(),
        });
        let mut seen = Seen::default();
        let error = session.retrieve(&numbers(1000), &mut seen).unwrap_err();
        assert_eq!(error.kind(), Kind::TryLater);
        assert!(!session.is_broken(), "all that was asked is answered");
        let asked = log.lock().unwrap().matches("RETR").count();
        assert!((LATER_MOST..=most_asked).contains(&asked), "{asked}");
        assert_eq!(seen.refused.len(), asked);
    }
}

#[test]
fn the_window_is_kept_in_commands_and_octets() {
    let script = |command: &str| match command.split_once(' ') {
        None => b"+OK\r\n".to_vec(),
        Some(_) => b"+OK\r\n.\r\n".to_vec(),
    };
    let longest = |log: &Log| flights(log).iter().map(|f| f.matches("RETR").count()).max().unwrap();
    let (mut session, log) = session_in_pieces(PIPELINED, 64, script);
    session.retrieve(&numbers(2000), &mut Seen::default()).unwrap();
    assert_eq!(longest(&log), 512);
    assert!(flights(&log).len() < 20, "commands go out in bundles");
    let (mut session, log) = session_in_pieces(PIPELINED, 64, move |command| match command {
        "STAT" => b"+OK 100 1\r\n".to_vec(),
        "LIST" => (1..=100)
            .fold(b"+OK\r\n".to_vec(), |all, n| [all, format!("{n} 1000000\r\n").into()].concat())
            .into_iter()
            .chain(*b".\r\n")
            .collect(),
        "UIDL" => b"-ERR\r\n".to_vec(),
        other => script(other),
    });
    session.listing().unwrap();
    // None of them is a megabyte.
    session.retrieve(&numbers(100), &mut Seen::default()).unwrap_err();
    assert_eq!(longest(&log), 34);
}

#[test]
fn an_end_inside_a_message_is_no_end() {
    for cut in ["+OK\na\n", "+OK\na\n.", "+OK\na", "+OK\n", "+OK", "+", ""] {
        let (seen, outcome, _) = retrieved(PIPELINED, &[("RETR 1", cut), ("NOOP", "")], 1);
        assert_eq!(outcome.unwrap_err().kind(), Kind::Unreachable, "{cut:?}");
        assert_eq!((seen.done.len(), seen.refused.len()), (0, 0), "{cut:?}");
    }
}

#[test]
fn a_whole_message_counts_when_the_line_ends_behind_it() {
    for tail in ["", "+", "+O", "-ER"] {
        let (seen, outcome, _) = retrieved(PIPELINED, &[("RETR 1", &format!("+OK\na\n.\n{tail}")), ("NOOP", "")], 1);
        assert_eq!(outcome.unwrap_err().kind(), Kind::Unreachable);
        assert_eq!(seen.done, done(&[(1, "a\n")]), "{tail}");
    }
}

#[test]
fn a_dot_that_was_not_doubled_makes_no_truncated_message() {
    // python/cpython#95252
    let (seen, outcome, _) = retrieved(
        PIPELINED,
        &[("RETR 1", "+OK\na\n.\nrest of it\n.\n"), ("RETR 2", "+OK\nb\n.\n"), ("NOOP", "+OK\n")],
        2,
    );
    assert_eq!(outcome.unwrap_err().kind(), Kind::Protocol);
    assert!(seen.done.is_empty());
    let (seen, outcome, _) = retrieved(&[], &[("RETR 1", "+OK\na\n.\n-- \nme\n.\n"), ("NOOP", "+OK\n")], 1);
    assert_eq!(outcome.unwrap_err().kind(), Kind::Protocol);
    assert!(seen.done.is_empty());
}

#[test]
fn a_message_that_runs_into_the_next_answer_is_caught_by_its_size() {
    let answers = |command: &str| match command {
        "STAT" => "+OK 2 10\r\n",
        "LIST" => "+OK\r\n1 5\r\n2 5\r\n.\r\n",
        "UIDL" => "-ERR\r\n",
        "RETR 1" => "+OK\r\nabc\r\n",
        "RETR 2" => "+OK 5\r\ndef\r\n.\r\n",
        _ => "+OK\r\n",
    };
    for piece in 1..40 {
        let (mut session, _) = session_in_pieces(PIPELINED, piece, move |c| answers(c).as_bytes().to_vec());
        session.listing().unwrap();
        let mut seen = Seen::default();
        let error = session.retrieve(&numbers(2), &mut seen).unwrap_err();
        assert!(error.to_string().contains("begins inside it"), "{error}");
        assert!(seen.done.is_empty());
    }
}

#[test]
fn sizes_that_are_wrong_do_no_harm_one_by_one() {
    let script = [
        ("STAT", "+OK 3 10\n"),
        ("LIST", "+OK\n1 2\n2 500\n3 0\n.\n"),
        ("UIDL", "-ERR\n"),
        ("RETR 1", "+OK\nab\n+OK c\n.\n"),
        ("RETR 2", "+OK\nx\n.\n"),
        ("RETR 3", "+OK\ny\n.\n"),
        ("NOOP", "+OK\n"),
    ];
    let retrieve = |in_lock_step: bool| {
        let (mut session, _) = session(PIPELINED, answering(&script));
        if in_lock_step {
            session.in_lock_step();
        }
        session.listing().unwrap();
        let mut seen = Seen::default();
        (session.retrieve(&numbers(3), &mut seen), seen.done)
    };
    let (outcome, got) = retrieve(true);
    outcome.unwrap();
    assert_eq!(got, done(&[(1, "ab\n+OK c\n"), (2, "x\n"), (3, "y\n")]));
    let (outcome, got) = retrieve(false);
    assert_eq!(outcome.unwrap_err().kind(), Kind::Protocol);
    assert!(got.is_empty(), "in a pipeline they may be other messages");
}

#[test]
fn a_sink_that_fails_ends_it() {
    let (mut session, _) = session(PIPELINED, answering(&TWO));
    let mut seen = Seen { fail_at: Some(2), ..Seen::default() };
    let error = session.retrieve(&numbers(2), &mut seen).unwrap_err();
    assert_eq!(error.kind(), Kind::LocalTree);
    assert_eq!(seen.done, done(&[(1, "a\n.b\n")]));
    assert!(session.is_broken());
}

#[test]
fn headers_end_at_the_empty_line() {
    for (text, header) in [
        ("a: b\n c\n\n", "a: b\n c\n\n"),
        ("a: b\n\nbody\n\nmore\n", "a: b\n\n"),
        ("a: b\n", "a: b\n"),
        ("\nx\n", "\n"),
    ] {
        let (mut session, log) =
            session(PIPELINED, answering(&[("TOP 1 0", &format!("+OK\n{text}.\n")), ("NOOP", "+OK\n")]));
        let mut seen = Seen::default();
        session.headers(&numbers(1), &mut seen).unwrap();
        assert_eq!(seen.done, done(&[(1, header)]));
        assert_eq!(flights(&log), ["TOP 1 0, NOOP"]);
    }
}

#[test]
fn a_server_without_top_is_asked_once() {
    let script = [("TOP 1 0", "-ERR unknown command\n"), ("NOOP", "+OK\n")];
    let (mut session, log) = session(&[], answering(&script));
    let mut seen = Seen::default();
    session.headers(&numbers(4), &mut seen).unwrap();
    assert_eq!(seen.refused.iter().map(|(n, _)| *n).collect::<Vec<_>>(), [1, 2, 3, 4]);
    assert_eq!(flights(&log), ["TOP 1 0", "NOOP"]);
}

#[test]
fn the_words_of_a_server_that_hangs_up_are_told() {
    let (_, outcome, _) = retrieved(PIPELINED, &[("RETR 1", "-ERR Disconnected for inactivity.\n"), ("NOOP", "")], 1);
    let error = outcome.unwrap_err();
    assert_eq!(error.kind(), Kind::Unreachable);
    assert!(error.to_string().contains("Disconnected for inactivity"), "{error}");
    assert_eq!(number(1).get(), 1);
}
