//! What is hot inside, by itself: `cargo bench --bench hot [FILTER]`. The bench against other programs is `run`.
//!
//! The sizes are those of a large mailbox: 100,000 messages that are listed, named, linked, loaded and recorded.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt::Write;
use std::hint::black_box;
use std::time::Duration;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use mailtide::mail::{
    AccountId, Base, BaseMailbox, Digest, Fact, FileId, Flags, Link, LocalCheckpoint, MailboxId, MailboxName,
    MessageIdHash, ModSeq, PermanentFlags, Presence, RemoteCheckpoint, Uid, UidValidity, UnixSeconds,
};
use mailtide::reconcile::view::{
    Coverage, Deletions, Direction, Expunge, KeywordRoom, Keywords, LocalContent, LocalFile, LocalListing,
    LocalMailbox, LocalView, Policy, RemoteListing, RemoteMailbox, RemoteMessage, RemoteView, TreeAge,
};
use mailtide::reconcile::{Input, Names, reconcile};
use mailtide::remote::imap::bench::{Responses, frame};
use mailtide::state::State;

const MESSAGES: u32 = 100_000;
const ACCOUNT: AccountId = AccountId(0x0a1b_2c3d);
const VALIDITY: UidValidity = UidValidity(1_600_000_000);

/// A listing as Dovecot sends it.
fn listing() -> Vec<u8> {
    let mut text = String::new();
    for n in 1..=MESSAGES {
        let flags = if n % 5 == 0 { "\\Answered \\Seen $Label1" } else { "\\Seen" };
        let _ = write!(
            text,
            "* {n} FETCH (UID {} MODSEQ ({}) FLAGS ({flags}) RFC822.SIZE {} INTERNALDATE \"13-Sep-2020 12:26:40 +0000\")\r\n",
            n + 7,
            n + 1000,
            n % 30_000 + 500
        );
    }
    text.into_bytes()
}

/// 1,000 bodies of 30 kB in lines of 76.
fn bodies() -> Vec<u8> {
    let body = format!("{}\r\n", "x".repeat(76)).repeat(30_000 / 78);
    let mut text = String::new();
    for n in 1..=1000 {
        let _ = write!(text, "* {n} FETCH (UID {n} FLAGS (\\Seen) BODY[] {{{}}}\r\n{body})\r\n", body.len());
    }
    text.into_bytes()
}

fn wire(c: &mut Criterion) {
    let (listing, bodies) = (listing(), bodies());
    let mut group = c.benchmark_group("framing");
    group.throughput(Throughput::Bytes(listing.len() as u64));
    group.bench_function("listing of 100,000", |b| b.iter(|| frame(black_box(&listing), 16 << 10)));
    group.throughput(Throughput::Bytes(bodies.len() as u64));
    group.bench_function("1,000 bodies of 30 kB", |b| b.iter(|| frame(black_box(&bodies), 16 << 10)));
    group.finish();

    let Ok(responses) = Responses::of(&listing) else { return };
    assert_eq!(responses.fetched(), MESSAGES as usize);
    let mut group = c.benchmark_group("FETCH");
    group.throughput(Throughput::Elements(MESSAGES.into()));
    group.bench_function("listing of 100,000", |b| b.iter(|| black_box(&responses).fetched()));
    group.finish();
}

fn unique(n: u32) -> String {
    format!("1600000000.{ACCOUNT}-00000004-{VALIDITY}-{n}.mailtide,S=4000,W=4090")
}

fn names(c: &mut Criterion) {
    let ours: Vec<OsString> = (1..=MESSAGES).map(|n| format!("{}:2,RSa", unique(n)).into()).collect();
    let others: Vec<OsString> =
        (1..=MESSAGES).map(|n| format!("1600000000.M{n}P4711.host.example.org,S=4000,U={n}:2,S").into()).collect();
    let mut group = c.benchmark_group("file names");
    group.throughput(Throughput::Elements(MESSAGES.into()));
    for (whose, names) in [("ours", &ours), ("others'", &others)] {
        let read = || names.iter().filter(|n| mailtide::local::bench::read_name(black_box(n)).1.is_some()).count();
        group.bench_function(format!("100,000 of {whose}"), |b| b.iter(read));
    }
    group.finish();
}

fn flags(n: u32) -> Flags {
    let mut flags = Flags::none();
    flags.insert_imap("\\Seen");
    if n.is_multiple_of(5) {
        flags.insert_imap("\\Answered");
        flags.insert_imap("$Label1");
    }
    flags
}

fn link(uid: Uid, n: u32) -> Link {
    Link {
        uid,
        file: FileId::new(unique(n)),
        presence: Presence::Both,
        flags: flags(n),
        size: 4090,
        digest: Digest(*blake3::hash(&n.to_be_bytes()).as_bytes()),
        message_id: Some(MessageIdHash(n.into())),
        internal_date: UnixSeconds(1_600_000_000),
        email_id: None,
    }
}

fn links() -> BTreeMap<Uid, Link> {
    (1..=MESSAGES).filter_map(|n| Some((Uid::new(n)?, link(Uid::new(n)?, n)))).collect()
}

/// A mailbox that both sides list in full. Of a thousand messages one has another flag here, one another there.
struct Listed {
    base: Base,
    local: LocalView,
    remote: RemoteView,
    ids: BTreeMap<MailboxName, MailboxId>,
}

impl Listed {
    fn new() -> Listed {
        let (name, id) = (MailboxName::inbox(), MailboxId(4));
        let checkpoint = RemoteCheckpoint {
            uid_validity: VALIDITY,
            uid_next: Uid::new(MESSAGES + 1),
            highest_modseq: Some(ModSeq(5)),
            messages: MESSAGES,
            permanent: PermanentFlags::everything(),
            object_id: None,
        };
        let (mut files, mut messages) = (BTreeMap::new(), BTreeMap::new());
        let links = links();
        for (uid, link) in &links {
            let (mut here, mut there) = (link.flags.clone(), link.flags.clone());
            match uid.get() % 1000 {
                0 => here.insert_imap("\\Flagged"),
                1 => there.insert_imap("\\Flagged"),
                _ => {}
            }
            files.insert(link.file.clone(), LocalFile { flags: here, content: LocalContent::Unread });
            let message = RemoteMessage { flags: there, ..RemoteMessage::default() };
            messages.insert(*uid, message);
        }
        let local = LocalListing { files, keywords: KeywordRoom { known: Default::default(), free: 26 } };
        let remote = RemoteListing {
            uid_next: None,
            uid_validity: VALIDITY,
            messages,
            coverage: Coverage::Everything,
            permanent: PermanentFlags::everything(),
        };
        let known = BaseMailbox {
            remote: Some(checkpoint),
            local: Some(LocalCheckpoint::default()),
            link_count: MESSAGES.into(),
            links: Some(links),
            ..BaseMailbox::new(id)
        };
        Listed {
            base: [(name.clone(), known)].into(),
            local: LocalView {
                mailboxes: [(name.clone(), LocalMailbox::Listed(local))].into(),
                age: TreeAge::AsLeft,
                ..LocalView::default()
            },
            remote: RemoteView { mailboxes: [(name.clone(), RemoteMailbox::Observed(remote))].into(), trash: None },
            ids: [(name, id)].into(),
        }
    }

    /// How many actions the plan has.
    fn plan(&self) -> usize {
        let policy = Policy {
            direction: Direction::Both,
            deletions: Deletions::Expunge,
            keywords: Keywords::Synced,
            expunge: Expunge::Named,
        };
        let Listed { base, local, remote, ids } = self;
        let (intents, relatives, names, policy) = (&BTreeMap::new(), &BTreeMap::new(), &Names::default(), &policy);
        let plan = reconcile(&Input { base, local, remote, ids, account: ACCOUNT, intents, relatives, names, policy });
        plan.mailboxes.values().map(Vec::len).sum()
    }
}

fn plans(c: &mut Criterion) {
    let listed = Listed::new();
    assert!(listed.plan() > 0);
    let mut group = c.benchmark_group("reconcile");
    group.throughput(Throughput::Elements(MESSAGES.into())).sample_size(20);
    group.bench_function("100,000 links, 200 changed", |b| b.iter(|| black_box(&listed).plan()));
    group.finish();
}

fn known() -> (MailboxId, Vec<Fact>) {
    let id = MailboxId(4);
    let mut facts = vec![Fact::MailboxKnown { id, name: MailboxName::inbox() }];
    facts.extend(links().into_values().map(|link| Fact::Linked(id, link)));
    (id, facts)
}

fn state(c: &mut Criterion) {
    let (id, facts) = known();
    let Ok(dir) = tempfile::tempdir() else { return };
    let mut made = 0;
    let mut create = || {
        made += 1;
        State::create(dir.path(), &made.to_string(), ACCOUNT)
    };
    let mut group = c.benchmark_group("state");
    group.throughput(Throughput::Elements(MESSAGES.into())).sample_size(10).measurement_time(Duration::from_secs(20));
    group.bench_function("record 100,000 links, 1,000 a batch", |b| {
        b.iter_batched(
            &mut create,
            |state| state.and_then(|mut state| facts.chunks(1000).try_for_each(|batch| state.record(batch))),
            BatchSize::PerIteration,
        );
    });
    if let Ok(mut state) = create()
        && state.record(&facts).is_ok()
    {
        group.bench_function("load 100,000 links", |b| b.iter(|| state.links(id).map(|links| links.len())));
        group.bench_function("known UIDs of 100,000 links", |b| b.iter(|| state.known_uids(id)));
        group.bench_function("base without links", |b| b.iter(|| state.base(&|_| true)));
    }
    group.finish();
}

criterion_group!(hot, wire, names, plans, state);
criterion_main!(hot);
