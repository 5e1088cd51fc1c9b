//! The whole of the state: facts against a model, crashes, and files that are not what they should be.

use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

use proptest::prelude::*;

use super::*;
use crate::mail::{
    BaseMailbox, Content, Digest, Fact, FileId, Flags, Intent, Link, LocalCheckpoint, MessageIdHash, ModSeq,
    PermanentFlags, Presence, RemoteCheckpoint, SystemFlags, Uid, UidSet, UidValidity, UnixSeconds,
};

fn uid(n: u32) -> Uid {
    Uid::new(n).unwrap()
}

fn name(id: MailboxId) -> MailboxName {
    MailboxName::from_segments(["Post", &format!("Übrig {id}")]).unwrap()
}

fn known(id: MailboxId) -> Fact {
    Fact::MailboxKnown { id, name: name(id) }
}

fn flags(names: &[&str]) -> Flags {
    let mut flags = Flags::none();
    names.iter().for_each(|name| flags.insert_imap(name));
    flags
}

/// A link with nothing special.
fn plain(n: u32) -> Link {
    Link {
        uid: uid(n),
        file: FileId::new(format!("file-{n}")),
        presence: Presence::Both,
        flags: Flags::none(),
        size: 1000,
        digest: Digest([n as u8; 32]),
        message_id: None,
        internal_date: UnixSeconds(1_700_000_000),
        email_id: None,
    }
}

/// A link with everything that is hard to keep.
fn hard(n: u32) -> Link {
    Link {
        uid: uid(n),
        file: FileId::new(OsStr::from_bytes(b"\xff\x00\xfe,S=1\n")),
        presence: Presence::RemoteOnly,
        flags: flags(&["\\Seen", "$Forwarded", "Work", "$Label1"]),
        size: u64::MAX,
        digest: Digest([0xff; 32]),
        message_id: Some(MessageIdHash(u64::MAX)),
        internal_date: UnixSeconds(-1),
        email_id: Some("M6d99ac3275bb4e".into()),
    }
}

fn checkpoint() -> RemoteCheckpoint {
    RemoteCheckpoint {
        uid_validity: UidValidity(u32::MAX),
        uid_next: Some(Uid::MAX),
        highest_modseq: Some(ModSeq(u64::MAX)),
        messages: u32::MAX,
        permanent: PermanentFlags { named: flags(&["\\Seen", "Work"]), any_keyword: true },
        object_id: Some("F2212ea87-6097-4256-9d51-71338625".into()),
    }
}

const DIRECTORIES: LocalCheckpoint = LocalCheckpoint { new_mtime: -1, cur_mtime: i64::MAX, inode: u64::MAX };

fn intent(mailbox: MailboxId) -> Intent {
    let content = Content { digest: Digest([3; 32]), wire_size: 9, message_id: Some(MessageIdHash(4)) };
    Intent { mailbox, file: FileId::new("to-send"), content, uid_next: Some(uid(12)) }
}

/// What a state holds, links and intents included; or what it should hold, by the plainest means.
#[derive(Debug, Clone, PartialEq, Default)]
struct Model {
    mailboxes: BTreeMap<MailboxId, (MailboxName, BaseMailbox)>,
    intents: BTreeMap<(MailboxId, FileId), Intent>,
}

impl Model {
    fn of(state: &State) -> Model {
        let mut model = Model::default();
        for (name, mut mailbox) in state.base(&|_| true).unwrap() {
            let links = state.links(mailbox.id).unwrap();
            let with_a_copy = links.values().filter(|l| l.presence != Presence::LocalOnly).map(|l| l.uid);
            assert_eq!(state.known_uids(mailbox.id).unwrap(), with_a_copy.collect());
            for intent in state.intents(mailbox.id).unwrap() {
                model.intents.insert((mailbox.id, intent.file.clone()), intent);
            }
            mailbox.links = Some(links);
            model.mailboxes.insert(mailbox.id, (name, mailbox));
        }
        model
    }

    /// All facts or, when one is refused, none.
    fn record(&mut self, facts: &[Fact]) -> bool {
        let mut after = self.clone();
        let accepted = facts.iter().all(|fact| after.apply(fact).is_some());
        if accepted {
            *self = after;
        }
        accepted
    }

    fn apply(&mut self, fact: &Fact) -> Option<()> {
        let fresh = |id| BaseMailbox { id, remote: None, local: None, link_count: 0, links: Some(BTreeMap::new()) };
        match fact.clone() {
            Fact::MailboxKnown { id, name } => {
                self.mailboxes.entry(id).or_insert_with(|| (name, fresh(id)));
            }
            Fact::MailboxForgotten(id) => {
                self.mailboxes.remove(&id);
                self.intents.retain(|(mailbox, _), _| *mailbox != id);
            }
            Fact::MailboxReset(id) => {
                if let Some((_, mailbox)) = self.mailboxes.get_mut(&id) {
                    *mailbox = fresh(id);
                }
                self.intents.retain(|(mailbox, _), _| *mailbox != id);
            }
            Fact::Linked(id, link) => {
                self.links(id)?.insert(link.uid, link);
            }
            Fact::Renamed(id, uid, file) => self.change(id, uid, |link| link.file = file),
            Fact::FlagsAgreed(id, uid, flags) => self.change(id, uid, |link| link.flags = flags),
            Fact::PresenceChanged(id, uid, presence, flags) => {
                self.change(id, uid, |link| (link.presence, link.flags) = (presence, flags));
            }
            Fact::Unlinked(id, uids) => {
                if let Some(links) = self.links(id) {
                    links.retain(|uid, _| !uids.contains(*uid));
                }
            }
            Fact::RemoteChecked(id, checkpoint) => self.mailboxes.get_mut(&id)?.1.remote = Some(checkpoint),
            Fact::LocalChecked(id, checkpoint) => self.mailboxes.get_mut(&id)?.1.local = Some(checkpoint),
            Fact::Intended(intent) => {
                self.mailboxes.get(&intent.mailbox)?;
                self.intents.insert((intent.mailbox, intent.file.clone()), intent);
            }
            Fact::Settled(id, file) => {
                self.intents.remove(&(id, file));
            }
        }
        for (_, mailbox) in self.mailboxes.values_mut() {
            mailbox.link_count = mailbox.links.as_ref().map_or(0, |links| links.len() as u64);
        }
        Some(())
    }

    fn links(&mut self, id: MailboxId) -> Option<&mut BTreeMap<Uid, Link>> {
        self.mailboxes.get_mut(&id)?.1.links.as_mut()
    }

    fn change(&mut self, id: MailboxId, uid: Uid, change: impl FnOnce(&mut Link)) {
        if let Some(link) = self.links(id).and_then(|links| links.get_mut(&uid)) {
            change(link);
        }
    }
}

fn any_flags() -> impl Strategy<Value = Flags> {
    (0u8..64, prop::sample::subsequence(vec!["Work", "$Label1", "work-2"], 0..3)).prop_map(|(bits, names)| {
        let mut all = flags(&names);
        all.system = SystemFlags::from_bits(bits);
        all
    })
}

fn any_link() -> impl Strategy<Value = Link> {
    (1u32..12, prop::bool::ANY, any_flags(), 0..3).prop_map(|(n, hard_one, flags, presence)| {
        let presence = [Presence::Both, Presence::LocalOnly, Presence::RemoteOnly][presence as usize];
        Link { flags, presence, ..if hard_one { hard(n) } else { plain(n) } }
    })
}

fn any_fact() -> impl Strategy<Value = Fact> {
    let id = || (1u32..4).prop_map(MailboxId);
    let uid = || (1u32..12).prop_map(uid);
    let file = || "[ab]{1,2}".prop_map(FileId::new);
    prop_oneof![
        6 => id().prop_map(known),
        1 => id().prop_map(Fact::MailboxForgotten),
        1 => id().prop_map(Fact::MailboxReset),
        12 => (id(), any_link()).prop_map(|(id, link)| Fact::Linked(id, link)),
        3 => (id(), uid(), file()).prop_map(|(id, uid, file)| Fact::Renamed(id, uid, file)),
        3 => (id(), uid(), any_flags()).prop_map(|(id, uid, flags)| Fact::FlagsAgreed(id, uid, flags)),
        3 => (id(), uid(), any_flags())
            .prop_map(|(id, uid, flags)| Fact::PresenceChanged(id, uid, Presence::LocalOnly, flags)),
        3 => (id(), prop::collection::vec(uid(), 0..4))
            .prop_map(|(id, uids)| Fact::Unlinked(id, uids.into_iter().collect())),
        2 => (id(), prop::option::of(uid()), any_flags()).prop_map(|(id, uid_next, named)| {
            let permanent = PermanentFlags { named, any_keyword: false };
            Fact::RemoteChecked(id, RemoteCheckpoint { uid_next, permanent, ..checkpoint() })
        }),
        2 => (id(), any::<i64>()).prop_map(|(id, t)| Fact::LocalChecked(id, LocalCheckpoint { new_mtime: t, ..DIRECTORIES })),
        2 => (id(), file(), prop::option::of(uid()))
            .prop_map(|(id, file, uid_next)| Fact::Intended(Intent { file, uid_next, ..intent(id) })),
        2 => (id(), file()).prop_map(|(id, file)| Fact::Settled(id, file)),
    ]
}

proptest! {
    #[test]
    fn facts_lead_where_the_model_says(batches in prop::collection::vec(prop::collection::vec(any_fact(), 0..12), 1..12)) {
        let mut state = State::in_memory(AccountId(1)).unwrap();
        let mut model = Model::default();
        let everything: Vec<Fact> = (1..4).map(|n| known(MailboxId(n))).collect();
        for batch in std::iter::once(&everything).chain(&batches) {
            let accepted = model.record(batch);
            prop_assert_eq!(state.record(batch).is_ok(), accepted);
            prop_assert_eq!(Model::of(&state), model.clone());
            // A batch that is recorded again, because a crash hid that it was, changes nothing.
            let _ = state.record(batch);
            prop_assert_eq!(Model::of(&state), model.clone());
        }
    }
}

#[test]
fn each_fact_comes_back_from_the_disk() {
    let dir = tempfile::tempdir().unwrap();
    let (a, b) = (MailboxId(u32::MAX), MailboxId(0));
    let mut model = Model::default();
    State::create(dir.path(), "work", AccountId(u32::MAX)).unwrap();
    for batch in [
        vec![known(a), known(b), Fact::Linked(a, hard(u32::MAX)), Fact::Linked(a, plain(1)), Fact::Linked(b, plain(1))],
        vec![Fact::RemoteChecked(a, checkpoint()), Fact::LocalChecked(a, DIRECTORIES), Fact::Intended(intent(a))],
        vec![Fact::Renamed(a, uid(1), FileId::new("b")), Fact::FlagsAgreed(a, uid(1), flags(&["\\Draft", "x"]))],
        vec![Fact::PresenceChanged(b, uid(1), Presence::LocalOnly, flags(&["\\Deleted"]))],
        vec![Fact::FlagsAgreed(a, uid(1), Flags::none()), Fact::Settled(a, intent(a).file)],
        vec![Fact::Unlinked(a, UidSet::range(Uid::MIN, Uid::MAX)), Fact::LocalChecked(b, LocalCheckpoint::default())],
        vec![],
    ] {
        let mut state = State::open(dir.path(), "work").unwrap().unwrap();
        assert_eq!(state.account_id(), AccountId(u32::MAX));
        state.record(&batch).unwrap();
        assert!(model.record(&batch));
        drop(state);
        assert_eq!(Model::of(&State::open(dir.path(), "work").unwrap().unwrap()), model);
    }
}

#[test]
fn a_reset_or_forgotten_mailbox_keeps_nothing_and_leaves_others_alone() {
    let (a, b) = (MailboxId(1), MailboxId(2));
    let full = |id| {
        [
            known(id),
            Fact::Linked(id, plain(1)),
            Fact::Linked(id, plain(2)),
            Fact::RemoteChecked(id, checkpoint()),
            Fact::LocalChecked(id, DIRECTORIES),
            Fact::Intended(intent(id)),
        ]
    };
    let mut state = State::in_memory(AccountId(1)).unwrap();
    state.record(&full(b)).unwrap();
    let other = Model::of(&state);
    state.record(&full(a)).unwrap();

    state.record(&[Fact::MailboxReset(a)]).unwrap();
    let base = state.base(&|n| *n == name(a)).unwrap();
    let bare = BaseMailbox { id: a, remote: None, local: None, link_count: 0, links: None };
    assert_eq!(base.into_iter().collect::<Vec<_>>(), [(name(a), bare)]);
    assert_eq!((state.links(a).unwrap().len(), state.intents(a).unwrap().len()), (0, 0));

    state.record(&full(a)).unwrap();
    state.record(&[Fact::MailboxForgotten(a)]).unwrap();
    assert_eq!(Model::of(&state), other);
    // Forgotten and known again within one batch: counted from nothing.
    state.record(&full(a)).unwrap();
    state.record(&[Fact::Linked(a, plain(3)), Fact::MailboxForgotten(a), known(a), Fact::Linked(a, plain(9))]).unwrap();
    assert_eq!(state.base(&|_| true).unwrap()[&name(a)].link_count, 1);
}

#[test]
fn a_batch_with_a_fact_about_an_unknown_mailbox_is_refused_as_a_whole() {
    let mut state = State::in_memory(AccountId(1)).unwrap();
    let (a, b) = (MailboxId(1), MailboxId(2));
    for wrong in [
        Fact::Linked(b, plain(1)),
        Fact::RemoteChecked(b, checkpoint()),
        Fact::LocalChecked(b, DIRECTORIES),
        Fact::Intended(intent(b)),
    ] {
        let error = state.record(&[known(a), Fact::Linked(a, plain(1)), wrong]).unwrap_err();
        assert_eq!(error.what(), "A fact names a mailbox that the state does not know");
        assert_eq!(Model::of(&state), Model::default());
    }
}

#[test]
fn ids_come_from_names_stay_and_never_meet() {
    let mut state = State::in_memory(AccountId(1)).unwrap();
    let (x, y, z) = (name(MailboxId(1)), name(MailboxId(2)), name(MailboxId(3)));
    let first = MailboxId::of_path(x.path());
    assert_eq!(state.id_for(&x).unwrap(), first);

    // The number is taken by a recorded mailbox, the next one by a promise.
    state.promised.borrow_mut().clear();
    state.record(&[Fact::MailboxKnown { id: first, name: y.clone() }]).unwrap();
    state.promised.borrow_mut().insert(MailboxId(first.0.wrapping_add(1)), z.clone());
    let third = MailboxId(first.0.wrapping_add(2));
    assert_eq!(state.id_for(&x).unwrap(), third);
    assert_eq!(state.id_for(&x).unwrap(), third);
    assert_eq!(state.id_for(&y).unwrap(), first);
    state.record(&[Fact::MailboxKnown { id: third, name: x.clone() }]).unwrap();
    assert_eq!(state.id_for(&x).unwrap(), third);
}

#[test]
fn files_are_private_and_durable_and_looking_makes_none() {
    let dir = tempfile::tempdir().unwrap();
    let state_dir = dir.path().join("a/mailtide");
    assert!(State::open(&state_dir, "work").unwrap().is_none());
    assert!(State::open_read_only(&state_dir, "work").unwrap().is_none());
    assert!(!state_dir.exists());

    let mut state = State::create(&state_dir, "me/../x", AccountId(7)).unwrap();
    state.record(&[known(MailboxId(1))]).unwrap();
    let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&state_dir), 0o700);
    let files: Vec<_> = fs::read_dir(&state_dir).unwrap().map(|f| f.unwrap().path()).collect();
    assert_eq!(files.len(), 3, "{files:?}");
    files.iter().for_each(|file| assert_eq!(mode(file), 0o600, "{file:?}"));

    for state in [state, State::open(&state_dir, "me/../x").unwrap().unwrap()] {
        let pragma = |name| state.connection.pragma_query_value(None, name, |row| row.get::<_, String>(0));
        assert_eq!(pragma("journal_mode").unwrap(), "wal");
        let number = |name| state.connection.pragma_query_value(None, name, |row| row.get::<_, u8>(0));
        assert_eq!((number("synchronous").unwrap(), number("foreign_keys").unwrap()), (2, 1));
    }
    let error = State::create(&state_dir, "me/../x", AccountId(8)).unwrap_err();
    assert_eq!(error.what(), "There is a state already");
}

#[test]
fn a_reader_looks_on_while_a_run_writes_and_cannot_write() {
    let dir = tempfile::tempdir().unwrap();
    let mut run = State::create(dir.path(), "work", AccountId(7)).unwrap();
    run.record(&[known(MailboxId(1))]).unwrap();
    let mut reader = State::open_read_only(dir.path(), "work").unwrap().unwrap();
    run.connection.execute_batch("BEGIN IMMEDIATE; DELETE FROM mailbox").unwrap();
    assert_eq!(reader.base(&|_| true).unwrap().len(), 1);
    run.connection.execute_batch("COMMIT").unwrap();
    assert_eq!(reader.base(&|_| true).unwrap().len(), 0);
    let error = reader.record(&[known(MailboxId(2))]).unwrap_err();
    assert_eq!((error.kind(), error.what()), (Kind::State, "The state file or its directory is read-only"));
}

#[test]
fn a_file_that_is_no_sound_state_is_named_with_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("work.sqlite");
    let refused = |what: &str| {
        for result in [State::open(dir.path(), "work"), State::open_read_only(dir.path(), "work")] {
            let error = result.unwrap_err();
            assert_eq!((error.kind(), error.what()), (Kind::State, what));
            assert!(error.place().unwrap().ends_with("work.sqlite"));
            assert!(error.hint_text().is_some());
        }
        let before = fs::read(&path).ok();
        assert!(State::create(dir.path(), "work", AccountId(1)).is_err());
        assert_eq!(fs::read(&path).ok(), before, "it is somebody's, so it stays as it is");
    };
    fs::write(&path, "Dear diary,".repeat(1000)).unwrap();
    refused("The file is no state of Mailtide");

    fs::remove_file(&path).unwrap();
    Connection::open(&path).unwrap().execute_batch("CREATE TABLE diary (day TEXT)").unwrap();
    refused("The file is another program's SQLite database");

    fs::remove_file(&path).unwrap();
    drop(State::create(dir.path(), "work", AccountId(1)).unwrap());
    Connection::open(&path).unwrap().pragma_update(None, "user_version", 99).unwrap();
    refused("The state has schema 99, and this Mailtide knows 1 at most");

    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    refused("The state file cannot be opened");
    let error = State::create(&path.join("x/y"), "work", AccountId(1)).map(drop);
    assert!(error.is_ok(), "a directory is as good as another");
    fs::write(dir.path().join("file"), "").unwrap();
    let error = State::create(&dir.path().join("file/y"), "work", AccountId(1)).unwrap_err();
    assert!(error.what().contains("make the state directory") && error.hint_text().unwrap().contains("XDG"), "{error}");
}

#[test]
fn damage_inside_is_an_error_and_never_an_empty_mailbox() {
    let dir = tempfile::tempdir().unwrap();
    let mut state = State::create(dir.path(), "work", AccountId(1)).unwrap();
    let id = MailboxId(1);
    state.record(&[known(id)]).unwrap();
    state.record(&(1..2000).map(|n| Fact::Linked(id, plain(n))).collect::<Vec<_>>()).unwrap();
    drop(state);
    let path = dir.path().join("work.sqlite");
    let sound = fs::read(&path).unwrap();

    let mut torn = sound.clone();
    torn[8 * 4096..].fill(0xa5);
    fs::write(&path, &torn).unwrap();
    let state = State::open(dir.path(), "work").unwrap().unwrap();
    let error = state.links(id).unwrap_err();
    assert_eq!(error.what(), "The state file is damaged");
    assert_eq!(error.hint_text(), Some("Move it away and run `sync` again: no mail is lost."));
    drop(state);

    // A value that no fact can have brought.
    for wrong in ["uid = 0 WHERE uid = 1", "digest = x'00'", "presence = 3", "flags = -1", "file = x''"] {
        fs::write(&path, &sound).unwrap();
        Connection::open(&path).unwrap().execute_batch(&format!("UPDATE link SET {wrong}")).unwrap();
        let read = State::open(dir.path(), "work").unwrap().unwrap().links(id);
        let expected = if wrong.starts_with("file") { None } else { Some("The state file is damaged") };
        assert_eq!(read.as_ref().err().map(Error::what), expected, "{wrong}");
    }
}

#[test]
fn a_full_disk_loses_the_batch_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let mut state = State::create(dir.path(), "work", AccountId(1)).unwrap();
    let id = MailboxId(1);
    state.record(&[known(id), Fact::Linked(id, plain(1))]).unwrap();
    let before = Model::of(&state);
    let pages: u32 = state.connection.pragma_query_value(None, "page_count", |row| row.get(0)).unwrap();
    let allow = |state: &State, pages: u32| {
        state.connection.pragma_update_and_check(None, "max_page_count", pages, |_| Ok(())).unwrap();
    };
    allow(&state, pages + 3);
    let batch: Vec<Fact> = (1..1000).map(|n| Fact::Linked(id, plain(n))).collect();
    let error = state.record(&batch).unwrap_err();
    assert_eq!(error.what(), "The state cannot be written");
    assert!(error.hint_text().unwrap().contains("make room"));
    assert_eq!(Model::of(&state), before);
    allow(&state, u32::MAX - 1);
    state.record(&batch).unwrap();
    assert_eq!(state.links(id).unwrap().len(), 999);
}

#[test]
fn an_empty_file_is_a_creation_that_the_power_cut_short() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("work.sqlite"), "").unwrap();
    assert!(State::open(dir.path(), "work").unwrap().is_none());
    assert!(State::open_read_only(dir.path(), "work").unwrap().is_none());
    State::create(dir.path(), "work", AccountId(1)).unwrap();
    assert!(State::open(dir.path(), "work").unwrap().is_some());
}

/// Batch `n` of the crash tests: ten links, and the checkpoint says how many batches there are.
fn batch(n: u32) -> Vec<Fact> {
    let id = MailboxId(1);
    let mut facts = vec![known(id)];
    facts.extend((n * 10 + 1..n * 10 + 11).map(|n| Fact::Linked(id, plain(n))));
    facts.push(Fact::RemoteChecked(id, RemoteCheckpoint { messages: n + 1, ..checkpoint() }));
    facts
}

/// How many whole batches a state holds; fails when it holds a part of one.
fn whole_batches(dir: &Path) -> u32 {
    let Some(state) = State::open(dir, "work").unwrap() else { return 0 };
    let base = state.base(&|_| true).unwrap();
    let Some(mailbox) = base.values().next() else { return 0 };
    let batches = mailbox.remote.as_ref().unwrap().messages;
    assert_eq!(mailbox.link_count, u64::from(batches) * 10);
    assert_eq!(state.known_uids(mailbox.id).unwrap(), UidSet::range(uid(1), uid(batches * 10)));
    assert_eq!(state.links(mailbox.id).unwrap().len() as u64, mailbox.link_count);
    batches
}

#[test]
fn a_log_cut_anywhere_holds_whole_batches() {
    let dir = tempfile::tempdir().unwrap();
    let mut state = State::create(dir.path(), "work", AccountId(1)).unwrap();
    (0..5).for_each(|n| state.record(&batch(n)).unwrap());
    let database = fs::read(dir.path().join("work.sqlite")).unwrap();
    let log = fs::read(dir.path().join("work.sqlite-wal")).unwrap();
    let (header, frame) = (32, 24 + 4096);
    let mut seen = Vec::new();
    for cut in (header..=log.len()).step_by(frame).flat_map(|at| [at, at + frame / 2]) {
        let copy = tempfile::tempdir().unwrap();
        fs::write(copy.path().join("work.sqlite"), &database).unwrap();
        fs::write(copy.path().join("work.sqlite-wal"), &log[..cut.min(log.len())]).unwrap();
        seen.push(whole_batches(copy.path()));
    }
    assert!(seen.is_sorted());
    seen.dedup();
    assert_eq!(seen, [0, 1, 2, 3, 4, 5]);
}

const CHILD: &str = "MAILTIDE_TEST_STATE_DIR";

#[test]
fn a_killed_run_leaves_all_that_was_recorded_and_no_half_batch() {
    for acknowledged in [1, 7, 40] {
        let dir = tempfile::tempdir().unwrap();
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "state::tests::child_records_until_killed", "--nocapture"])
            .env(CHILD, dir.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let recorded = lines.filter(|line| line.as_ref().unwrap().contains("recorded")).take(acknowledged).count();
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(recorded, acknowledged);
        assert!(whole_batches(dir.path()) as usize >= acknowledged);
    }
}

/// Not a test by itself: the process that `a_killed_run_leaves_all_that_was_recorded_and_no_half_batch` kills.
#[test]
fn child_records_until_killed() {
    let Some(dir) = std::env::var_os(CHILD).map(PathBuf::from) else { return };
    let mut state = State::create(&dir, "work", AccountId(1)).unwrap();
    for n in 0..100_000 {
        state.record(&batch(n)).unwrap();
        println!("recorded");
    }
}
