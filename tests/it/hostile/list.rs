//! Mailboxes with names that no path may have, twins, and listings that cannot be believed.

use super::behaviour::{Behaviour, MODERN, May, among, endless, ends, instead, replace, rewrite, row};
use super::server::swap;

const PATHS: &str = "CVE-2021-20247 (mbsync): `..` and `/` in the names of mailboxes";
const NAMES: &str = "RFC 3501 §5.1: names of mailboxes; RFC 9051 §5.1";

fn listed(name: &'static str, source: &'static str, raw: impl Into<Vec<u8>>) -> Behaviour {
    row(name, source).lists(raw).may(May::Come)
}

pub fn rows() -> Vec<Behaviour> {
    let mut rows = names();
    rows.extend(twins());
    rows.extend(listings());
    rows
}

fn names() -> Vec<Behaviour> {
    let deep = ["x"; 100].join("/");
    vec![
        listed("a mailbox called ..", PATHS, ".."),
        listed("a mailbox called .", PATHS, "."),
        listed("a mailbox called ../../outside", PATHS, "../../outside"),
        listed("a mailbox called ../../../../tmp/mailtide-was-here", PATHS, "../../../../../../tmp/mailtide-was-here"),
        listed("a mailbox called /tmp/mailtide-was-here", PATHS, "/tmp/mailtide-was-here"),
        listed("a mailbox called INBOX/../../x", PATHS, "INBOX/../../x"),
        listed("an encoded slash", "RFC 3501 §5.1.3: `&AC8-` is `/`", "..&AC8-..&AC8-outside"),
        listed("an encoded NUL", "RFC 3501 §5.1.3: `&AAA-` is NUL", "a&AAA-b"),
        listed("an encoded line end", "RFC 3501 §5.1.3: `&AA0ACg-` is CR LF", "a&AA0ACg-b"),
        listed("an encoded escape sequence", "RFC 3501 §5.1.3: `&ABs-` is ESC", "a&ABs-[31mb"),
        listed("encoded bidirectional text", "CVE-2021-42574: text that reads otherwise", "a&IC4-txt.exe"),
        listed("a surrogate alone", "RFC 3501 §5.1.3: `&2AA-` is no character", "a&2AA-b"),
        listed("a NUL in a name", "RFC 3501 §9: no string has one", b"a\0b".to_vec()),
        listed("CR LF in a name", "a name as a command: `x CR LF A1 DELETE INBOX`", "x\r\nA1 DELETE INBOX"),
        listed("an escape sequence in a name", "terminals act on what they are shown", "\x1b[2J\x1b]0;owned\x07"),
        listed("C1 controls in a name", "terminals act on what they are shown", "a\u{9b}31mb"),
        listed("bidirectional text in a name", "CVE-2021-42574", "a\u{202e}txt.exe\u{2066}"),
        listed("a name of 255 octets", "NAME_MAX", "n".repeat(255)),
        listed("a name of 256 octets", "NAME_MAX", "n".repeat(256)).exits(&[1]).tells(&["too long"]),
        listed("a name of 4,000 octets", "NAME_MAX, PATH_MAX", "n".repeat(4000)).exits(&[1]).tells(&["too long"]),
        listed("255 octets of three each", "NAME_MAX counts octets", "€".repeat(255)).exits(&[1]).tells(&["too long"]),
        listed("a path of 100 levels", "directories in directories", deep).exits(&[0, 1]),
        listed("a mailbox called cur", "mbsync makes a mailbox inside another's `cur`", "cur"),
        listed("a mailbox called new", "Maildir", "new"),
        listed("a mailbox called tmp", "Maildir", "tmp"),
        listed("a mailbox called INBOX/cur", "mbsync makes a mailbox inside another's `cur`", "INBOX/cur"),
        listed("a mailbox called Archive/new/x", "Maildir", "Archive/new/x"),
        listed("a mailbox called like the marker", "the tree's own files", ".mailtide"),
        listed("a mailbox called dovecot-keywords", "the tree's own files", "INBOX/dovecot-keywords"),
        listed("a name that begins with a dot", "Maildir++ (s1t5/mail-archiver#426)", ".hidden"),
        listed("a name of blanks", NAMES, "   "),
        listed("a name with blanks around", NAMES, " a "),
        listed("wildcards in a name", "RFC 3501 §6.3.8: `*` and `%`", "100%*"),
        listed("quotes and backslashes in a name", "RFC 3501 §9: quoted", "a\"b\\c"),
        listed("braces in a name", "a name that looks like a literal", "a{3}"),
        listed("a name that is NIL", NAMES, "NIL"),
        listed("a name in raw UTF-8", "RFC 6855; servers without modified UTF-7", "Entwürfe"),
        listed("a name in Latin-1", NAMES, b"Entw\xfcrfe".to_vec()),
        listed("an ampersand alone", "RFC 3501 §5.1.3: `R&D` is no modified UTF-7", "R&D"),
        listed("broken modified UTF-7", "RFC 3501 §5.1.3", "&&&-&!!-&AG"),
        listed("an empty level", NAMES, "a//b"),
        listed("a delimiter at the end", "RFC 3501 §6.3.3: seen of Courier and UW", "trailing/"),
        listed("a delimiter at the start", NAMES, "/leading"),
        listed("a percent sign as the tree writes it", "one encoder, reversible", "a%2Fb"),
    ]
}

fn twins() -> Vec<Behaviour> {
    const CASE: &str = "RFC 3501 §5.1: INBOX has no case";
    vec![
        listed("a twin of INBOX in other letters", CASE, "Inbox").exits(&[0, 1]),
        listed("a mailbox below a twin of INBOX", CASE, "iNbOx/x"),
        listed("twins in other letters", NAMES, "archive").lists("ARCHIVE"),
        listed("twins in other encodings", "RFC 3501 §5.1.3", "R&-D").lists("R&D"),
        listed("twins in other normal forms", "Unicode: é is é", "Caf&AOk-").lists("Cafe&AwE-"),
        row("every mailbox listed twice", NAMES).says(rewrite("LIST", |asked| {
            let end = asked.reply.windows(4).rposition(|w| w == b"\r\nA").map_or(0, |at| at + 2);
            let end =
                if end == 0 { asked.reply.windows(3).rposition(|w| w == b"\r\nA").map_or(0, |at| at + 2) } else { end };
            [&asked.reply[..end], asked.reply].concat()
        })),
        row("cyclic names", "symbolic links on the server: Dovecot, UW (`~/mail/mail/mail`)").says(among(
            "LIST",
            &(1..200)
                .map(|n| format!("* LIST (\\Noselect) \"/\" \"{}\"\n", vec!["loop"; n].join("/")))
                .collect::<String>(),
        )),
        row("names in a ring of parents", NAMES)
            .says(among("LIST", "* LIST (\\HasChildren) \"/\" \"p\"\n* LIST (\\NonExistent) \"/\" \"p/q/p/q\"\n"))
            .exits(&[0, 1]),
    ]
}

fn listings() -> Vec<Behaviour> {
    const LISTED: &str = "RFC 3501 §7.2.2: LIST";
    let garbled = |name, to: &'static str| {
        row(name, "what was not understood is not gone")
            .says(rewrite("LIST", move |asked| {
                let text = String::from_utf8_lossy(asked.reply).into_owned();
                let line = |line: &str| {
                    if line.contains("Archive") && line.starts_with("* LIST") { to.to_owned() } else { line.to_owned() }
                };
                text.split_inclusive("\r\n").map(line).collect::<String>().into_bytes()
            }))
            .exits(&[1])
            .tells(&["cannot be understood"])
    };
    vec![
        row("an empty LIST", "a server that has lost its mind or our rights")
            .says(instead("LIST", "TAG OK done\n"))
            .exits(&[5])
            .tells(&["lists none"]),
        row("LIST without INBOX", "RFC 3501 §5.1: INBOX is always there")
            .says(replace("LIST", "* LIST (\\HasNoChildren) \"/\" \"INBOX\"\n", ""))
            .exits(&[1])
            .tells(&["does not list INBOX"])
            .may(May::BeTwice),
        garbled("a LIST line without a name", "* LIST (\\HasNoChildren) \"/\"\r\n"),
        garbled("a LIST line without anything", "* LIST\r\n"),
        garbled("a LIST line without attributes", "* LIST \"/\" \"Archive\"\r\n"),
        garbled("a LIST line whose attributes never close", "* LIST (\\HasNoChildren \"/\" \"Archive\"\r\n"),
        garbled(
            "a LIST line nested too deep",
            "* LIST ((((((((((((((((((((((((((((((((((((((((((((((((((((((x)))))))))))))))))))))))))))))))))))))))))))))))))))))) \"/\" \"Archive\"\r\n",
        ),
        row("every mailbox is \\Noselect", "a store that is down behind a proxy")
            .says(replace("LIST", "\\HasNoChildren", "\\Noselect"))
            .exits(&[5]),
        row("every mailbox is \\NonExistent", "RFC 5258 §3.4")
            .says(replace("LIST", "\\HasNoChildren", "\\NonExistent"))
            .exits(&[5]),
        row("the delimiter changes", "a server moved from Courier to Dovecot").says(replace(
            "LIST|NAMESPACE",
            "\"/\"",
            "\".\"",
        )),
        row("the delimiter changes from line to line", NAMES)
            .says(replace("LIST", "\"/\" \"Archive\"", "\".\" \"Archive\""))
            .exits(&[0]),
        row("the delimiter is NIL", "RFC 3501 §7.2.2: no hierarchy").says(replace("LIST|NAMESPACE", "\"/\"", "NIL")),
        row("the delimiter is longer than a character", LISTED).says(replace("LIST", "\"/\"", "\"//\"")),
        row("the delimiter is empty", LISTED).says(replace("LIST|NAMESPACE", "\"/\"", "\"\"")),
        row("the delimiter is a control character", LISTED)
            .says(rewrite("LIST", |asked| swap(asked.reply, b"\"/\"", b"\"\x1b\""))),
        row("names as atoms", LISTED).says(rewrite("LIST", |asked| swap(asked.reply, b"\"Archive\"", b"Archive"))),
        row("5,000 mailboxes that cannot be opened", "denial of service by names").says(among(
            "LIST",
            &(0..5000).map(|n| format!("* LIST (\\Noselect) \"/\" \"box{n}\"\n")).collect::<String>(),
        )),
        row("mailboxes without end", "denial of service by names; memory must stay bounded")
            .says(among("LIST", &(0..150_000).map(|n| format!("* LIST () \"/\" \"b{n}\"\n")).collect::<String>()))
            .exits(&[5])
            .tells(&["mailboxes"]),
        row("attributes without end", LISTED).says(endless("LIST", "* LIST (", "\\A \\B \\C ")).exits(&[5]),
        row("LIST answers for a pattern nobody gave", LISTED)
            .says(among("LIST", "* LIST (\\Noselect) \"/\" \"\"\n* LSUB () \"/\" \"Archive\"\n")),
        row("LIST ends with an OK that tells of an error", "Exchange: OK although a store is down")
            .says(ends("LIST", "TAG OK [SERVERBUG] done\n")),
        row("STATUS for what nobody asked", LISTED)
            .speaks(MODERN)
            .says(among("LIST", "* STATUS \"evil\" (MESSAGES 1 UIDNEXT 2 UIDVALIDITY 3)\n")),
        row("STATUS without an answer", "RFC 5819: LIST-STATUS may leave it out").speaks(MODERN).says(rewrite(
            "LIST",
            |asked| {
                let text = String::from_utf8_lossy(asked.reply).into_owned();
                text.split_inclusive("\r\n").filter(|l| !l.contains("STATUS")).collect::<String>().into_bytes()
            },
        )),
        row("STATUS with numbers that are none", "RFC 3501 §7.2.4")
            .speaks(MODERN)
            .says(rewrite("LIST|STATUS", |asked| {
                swap(&swap(asked.reply, b"MESSAGES ", b"MESSAGES -"), b"UIDNEXT ", b"UIDNEXT x")
            }))
            .exits(&[1])
            .tells(&["does not tell"]),
        row("the namespace's prefix is a mailbox", "RFC 2342")
            .says(replace("NAMESPACE", "((\"\" \"/\"))", "((\"Archive/\" \"/\"))"))
            .exits(&[0, 1])
            .may(May::Remain),
        row("the namespace's prefix is a path", PATHS)
            .says(replace("NAMESPACE", "((\"\" \"/\"))", "((\"../../\" \"/\"))"))
            .exits(&[0, 1])
            .may(May::Remain),
        row("every mailbox belongs to somebody else", "RFC 2342 §5")
            .says(replace("NAMESPACE", "NIL NIL", "((\"\" \"/\")) ((\"A\" \"/\"))"))
            .exits(&[1])
            .tells(&["somebody else"]),
    ]
}
