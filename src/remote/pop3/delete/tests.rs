//! What was deleted, what was not, and what nobody knows.

use super::super::scripted::{answering, flights, numbers, session};
use super::*;

const DELE: [(&str, &str); 3] =
    [("DELE 1", "+OK message 1 deleted\n"), ("DELE 2", "-ERR message 2 already deleted\n"), ("DELE 3", "+OK\n")];

#[test]
fn each_message_has_its_outcome_and_the_end_commits() {
    for (capabilities, flown) in [(&["PIPELINING"][..], 1), (&[], 3)] {
        let script = [&DELE[..], &[("QUIT", "+OK bye\n")]].concat();
        let (mut session, log) = session(capabilities, answering(&script));
        let outcomes = session.delete(&numbers(3)).unwrap();
        let told: Vec<_> = outcomes.iter().map(|(n, o)| (n.get(), o.as_ref().map_err(Error::kind).copied())).collect();
        assert_eq!(told, [(1, Ok(())), (2, Err(Kind::Refused)), (3, Ok(()))]);
        assert_eq!(flights(&log).len(), flown);
        assert_eq!(session.quit().unwrap(), Committed { deleted: 2 });
    }
}

#[test]
fn whoever_deletes_nothing_says_goodbye_and_goes() {
    let (session, log) = session(&[], answering(&[("QUIT", "-ERR never heard\n")]));
    session.leave();
    assert_eq!(flights(&log), ["QUIT"]);
}

#[test]
fn what_is_marked_is_not_deleted_by_leaving() {
    let (mut session, log) = session(&["PIPELINING"], answering(&DELE));
    session.delete(&numbers(3)).unwrap();
    session.leave();
    assert!(!log.lock().unwrap().contains("QUIT"));
}

#[test]
fn only_ok_to_quit_commits() {
    for (answer, kind, says) in [
        ("-ERR some deleted messages not removed\n", Kind::Refused, "some deleted messages not removed"),
        ("-ERR [SYS/TEMP] try again\n", Kind::TryLater, "[SYS/TEMP]"),
        ("", Kind::Unreachable, "closed by the server"),
        ("what?\n", Kind::Protocol, "what?"),
    ] {
        let script = [&DELE[..], &[("QUIT", answer)]].concat();
        let (mut session, _) = session(&["PIPELINING"], answering(&script));
        session.delete(&numbers(3)).unwrap();
        let error = session.quit().unwrap_err();
        assert_eq!(error.kind(), kind);
        let text = error.to_string();
        assert!(text.contains("Whether 2 messages are deleted is unknown") && text.contains(says), "{text}");
    }
}

#[test]
fn nothing_is_unknown_when_nothing_was_marked() {
    let script = [&DELE[..], &[("RSET", "+OK\n"), ("QUIT", "")]].concat();
    let (mut session, _) = session(&["PIPELINING"], answering(&script));
    session.delete(&numbers(3)).unwrap();
    session.reset().unwrap();
    assert!(!session.quit().unwrap_err().to_string().contains("unknown"));
}

#[test]
fn a_lost_line_deletes_nothing_and_says_so() {
    let (mut session, log) = session(&["PIPELINING"], answering(&[("DELE 1", "+OK\n"), ("DELE 2", "")]));
    assert_eq!(session.delete(&numbers(2)).unwrap_err().kind(), Kind::Unreachable);
    assert!(session.is_broken());
    let error = session.quit().unwrap_err();
    assert!(error.to_string().contains("nothing was deleted"), "{error}");
    assert!(!log.lock().unwrap().contains("QUIT"));
}

#[test]
fn a_refused_reset_keeps_the_marks() {
    let script = [("DELE 1", "+OK\n"), ("RSET", "-ERR no\n"), ("QUIT", "+OK\n")];
    let (mut session, _) = session(&[], answering(&script));
    session.delete(&numbers(1)).unwrap();
    assert_eq!(session.reset().unwrap_err().kind(), Kind::Refused);
    assert_eq!(session.quit().unwrap(), Committed { deleted: 1 });
}
