//! Lines, literals, nesting and tags as no server should send them, in the midst of a session.

use super::behaviour::{
    Behaviour, Does, MODERN, after, among, at, before, endless, fall_silent, hang_up, instead, replace, rewrite, row,
};
use super::server::swap;

const LITERAL: &str = "RFC 3501 §4.3; CVE-2021-3657 (mbsync): the size of a literal is the server's claim";
const TAGS: &str = "RFC 3501 §2.2.1: a tag is the client's";
const UNASKED: &str = "RFC 3501 §7: clients must take any untagged data at any time";
const FLAGS: &str = "UID FETCH…FLAGS";
const BODY: &str = "UID FETCH…BODY.PEEK[]";

/// Something in the answer to every listing of a mailbox.
fn amid(name: &'static str, source: &'static str, octets: impl Into<Vec<u8>>) -> Behaviour {
    row(name, source).says(at(FLAGS, Does::Before(octets.into())))
}

pub fn rows() -> Vec<Behaviour> {
    let mut rows = literals();
    rows.extend(lines());
    rows.extend(tags());
    rows.extend(floods());
    rows
}

fn literals() -> Vec<Behaviour> {
    vec![
        row("a literal of 4 GB that never comes", LITERAL)
            .says(fall_silent(FLAGS, "* 1 FETCH (UID 1 X {4294967296}\n"))
            .exits(&[5])
            .tells(&["silent"]),
        row("a literal of 4 GB, and the end", LITERAL)
            .says(hang_up(FLAGS, "* 1 FETCH (UID 1 X {4294967296}\nabc"))
            .exits(&[5]),
        row("a body of 4 GB, and the end", LITERAL)
            .says(hang_up(BODY, "* 7 FETCH (UID 7 BODY[] {4294967296}\nabc"))
            .exits(&[1, 5]),
        row("a body of 2^64 - 1 octets, and the end", LITERAL)
            .says(hang_up(BODY, "* 7 FETCH (UID 7 BODY[] {18446744073709551615}\nabc"))
            .exits(&[1, 5]),
        row("a body of 2^64 octets", LITERAL)
            .says(instead(BODY, "* 7 FETCH (UID 7 BODY[] {18446744073709551616}\nabc)\nTAG OK done\n"))
            .exits(&[1]),
        row("a body of -1 octets", LITERAL)
            .says(instead(BODY, "* 7 FETCH (UID 7 BODY[] {-1}\nabc)\nTAG OK done\n"))
            .exits(&[1]),
        row("a body without a size", LITERAL)
            .says(instead(BODY, "* 7 FETCH (UID 7 BODY[] {}\nabc)\nTAG OK done\n"))
            .exits(&[1]),
        row("a body's size in hexadecimal", LITERAL)
            .says(instead(BODY, "* 7 FETCH (UID 7 BODY[] {0x10}\nabc)\nTAG OK done\n"))
            .exits(&[1]),
        row("a body as literal8 with a plus", "RFC 3516 §4.2, RFC 7888: servers must not send `{n+}`, yet some do")
            .says(rewrite(BODY, |asked| {
                let reply = swap(asked.reply, b"BODY[] {", b"BODY[] ~{");
                swap(&reply, b"}\r\nFrom", b"+}\r\nFrom")
            })),
        row("a size with leading zeros", LITERAL).says(replace(BODY, "BODY[] {", "BODY[] {0000000")),
        amid("a literal nobody asked for", LITERAL, b"* 1 FETCH (X {3}\r\n)\r\n UID 1)\r\n".to_vec()),
        amid("a skipped literal of 3 MB nobody asked for", LITERAL, {
            let mut octets = b"* 1 FETCH (X {3000000}\r\n".to_vec();
            octets.extend(vec![b'('; 3_000_000]);
            octets.extend_from_slice(b" UID 1)\r\n");
            octets
        }),
        row("a line end too many behind each body", "seen of several servers, see the framing of empty lines")
            .says(replace(BODY, ")\nTAG", ")\n\nTAG")),
    ]
}

fn lines() -> Vec<Behaviour> {
    let nested = |n: usize| format!("* 1 FETCH (X {}NIL{})\r\n", "(".repeat(n), ")".repeat(n));
    const NESTING: &str = "stack exhaustion by recursion: CVE-2021-38371 and others over mail parsers";
    vec![
        amid("nesting of 10,000 in a FETCH", NESTING, nested(10_000)),
        amid("nesting of 10,000 that never closes", NESTING, format!("* 1 FETCH (X {}\r\n", "(".repeat(10_000))),
        amid("nesting of 1,000,000", NESTING, nested(1_000_000)),
        row("nesting of 10,000 in a LIST", NESTING)
            .says(among("LIST", &format!("* LIST ({}x{}) \"/\" \"deep\"\n", "(".repeat(10_000), ")".repeat(10_000))))
            .exits(&[0, 1, 5]),
        row("nesting of 10,000 in a STATUS", NESTING)
            .says(among("STATUS", &format!("* STATUS x ({}x{})\n", "(".repeat(10_000), ")".repeat(10_000)))),
        row("nesting of 10,000 in NAMESPACE", NESTING).says(instead(
            "NAMESPACE",
            &format!("* NAMESPACE {}{} NIL NIL\nTAG OK\n", "(".repeat(10_000), ")".repeat(10_000)),
        )),
        amid("a line of 5 MB", "RFC 9051 §4: limits", format!("* X {}\r\n", "a".repeat(5_000_000))),
        row("a line without end in the session", "RFC 9051 §4: limits; memory must stay bounded")
            .says(endless("UID FETCH", "* X ", "aaaaaaaaaaaaaaaa"))
            .exits(&[5])
            .tells(&["octets"]),
        amid("empty lines", "RFC 3501 §2.2.2", b"\r\n\r\n\n \r\n".to_vec()),
        amid("a lone CR and a NUL in a line", "RFC 3501 §9: TEXT-CHAR has neither", b"* OK a\rb\0c\r\n".to_vec()),
        amid("8-bit text in words", "RFC 6855; Exchange in German", b"* OK gr\xfc\xdfe\r\n* NO \xff\xfe\r\n".to_vec()),
        amid("a star alone", UNASKED, b"*\r\n* \r\n* *\r\n".to_vec()),
        amid("a quoted string that never closes", UNASKED, b"* 1 FETCH (UID 1 X \"abc)\r\n".to_vec()),
        amid("a code that never closes", "RFC 3501 §9: resp-text-code", b"* OK [UIDVALIDITY 99\r\n* OK [\r\n".to_vec()),
        amid("parentheses that were never opened", UNASKED, b"* 1 FETCH ))) (UID 1)\r\n".to_vec()),
        amid(
            "a message number of 2^32",
            "RFC 3501 §9: nz-number",
            b"* 4294967296 FETCH (UID 1)\r\n* 0 FETCH (UID 1)\r\n".to_vec(),
        ),
        amid("an unasked LIST, STATUS, SEARCH and NAMESPACE", UNASKED, {
            b"* LIST () \"/\" \"evil\"\r\n* STATUS INBOX (MESSAGES 0)\r\n* SEARCH 1 2 3\r\n* NAMESPACE NIL NIL NIL\r\n"
                .to_vec()
        }),
        amid("an unasked BYE that is none", UNASKED, b"* OK BYE\r\n* X BYE\r\n".to_vec()),
        amid("escape sequences in data", "terminals act on what they are shown: CVE-2003-0063 and its kind", {
            b"* OK \x1b[2J\x1b]0;owned\x07\x9b31m\r\n* OK [ALERT] \x1b[31mred\r\n".to_vec()
        })
        .tells(&["alerts", "\\u{1b}"]),
        row("lower-case everything and bare LF", "RFC 3501 §9: case-insensitive; home-made servers").says(rewrite(
            "SELECT|EXAMINE|LIST|STATUS",
            |asked| {
                let text = String::from_utf8_lossy(asked.reply).replace("\r\n", "\n");
                let text = text.replace(" EXISTS", " exists").replace("UIDVALIDITY", "uidvalidity");
                text.replace("* LIST", "* list").replace(" OK ", " ok ").into_bytes()
            },
        )),
        row("blanks where none belong", "QQ and others (jakartaee/mail-api#209)")
            .says(replace("SELECT|EXAMINE|UID FETCH…FLAGS", "(", "(  "))
            .says(replace("LIST", "* LIST (", "*  LIST  (")),
    ]
}

fn tags() -> Vec<Behaviour> {
    vec![
        row("a tag that was never sent", TAGS)
            .says(before("LIST", "A999999 OK done\n"))
            .exits(&[5])
            .tells(&["answers nothing"]),
        row("a tag of another kind", TAGS)
            .says(before("LIST", "XYZ OK done\n"))
            .exits(&[5])
            .tells(&["answers nothing"]),
        row("an answer twice", TAGS).says(after("LIST", "TAG OK again\n")).exits(&[5]).tells(&["answers nothing"]),
        row("a tag with an escape sequence", TAGS).says(before("LIST", "\x1b[31mA OK done\n")).exits(&[5]),
        row("an answer that is no status", "RFC 3501 §7.1").says(instead("LIST", "TAG MAYBE later\n")).exits(&[5]),
        row("a tagged BYE", "RFC 3501 §7.1.5: BYE is always untagged")
            .says(instead("LIST", "TAG BYE now\n"))
            .exits(&[5]),
        row("no answer to one command of many", TAGS).says(instead("SELECT|EXAMINE", "").once()),
        row("a continuation nobody waits for", "RFC 3501 §7.5").says(before("UID FETCH", "+ go on\n+\n+ \n")),
        row("STORE is answered before the FETCH sent earlier", "RFC 3501 §5.5: answers may come in any order")
            .says(before("UID STORE", "* 1 FETCH (FLAGS ())\n")),
    ]
}

fn floods() -> Vec<Behaviour> {
    const FLOOD: &str = "denial of service: talk without end, each line valid; memory and time must stay bounded";
    vec![
        row("untagged OK without end", FLOOD)
            .says(endless("LIST", "", "* OK still here\n"))
            .exits(&[5])
            .tells(&["without end"]),
        row("continuations without end", FLOOD).says(endless("LIST", "", "+ go on\n")).exits(&[5]),
        row("empty lines without end", FLOOD).says(endless("LIST", "", "\n")).exits(&[5]),
        row("EXISTS without end", FLOOD).says(endless("SELECT|EXAMINE", "", "* 5 EXISTS\n")).exits(&[5]),
        row("FETCH without end of the same message", FLOOD)
            .says(endless(FLAGS, "", "* 1 FETCH (UID 1 FLAGS (\\Seen))\n"))
            .exits(&[5]),
        row("LIST without end of the same mailbox", FLOOD)
            .says(endless("LIST", "", "* LIST () \"/\" \"again\"\n"))
            .exits(&[5]),
        row("VANISHED without end", FLOOD)
            .speaks(MODERN)
            .says(endless("SELECT…QRESYNC|EXAMINE…QRESYNC", "", "* VANISHED (EARLIER) 100:200\n"))
            .exits(&[5]),
        row("bodies without end that nobody asked for", FLOOD)
            .says(endless(BODY, "", "* 99 FETCH (UID 999 BODY[] {3}\nabc)\n"))
            .exits(&[5]),
    ]
}
