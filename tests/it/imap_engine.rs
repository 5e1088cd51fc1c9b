//! The IMAP engine by itself against real servers: every tier sees the same mailbox, every way of changing one does what
//! it says, and what it costs in round trips is counted.

use std::collections::BTreeMap;
use std::io::Cursor;
use std::time::Duration;

use mailtide::error::Result;
use mailtide::mail::{
    FlagChange, Flags, MailboxName, MessageIdHash, RemoteCheckpoint, Uid, UidSet, UidValidity, UnixSeconds,
};
use mailtide::remote::imap::{
    Access, Append, Ask, BodySink, Deleted, Expunged, FetchedMessage, Grouping, ImapOptions, Names, Seen, SeenCoverage,
    SeenMessage, Session, Uploaded, WireName,
};
use mailtide::remote::net::Meter;
use mailtide::remote::{ServerOptions, TlsMode, Trust};
use mailtide::secret::Secret;
use mailtide::stop::Stop;

use super::world::cyrus::Cyrus;
use super::world::dovecot::Dovecot;
use super::world::server::{PASSWORD, Server, USER};

/// What is switched off: everything that a tier above the wanted one would use.
const TIERS: [&[&str]; 5] = [
    &[],
    &["QRESYNC"],
    &["QRESYNC", "ESEARCH"],
    &["QRESYNC", "CONDSTORE"],
    &["QRESYNC", "CONDSTORE", "ESEARCH", "LIST-STATUS", "LIST-EXTENDED", "LITERAL+", "UIDPLUS", "MOVE", "NAMESPACE"],
];

fn open(server: &dyn Server, disable: &[&str], meter: &Meter) -> Session {
    let options = ImapOptions {
        server: ServerOptions {
            host: "127.0.0.1".to_owned(),
            port: server.port(),
            tls: TlsMode::None,
            trust: Trust::default(),
            timeout: Duration::from_secs(60),
        },
        user: USER.to_owned(),
        connections: 1,
        compress: false,
        disable: disable.iter().map(|name| name.to_string()).collect(),
    };
    Session::open(&options, None, &Secret::new(PASSWORD.to_owned()), meter, &Stop::default()).unwrap()
}

fn plain(server: &dyn Server, disable: &[&str]) -> Session {
    open(server, disable, &Meter::default())
}

/// Collects bodies.
#[derive(Default)]
struct Bodies {
    now: Vec<u8>,
    whole: BTreeMap<Uid, Vec<u8>>,
    missing: Vec<Uid>,
}

impl BodySink for Bodies {
    fn start(&mut self, _octets: u64) -> Result<()> {
        self.now.clear();
        Ok(())
    }

    fn data(&mut self, bytes: &[u8]) -> Result<()> {
        self.now.extend_from_slice(bytes);
        Ok(())
    }

    fn message(&mut self, meta: FetchedMessage) -> Result<()> {
        assert_eq!(meta.octets, self.now.len() as u64);
        assert!(self.whole.insert(meta.uid, std::mem::take(&mut self.now)).is_none());
        Ok(())
    }

    fn missing(&mut self, uid: Uid, _refusal: Option<&mailtide::error::Error>) -> Result<()> {
        self.missing.push(uid);
        Ok(())
    }
}

fn message(number: usize, octets: usize) -> Vec<u8> {
    let mut text = format!("Message-ID: <{number}@example>\r\nSubject: {number}\r\n\r\n").into_bytes();
    while text.len() < octets {
        text.extend_from_slice(format!("line {} of {number}\r\n", text.len()).as_bytes());
    }
    text
}

fn flags(names: &[&str]) -> Flags {
    let mut flags = Flags::none();
    names.iter().for_each(|name| flags.insert_imap(name));
    flags
}

fn set(text: &str) -> UidSet {
    UidSet::parse(text).unwrap()
}

fn change(add: &[&str], remove: &[&str]) -> FlagChange {
    FlagChange { add: flags(add), remove: flags(remove) }
}

/// Uploads, and demands that each arrives.
fn upload(session: &mut Session, to: &WireName, messages: &[(Vec<u8>, Flags)]) -> Vec<Option<Uid>> {
    let mut items = messages.iter().enumerate().map(|(number, (body, flags))| Append {
        size: body.len() as u64,
        flags: flags.clone(),
        date: UnixSeconds(1_000_000_000 + number as i64),
        body: Box::new(Cursor::new(body.clone())),
    });
    let mut uids = vec![None; messages.len()];
    let mut told = 0;
    session
        .append(to, Grouping::Together, &mut items, &mut |number, outcome| {
            let Uploaded::Stored(stored) = outcome else { panic!("{outcome:?}") };
            uids[number] = stored.map(|(_, uid)| uid);
            told += 1;
        })
        .unwrap();
    assert_eq!(told, messages.len());
    uids
}

fn ask(wire: &WireName, since: Option<RemoteCheckpoint>, known: UidSet) -> Ask {
    Ask { wire: wire.clone(), since, known, access: Access::ReadOnly }
}

fn all_of(session: &mut Session, wire: &WireName) -> Seen {
    session.observe(&[ask(wire, None, UidSet::new())]).unwrap().remove(0).unwrap()
}

fn named(names: &Names, path: &str) -> WireName {
    names.wire(&MailboxName::parse(path).unwrap()).unwrap()
}

/// Every operation, with `disable` switched off.
fn works(server: &dyn Server, disable: &[&str], inbox_path: &str) {
    let mut session = plain(server, disable);
    let names = session.list().unwrap().names;
    let inbox = named(&names, inbox_path);
    let odd = ["Entwürfe/日本", "a'b", "R&D"].map(|path| named(&names, path));
    for name in odd.iter().chain([&inbox]) {
        session.create(name).unwrap();
        session.create(name).unwrap();
    }
    let listing = session.list().unwrap();
    assert!(listing.unusable.is_empty(), "{:?}", listing.unusable);
    for (path, wire) in ["Entwürfe/日本", "a'b", "R&D"].iter().zip(&odd) {
        let listed = &listing.mailboxes[&MailboxName::parse(path).unwrap()];
        assert_eq!((&listed.wire, listed.status.unwrap().messages), (wire, 0), "{path}");
    }

    let mixed = |n: usize| if n.is_multiple_of(3) { flags(&["\\Seen", "$Forwarded", "Work"]) } else { Flags::none() };
    let sent: Vec<(Vec<u8>, Flags)> =
        (0..60).map(|n| (message(n, if n == 7 { 2_000_000 } else { 100 + 137 * n }), mixed(n))).collect();
    let uids = upload(&mut session, &inbox, &sent);
    assert_eq!(uids.iter().all(Option::is_some), !disable.contains(&"UIDPLUS") || uids[0].is_some());

    let seen = all_of(&mut session, &inbox);
    let validity = seen.checkpoint.uid_validity;
    assert_eq!((seen.messages.len(), &seen.coverage), (60, &SeenCoverage::Everything));
    for ((number, (body, flags)), (uid, message)) in sent.iter().enumerate().zip(&seen.messages) {
        assert!(uids[number].is_none_or(|told| told == *uid));
        assert_eq!((message.size, &message.flags), (Some(body.len() as u64), flags));
        assert_eq!(message.internal_date, Some(UnixSeconds(1_000_000_000 + number as i64)));
    }
    let mut bodies = Bodies::default();
    let uids: Vec<Uid> = seen.messages.keys().copied().collect();
    let beyond = uids[59].next().unwrap();
    let mut wanted: UidSet = uids.iter().copied().collect();
    wanted.insert(beyond);
    session.fetch_bodies(&inbox, validity, &wanted, &mut bodies).unwrap();
    assert_eq!(bodies.missing, [beyond]);
    assert!(uids.iter().zip(&sent).all(|(uid, (body, _))| bodies.whole[uid] == *body));
    let ids = session.header_fields(&inbox, &wanted).unwrap();
    assert_eq!(ids.len(), 60);
    assert_eq!(ids[&uids[9]].message_id, MessageIdHash::of_value(b"<9@example>"));

    // Nothing is done in a mailbox that is not the one meant.
    let other = UidValidity(validity.0.wrapping_add(1));
    assert!(session.fetch_bodies(&inbox, other, &wanted, &mut bodies).is_err());
    assert!(session.store(&inbox, other, &[(wanted.clone(), change(&["\\Flagged"], &[]))]).is_err());
    assert!(session.expunge(&inbox, other, &wanted).is_err());
    assert!(session.move_messages(&inbox, other, &wanted, &odd[0]).is_err());
    assert!(!session.is_broken());
    assert_eq!(all_of(&mut session, &inbox).messages, seen.messages);

    let part = |from: usize, to: usize| uids[from..to].iter().copied().collect::<UidSet>();
    let changes = [
        (part(0, 40), change(&["\\Flagged", "New"], &["Work", "\\Seen"])),
        (uids.iter().copied().step_by(2).collect(), change(&["\\Answered"], &[])),
        (part(0, 1), FlagChange::default()),
    ];
    assert!(session.store(&inbox, validity, &changes).unwrap().results.iter().all(Result::is_ok));
    for (uid, message) in &all_of(&mut session, &inbox).messages {
        let mut want = seen.messages[uid].flags.clone();
        changes.iter().filter(|(uids, _)| uids.contains(*uid)).for_each(|(_, change)| want = want.after(change));
        assert_eq!(message.flags, want);
    }

    // Somebody else has marked a message.
    let foreign = part(5, 6);
    session.store(&inbox, validity, &[(foreign.clone(), change(&["\\Deleted"], &[]))]).unwrap();
    let outcome = session.expunge(&inbox, validity, &part(10, 20)).unwrap();
    if disable.contains(&"UIDPLUS") {
        assert_eq!(outcome, Expunged::LeftMarked { foreign: 1 });
        assert_eq!(all_of(&mut session, &inbox).messages.len(), 60);
        session.store(&inbox, validity, &[(foreign, change(&[], &["\\Deleted"]))]).unwrap();
        assert_eq!(session.expunge(&inbox, validity, &part(10, 20)).unwrap(), Expunged::Gone);
    } else {
        assert_eq!(outcome, Expunged::Gone);
    }
    let left = all_of(&mut session, &inbox).messages;
    assert!(left.len() == 50 && left.contains_key(&uids[5]) && !left.contains_key(&uids[10]));

    let nowhere = named(&names, "nowhere");
    assert!(session.move_messages(&inbox, validity, &part(30, 32), &nowhere).is_err());
    assert_eq!(all_of(&mut session, &inbox).messages.len(), 50);
    if !disable.contains(&"UIDPLUS") || !disable.contains(&"MOVE") {
        session.store(&inbox, validity, &[(foreign_mark(&uids), change(&[], &["\\Deleted"]))]).unwrap();
    }
    assert_eq!(session.move_messages(&inbox, validity, &part(30, 40), &odd[0]).unwrap().left, Expunged::Gone);
    assert_eq!(all_of(&mut session, &inbox).messages.len(), 40);
    let moved = all_of(&mut session, &odd[0]);
    assert_eq!(moved.messages.len(), 10);

    let mut refused = Vec::new();
    let one = Append { size: 3, flags: Flags::none(), date: UnixSeconds(0), body: Box::new(&b"abc"[..]) };
    let mut told = |_, outcome| refused.push(matches!(outcome, Uploaded::Refused(_)));
    session.append(&nowhere, Grouping::Together, &mut [one].into_iter(), &mut told).unwrap();
    assert_eq!(refused, [true]);

    assert_eq!(session.delete(&odd[0]).unwrap(), Deleted::StillHolds(10));
    let all: UidSet = moved.messages.keys().copied().collect();
    session.expunge(&odd[0], moved.checkpoint.uid_validity, &all).unwrap();
    for _ in 0..2 {
        assert_eq!(session.delete(&odd[0]).unwrap(), Deleted::Gone);
    }
    let answers = session.observe(&[ask(&odd[0], None, UidSet::new()), ask(&inbox, None, UidSet::new())]).unwrap();
    assert!(answers[0].is_err());
    assert_eq!(answers[1].as_ref().unwrap().messages.len(), 40);
    for name in &odd[1..] {
        assert_eq!(session.delete(name).unwrap(), Deleted::Gone);
    }
    session.logout();
}

fn foreign_mark(uids: &[Uid]) -> UidSet {
    uids[5..6].iter().copied().collect()
}

#[test]
fn every_operation_works_on_dovecot_whatever_is_switched_off() {
    let server = Dovecot::start();
    for (n, disable) in TIERS.iter().enumerate() {
        works(&server, disable, &format!("box{n}"));
    }
}

#[test]
fn every_operation_works_on_cyrus_whatever_is_switched_off() {
    let Some(server) = Cyrus::start() else { return };
    for (n, disable) in TIERS.iter().enumerate() {
        works(&server, disable, &format!("box{n}"));
    }
}

/// What one observer has put together from what it saw.
struct Observer {
    session: Session,
    since: Option<RemoteCheckpoint>,
    known: BTreeMap<Uid, SeenMessage>,
}

impl Observer {
    fn look(&mut self, wire: &WireName) {
        let known = self.known.keys().copied().collect();
        let seen = self.session.observe(&[ask(wire, self.since.clone(), known)]).unwrap().remove(0).unwrap();
        match &seen.coverage {
            SeenCoverage::Everything => self.known.retain(|uid, _| seen.messages.contains_key(uid)),
            SeenCoverage::Changes { vanished } => self.known.retain(|uid, _| !vanished.contains(*uid)),
        }
        for (uid, mut message) in seen.messages {
            if let Some(before) = self.known.remove(&uid) {
                message = SeenMessage { flags: message.flags, ..before };
            }
            assert!(message.size.is_some(), "new, and not described: {uid}");
            self.known.insert(uid, message);
        }
        self.since = Some(seen.checkpoint);
    }
}

fn tiers_agree(server: &dyn Server) {
    let mut random = fastrand::Rng::with_seed(0x6d61_696c);
    let mut writer = plain(server, &[]);
    let names = writer.list().unwrap().names;
    let wire = named(&names, "changing");
    writer.create(&wire).unwrap();
    let observer =
        |disable: &&[&str]| Observer { session: plain(server, disable), since: None, known: BTreeMap::new() };
    let mut observers: Vec<Observer> = TIERS.iter().map(observer).collect();
    for round in 0..25 {
        let new: Vec<_> = (0..random.usize(0..4))
            .map(|n| {
                let worn = [&["\\Seen"][..], &[], &["K1", "\\Flagged"]][random.usize(0..3)];
                (message(round * 10 + n, 200), flags(worn))
            })
            .collect();
        upload(&mut writer, &wire, &new);
        let now = all_of(&mut writer, &wire);
        let validity = now.checkpoint.uid_validity;
        let mut some = |one_in: usize| now.messages.keys().copied().filter(|_| random.usize(0..one_in) == 0).collect();
        let (changed, gone): (UidSet, UidSet) = (some(5), some(10));
        let add = ["\\Seen", "K2", "\\Answered"][random.usize(0..3)];
        assert!(
            writer.store(&wire, validity, &[(changed, change(&[add], &["\\Flagged"]))]).unwrap().results[0].is_ok()
        );
        writer.expunge(&wire, validity, &gone).unwrap();
        let now = all_of(&mut writer, &wire).messages;
        for (tier, observer) in observers.iter_mut().enumerate() {
            // Some rounds are missed, so that several changes come at once.
            if random.usize(0..3) > 0 {
                observer.look(&wire);
                assert_eq!(observer.known, now, "{:?} in round {round}", TIERS[tier]);
            }
        }
    }
}

#[test]
fn all_tiers_see_the_same_on_dovecot() {
    tiers_agree(&Dovecot::start());
}

#[test]
fn all_tiers_see_the_same_on_cyrus() {
    let Some(server) = Cyrus::start() else { return };
    tiers_agree(&server);
}

#[test]
fn a_server_with_little_is_served_as_well() {
    for capability in ["IMAP4rev1 CONDSTORE UIDPLUS", "IMAP4rev1 UIDPLUS", "IMAP4rev1"] {
        let server = Dovecot::showing(capability);
        let off: &[&str] = if capability == "IMAP4rev1" { &["UIDPLUS"] } else { &[] };
        works(&server, off, "box");
    }
}

#[test]
fn what_nothing_and_what_a_change_in_twenty_mailboxes_costs() {
    let server = Dovecot::start();
    let mut writer = plain(&server, &[]);
    let names = writer.list().unwrap().names;
    let wires: Vec<WireName> = (0..20).map(|n| named(&names, &format!("m{n:02}"))).collect();
    for wire in &wires {
        writer.create(wire).unwrap();
        upload(&mut writer, wire, &(0..20).map(|n| (message(n, 300), Flags::none())).collect::<Vec<_>>());
    }
    for disable in TIERS {
        let meter = Meter::default();
        let mut session = open(&server, disable, &meter);
        let whole: Vec<Ask> = wires.iter().map(|wire| ask(wire, None, UidSet::new())).collect();
        let first: Vec<Seen> = session.observe(&whole).unwrap().into_iter().map(Result::unwrap).collect();

        let before = meter.waits();
        let listing = session.list().unwrap();
        let flights = if disable.contains(&"LIST-STATUS") { 2 } else { 1 };
        assert!(meter.waits() - before <= flights, "nothing changed, {disable:?}: {}", meter.waits() - before);
        for (wire, Seen { checkpoint, .. }) in wires.iter().zip(&first) {
            let status = listing.mailboxes.values().find(|l| l.wire == *wire).unwrap().status.unwrap();
            assert_eq!(
                (status.messages, status.uid_next, status.uid_validity, status.highest_modseq),
                (checkpoint.messages, checkpoint.uid_next, checkpoint.uid_validity, checkpoint.highest_modseq),
                "what is unchanged looks unchanged, {disable:?}"
            );
        }

        for (wire, Seen { checkpoint, .. }) in wires.iter().zip(&first) {
            let toggled = [(set("3:9"), change(&["\\Seen"], &[])), (set("1:2"), change(&[], &["\\Seen"]))];
            writer.store(wire, checkpoint.uid_validity, &toggled).unwrap();
            upload(&mut writer, wire, &[(message(99, 300), Flags::none())]);
        }
        let asks: Vec<Ask> = wires
            .iter()
            .zip(&first)
            .map(|(wire, seen)| ask(wire, Some(seen.checkpoint.clone()), seen.messages.keys().copied().collect()))
            .collect();
        let before = meter.waits();
        assert!(session.observe(&asks).unwrap().iter().all(Result::is_ok));
        assert!(meter.waits() - before <= 1, "20 changed, {disable:?}: {}", meter.waits() - before);
    }
}
