//! The POP3 client by itself: real servers over every kind of connection, byte for byte, and a scripted one that is
//! hostile, cut and stalled at every octet.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use mailtide::error::{Error, Kind, Result};
use mailtide::mail::MessageNumber;
use mailtide::remote::net::Meter;
use mailtide::remote::pop3::{Committed, Entry, MaildropSink, Pop3Auth, Pop3Options, Session, Stat};
use mailtide::remote::{ServerOptions, TlsMode, Trust};
use mailtide::secret::Secret;
use mailtide::stop::Stop;

use super::world::cyrus::Cyrus;
use super::world::dovecot::{self, Dovecot};
use super::world::mail::{Generator, Kind as Mail};
use super::world::maildrop::{Answer, Fault, Maildrop, multi_line};
use super::world::server::{PASSWORD, Server, USER};

fn options(port: u16, tls: TlsMode, trust: Trust) -> Pop3Options {
    Pop3Options {
        server: ServerOptions { host: "localhost".to_owned(), port, tls, trust, timeout: Duration::from_secs(60) },
        user: USER.to_owned(),
        auth: Pop3Auth::Auto,
        disable: Default::default(),
    }
}

fn open(options: &Pop3Options, meter: &Meter) -> Result<Session> {
    Session::open(options, None, &Secret::new(PASSWORD.to_owned()), meter, &Stop::default())
}

/// A session with a scripted server; silence is cut short.
fn visit(maildrop: &Maildrop) -> Result<Session> {
    let mut options = options(maildrop.port(), TlsMode::None, Trust::default());
    options.server.timeout = Duration::from_millis(500);
    open(&options, &Meter::default())
}

/// Collects messages.
#[derive(Default)]
struct Messages {
    now: Vec<u8>,
    whole: BTreeMap<u32, Vec<u8>>,
    refused: BTreeMap<u32, Kind>,
    octets: u64,
}

impl MaildropSink for Messages {
    fn start(&mut self, _number: MessageNumber) -> Result<()> {
        self.now.clear();
        Ok(())
    }

    fn data(&mut self, octets: &[u8]) -> Result<()> {
        self.octets += octets.len() as u64;
        // Nothing here is so large: memory stays bounded when a message has no end.
        assert!(octets.len() <= 1 << 20);
        if self.now.len() < 32 << 20 {
            self.now.extend_from_slice(octets);
        }
        Ok(())
    }

    fn done(&mut self, number: MessageNumber) -> Result<()> {
        assert!(self.whole.insert(number.get(), std::mem::take(&mut self.now)).is_none());
        Ok(())
    }

    fn refused(&mut self, number: MessageNumber, error: &Error) -> Result<()> {
        assert!(self.refused.insert(number.get(), error.kind()).is_none());
        Ok(())
    }
}

fn numbers(entries: &[Entry]) -> Vec<MessageNumber> {
    entries.iter().map(|entry| entry.number).collect()
}

fn first(most: u32) -> Vec<MessageNumber> {
    (1..=most).filter_map(MessageNumber::new).collect()
}

/// A whole session: list, fetch all, leave. What was fetched is told even when it fails.
fn fetch(maildrop: &Maildrop, messages: &mut Messages) -> Result<()> {
    let mut session = visit(maildrop)?;
    let listing = session.listing()?;
    session.retrieve(&numbers(&listing.entries), messages)?;
    session.quit().map(drop)
}

fn crlf_ended(mut bytes: Vec<u8>) -> Vec<u8> {
    if !bytes.ends_with(b"\r\n") {
        bytes.extend_from_slice(b"\r\n");
    }
    bytes
}

/// Everything a session can do, over each kind of connection.
fn works(server: &dyn Server) {
    let mut generator = Generator::new(3);
    let sent: Vec<Vec<u8>> = Mail::ALL.iter().map(|kind| generator.of(*kind)).collect();
    let mut client = server.client();
    sent.iter().for_each(|bytes| client.append("INBOX", bytes, &[]));
    let trust = Trust { ca_file: Some(server.ca_file().to_owned()), ..Trust::default() };
    let ways = [
        options(server.pop3_port(), TlsMode::None, Trust::default()),
        options(server.pop3_port(), TlsMode::StartTls, trust.clone()),
        options(server.pop3_tls_port(), TlsMode::Implicit, trust),
    ];
    let mut seen = Vec::new();
    for way in &ways {
        for auth in [Pop3Auth::Auto, Pop3Auth::User, Pop3Auth::Login, Pop3Auth::Plain] {
            let mut session = open(&Pop3Options { auth, ..way.clone() }, &Meter::default()).unwrap();
            seen.push(session.listing().unwrap());
            session.quit().unwrap();
        }
        let mut session =
            open(&Pop3Options { disable: ["PIPELINING".to_owned()].into(), ..way.clone() }, &Meter::default()).unwrap();
        let listing = session.listing().unwrap();
        assert!(listing.is_whole(), "{:?}", listing.odd);
        assert_eq!(session.stat().unwrap(), listing.stat);
        let (mut bodies, mut headers) = (Messages::default(), Messages::default());
        session.retrieve(&numbers(&listing.entries), &mut bodies).unwrap();
        session.headers(&numbers(&listing.entries), &mut headers).unwrap();
        for (entry, sent) in listing.entries.iter().zip(&sent) {
            let got = &bodies.whole[&entry.number.get()];
            assert_eq!(got.escape_ascii().to_string(), crlf_ended(sent.clone()).escape_ascii().to_string());
            assert!(got.starts_with(&headers.whole[&entry.number.get()]));
            assert!(headers.whole[&entry.number.get()].ends_with(b"\r\n\r\n"));
            assert!(entry.uidl.as_ref().is_some_and(|u| u.is_standard()));
        }
        assert_eq!(session.delete(&first(11)).unwrap().iter().filter(|(_, outcome)| outcome.is_ok()).count(), 10);
        // Without QUIT nothing is deleted.
        drop(session);
        seen.push(listing);
    }
    assert!(seen.windows(2).all(|pair| pair[0] == pair[1]), "each session sees the same");
    let wrong = Session::open(&ways[0], None, &Secret::new("wrong".into()), &Meter::default(), &Stop::default());
    // This Cyrus takes any password.
    assert!(wrong.is_ok() || wrong.is_err_and(|e| e.kind() == Kind::Auth));

    let mut session = open(&ways[2], &Meter::default()).unwrap();
    session.delete(&first(3)).unwrap();
    session.reset().unwrap();
    let outcomes = session.delete(&first(2)).unwrap();
    assert!(outcomes.iter().all(|(_, outcome)| outcome.is_ok()));
    let again = session.delete(&first(1)).unwrap();
    assert!(again[0].1.is_err(), "deleted twice");
    let mut refused = Messages::default();
    session.retrieve(&first(3), &mut refused).unwrap();
    assert_eq!((refused.whole.len(), refused.refused.len()), (1, 2));
    assert_eq!(session.quit().unwrap(), Committed { deleted: 2 });
    let mut session = open(&ways[2], &Meter::default()).unwrap();
    let left = session.listing().unwrap();
    let ids = |entries: &[Entry]| entries.iter().map(|e| e.uidl.clone()).collect::<Vec<_>>();
    assert_eq!(ids(&left.entries), ids(&seen[0].entries[2..]));
    session.quit().unwrap();
}

#[test]
fn dovecot_over_every_kind_of_connection() {
    works(&Dovecot::start());
}

#[test]
fn cyrus_over_every_kind_of_connection() {
    let Some(cyrus) = Cyrus::start() else { return };
    works(&cyrus);
}

#[test]
fn dovecot_takes_apop_where_no_tls_protects() {
    let dovecot = Dovecot::with(dovecot::Options { mechanisms: "plain apop", ..dovecot::Options::default() });
    let options = options(dovecot.pop3_port(), TlsMode::None, Trust::default());
    open(&options, &Meter::default()).unwrap().quit().unwrap();
    let log = dovecot.log();
    assert!(log.contains("method=APOP"), "{log}");
    let wrong = Session::open(&options, None, &Secret::new("wrong".into()), &Meter::default(), &Stop::default());
    assert_eq!(wrong.map(drop).unwrap_err().kind(), Kind::Auth);
}

/// Lines of dots, CRs and what looks like answers, in every order. A CR before a line's end is none of them: Dovecot
/// keeps files with LF and would lose it.
fn ugly(rng: &mut fastrand::Rng, n: usize) -> Vec<u8> {
    const LINES: [&[u8]; 14] = [
        b".",
        b"..",
        b"...",
        b". ",
        b".x",
        b"",
        b"",
        b"\rx",
        b".\rx",
        b"a\rb",
        b"+OK",
        b"-ERR no",
        b"\x01\x7f\xff",
        b"text",
    ];
    let mut bytes = format!("Subject: ugly {n}\r\nMessage-ID: <{n}@ugly.example>\r\n\r\n").into_bytes();
    for _ in 0..rng.usize(..60) {
        bytes.extend_from_slice(LINES[rng.usize(..LINES.len())]);
        if rng.u8(..10) == 0 {
            bytes.extend(std::iter::repeat_n(b'.', rng.usize(..9000)));
        }
        bytes.extend_from_slice(b"\r\n");
    }
    bytes
}

#[test]
fn a_thousand_ugly_messages_come_byte_for_byte_in_few_round_trips() {
    let dovecot = Dovecot::start();
    let (mut generator, mut rng) = (Generator::new(11), fastrand::Rng::with_seed(11));
    let sent: Vec<Vec<u8>> = (0..1000).map(|n| if n % 2 == 0 { generator.any() } else { ugly(&mut rng, n) }).collect();
    let mut client = dovecot.client();
    sent.iter().for_each(|bytes| client.append("INBOX", bytes, &[]));
    let trust = Trust { ca_file: Some(dovecot.ca_file().to_owned()), ..Trust::default() };
    drop(client);
    let log = dovecot.wire_log().mark();
    let meter = Meter::default();
    let mut session = open(&options(dovecot.pop3_tls_port(), TlsMode::Implicit, trust), &meter).unwrap();
    let opened = meter.waits();
    let listing = session.listing().unwrap();
    assert!(listing.is_whole() && listing.entries.len() == 1000);
    assert!(meter.waits() - opened <= 3, "STAT, LIST and UIDL in one flight");
    let mut messages = Messages::default();
    session.retrieve(&numbers(&listing.entries), &mut messages).unwrap();
    for (n, sent) in sent.iter().enumerate() {
        let got = &messages.whole[&(n as u32 + 1)];
        assert!(
            *got == crlf_ended(sent.clone()),
            "message {}:\n{}\n{}",
            n + 1,
            got.escape_ascii(),
            sent.escape_ascii()
        );
    }
    assert_eq!(session.delete(&numbers(&listing.entries)).unwrap().len(), 1000);
    assert_eq!(session.quit().unwrap(), Committed { deleted: 1000 });
    // CAPA, AUTH, 3 for the lists, 1000 RETR, NOOP, 1000 DELE, QUIT.
    assert_eq!(meter.commands(), 2007);
    // Dovecot's log begins behind the login.
    let commands = log.maildrop_commands();
    assert_eq!(commands.len(), 2005);
    assert_eq!((commands[0].as_str(), commands[1002].as_str(), commands[2004].as_str()), ("STAT", "RETR 1000", "QUIT"));
}

/// Three small messages, the second full of dots.
fn three() -> Vec<Vec<u8>> {
    ["Subject: one\r\n\r\nfirst\r\n", "Subject: two\r\n\r\n.\r\n..x\r\n.y\r\n", "Subject: three\r\n\r\n\r\n"]
        .map(|text| text.as_bytes().to_vec())
        .into()
}

#[test]
fn the_scripted_maildrop_is_a_good_server() {
    let maildrop = Maildrop::start(&three());
    for faults in [&[][..], &[Fault::LockStep], &[Fault::NoCapa, Fault::NoUidl, Fault::NoTop]] {
        maildrop.trouble(faults);
        let mut messages = Messages::default();
        fetch(&maildrop, &mut messages).unwrap();
        assert_eq!(messages.whole.into_values().collect::<Vec<_>>(), three());
    }
    assert_eq!(maildrop.heard_times("PIPELINED"), 0);
    maildrop.trouble_for(1, &[Fault::ListsOnly(2), Fault::OneUidl("same")]);
    let listing = visit(&maildrop).unwrap().listing().unwrap();
    assert_eq!((listing.stat.messages, listing.entries.len(), listing.is_whole()), (2, 2, true));
    assert_eq!(listing.entries[0].uidl, listing.entries[1].uidl);
    let before = visit(&maildrop).unwrap().listing().unwrap();
    maildrop.trouble(&[
        Fault::UidlsWith("new-"),
        Fault::answer(|asked| {
            (asked.session % 2 == 1 && asked.command == "STAT").then(|| Answer::SayAndHangUp(Vec::new()))
        }),
    ]);
    let outcomes = [(); 2].map(|()| visit(&maildrop).unwrap().listing());
    assert_eq!(outcomes.iter().filter(|o| o.is_err()).count(), 1);
    let after = outcomes.into_iter().find_map(Result::ok).unwrap();
    assert!(
        before
            .entries
            .iter()
            .zip(&after.entries)
            .all(|(b, a)| format!("new-{}", b.uidl.as_ref().unwrap()) == a.uidl.as_ref().unwrap().to_string())
    );
    maildrop.trouble(&[]);
    let mut session = visit(&maildrop).unwrap();
    assert_eq!(session.stat().unwrap().messages, 3, "healed");
    session.delete(&first(1)).unwrap();
    session.quit().unwrap();
    assert_eq!(maildrop.messages().len(), 2);
}

#[test]
fn cut_after_any_octet_no_message_is_half() {
    let maildrop = Maildrop::start(&three());
    let wanted = three();
    for faults in [&[][..], &[Fault::LockStep]] {
        let mut octets = 0;
        loop {
            maildrop.trouble(&[&[Fault::CutAfter(octets)], faults].concat());
            let mut messages = Messages::default();
            let outcome = fetch(&maildrop, &mut messages);
            for (number, got) in &messages.whole {
                assert_eq!(*got, wanted[*number as usize - 1], "cut after {octets}");
            }
            assert!(messages.refused.is_empty());
            match outcome {
                Ok(()) => break,
                Err(error) => assert_eq!(error.kind(), Kind::Unreachable, "cut after {octets}: {error}"),
            }
            octets += 1;
        }
        assert!(octets > 250, "the whole session was walked through: {octets}");
    }
    assert_eq!(maildrop.messages().len(), 3);
}

#[test]
fn a_stall_after_any_octet_ends_in_time() {
    let maildrop = Maildrop::start(&three());
    let wanted = three();
    for octets in (0..).step_by(24) {
        maildrop.trouble(&[Fault::StallAfter(octets)]);
        let mut messages = Messages::default();
        let begin = Instant::now();
        let outcome = fetch(&maildrop, &mut messages);
        assert!(begin.elapsed() < Duration::from_secs(20));
        assert!(messages.whole.iter().all(|(number, got)| *got == wanted[*number as usize - 1]));
        match outcome {
            Ok(()) => {
                assert!(octets > 250, "the whole session was walked through: {octets}");
                break;
            }
            Err(error) => assert_eq!(error.kind(), Kind::Unreachable, "{error}"),
        }
    }
}

#[test]
fn an_end_inside_a_message_costs_that_message_only() {
    let maildrop = Maildrop::start(&three());
    for octets in [5, 6, 20, 38] {
        for fault in [Fault::CutInside { number: 2, octets }, Fault::StallInside { number: 2, octets }] {
            maildrop.trouble(&[fault]);
            let mut messages = Messages::default();
            assert_eq!(fetch(&maildrop, &mut messages).unwrap_err().kind(), Kind::Unreachable);
            assert_eq!(messages.whole.into_values().collect::<Vec<_>>(), three()[..1]);
        }
    }
    maildrop.trouble(&[Fault::RefuseRetr { number: 2, words: "-ERR no" }]);
    let mut messages = Messages::default();
    fetch(&maildrop, &mut messages).unwrap();
    assert_eq!(messages.whole.keys().copied().collect::<Vec<_>>(), [1, 3]);
    assert_eq!(messages.refused, [(2, Kind::Refused)].into());
}

#[test]
fn a_lost_quit_is_unknown_whatever_the_server_did() {
    for committed in [false, true] {
        let maildrop = Maildrop::start(&three());
        maildrop.trouble(&[Fault::QuitLost { committed }]);
        let mut session = visit(&maildrop).unwrap();
        session.delete(&first(3)).unwrap();
        let error = session.quit().unwrap_err();
        assert_eq!(error.kind(), Kind::Unreachable);
        assert!(error.to_string().contains("Whether 3 messages are deleted is unknown"), "{error}");
        assert_eq!(maildrop.messages().len(), if committed { 0 } else { 3 });
    }
}

#[test]
fn refused_logins_tell_who_must_act() {
    let maildrop = Maildrop::start(&[]);
    for (words, kind) in [
        ("-ERR [IN-USE] busy", Kind::TryLater),
        ("-ERR [LOGIN-DELAY] wait", Kind::TryLater),
        ("-ERR [SYS/TEMP] down", Kind::TryLater),
        ("-ERR [SYS/PERM] no POP", Kind::Refused),
        ("-ERR maildrop already locked", Kind::TryLater),
        ("-ERR no", Kind::Auth),
    ] {
        maildrop.trouble(&[Fault::RefuseLogin(words)]);
        assert_eq!(visit(&maildrop).map(drop).unwrap_err().kind(), kind, "{words}");
    }
}

/// Hostile answers: to which command, what, and how it has to end.
#[test]
fn hostile_replies_end_in_a_clear_error_or_a_right_result() {
    let long = "x".repeat(10 << 20);
    let listing = |list: &str| format!("+OK\r\n{list}.\r\n");
    let errors: Vec<(&str, Answer, Kind)> = vec![
        // No greeting, wrong greetings.
        ("", Answer::SayAndStall(Vec::new()), Kind::Unreachable),
        ("", Answer::SayAndHangUp(Vec::new()), Kind::Unreachable),
        ("", Answer::Say(b"* OK IMAP4rev1\r\n".to_vec()), Kind::Protocol),
        ("", Answer::Say(b"\0\0\0\r\n".to_vec()), Kind::Protocol),
        ("", Answer::Say(b"-ERR [SYS/TEMP] full\r\n".to_vec()), Kind::TryLater),
        // Lines without end, and of 10 MB.
        ("", Answer::Endlessly(b"+OK ".to_vec(), vec![b'x'; 65536]), Kind::Protocol),
        ("CAPA", Answer::Endlessly(b"+OK\r\n".to_vec(), vec![b'x'; 65536]), Kind::Protocol),
        ("CAPA", Answer::Endlessly(b"+OK\r\n".to_vec(), b"X\r\n".repeat(9999)), Kind::Protocol),
        ("AUTH", Answer::Say(format!("+OK {long}\r\n").into_bytes()), Kind::Protocol),
        ("AUTH", Answer::Endlessly(Vec::new(), b"+ \r\n".to_vec()), Kind::Protocol),
        ("STAT", Answer::Say(format!("+OK {long}\r\n").into_bytes()), Kind::Protocol),
        ("LIST", Answer::Say(listing(&format!("1 1\r\n{long}\r\n")).into_bytes()), Kind::Protocol),
        ("UIDL", Answer::Say(listing(&format!("1 {long}\r\n")).into_bytes()), Kind::Protocol),
        ("LIST", Answer::Endlessly(b"+OK\r\n".to_vec(), b"1 1\r\n".repeat(9999)), Kind::Protocol),
        ("UIDL", Answer::Endlessly(b"+OK\r\n".to_vec(), b"1 a\r\n".repeat(9999)), Kind::Protocol),
        ("RETR 1", Answer::Say(format!("{long}\r\n").into_bytes()), Kind::Protocol),
        // Numbers that are none.
        ("STAT", Answer::Say(b"+OK -1 5\r\n".to_vec()), Kind::Protocol),
        ("STAT", Answer::Say(b"+OK 3 99999999999999999999999\r\n".to_vec()), Kind::Protocol),
        ("STAT", Answer::Say(b"+OK many\r\n".to_vec()), Kind::Protocol),
        // A list that runs into the next answer, or never ends.
        ("LIST", Answer::Say(b"+OK\r\n1 1\r\n+OK\r\n2 2\r\n.\r\n".to_vec()), Kind::Protocol),
        ("LIST", Answer::Say(b"+OK\r\n1 1\r\n2 2\r\n".to_vec()), Kind::Protocol),
        ("LIST", Answer::Say(b"+OK\r1 1\r2 2\r.\r".to_vec()), Kind::Protocol),
        ("UIDL", Answer::Say(b"+OK\r\n1 a\r\n".to_vec()), Kind::Unreachable),
        // Messages: no end, an end in the middle, only CRs.
        ("RETR 3", Answer::SayAndStall(b"+OK\r\nSubject: x\r\n".to_vec()), Kind::Unreachable),
        ("RETR 1", Answer::Say(multi_line(&three()[0])[..28].to_vec()), Kind::Protocol),
        ("RETR 2", Answer::Say(b"+OK\r\nSubject: x\r\n\r\n.\r\nmore\r\n.\r\n".to_vec()), Kind::Protocol),
        ("RETR 3", Answer::Say(b"+OK\r\nSubject: x\r\n\r\n.\r\n-- \r\n.\r\n".to_vec()), Kind::Protocol),
        ("RETR 2", Answer::Say(b"+OK\rSubject: x\r\r.\r".to_vec()), Kind::Protocol),
        ("RETR 3", Answer::Endlessly(b"+OK\r\n".to_vec(), vec![b'x'; 65536]), Kind::Protocol),
        ("RETR 3", Answer::Endlessly(b"+OK\r\n".to_vec(), b"\r\n..".repeat(9999)), Kind::Protocol),
        ("NOOP", Answer::Say(b"what?\r\n".to_vec()), Kind::Protocol),
        ("QUIT", Answer::Say(b"-ERR [SYS/TEMP] later\r\n".to_vec()), Kind::TryLater),
        ("QUIT", Answer::SayAndHangUp(Vec::new()), Kind::Unreachable),
    ];
    let maildrop = Maildrop::start(&three());
    for (command, answer, kind) in errors {
        let shown = format!("{command:?} {:.60}", format!("{answer:?}"));
        maildrop.trouble(&[Fault::answer(move |asked| {
            let meant = if command.is_empty() { asked.command.is_empty() } else { asked.command.starts_with(command) };
            meant.then(|| answer.clone())
        })]);
        let mut messages = Messages::default();
        let error = fetch(&maildrop, &mut messages).unwrap_err();
        assert_eq!(error.kind(), kind, "{shown}: {error}");
        assert!(error.place().is_some() || kind == Kind::Protocol || command == "QUIT", "{shown}: {error:?}");
        for (number, got) in &messages.whole {
            assert_eq!(*got, three()[*number as usize - 1], "{shown}");
        }
    }
}

#[test]
fn odd_replies_that_can_be_understood_are() {
    let maildrop = Maildrop::start(&three());
    let fetched = |faults: &[Fault]| {
        // In a pipeline a wrong size may mean that answers ran into each other.
        maildrop.trouble(&[faults, &[Fault::LockStep]].concat());
        let mut messages = Messages::default();
        fetch(&maildrop, &mut messages).unwrap();
        messages.whole.into_values().collect::<Vec<_>>()
    };
    // NULs, bare CRs, bare LFs, dots behind them, and a line of 10 MB, in one message.
    let line = [b"\0\r.\r\n.\n..\n\r\r\0.\r".to_vec(), vec![b'.'; 10 << 20], b"\r\n".to_vec()].concat();
    assert_eq!(fetched(&[Fault::saying("RETR 2", multi_line(&line))])[1], line);
    // A server of bare LFs.
    let lf = |text: &str| Fault::saying("RETR 2", text.as_bytes());
    assert_eq!(fetched(&[lf("+OK\na: b\n\n..\n..x\n.y\n.\n")])[1], b"a: b\n\n.\n.x\n.y\n");
    // Lists in other clothes.
    assert_eq!(fetched(&[Fault::saying("LIST", "+ok x\r\n3   9 more\r\n1\t9\r\n 2 9\r\n.\r\n")]), three());
    assert_eq!(fetched(&[Fault::saying("LIST", "+OK\r\n1 9\r\n2 0\r\n3 18446744073709551615\r\n.\r\n")]), three());
    // Lists that do not agree: what any of them names is fetched, what is not there is not made up.
    for list in ["1 9\r\n2 9\r\n", "1 9\r\n1 9\r\n2 9\r\n0 9\r\n-1 9\r\n99999999999 9\r\n"] {
        assert_eq!(fetched(&[Fault::saying("LIST", format!("+OK\r\n{list}.\r\n"))]), three());
    }
    for uidl in ["", "1 a\r\n", "1 a\r\n2 b\r\n3 c\r\n4 d\r\n", "3 c\r\n3 d\r\n"] {
        maildrop.trouble(&[Fault::saying("UIDL", format!("+OK\r\n{uidl}.\r\n"))]);
        let listing = visit(&maildrop).unwrap().listing().unwrap();
        assert_eq!(listing.entries.len(), 3);
        assert!(!listing.is_whole() && !listing.odd.is_empty());
    }
    // A message that the list tells of and the server does not have.
    maildrop.trouble(&[Fault::saying("LIST", "+OK\r\n1 9\r\n7 9\r\n.\r\n")]);
    let mut messages = Messages::default();
    fetch(&maildrop, &mut messages).unwrap();
    // Those that only UIDL names come all the same.
    assert_eq!((messages.whole.len(), messages.refused), (3, [(7, Kind::Refused)].into()));
    maildrop.trouble(&[Fault::saying("STAT", "+OK 3 60 and words\r\n")]);
    assert_eq!(visit(&maildrop).unwrap().stat().unwrap(), Stat { messages: 3, octets: 60 });
}

#[test]
fn dots_at_every_border_of_what_arrives() {
    let message = [b".\r\n".repeat(50), b"..\r\n.x\r\n".repeat(20), vec![b'.'; 70]].concat();
    let message = crlf_ended([b"Subject: dots\r\n\r\n".to_vec(), message].concat());
    for piece in 1..30 {
        // Another client's pieces: each a write of its own, so that the borders move through the stuffing.
        let maildrop = Maildrop::start(std::slice::from_ref(&message));
        maildrop.trouble(&[Fault::Pieces(piece)]);
        let mut messages = Messages::default();
        fetch(&maildrop, &mut messages).unwrap();
        assert_eq!(messages.whole[&1], message, "pieces of {piece}");
    }
}
