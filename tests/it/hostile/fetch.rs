//! What FETCH gives that was not asked for, that is not what was said, or that is not all.

use super::behaviour::{Behaviour, Does, MODERN, among, at, before, crlf, hang_up, instead, replace, rewrite, row};
use super::server::swap;

const FLAGS: &str = "UID FETCH…FLAGS";
const BODY: &str = "UID FETCH…BODY.PEEK[]";
const UNASKED: &str = "RFC 3501 §7.4.2: FETCH data may come unasked";

pub fn rows() -> Vec<Behaviour> {
    let mut rows = bodies();
    rows.extend(items());
    rows
}

fn bodies() -> Vec<Behaviour> {
    vec![
        row("a body of a message that is not asked for", UNASKED)
            .says(before(BODY, "* 3 FETCH (UID 3 BODY[] {3}\nabc)\n* 99 FETCH (UID 999 BODY[] {3}\nxyz)\n")),
        row("a body without a UID, of nobody knows what", "RFC 3501 §6.4.8: UID FETCH must tell the UID")
            .says(before(BODY, "* 7 FETCH (BODY[] {3}\nabc)\n")),
        row("all bodies without a UID", "RFC 3501 §6.4.8; OfflineIMAP/offlineimap#479 (DavMail: an item without UID)")
            .says(rewrite(BODY, |asked| swap(&swap(asked.reply, b"UID 7 ", b""), b"UID 1 ", b"")))
            .exits(&[1]),
        row("a body twice", UNASKED).says(rewrite(BODY, |asked| {
            let at = asked.reply.windows(4).rposition(|w| w == b")\r\nA").map_or(0, |at| at + 3);
            [&asked.reply[..at], asked.reply].concat()
        })),
        row("a body, and then another for the same UID", UNASKED)
            .says(among(BODY, "* 7 FETCH (UID 7 BODY[] {3}\nabc)\n* 1 FETCH (UID 1 BODY[] {3}\nabc)\n")),
        row("an empty body", "postalsys/imapflow and others: Exchange gives `BODY[] {0}` for what it cannot convert")
            .says(rewrite(BODY, |asked| nothing(asked.reply)))
            .exits(&[1])
            .tells(&["UID 7"]),
        row("NIL for a body", "RFC 3501 §9: nstring; iCloud: modern-email/defects#36 (OK without the item)")
            .says(instead(BODY, "* 7 FETCH (UID 7 BODY[] NIL)\n* 1 FETCH (UID 1 BODY[] NIL)\nTAG OK done\n"))
            .exits(&[1]),
        row("flags instead of a body", "OfflineIMAP/offlineimap#62: the server answers OK without the message")
            .says(instead(BODY, "* 7 FETCH (UID 7 FLAGS ())\nTAG OK done\n"))
            .exits(&[1]),
        row("OK without any body", "RFC 3501 §6.4.8: a UID that is not there is no error")
            .says(instead(BODY, "TAG OK done\n"))
            .exits(&[0, 1]),
        row(
            "the end in the midst of a body",
            "RFC 3501 §7.1.5 without the BYE; getmail, mpop, fetchmail lose or double here",
        )
        .says(hang_up(BODY, "* 7 FETCH (UID 7 BODY[] {300}\nFrom: ann@example.org\nSubject: n1"))
        .exits(&[1, 5]),
        row("the end right behind a body", UNASKED)
            .says(hang_up(BODY, "* 7 FETCH (UID 7 BODY[] {3}\nabc"))
            .exits(&[1, 5]),
        row("a body without the closing parenthesis", "RFC 3501 §9")
            .says(rewrite(BODY, |asked| swap(asked.reply, b"\r\n)\r\n", b"\r\n\r\n")))
            .exits(&[0, 1, 5]),
        row("the item is called RFC822", "RFC 3501 §6.4.5: the old name").says(replace(BODY, "BODY[] ", "RFC822 ")),
        row("the item is called BODY[]<0>", "seen where clients asked for parts").says(replace(
            BODY,
            "BODY[] ",
            "BODY[]<0> ",
        )),
        row("the UID stands behind the body", "RFC 3501 §7.4.2: any order").says(rewrite(BODY, uid_last)),
        row("flags change while bodies come", UNASKED).says(before(
            BODY,
            "* 1 FETCH (UID 1 FLAGS (\\Seen \\Draft))\n* 2 FETCH (FLAGS ())\n* 9 EXISTS\n* 1 RECENT\n",
        )),
        row("an EXPUNGE while bodies come", "RFC 3501 §7.4.1: not during FETCH, but some do")
            .says(before(BODY, "* 3 EXPUNGE\n")),
        row("NO for a chunk of bodies, and none alone", "Yahoo: imapsync/imapsync#119, emailjs/emailjs-imap-client#60")
            .says(at(
                BODY,
                Does::Instead(crlf("TAG NO [UNAVAILABLE] UID FETCH Server error while fetching messages\n")),
            ))
            .exits(&[1, 5])
            .tells(&["Server error while fetching"]),
        row(
            "a NO behind the bodies",
            "Gmail: `NO Some messages could not be FETCHed (Failure)` (mscdex/node-imap#209)",
        )
        .says(at(BODY, Does::Ends(crlf("TAG NO Some messages could not be FETCHed (Failure)\n")))),
    ]
}

/// Every body is empty.
fn nothing(reply: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(reply).into_owned();
    let mut out = String::new();
    for part in text.split_inclusive("\r\n)\r\n") {
        match part.find("BODY[] {").filter(|_| part.ends_with("\r\n)\r\n")) {
            Some(at) => out.push_str(&format!("{}BODY[] {{0}}\r\n)\r\n", &part[..at])),
            None => out.push_str(part),
        }
    }
    out.into_bytes()
}

/// `(UID 7 BODY[] …)` as `(BODY[] … UID 7)`.
fn uid_last(asked: &super::server::Asked<'_>) -> Vec<u8> {
    let text = String::from_utf8_lossy(asked.reply).into_owned();
    let mut out = String::new();
    for part in text.split_inclusive("\r\n)\r\n") {
        let uid =
            part.split_once("(UID ").and_then(|(_, rest)| rest.split(' ').next()).filter(|_| part.ends_with(")\r\n"));
        match uid {
            Some(uid) => {
                let part = part.replacen(&format!("(UID {uid} "), "(", 1);
                out.push_str(&format!("{} UID {uid})\r\n", part.strip_suffix(")\r\n").unwrap_or(&part)));
            }
            None => out.push_str(part),
        }
    }
    out.into_bytes()
}

fn items() -> Vec<Behaviour> {
    let everything = "(FLAGS (\\Seen";
    vec![
        row("INTERNALDATE NIL", "RFC 3501 §9: a date; the imap crate panics")
            .says(rewrite(FLAGS, |asked| swap(asked.reply, b"\"17-Jul-1996 09:44:25 +0000\"", b"NIL"))),
        row("INTERNALDATE that is none", "seen: `\" 0-Jan-0000 00:00:00 +0000\"`").says(rewrite(FLAGS, |asked| {
            swap(asked.reply, b"17-Jul-1996 09:44:25 +0000", b"99-Foo-99999 99:99:99 +9999")
        })),
        row("INTERNALDATE of the year 1", "dates before 1970").says(rewrite(FLAGS, |asked| {
            swap(asked.reply, b"17-Jul-1996 09:44:25 +0000", b"01-Jan-0001 00:00:00 +0000")
        })),
        row("RFC822.SIZE -1", "RFC 3501 §9: number").says(replace(FLAGS, "RFC822.SIZE ", "RFC822.SIZE -")),
        row("RFC822.SIZE of 2^64", "RFC 3501 §9: number").says(replace(
            FLAGS,
            "RFC822.SIZE ",
            "RFC822.SIZE 99999999999999999999",
        )),
        row("RFC822.SIZE is wrong", "Exchange: stalwartlabs/vandelay#12, WildDuck: zone-eu/wildduck#536")
            .says(replace(FLAGS, "RFC822.SIZE ", "RFC822.SIZE 3")),
        row("RFC822.SIZE missing", "mailpile/Mailpile#1080").says(replace(FLAGS, "RFC822.SIZE ", "X ")),
        row("FLAGS missing", "RFC 3501 §6.4.5: what was asked for is given")
            .says(replace(FLAGS, "FLAGS (", "X ("))
            .exits(&[0, 1, 5]),
        row("FLAGS NIL", "RFC 3501 §9: a list")
            .says(rewrite(FLAGS, |asked| swap(asked.reply, b"FLAGS ()", b"FLAGS NIL"))),
        row("flags in quotes", "InterMail (jstedfast/MailKit#771)")
            .says(rewrite(FLAGS, |asked| swap(asked.reply, b"\\Seen", b"\"\\\\Seen\""))),
        row("a keyword with an escape sequence", "terminals act on what they are shown")
            .says(before(FLAGS, &format!("* 1 FETCH {everything} a\x1b[31mb) UID 1)\n"))),
        row("10,000 keywords at a message", "Maildir has 26 letters")
            .says(rewrite(FLAGS, |asked| {
                let many: String = (0..10_000).map(|n| format!(" k{n}")).collect();
                swap(asked.reply, b"FLAGS (\\Seen", format!("FLAGS (\\Seen{many}").as_bytes())
            }))
            .exits(&[0, 1]),
        row("a keyword of 10,000 octets", "RFC 3501 §9 has no limit")
            .says(rewrite(FLAGS, |asked| {
                swap(asked.reply, b"FLAGS (\\Seen", format!("FLAGS (\\Seen {}", "k".repeat(10_000)).as_bytes())
            }))
            .exits(&[0, 1]),
        row("items nobody asked for", UNASKED).says(replace(
            FLAGS,
            "(UID",
            "(ENVELOPE (NIL \"x\" ((\"a\" NIL NIL {1}\n())) UID",
        )),
        row("MODSEQ where nobody asked", "RFC 7162 §3.2: unsolicited").speaks(MODERN).says(replace(
            FLAGS,
            "FLAGS",
            "MODSEQ (99999) FLAGS",
        )),
    ]
}
