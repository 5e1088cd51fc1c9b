//! UIDs, UIDVALIDITY, EXISTS, EXPUNGE, VANISHED and modification sequences that cannot be.

use super::behaviour::{Behaviour, MODERN, May, PLAIN, USUAL, among, before, instead, replace, rewrite, row};
use super::server::{Asked, swap};

const FLAGS: &str = "UID FETCH…FLAGS";
const OPEN: &str = "SELECT|EXAMINE";
const UIDS: &str = "RFC 3501 §2.3.1.1: UIDs rise, are unique, and are never 0";
const VALIDITY: &str = "RFC 3501 §2.3.1.1: UIDVALIDITY; isync's and OfflineIMAP's users meet its changes";

pub fn rows() -> Vec<Behaviour> {
    let mut rows = uids();
    rows.extend(validity());
    rows.extend(exists());
    rows.extend(changes());
    rows
}

/// The reply with a code's number made another.
fn with_code(asked: &Asked<'_>, code: &str, number: &str) -> Vec<u8> {
    let text = String::from_utf8_lossy(asked.reply).into_owned();
    let parts: Vec<String> = text
        .split_inclusive("\r\n")
        .map(|line| match line.split_once(&format!("[{code} ")) {
            Some((start, rest)) => {
                let end = rest.find(']').unwrap_or(0);
                if number.is_empty() { String::new() } else { format!("{start}[{code} {number}{}", &rest[end..]) }
            }
            None => line.to_owned(),
        })
        .collect();
    parts.concat().into_bytes()
}

fn coded(name: &'static str, source: &'static str, code: &'static str, number: &'static str) -> Behaviour {
    row(name, source).says(rewrite(OPEN, move |asked| with_code(asked, code, number)))
}

fn uids() -> Vec<Behaviour> {
    vec![
        row("UIDs that repeat", UIDS)
            .says(rewrite(FLAGS, |asked| swap(asked.reply, b"UID 2 ", b"UID 1 ")))
            .exits(&[0, 1]),
        row("UID 0", UIDS).says(rewrite(FLAGS, |asked| swap(asked.reply, b"UID 1 ", b"UID 0 "))).exits(&[0, 1]),
        row("UID 2^32 - 1", UIDS)
            .says(among(
                FLAGS,
                "* 8 FETCH (UID 4294967295 FLAGS () INTERNALDATE \"17-Jul-1996 09:44:25 +0000\" RFC822.SIZE 9)\n",
            ))
            .exits(&[0, 1])
            .may(May::Remain),
        row("UID 2^32", UIDS)
            .says(rewrite(FLAGS, |asked| swap(asked.reply, b"UID 1 ", b"UID 4294967296 ")))
            .exits(&[0, 1]),
        row("UIDs that are negative", UIDS).says(replace(FLAGS, "(UID ", "(UID -")).exits(&[0, 1, 5]),
        row("messages in falling order", UIDS).says(rewrite(FLAGS, |asked| {
            let text = String::from_utf8_lossy(asked.reply).into_owned();
            let (mut lines, last): (Vec<&str>, Vec<&str>) =
                text.split_inclusive("\r\n").partition(|line| line.starts_with("* "));
            lines.reverse();
            [lines, last].concat().concat().into_bytes()
        })),
        row("no UIDs at all", UIDS).says(replace(FLAGS, "(UID ", "(X ")).exits(&[0, 1, 5]),
        row("UIDs shrink: what was 7 is 3 now", UIDS)
            .says(rewrite(FLAGS, |asked| swap(asked.reply, b"UID 7 ", b"UID 3 ")))
            .exits(&[0, 1]),
        row("a FETCH of a message that was not asked for", "RFC 3501 §7.4.2")
            .says(before(FLAGS, "* 50 FETCH (UID 5000 FLAGS (\\Seen))\n"))
            .exits(&[0, 1])
            .may(May::Remain),
        coded("UIDNEXT missing", "nylas/sync-engine#76: Dreamhost gives none", "UIDNEXT", ""),
        coded("UIDNEXT 0", UIDS, "UIDNEXT", "0"),
        coded("UIDNEXT of 2^32", UIDS, "UIDNEXT", "4294967296"),
        coded("UIDNEXT runs backwards", "a server put back from a backup", "UIDNEXT", "2"),
        coded("UIDNEXT far ahead", UIDS, "UIDNEXT", "4294967295"),
    ]
}

fn validity() -> Vec<Behaviour> {
    vec![
        coded("UIDVALIDITY missing", VALIDITY, "UIDVALIDITY", "").exits(&[1]).tells(&["UIDVALIDITY"]),
        coded("UIDVALIDITY 0", "RFC 3501 §9: nz-number", "UIDVALIDITY", "0").exits(&[0, 1]).may(May::Remain),
        coded("UIDVALIDITY of 2^32", VALIDITY, "UIDVALIDITY", "4294967296").exits(&[1]),
        coded("UIDVALIDITY is another", VALIDITY, "UIDVALIDITY", "77").exits(&[0, 1]).may(May::Remain),
        row("UIDVALIDITY flips within the session", VALIDITY)
            .says(rewrite(OPEN, |asked| with_code(asked, "UIDVALIDITY", "77")).after(3))
            .exits(&[0, 1])
            .may(May::Remain),
        row("UIDVALIDITY flips at every SELECT", VALIDITY)
            .says(rewrite(OPEN, {
                let count = std::sync::atomic::AtomicU32::new(1);
                move |asked| {
                    let next = count.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                    with_code(asked, "UIDVALIDITY", &next.to_string())
                }
            }))
            .exits(&[1, 5])
            .may(May::Remain),
        row("UIDVALIDITY twice in one SELECT", VALIDITY).says(before(OPEN, "* OK [UIDVALIDITY 99] x\n")).exits(&[0]),
        row("UIDVALIDITY in STATUS is not the one in SELECT", VALIDITY)
            .says(rewrite("STATUS", |asked| swap(asked.reply, b"UIDVALIDITY 1", b"UIDVALIDITY 9"))),
        row("UIDVALIDITY changes unasked while the mailbox is open", "RFC 3501 §2.3.1.1")
            .says(before("UID FETCH", "* OK [UIDVALIDITY 99] surprise\n"))
            .exits(&[0, 1]),
    ]
}

fn exists() -> Vec<Behaviour> {
    const LIES: &str = "RFC 3501 §7.3.1: EXISTS; nothing may be concluded from numbers that do not agree";
    let says = |name, number: &'static str| {
        row(name, LIES)
            .says(rewrite(OPEN, move |asked| {
                let text = String::from_utf8_lossy(asked.reply).into_owned();
                let line = |line: &str| {
                    if line.ends_with("EXISTS\r\n") { format!("* {number} EXISTS\r\n") } else { line.to_owned() }
                };
                text.split_inclusive("\r\n").map(line).collect::<String>().into_bytes()
            }))
            .exits(&[0, 1])
    };
    vec![
        says("EXISTS says too many", "1000"),
        says("EXISTS says 2^32 - 1", "4294967295"),
        says("EXISTS says 2^64", "18446744073709551616"),
        says("EXISTS says too few", "1"),
        says("EXISTS says none", "0"),
        row("EXISTS missing", LIES).says(replace(OPEN, "EXISTS", "X-EXISTS")).exits(&[0, 1]),
        row(
            "EXISTS says none, and FETCH tells of nothing",
            "a mailbox emptied by another client: believed below the guard",
        )
        .says(rewrite(OPEN, |asked| swap(asked.reply, b"* 7 EXISTS", b"* 0 EXISTS")))
        .says(instead(FLAGS, "TAG OK done\n"))
        .exits(&[0, 1])
        .may(May::Go)
        .may(May::Remain),
        row("FETCH tells of a part only", LIES)
            .says(rewrite(FLAGS, |asked| {
                let text = String::from_utf8_lossy(asked.reply).into_owned();
                let kept = |line: &&str| !line.contains("(UID 5 ") && !line.contains("(UID 2 ");
                text.split_inclusive("\r\n").filter(kept).collect::<String>().into_bytes()
            }))
            .exits(&[0, 1]),
        row("FETCH tells of nothing", LIES).says(instead(FLAGS, "TAG OK done\n")).exits(&[0, 1]),
        row("SEARCH tells of nothing", LIES)
            .says(instead(FLAGS, "TAG OK done\n"))
            .says(instead("UID SEARCH", "* SEARCH\nTAG OK done\n"))
            .exits(&[1])
            .tells(&["counts"]),
        row("SEARCH without an answer", LIES)
            .says(instead(FLAGS, "TAG OK done\n"))
            .says(instead("UID SEARCH", "TAG OK done\n"))
            .exits(&[0, 1]),
        row("EXPUNGE of a message that is not there", "RFC 3501 §7.4.1")
            .says(before(FLAGS, "* 9999 EXPUNGE\n* 0 EXPUNGE\n"))
            .exits(&[0, 1]),
        row("EXPUNGE of everything, and then all is there", "RFC 3501 §7.4.1")
            .says(before(FLAGS, &"* 1 EXPUNGE\n".repeat(7)))
            .exits(&[0, 1]),
        row("SEARCH DELETED hides what others marked", "RFC 4315: why UIDPLUS; the mails of others go with EXPUNGE")
            .speaks(PLAIN)
            .says(rewrite("UID SEARCH DELETED", |asked| swap(asked.reply, b"* SEARCH 3", b"* SEARCH")))
            .exits(&[0, 1]),
    ]
}

fn changes() -> Vec<Behaviour> {
    const QRESYNC: &str = "RFC 7162 §3.2: QRESYNC";
    const MODSEQ: &str =
        "RFC 7162 §3.1: modification sequences only rise; Cyrus: cyrusimap/cyrus-imapd#1029 (MODSEQ 0)";
    let modern = |name, source| row(name, source).speaks(MODERN);
    let coded = |name, number: &'static str| {
        modern(name, MODSEQ).says(rewrite(OPEN, move |asked| with_code(asked, "HIGHESTMODSEQ", number)))
    };
    let listed = |name, number: &'static str| {
        modern(name, MODSEQ).says(rewrite("LIST", move |asked| {
            let text = String::from_utf8_lossy(asked.reply).into_owned();
            let line = |line: &str| match line.split_once("HIGHESTMODSEQ ") {
                Some((start, _)) => format!("{start}HIGHESTMODSEQ {number})\r\n"),
                None => line.to_owned(),
            };
            text.split_inclusive("\r\n").map(line).collect::<String>().into_bytes()
        }))
    };
    vec![
        modern("VANISHED for everything", QRESYNC)
            .says(among(OPEN, "* VANISHED (EARLIER) 1:4294967295\n"))
            .exits(&[0, 1]),
        modern("VANISHED for everything, not EARLIER", QRESYNC)
            .says(among(FLAGS, "* VANISHED 1:4294967295\n"))
            .exits(&[0, 1]),
        modern("VANISHED for what never was", QRESYNC)
            .says(among(OPEN, "* VANISHED (EARLIER) 100:200,4000000000\n"))
            .exits(&[0]),
        modern("VANISHED without a set", QRESYNC)
            .says(among(OPEN, "* VANISHED (EARLIER)\n* VANISHED\n* VANISHED 1:*\n* VANISHED 0\n")),
        modern("VANISHED for what is there", QRESYNC).says(among(OPEN, "* VANISHED (EARLIER) 1:2\n")).exits(&[0, 1]),
        modern(
            "what vanished is not told",
            "Cyrus: cyrusimap/cyrus-imapd#6071: expunges of the highest UID are not told",
        )
        .says(rewrite(OPEN, |asked| {
            let text = String::from_utf8_lossy(asked.reply).into_owned();
            text.split_inclusive("\r\n").filter(|l| !l.contains("VANISHED")).collect::<String>().into_bytes()
        })),
        coded("HIGHESTMODSEQ missing", ""),
        coded("HIGHESTMODSEQ 0", "0"),
        coded("HIGHESTMODSEQ of 2^64", "18446744073709551616"),
        coded("HIGHESTMODSEQ of 2^63", "9223372036854775808"),
        coded("HIGHESTMODSEQ runs backwards", "1"),
        listed("HIGHESTMODSEQ runs backwards in STATUS", "1"),
        listed("HIGHESTMODSEQ far ahead in STATUS", "9223372036854775807"),
        modern("HIGHESTMODSEQ says that nothing changed", MODSEQ).says(rewrite("LIST", |asked| {
            // As before the work.
            let text = String::from_utf8_lossy(asked.reply).into_owned();
            text.replace("HIGHESTMODSEQ 9", "HIGHESTMODSEQ 7")
                .replace("MESSAGES 7 UIDNEXT 8", "MESSAGES 6 UIDNEXT 7")
                .into_bytes()
        })),
        modern("NOMODSEQ all of a sudden", "RFC 7162 §3.1.2.2").says(rewrite(OPEN, |asked| {
            let text = String::from_utf8_lossy(&with_code(asked, "HIGHESTMODSEQ", "")).into_owned();
            text.replace("* 0 RECENT", "* OK [NOMODSEQ] none").into_bytes()
        })),
        row("CHANGEDSINCE is ignored", "RFC 7162 §3.1.4.1; servers that say CONDSTORE and do not know it")
            .speaks("IMAP4rev1 UIDPLUS MOVE LITERAL+ NAMESPACE CONDSTORE X-IGNORES-CHANGEDSINCE"),
        modern("no CLOSED between two mailboxes", "RFC 7162 §3.2.11; RFC 9051 §7.1").says(replace(
            OPEN,
            "* OK [CLOSED] closed\n",
            "",
        )),
        row("ESEARCH with another command's tag", "RFC 4466 §2.6.2")
            .speaks("IMAP4rev1 UIDPLUS MOVE LITERAL+ NAMESPACE CONDSTORE ESEARCH")
            .says(rewrite("UID SEARCH", |asked| {
                swap(asked.reply, format!("\"{}\"", asked.tag).as_bytes(), b"\"ZZ9\"")
            })),
        row("ESEARCH says that nothing is there", "RFC 4731 §3.1")
            .speaks("IMAP4rev1 UIDPLUS MOVE LITERAL+ NAMESPACE CONDSTORE ESEARCH")
            .says(instead("UID SEARCH", "* ESEARCH (tag \"TAG\") UID\nTAG OK done\n"))
            .exits(&[0, 1]),
        row(
            "SEARCH with what was never there",
            "RFC 3501 §7.2.5; iCloud: kenn-io/msgvault#436 (values that cannot be fetched)",
        )
        .speaks(USUAL)
        .says(before("UID FETCH", "* SEARCH 4294967295 1 1 0 99999999999\n")),
    ]
}
