//! Observation against scripted servers.

use super::*;
use crate::mail::{ModSeq, PermanentFlags, UidValidity};
use crate::remote::imap::scripted::play;

const QRESYNC: &str = "IMAP4rev1 ENABLE CONDSTORE QRESYNC ESEARCH UIDPLUS";
const BARE: &str = "IMAP4rev1";

fn uid(n: u32) -> Uid {
    Uid::new(n).unwrap()
}

fn since(validity: u32, uid_next: u32, modseq: u64, messages: u32) -> Option<RemoteCheckpoint> {
    Some(RemoteCheckpoint {
        uid_validity: UidValidity(validity),
        uid_next: Uid::new(uid_next),
        highest_modseq: Some(ModSeq(modseq)).filter(|m| m.0 > 0),
        messages,
        permanent: PermanentFlags::everything(),
        object_id: None,
    })
}

fn ask(name: &str, since: Option<RemoteCheckpoint>, known: &str) -> Ask {
    let known = UidSet::parse(known).unwrap_or_default();
    Ask { wire: WireName::new(name.as_bytes()).unwrap(), since, known, access: Access::ReadWrite }
}

/// `uid:flags` of each message, and what absence means.
fn shown(seen: &Result<Seen>) -> String {
    match seen {
        Ok(seen) => {
            let messages: Vec<String> = seen.messages.iter().map(|(uid, m)| format!("{uid}:{}", m.flags)).collect();
            let coverage = match &seen.coverage {
                SeenCoverage::Everything => "all".to_owned(),
                SeenCoverage::Changes { vanished } => format!("-{vanished}"),
            };
            format!("{} {coverage}", messages.join(","))
        }
        Err(error) => error.to_string(),
    }
}

fn observed(capabilities: &str, script: &[(&str, &str)], asks: &[Ask]) -> Vec<String> {
    let (mut session, _) = play(capabilities, script);
    session.observe(asks).unwrap().iter().map(shown).collect()
}

#[test]
fn a_refused_mailbox_in_the_middle_of_the_flight_is_its_own_failure_only() {
    // Some servers keep the mailbox before open after a refused SELECT: its data must not count for the refused one.
    let seen = observed(
        BARE,
        &[
            ("SELECT \"a\"", "* 1 EXISTS\n* OK [UIDVALIDITY 7] x\n* OK [UIDNEXT 5] x\nTAG OK [READ-WRITE] done\n"),
            ("UID FETCH 1:* (UID FLAGS INTERNALDATE RFC822.SIZE)", "* 1 FETCH (UID 4 FLAGS (\\Seen))\nTAG OK done\n"),
            ("SELECT \"b\"", "TAG NO [NONEXISTENT] gone\n"),
            ("UID FETCH 1:*", "* 1 FETCH (UID 4 FLAGS (\\Seen))\nTAG OK done\n"),
            ("SELECT \"c\"", "* 1 EXISTS\n* OK [UIDVALIDITY 8] x\nTAG OK done\n"),
            ("UID FETCH 1:*", "* 1 FETCH (UID 9 FLAGS ())\nTAG OK done\n"),
        ],
        &[ask("a", None, ""), ask("b", None, ""), ask("c", None, "")],
    );
    assert_eq!(seen[0], "4:\\Seen all");
    assert!(seen[1].contains("not there any more") && seen[1].contains("[NONEXISTENT] gone"), "{}", seen[1]);
    assert_eq!(seen[2], "9: all");
}

#[test]
fn qresync_is_one_flight_and_the_last_message_is_no_news() {
    let script = [
        ("ENABLE QRESYNC", "* ENABLED QRESYNC\nTAG OK done\n"),
        (
            "SELECT \"a\" (QRESYNC (7 100))",
            "* 9 EXISTS\n* OK [CLOSED] x\n* OK [UIDVALIDITY 7] x\n* OK [UIDNEXT 12] x\n* OK [HIGHESTMODSEQ 120] x\n* 4 EXISTS\n\
             * VANISHED (EARLIER) 2,50:4294967295\n* 1 FETCH (UID 1 FLAGS (\\Flagged $Junk) MODSEQ (110))\nTAG OK done\n",
        ),
        (
            "UID FETCH 10:* (UID FLAGS INTERNALDATE RFC822.SIZE)",
            "* 4 FETCH (UID 11 RFC822.SIZE 10 FLAGS () INTERNALDATE \"01-Jan-1970 00:00:01 +0000\")\nTAG OK done\n",
        ),
        (
            "SELECT \"b\" (QRESYNC (7 5))",
            "* 1 EXISTS\n* OK [UIDVALIDITY 7] x\n* OK [UIDNEXT 4] x\n* OK [HIGHESTMODSEQ 5] x\nTAG OK done\n",
        ),
        ("UID FETCH 4:*", "* 1 FETCH (UID 3 FLAGS (\\Seen) RFC822.SIZE 9)\nTAG OK done\n"),
    ];
    let (mut session, _) = play(QRESYNC, &script);
    let seen = session.observe(&[ask("a", since(7, 10, 100, 4), "1,2,3,4"), ask("b", since(7, 4, 5, 1), "3")]).unwrap();
    assert_eq!(shown(&seen[0]), "1:\\Flagged $Junk,11: -2,50:4294967295");
    let first = seen[0].as_ref().unwrap();
    assert_eq!(first.checkpoint.highest_modseq, Some(ModSeq(120)));
    assert_eq!((first.checkpoint.messages, first.checkpoint.uid_next), (4, Uid::new(12)));
    assert_eq!(first.messages[&uid(11)].internal_date, Some(UnixSeconds(1)));
    assert_eq!(shown(&seen[1]), " -");
}

#[test]
fn of_what_is_known_beyond_the_checkpoint_only_flags_are_asked_for() {
    // 10 to 12 we sent ourselves; 14 too, and what 13 is nobody knows.
    let script = [
        ("ENABLE QRESYNC", "* ENABLED QRESYNC\nTAG OK done\n"),
        (
            "SELECT \"a\" (QRESYNC (7 100))",
            "* 6 EXISTS\n* OK [UIDVALIDITY 7] x\n* OK [UIDNEXT 15] x\n* OK [HIGHESTMODSEQ 120] x\n\
             * 2 FETCH (UID 10 FLAGS (\\Seen) MODSEQ (110))\n* 3 FETCH (UID 11 FLAGS () MODSEQ (111))\n\
             * 4 FETCH (UID 12 FLAGS () MODSEQ (112))\n* 5 FETCH (UID 13 FLAGS () MODSEQ (113))\n\
             * 6 FETCH (UID 14 FLAGS () MODSEQ (114))\nTAG OK done\n",
        ),
        (
            "UID FETCH 13:* (UID FLAGS INTERNALDATE RFC822.SIZE)",
            "* 5 FETCH (UID 13 RFC822.SIZE 10 FLAGS ())\n* 6 FETCH (UID 14 RFC822.SIZE 11 FLAGS ())\nTAG OK done\n",
        ),
    ];
    let (mut session, _) = play(QRESYNC, &script);
    let seen = session.observe(&[ask("a", since(7, 10, 100, 1), "1,10:12,14")]).unwrap();
    assert_eq!(shown(&seen[0]), "10:\\Seen,11:,12:,13:,14: -");
    let sizes = seen[0].as_ref().unwrap().messages.values().map(|message| message.size);
    assert_eq!(sizes.collect::<Vec<_>>(), [None, None, None, Some(10), Some(11)]);
}

#[test]
fn what_a_server_refuses_to_understand_goes_through_a_lower_tier() {
    let seen = observed(
        "IMAP4rev1 ENABLE QRESYNC",
        &[
            ("ENABLE QRESYNC", "TAG BAD what\n"),
            ("SELECT \"a\" (QRESYNC (7 100))", "TAG BAD what\n"),
            ("UID FETCH 10:*", "TAG BAD nothing selected\n"),
            ("SELECT \"a\" (CONDSTORE)", "TAG BAD what\n"),
            ("UID FETCH 1:9 (UID FLAGS) (CHANGEDSINCE 100)", "TAG BAD\n"),
            ("UID FETCH 10:*", "TAG BAD\n"),
            ("SELECT \"a\"", "* 1 EXISTS\n* OK [UIDVALIDITY 7] x\nTAG OK done\n"),
            ("UID FETCH 1:9 (UID FLAGS)", "* 1 FETCH (FLAGS (a) UID 2)\nTAG OK\n"),
            ("UID FETCH 10:* (UID FLAGS INTERNALDATE", "* 1 FETCH (UID 2 FLAGS (a))\nTAG OK\n"),
        ],
        &[ask("a", since(7, 10, 100, 2), "1,2")],
    );
    assert_eq!(seen, ["2:a all"]);
}

#[test]
fn another_uidvalidity_starts_anew() {
    let seen = observed(
        QRESYNC,
        &[
            ("ENABLE", "TAG OK\n"),
            ("SELECT", "* 1 EXISTS\n* OK [UIDVALIDITY 8] x\n* OK [HIGHESTMODSEQ 3] x\nTAG OK done\n"),
            ("UID FETCH 10:*", "* 1 FETCH (UID 1 FLAGS ())\nTAG OK\n"),
            ("SELECT \"a\"", "* 1 EXISTS\n* OK [UIDVALIDITY 8] x\n* OK [HIGHESTMODSEQ 3] x\nTAG OK done\n"),
            ("UID FETCH 1:*", "* 1 FETCH (UID 1 FLAGS ())\nTAG OK\n"),
        ],
        &[ask("a", since(7, 10, 100, 2), "1,2")],
    );
    assert_eq!(seen, ["1: all"]);
}

#[test]
fn condstore_without_esearch_searches_only_when_the_count_is_off() {
    let script = |exists: &'static str| {
        [
            ("SELECT \"a\" (CONDSTORE)", exists),
            ("UID FETCH 1:9 (UID FLAGS) (CHANGEDSINCE 100)", "* 1 FETCH (UID 1 FLAGS (\\Seen) MODSEQ (101))\nTAG OK\n"),
            ("UID FETCH 10:*", "* 2 FETCH (UID 10 FLAGS () MODSEQ (102))\nTAG OK\n"),
        ]
    };
    let three = "* 3 EXISTS\n* OK [UIDVALIDITY 7] x\n* OK [HIGHESTMODSEQ 102] x\nTAG OK\n";
    let asks = [ask("a", since(7, 10, 100, 2), "1,2")];
    assert_eq!(observed("IMAP4rev1 CONDSTORE", &script(three), &asks), ["1:\\Seen,10: -"]);
    let two = "* 2 EXISTS\n* OK [UIDVALIDITY 7] x\n* OK [HIGHESTMODSEQ 102] x\nTAG OK\n";
    let mut both = [script(two).to_vec(), script(two).to_vec()].concat();
    both.push(("UID SEARCH ALL", "* SEARCH 10 1\nTAG OK\n"));
    assert_eq!(observed("IMAP4rev1 CONDSTORE", &both, &asks), ["1:\\Seen,10: -2"]);
}

#[test]
fn numbers_that_do_not_agree_are_not_believed() {
    // A server that forgot an expunge: the flags of all messages tell.
    let opened = "* 1 EXISTS\n* OK [UIDVALIDITY 7] x\n* OK [UIDNEXT 10] x\n* OK [HIGHESTMODSEQ 101] x\nTAG OK\n";
    let seen = observed(
        QRESYNC,
        &[
            ("ENABLE", "TAG OK\n"),
            ("SELECT \"a\" (QRESYNC (7 100))", opened),
            ("UID FETCH 10:*", "TAG OK\n"),
            ("SELECT \"a\"", opened),
            ("UID FETCH 1:9 (UID FLAGS)", "* 1 FETCH (UID 2 FLAGS ())\nTAG OK\n"),
            ("UID FETCH 10:*", "TAG OK\n"),
        ],
        &[ask("a", since(7, 10, 100, 2), "1,2")],
    );
    assert_eq!(seen, ["2: all"]);
}

#[test]
fn messages_that_cannot_be_described_are_not_gone() {
    let opened = "* 3 EXISTS\n* OK [UIDVALIDITY 7] x\n* OK [UIDNEXT 4] x\nTAG OK\n";
    let fetched = "* 1 FETCH (UID 1 FLAGS ())\nTAG NO some messages could not be fetched\n";
    let script = [
        ("SELECT", opened),
        ("UID FETCH 1:3 (UID FLAGS)", fetched),
        ("UID FETCH 4:*", "TAG OK\n"),
        ("SELECT", opened),
        ("UID FETCH 1:3 (UID FLAGS)", fetched),
        ("UID FETCH 4:*", "TAG OK\n"),
        ("UID SEARCH ALL", "* SEARCH 1 2 4\nTAG OK\n"),
    ];
    assert_eq!(observed(BARE, &script, &[ask("a", since(7, 4, 0, 3), "1,2,3")]), ["1: -3"]);
}

#[test]
fn nothing_to_fetch_may_be_refused_and_news_come_at_any_time() {
    let seen = observed(
        "IMAP4rev1 X-GM-EXT-1",
        &[
            ("SELECT \"a\"", "* 0 EXISTS\n* OK [UIDVALIDITY 7] x\nTAG OK\n"),
            ("UID FETCH 1:* (UID FLAGS INTERNALDATE RFC822.SIZE X-GM-MSGID)", "TAG NO no messages\n"),
            ("SELECT \"b\"", "* 2 EXISTS\n* OK [UIDVALIDITY 7] x\nTAG OK\n"),
            (
                "UID FETCH 1:*",
                "* 1 FETCH (UID 1 FLAGS () X-GM-MSGID 1278455344230334865)\n* 5 FETCH (FLAGS (\\Seen))\n* 3 EXISTS\n\
                 * 2 FETCH (UID 2 FLAGS ())\n* 1 EXPUNGE\n* OK still here\n* XNEWS (\nTAG OK\n",
            ),
        ],
        &[ask("a", None, ""), ask("b", None, "")],
    );
    assert_eq!(seen, [" all", "1:,2: all"]);
}

#[test]
fn a_read_only_mailbox_is_examined_and_a_server_without_uidvalidity_refused() {
    let (mut session, log) = play(
        BARE,
        &[("EXAMINE \"a\"", "* 0 EXISTS\n* OK [PERMANENTFLAGS ()] no\nTAG OK\n"), ("UID FETCH", "TAG OK\n")],
    );
    let mut only = ask("a", None, "");
    only.access = Access::ReadOnly;
    let seen = session.observe(&[only]).unwrap();
    assert!(shown(&seen[0]).contains("no UIDVALIDITY"));
    assert!(!log.lock().unwrap().contains("SELECT"));
}

#[test]
fn a_connection_that_ends_is_the_outer_error() {
    let (mut session, _) = play(BARE, &[("SELECT", "* BYE timeout\n"), ("UID FETCH", "")]);
    let error = session.observe(&[ask("a", None, "")]).unwrap_err();
    assert!(error.to_string().contains("timeout") && session.is_broken());
}
