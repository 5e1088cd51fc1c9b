//! Hostile and broken POP3 servers, on the scripted maildrop: each way to keep, synced mail to lose, a good run after it.
//!
//! Rows that stand elsewhere count by the names of their tests: `pop_trouble` (ends and silence at every octet, lost QUIT,
//! locks, partial lists) and `pop3_engine` (every line cut and stalled).

use super::driver::run_named;
use super::promises;
use crate::world::maildrop::{Answer, Fault, Maildrop, crlf_ended};
use crate::world::post::Post;

/// One named behaviour of a POP3 server.
struct PopRow {
    name: &'static str,
    source: &'static str,
    faults: Vec<Fault>,
    arguments: &'static [&'static str],
    exit: &'static [i32],
    tells: &'static [&'static str],
    /// Whether the server hands out what it does not have.
    comes: bool,
    /// What it may hold in memory.
    most_kib: u64,
}

fn pop(name: &'static str, source: &'static str, faults: Vec<Fault>, exit: &'static [i32]) -> PopRow {
    PopRow { name, source, faults, arguments: &[], exit, tells: &[], comes: false, most_kib: promises::MOST_KIB }
}

impl PopRow {
    fn tells(self, tells: &'static [&'static str]) -> PopRow {
        PopRow { tells, ..self }
    }
}

fn saying(command: &'static str, octets: impl Into<Vec<u8>>) -> Vec<Fault> {
    vec![Fault::saying(command, octets)]
}

/// To commands that begin so, this answer.
fn answering(command: &'static str, answer: Answer) -> Vec<Fault> {
    vec![Fault::answer(move |asked| {
        let meant = if command.is_empty() { asked.command.is_empty() } else { asked.command.starts_with(command) };
        meant.then(|| answer.clone())
    })]
}

fn endless(command: &'static str, first: &[u8], again: &[u8]) -> Vec<Fault> {
    answering(command, Answer::Endlessly(first.to_vec(), again.repeat(1000)))
}

const MULTI: &str = "RFC 1939 §3: multi-line responses end in a dot";
const UIDS: &str = "RFC 1939 §7: UIDL: 1 to 70 characters 0x21 to 0x7E, unique, kept";
const CODES: &str = "RFC 2449 §8, RFC 3206: response codes";

fn rows() -> Vec<PopRow> {
    let mut rows = doors();
    rows.extend(lists());
    rows.extend(messages());
    rows
}

pub fn names() -> impl Iterator<Item = String> {
    rows()
        .into_iter()
        .map(|row| format!("POP3: {}", row.name))
        .chain(PROTECTED.iter().map(|(name, ..)| format!("POP3: {name}")))
}

fn doors() -> Vec<PopRow> {
    const GREETING: &str = "RFC 1939 §4: the greeting is +OK or -ERR";
    vec![
        pop("greets as SSH", GREETING, saying("", "SSH-2.0-OpenSSH_9.2\r\n"), &[5]).tells(&["SSH-2.0"]),
        pop("greets as IMAP", GREETING, saying("", "* OK [CAPABILITY IMAP4rev1] ready\r\n"), &[5]).tells(&["IMAP4rev1"]),
        pop("greets with an escape sequence", GREETING, saying("", "-ERR \x1b]0;owned\x07\u{202e}no\r\n"), &[5]).tells(&["\\u{1b}"]),
        pop("greets with -ERR [SYS/TEMP]", CODES, saying("", "-ERR [SYS/TEMP] come back\r\n"), &[5]).tells(&["come back"]),
        pop("greets with a line without end", GREETING, endless("", b"+OK ", b"xxxxxxxx"), &[5]),
        pop("greets with NUL octets", GREETING, answering("", Answer::SayAndHangUp(vec![0; 4096])), &[5]),
        pop("hangs up without a word", GREETING, answering("", Answer::SayAndHangUp(Vec::new())), &[5]),
        pop("says nothing at all", GREETING, answering("", Answer::SayAndStall(Vec::new())), &[5]),
        pop("CAPA without end", MULTI, endless("CAPA", b"+OK\r\n", b"X-A\r\n"), &[5]),
        pop("CAPA that is no list", "RFC 2449 §5", saying("CAPA", "+OK\r\n.\r\n"), &[4]),
        pop("CAPA unknown", "RFC 1939 has none", saying("CAPA", "-ERR unknown command\r\n"), &[0]),
        pop("the login refused [AUTH]", CODES, vec![Fault::RefuseLogin("-ERR [AUTH] wrong \x1b[31mred")], &[4]).tells(&["\\u{1b}"]),
        pop("the login refused [SYS/PERM]", CODES, vec![Fault::RefuseLogin("-ERR [SYS/PERM] ask the admin")], &[4, 5]).tells(&["ask the admin"]),
        pop("the login refused [IN-USE]", CODES, vec![Fault::RefuseLogin("-ERR [IN-USE] locked")], &[5]).tells(&["locked"]),
        pop("the login refused [LOGIN-DELAY]", CODES, vec![Fault::RefuseLogin("-ERR [LOGIN-DELAY] wait")], &[5]).tells(&["wait"]),
        pop("Gmail: web login required", "support.google.com/mail/answer/78754", vec![Fault::RefuseLogin("-ERR [AUTH] Web login required: https://support.google.com/mail/answer/78754")], &[4]).tells(&["Web login required"]),
        pop("Outlook.com: too many logins", "answers.microsoft.com: `-ERR Exceeded the login limit for a 15 minute period`", vec![Fault::RefuseLogin("-ERR Exceeded the login limit for a 15 minute period. Reduce the frequency of requests to the POP3 server.")], &[4, 5]).tells(&["login limit"]),
        pop("no answer to the login", "a stalled line", answering("PASS", Answer::SayAndStall(Vec::new())).into_iter().chain(answering("AUTH", Answer::SayAndStall(Vec::new()))).collect(), &[5]),
    ]
}

fn lists() -> Vec<PopRow> {
    vec![
        pop("STAT that is no number", "RFC 1939 §5", saying("STAT", "+OK many messages\r\n"), &[0, 5]),
        pop("STAT of -1 messages", "RFC 1939 §5", saying("STAT", "+OK -1 -1\r\n"), &[0, 5]),
        pop("STAT of 2^64 messages", "RFC 1939 §5", saying("STAT", "+OK 18446744073709551616 1\r\n"), &[0, 5]),
        pop("STAT that says none", "RFC 1939 §5", saying("STAT", "+OK 0 0\r\n"), &[0, 5]),
        pop("LIST refused", "RFC 1939 §5", saying("LIST", "-ERR no\r\n"), &[0, 5]),
        pop("LIST without end", MULTI, endless("LIST", b"+OK\r\n", b"1 100\r\n"), &[5]).of_a_million(),
        pop("LIST with a line without end", MULTI, endless("LIST", b"+OK\r\n", b"11111111"), &[5]),
        pop(
            "LIST with numbers that cannot be",
            "RFC 1939 §5",
            saying("LIST", "+OK\r\n0 5\r\n-1 5\r\n99999999999 5\r\n1\r\n1 x\r\n.\r\n"),
            &[0, 1, 5],
        ),
        pop(
            "LIST with wrong sizes",
            "Exchange and Gmail: sizes are estimated",
            saying("LIST", "+OK\r\n1 1\r\n2 1\r\n3 1\r\n4 999999999\r\n5 0\r\n.\r\n"),
            &[0, 1],
        ),
        pop("UIDL refused", UIDS, saying("UIDL", "-ERR no\r\n"), &[0, 5]),
        pop("UIDL without end", MULTI, endless("UIDL", b"+OK\r\n", b"1 a\r\n"), &[5]).of_a_million(),
        pop(
            "UIDL with a message twice",
            UIDS,
            saying("UIDL", "+OK\r\n1 a\r\n1 b\r\n2 c\r\n3 d\r\n4 e\r\n5 f\r\n.\r\n"),
            &[0, 5],
        ),
        pop(
            "UIDL with paths and escape sequences",
            UIDS,
            saying(
                "UIDL",
                "+OK\r\n1 ../../../x\r\n2 /tmp/mailtide-was-here\r\n3 \x1b[2J\r\n4 \u{202e}\r\n5 a b\r\n.\r\n",
            ),
            &[0, 1, 5],
        ),
        pop(
            "UIDL with ids of 10,000 characters",
            UIDS,
            saying(
                "UIDL",
                format!("+OK\r\n1 {0}1\r\n2 {0}2\r\n3 {0}3\r\n4 {0}4\r\n5 {0}5\r\n.\r\n", "u".repeat(10_000)),
            ),
            &[0, 5],
        ),
        pop("UIDL with empty ids", UIDS, saying("UIDL", "+OK\r\n1\r\n2 \r\n3\r\n4\r\n5\r\n.\r\n"), &[0, 5]),
        pop(
            "UIDL without the dot, and the end",
            MULTI,
            answering("UIDL", Answer::SayAndHangUp(b"+OK\r\n1 uid-1\r\n2 uid-2\r\n".to_vec())),
            &[5],
        ),
        pop("every message has one id", UIDS, vec![Fault::OneUidl("same")], &[0]),
        pop("all ids are others", "mpop, getmail and fetchmail: 5 doubles", vec![Fault::UidlsWith("new-")], &[0]),
        pop("a part is listed", "getmail's tombstones", vec![Fault::ListsOnly(2)], &[0]),
        pop("nothing is listed", "a maildrop that is being moved", vec![Fault::ListsOnly(0)], &[0]),
    ]
}

fn messages() -> Vec<PopRow> {
    const HALF: &str = "mpop loops, fetchmail delivers a truncated message";
    vec![
        pop("RETR refused", "RFC 1939 §5", saying("RETR", "-ERR \x1b[31mdamaged\r\n"), &[1]).tells(&["damaged"]),
        pop("an empty message", MULTI, saying("RETR 3", "+OK\r\n.\r\n"), &[0, 1]).comes(),
        pop("the end inside a message", HALF, vec![Fault::CutInside { number: 4, octets: 60 }], &[0, 1]),
        pop("silence inside a message", HALF, vec![Fault::StallInside { number: 4, octets: 60 }], &[0, 1]),
        pop(
            "a message without end, and a deadline",
            "memory must not depend on it",
            endless("RETR 3", b"+OK\r\n", b"a line of text\r\n"),
            // Whichever comes first: the deadline, or more than any message listed so may be.
            &[5, 130],
        )
        .with(&["--deadline", "3s"]),
        pop(
            "a line without end in a message, and a deadline",
            "memory must not depend on it",
            endless("RETR 3", b"+OK\r\n", b"aaaaaaaaaaaaaaaa"),
            &[5, 130],
        )
        .with(&["--deadline", "3s"]),
        pop("an answer to RETR that is none", "RFC 1939 §3", saying("RETR", "HELLO\r\n"), &[1, 5]),
        pop(
            "one answer too many",
            "RFC 1939 §3: nothing comes unasked",
            saying("STAT", "+OK 5 999\r\n+OK 5 999\r\n"),
            &[0, 5],
        ),
        pop("pieces of one octet", "TCP has no lines", vec![Fault::Pieces(1)], &[0]),
        pop("no pipelining, and who does it is cut off", "RFC 2449 §6.6", vec![Fault::LockStep], &[0]),
        pop("TOP unknown and no UIDL", "RFC 1939 §7: optional", vec![Fault::NoTop, Fault::NoUidl], &[0]),
        pop(
            "DELE refused",
            "RFC 1939 §5; maildrops that are read-only",
            vec![Fault::NoDele("-ERR read-only")],
            &[0, 1],
        ),
        pop(
            "DELE that does nothing",
            "Gmail: the web settings decide what DELE does",
            vec![Fault::NoDele("+OK done")],
            &[0, 1],
        ),
        pop(
            "QUIT refused",
            "RFC 1939 §6: some messages were not removed",
            saying("QUIT", "-ERR some deleted messages not removed\r\n"),
            &[0, 1, 5],
        ),
        pop("QUIT lost, and it was done", "RFC 1939 §6", vec![Fault::QuitLost { committed: true }], &[0, 5]),
        pop("QUIT lost, and it was not done", "RFC 1939 §6", vec![Fault::QuitLost { committed: false }], &[0, 5]),
    ]
}

impl PopRow {
    fn with(self, arguments: &'static [&'static str]) -> PopRow {
        PopRow { arguments, ..self }
    }

    /// A list ends at a million messages, which take their room.
    fn of_a_million(self) -> PopRow {
        PopRow { most_kib: 2 * promises::MOST_KIB, ..self }
    }

    fn comes(self) -> PopRow {
        PopRow { comes: true, ..self }
    }
}

fn mail() -> Vec<Vec<u8>> {
    let of = |n: usize| {
        let lines = "a line of text\r\n.dots\r\n".repeat(n);
        crlf_ended(format!("Message-ID: <{n}@x>\r\nSubject: {n}\r\n\r\n{lines}{n}").as_bytes())
    };
    (1..=5).map(of).collect()
}

fn run(row: PopRow) {
    for keep in [true, false] {
        let mail = mail();
        let maildrop = Maildrop::start(&mail[..2]);
        let post = Post::new(&maildrop, "keep = true");
        post.sync();
        post.configure(&format!("keep = {keep}"));
        mail[2..].iter().for_each(|bytes| maildrop.deliver(bytes));
        let paths = promises::outside(post.scratch.path(), &post.tree.root, &post.mailtide.state());
        maildrop.trouble(&row.faults);
        for verbose in [&[][..], &["-vvv"]] {
            let outcome = post.run("sync", &[row.arguments, verbose].concat());
            let said = format!(
                "{} ({})\n--- stdout\n{}\n--- stderr\n{}",
                row.name, row.source, outcome.stdout, outcome.stderr
            );
            assert!(
                row.exit.contains(&outcome.code()),
                "{} is not of {:?}: keep = {keep}, {said}",
                outcome.code(),
                row.exit
            );
            if verbose.is_empty() {
                let tells = |words: &&str| outcome.stderr.contains(*words) || outcome.stdout.contains(*words);
                assert!(row.tells.iter().all(tells), "it does not say {:?}: {said}", row.tells);
            }
            promises::said_safely(&outcome, row.most_kib, &said);
            promises::nothing_hidden_in(post.scratch.path(), &said);
            promises::nothing_half(&post.tree, &said);
            assert_eq!(
                paths,
                promises::outside(post.scratch.path(), &post.tree.root, &post.mailtide.state()),
                "{said}"
            );
            let here = post.mail();
            let there = maildrop.messages().iter().map(|m| m.bytes.clone()).collect::<Vec<_>>();
            for (n, bytes) in mail.iter().enumerate() {
                let copies = here.iter().filter(|m| *m == bytes).count();
                assert!(copies <= 1, "message {} is there {copies} times: {said}", n + 1);
                assert!(copies == 1 || there.contains(bytes) || row.comes, "message {} is lost: {said}", n + 1);
            }
            assert!(row.comes || here.iter().all(|m| mail.contains(m)), "something else is in the tree: {said}");
        }
        maildrop.trouble(&[]);
        let good = post.run("sync", &[]);
        let said = format!("{} ({}), then well\n{}{}", row.name, row.source, good.stdout, good.stderr);
        assert_eq!(good.code(), 0, "{said}");
        if !row.comes {
            post.assert_holds(&mail, &said);
        }
        // What did not come as it is listed stays there.
        let here = post.mail();
        let left = mail.iter().filter(|bytes| keep || !here.contains(bytes)).count();
        assert_eq!(maildrop.messages().len(), left, "{said}");
    }
}

#[test]
fn pop3_rows() {
    run_named(rows().into_iter().map(|row| (row.name.to_owned(), move || run(row))).collect(), 12);
}

/// Name, source, what CAPA has, what STLS is answered.
const PROTECTED: &[(&str, &str, &str, &str)] = &[
    (
        "STLS stripped from the capabilities",
        "“Why TLS Is Better Without STARTTLS” (USENIX Security 2021)",
        "USER\r\n",
        "-ERR\r\n",
    ),
    ("STLS refused", "RFC 2595 §4", "STLS\r\nUSER\r\n", "-ERR not today\r\n"),
    (
        "an answer injected behind the +OK of STLS",
        "CVE-2020-14954 and its kind",
        "STLS\r\nUSER\r\n",
        "+OK go\r\n+OK\r\nUSER\r\n.\r\n",
    ),
    ("plain text instead of the handshake", "RFC 2595 §4", "STLS\r\nUSER\r\n", "+OK go\r\n+OK I have no TLS\r\n"),
    ("no answer that STLS could have", "RFC 1939 §3", "STLS\r\nUSER\r\n", "HELLO\r\n"),
];

#[test]
fn no_password_goes_out_before_stls() {
    for (name, source, capa, stls) in PROTECTED {
        let maildrop = Maildrop::start(&mail());
        let post = Post::new(&maildrop, "");
        let text = std::fs::read_to_string(&post.config).unwrap().replace("tls = \"none\"", "tls = \"starttls\"");
        std::fs::write(&post.config, text).unwrap();
        maildrop.trouble(&[Fault::saying("CAPA", format!("+OK\r\n{capa}.\r\n")), Fault::saying("STLS", *stls)]);
        let outcome = post.run("sync", &["-vvv"]).expect(5);
        promises::said_safely(&outcome, promises::MOST_KIB, &format!("{name} ({source}): {outcome:?}"));
        let secrets = ["USER", "PASS", "AUTH", "APOP"].iter().map(|verb| maildrop.heard_times(verb)).sum::<usize>();
        assert_eq!(secrets, 0, "{name}: {:?}", maildrop.heard());
    }
}
