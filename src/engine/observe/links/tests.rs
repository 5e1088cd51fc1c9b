//! What stands and what does not, over a state and a tree on disk.

use std::fs;

use super::super::local::{Changes, scan};
use super::*;
use crate::local::{Expected, Layout, LocalOptions, Store};
use crate::mail::{
    AccountId, Digest, Fact, Keyword, MailboxId, ModSeq, PermanentFlags, RemoteCheckpoint, SystemFlag, UidValidity,
    UnixSeconds,
};
use crate::reconcile::view::{RemoteListing, RemoteMessage};
use crate::stop::Stop;

const ID: MailboxId = MailboxId(7);

fn uid(n: u32) -> Uid {
    Uid::new(n).unwrap()
}

fn uids<const N: usize>(numbers: [u32; N]) -> UidSet {
    numbers.into_iter().map(uid).collect()
}

/// The mailbox A, whose messages 1 to 9 have the files f1 to f9; the next UID at the checkpoint is 9.
struct Scene {
    state: State,
    store: Store,
    root: tempfile::TempDir,
    name: MailboxName,
    base: Base,
    local: LocalSide,
}

impl Scene {
    /// `change` changes what is linked.
    fn new(change: impl Fn(&mut Link)) -> Scene {
        let root = tempfile::tempdir().unwrap();
        let options = LocalOptions { root: root.path().to_owned(), layout: Layout::Nested };
        let store = Store::open(&options, Expected::First).unwrap().store;
        let name = MailboxName::parse("A").unwrap();
        store.create_mailbox(&name).unwrap();
        let mut state = State::in_memory(AccountId(1)).unwrap();
        let mut facts = vec![Fact::MailboxKnown { id: ID, name: name.clone() }];
        for n in 1..10 {
            let mut link = Link {
                uid: uid(n),
                file: FileId::new(format!("f{n}")),
                presence: Presence::Both,
                flags: Flags::none(),
                size: 100 + u64::from(n),
                digest: Digest([n as u8; 32]),
                message_id: None,
                internal_date: UnixSeconds(0),
                email_id: None,
            };
            change(&mut link);
            facts.push(Fact::Linked(ID, link));
            fs::write(root.path().join(format!("A/cur/f{n}:2,")), "x").unwrap();
        }
        let permanent = PermanentFlags::everything();
        let (uid_validity, highest_modseq) = (UidValidity(1), Some(ModSeq(1)));
        let uid_next = Some(uid(9));
        let check =
            RemoteCheckpoint { uid_validity, uid_next, highest_modseq, messages: 9, permanent, object_id: None };
        facts.push(Fact::RemoteChecked(ID, check));
        state.record(&facts).unwrap();
        let mut scene = Scene { state, store, root, name, base: Base::new(), local: LocalSide::default() };
        scene.checked(|_| ());
        scene
    }

    /// Records the local checkpoint, and looks as a run does after that.
    fn checked(&mut self, change: impl Fn(&mut crate::mail::LocalCheckpoint)) {
        let crate::local::Scan::Listed(listing) = self.store.scan(&self.name, None).unwrap() else { panic!() };
        let mut check = listing.checkpoint;
        // Something has changed since.
        check.look_again();
        change(&mut check);
        self.state.record(&[Fact::LocalChecked(ID, check)]).unwrap();
        self.look(Keywords::Synced);
    }

    fn look(&mut self, keywords: Keywords) {
        self.base = self.state.base(&|_| true).unwrap();
        let mut links = Links::new(Some(&self.state), keywords);
        let all = |_: &MailboxName| true;
        self.local = scan(&self.store, &mut self.base, &mut links, &all, Changes::Allowed, &Stop::default()).unwrap();
    }

    fn standing(&self) -> &UidSet {
        &self.base[&self.name].standing.uids
    }

    fn open(&self) -> UidSet {
        self.base[&self.name].links.iter().flatten().map(|(uid, _)| *uid).collect()
    }

    /// The files that are listed, those of links read again last.
    fn files(&self) -> String {
        let Some(Scanned::Listed(listed)) = self.local.scans.get(&self.name) else { panic!("it was not read") };
        let files = listed.listing.files.keys().chain(listed.standing.keys());
        files.map(|file| file.as_os_str().to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ")
    }
}

#[test]
fn what_stands_is_left_out_on_both_sides() {
    let scene = Scene::new(|link| match link.uid.get() {
        2 => link.presence = Presence::LocalOnly,
        3 => link.presence = Presence::RemoteOnly,
        4 => link.flags.system.insert(SystemFlag::Seen),
        5 => link.flags.system.insert(SystemFlag::Trashed),
        6 => link.file = FileId::new("gone"),
        _ => (),
    });
    assert_eq!(*scene.standing(), uids([1, 7, 8]), "and not what came since the checkpoint");
    assert_eq!(scene.open(), uids([2, 3, 4, 5, 6, 9]));
    assert_eq!(scene.files(), "f2 f3 f4 f5 f6 f9");
    assert_eq!(scene.base[&scene.name].messages(), 9);
}

#[test]
fn links_that_have_one_file_do_not_stand() {
    let scene = Scene::new(|link| {
        if matches!(link.uid.get(), 2 | 5 | 7) {
            link.file = FileId::new("f1");
        }
    });
    assert_eq!(*scene.standing(), uids([3, 4, 6, 8]));
    assert_eq!(scene.open(), uids([1, 2, 5, 7, 9]));
    assert_eq!(scene.files(), "f1 f2 f5 f7 f9");
    // Nor do they where the first of them does not.
    let scene = Scene::new(|link| match link.uid.get() {
        1 => link.presence = Presence::LocalOnly,
        2 => link.file = FileId::new("f1"),
        _ => (),
    });
    assert_eq!((scene.standing(), scene.open()), (&uids([3, 4, 5, 6, 7, 8]), uids([1, 2, 9])));
}

#[test]
fn nothing_stands_where_changes_are_not_told_or_the_directory_may_be_anothers() {
    let mut scene = Scene::new(|_| ());
    scene.checked(|check| check.inode += 1);
    assert!(scene.standing().is_empty() && scene.open().len() == 9);
    scene.checked(|_| ());
    assert_eq!(scene.standing().len(), 8);
    let mut check = scene.base[&scene.name].remote.clone().unwrap();
    check.highest_modseq = None;
    scene.state.record(&[Fact::RemoteChecked(ID, check)]).unwrap();
    scene.look(Keywords::Synced);
    assert!(scene.standing().is_empty() && scene.open().len() == 9);
}

#[test]
fn keywords_that_are_not_compared_do_not_stand() {
    let work = Keyword::new("Work").unwrap();
    let mut scene = Scene::new(|link| {
        if link.uid.get() == 4 {
            link.flags.keywords.insert(work.clone());
        }
    });
    fs::write(scene.root.path().join("A/dovecot-keywords"), "0 Work\n").unwrap();
    fs::rename(scene.root.path().join("A/cur/f4:2,"), scene.root.path().join("A/cur/f4:2,a")).unwrap();
    scene.checked(|_| ());
    assert_eq!(*scene.standing(), uids([1, 2, 3, 4, 5, 6, 7, 8]));
    assert!(scene.base[&scene.name].standing.keywords.contains(&work));
    scene.look(Keywords::Ignored);
    assert_eq!(scene.open(), uids([4, 9]));
}

#[test]
fn a_directory_as_agreed_is_not_needed() {
    let mut scene = Scene::new(|link| {
        if link.uid.get() == 2 {
            link.flags.system.insert(SystemFlag::Seen);
        }
    });
    let mut links = Links::new(Some(&scene.state), Keywords::Synced);
    // A directory that has just changed is read again.
    scene.local.scans.insert(scene.name.clone(), Scanned::Unchanged);
    scene.base = scene.state.base(&|_| true).unwrap();
    links.read(&mut scene.base, &mut scene.local, &scene.name).unwrap();
    assert_eq!((scene.standing(), scene.open()), (&uids([1, 2, 3, 4, 5, 6, 7, 8]), uids([9])));
}

#[test]
fn what_the_server_names_is_read_again() {
    let mut scene = Scene::new(|_| ());
    let links = Links::new(Some(&scene.state), Keywords::Synced);
    let messages = [2, 9, 12].map(|n| (uid(n), RemoteMessage::default())).into();
    let vanished = UidSet::range(uid(4), uid(5));
    let listing = |coverage| {
        let permanent = PermanentFlags::everything();
        let (uid_validity, uid_next) = (UidValidity(1), Some(uid(13)));
        RemoteListing { uid_validity, uid_next, messages: BTreeMap::clone(&messages), coverage, permanent }
    };
    let mut seen = RemoteView::default();
    let look = |mailbox| [(scene.name.clone(), mailbox)].into();
    seen.mailboxes = look(RemoteMailbox::Unchanged);
    links.recall(&mut scene.base, &mut scene.local, &seen).unwrap();
    assert_eq!(scene.standing().len(), 8);
    seen.mailboxes = look(RemoteMailbox::Observed(listing(Coverage::Changes { vanished })));
    links.recall(&mut scene.base, &mut scene.local, &seen).unwrap();
    assert_eq!((scene.standing(), scene.open()), (&uids([1, 3, 6, 7, 8]), uids([2, 4, 5, 9])));
    assert_eq!(scene.files(), "f9 f2 f4 f5");
    for all in [Some(RemoteMailbox::Observed(listing(Coverage::Everything))), Some(RemoteMailbox::Unknown), None] {
        scene.look(Keywords::Synced);
        assert_eq!(scene.standing().len(), 8);
        let links = Links::new(Some(&scene.state), Keywords::Synced);
        seen.mailboxes = all.map(|all| (scene.name.clone(), all)).into_iter().collect();
        links.recall(&mut scene.base, &mut scene.local, &seen).unwrap();
        assert!(scene.standing().is_empty() && scene.open().len() == 9);
        assert_eq!(scene.files(), "f9 f1 f2 f3 f4 f5 f6 f7 f8");
    }
}

#[test]
fn what_is_like_something_else_is_read_again() {
    let mut scene = Scene::new(|_| ());
    let links = Links::new(Some(&scene.state), Keywords::Synced);
    let digests = [Digest([3; 32]), Digest([9; 32])].into();
    let traits = Traits { digests, dates: [(UnixSeconds(0), 105), (UnixSeconds(1), 106)].into() };
    let mut relisted = Vec::new();
    let relatives =
        links.kin(&mut scene.base, &traits, &mut |name, link| relisted.push((name.clone(), link.uid))).unwrap();
    assert!(relatives.is_empty(), "they are no others' links");
    assert_eq!(relisted, [(scene.name.clone(), uid(3)), (scene.name.clone(), uid(5))]);
    assert_eq!((scene.standing(), scene.open()), (&uids([1, 2, 4, 6, 7, 8]), uids([3, 5, 9])));
    // Where none were read, they are given.
    scene.base = scene.state.base(&|_| true).unwrap();
    let relatives = links.kin(&mut scene.base, &traits, &mut |_, _| panic!("nothing was left out")).unwrap();
    assert_eq!(relatives[&scene.name].keys().copied().collect::<UidSet>(), uids([3, 5, 9]));
}

#[test]
fn links_that_are_missing_in_the_state_are_damage() {
    let mut scene = Scene::new(|_| ());
    let links = Links::new(Some(&scene.state), Keywords::Synced);
    scene.base.get_mut(&scene.name).unwrap().standing.uids.insert(uid(20));
    let error = links.recall_all(&mut scene.base, &mut scene.local, &scene.name).unwrap_err();
    assert_eq!(error.kind(), crate::error::Kind::Damaged);
}
