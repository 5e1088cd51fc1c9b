//! What stands and what does not, over a state and a tree on disk.

use std::fs;

use super::super::local::{Changes, scan_all};
use super::*;
use crate::local::{Expected, Layout, LocalOptions, Store};
use crate::mail::{
    AccountId, Digest, Fact, FileId, Flags, Keyword, LocalCheckpoint, ModSeq, PermanentFlags, SystemFlag, UidValidity,
    UnixSeconds,
};
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
        let object_id = Some("mine".into());
        let check = RemoteCheckpoint { uid_validity, uid_next, highest_modseq, messages: 9, permanent, object_id };
        facts.push(Fact::RemoteChecked(ID, check));
        state.record(&facts).unwrap();
        let scene = Scene { state, store, root, name };
        scene.checked(|_| ())
    }

    /// Records the local checkpoint; something has changed since.
    fn checked(mut self, change: impl Fn(&mut LocalCheckpoint)) -> Scene {
        let crate::local::Scan::Listed(listing) = self.store.scan(&self.name, None).unwrap() else { panic!() };
        let mut check = listing.checkpoint;
        check.look_again();
        change(&mut check);
        self.state.record(&[Fact::LocalChecked(ID, check)]).unwrap();
        self
    }

    /// Looks as a run does after that.
    fn look(&self) -> Look<'_> {
        self.look_with(Keywords::Synced)
    }

    fn look_with(&self, keywords: Keywords) -> Look<'_> {
        let mut side =
            ThisSide::new(Some(&self.state), keywords, Changes::Forbidden, self.state.base(&|_| true).unwrap());
        scan_all(&self.store, &mut side, &|_| true, Changes::Allowed, &Stop::default()).unwrap();
        Look { side, name: &self.name }
    }
}

struct Look<'s> {
    side: ThisSide<'s>,
    name: &'s MailboxName,
}

impl Look<'_> {
    fn standing(&self) -> UidSet {
        self.side.base[self.name].standing.uids()
    }

    fn open(&self) -> UidSet {
        self.side.base[self.name].links.iter().flatten().map(|(uid, _)| *uid).collect()
    }

    fn compare(&mut self, seen: Option<&mut RemoteMailbox>) {
        let now = self.side.base[self.name].remote.clone();
        self.side.compare(self.name, seen, now.as_ref()).unwrap();
    }

    /// The files that are listed, those of links read again last.
    fn files(&self) -> String {
        let Some(Scanned::Listed(listed)) = self.side.local.scans.get(self.name) else { panic!("it was not read") };
        let files = listed.listing.files.keys().chain(listed.standing.keys());
        files.map(|file| file.as_os_str().to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ")
    }
}

fn listing<const N: usize>(coverage: Coverage, messages: [(u32, &[SystemFlag]); N]) -> RemoteMailbox {
    let message = |(n, flags): (u32, &[SystemFlag])| {
        let mut message = RemoteMessage::default();
        flags.iter().for_each(|flag| message.flags.system.insert(*flag));
        (uid(n), message)
    };
    RemoteMailbox::Observed(RemoteListing {
        uid_validity: UidValidity(1),
        uid_next: Some(uid(13)),
        messages: messages.into_iter().map(message).collect(),
        coverage,
        permanent: PermanentFlags::everything(),
    })
}

fn told(seen: &RemoteMailbox) -> UidSet {
    let RemoteMailbox::Observed(listing) = seen else { panic!("it was looked into") };
    listing.messages.keys().copied().collect()
}

const SEEN: &[SystemFlag] = &[SystemFlag::Seen];

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
    let look = scene.look();
    assert_eq!(look.standing(), uids([1, 7, 8]), "and not what came since the checkpoint");
    assert_eq!(look.open(), uids([2, 3, 4, 5, 6, 9]));
    assert_eq!(look.files(), "f2 f3 f4 f5 f6 f9");
    assert_eq!(look.side.base[look.name].messages(), 9);
}

#[test]
fn links_that_have_one_file_do_not_stand() {
    let scene = Scene::new(|link| {
        if matches!(link.uid.get(), 2 | 5 | 7) {
            link.file = FileId::new("f1");
        }
    });
    let look = scene.look();
    assert_eq!((look.standing(), look.open()), (uids([3, 4, 6, 8]), uids([1, 2, 5, 7, 9])));
    assert_eq!(look.files(), "f1 f2 f5 f7 f9");
    // Nor do they where the first of them does not.
    let scene = Scene::new(|link| match link.uid.get() {
        1 => link.presence = Presence::LocalOnly,
        2 => link.file = FileId::new("f1"),
        _ => (),
    });
    let look = scene.look();
    assert_eq!((look.standing(), look.open()), (uids([3, 4, 5, 6, 7, 8]), uids([1, 2, 9])));
}

#[test]
fn nothing_stands_in_a_mailbox_that_was_never_in_order_or_whose_directory_may_be_anothers() {
    let mut scene = Scene::new(|_| ()).checked(|check| check.inode += 1);
    assert_eq!((scene.look().standing().len(), scene.look().open().len()), (0, 9));
    scene = scene.checked(|_| ());
    assert_eq!(scene.look().standing().len(), 8);
    let mut check = scene.state.base(&|_| true).unwrap()[&scene.name].remote.clone().unwrap();
    check.uid_next = None;
    scene.state.record(&[Fact::RemoteChecked(ID, check)]).unwrap();
    assert_eq!((scene.look().standing().len(), scene.look().open().len()), (0, 9));
}

#[test]
fn keywords_that_are_not_compared_do_not_stand() {
    let work = Keyword::new("Work").unwrap();
    let scene = Scene::new(|link| {
        if link.uid.get() == 4 {
            link.flags.keywords.insert(work.clone());
        }
    });
    fs::write(scene.root.path().join("A/dovecot-keywords"), "0 Work\n").unwrap();
    fs::rename(scene.root.path().join("A/cur/f4:2,"), scene.root.path().join("A/cur/f4:2,a")).unwrap();
    let look = scene.look();
    assert_eq!(look.standing(), uids([1, 2, 3, 4, 5, 6, 7, 8]));
    assert!(look.side.base[look.name].standing.keywords().eq([&work]));
    assert_eq!(scene.look_with(Keywords::Ignored).open(), uids([4, 9]));
}

#[test]
fn a_directory_as_agreed_is_not_needed() {
    let scene = Scene::new(|link| {
        if link.uid.get() == 2 {
            link.flags.system.insert(SystemFlag::Seen);
        }
    });
    let mut side =
        ThisSide::new(Some(&scene.state), Keywords::Synced, Changes::Forbidden, scene.state.base(&|_| true).unwrap());
    // A directory that has just changed would be read again.
    side.local.scans.insert(scene.name.clone(), Scanned::Unchanged);
    side.read(&scene.name).unwrap();
    let look = Look { side, name: &scene.name };
    assert_eq!((look.standing(), look.open()), (uids([1, 2, 3, 4, 5, 6, 7, 8]), uids([9])));
}

#[test]
fn what_changed_on_the_server_is_read_again() {
    let scene = Scene::new(|_| ());
    let mut look = scene.look();
    look.compare(Some(&mut RemoteMailbox::Unchanged));
    assert_eq!(look.standing().len(), 8);
    // Of 1 it is told that it is as agreed, as after a run that changed it itself; 9 and 12 are new.
    let vanished = Coverage::Changes { vanished: UidSet::range(uid(4), uid(5)) };
    let mut seen = listing(vanished, [(1, &[]), (2, SEEN), (9, &[]), (12, &[])]);
    look.compare(Some(&mut seen));
    assert_eq!((look.standing(), look.open()), (uids([1, 3, 6, 7, 8]), uids([2, 4, 5, 9])));
    assert_eq!((look.files(), told(&seen)), ("f9 f2 f4 f5".into(), uids([2, 9, 12])));
}

#[test]
fn of_all_that_a_server_lists_only_what_changed_is_looked_at() {
    let scene = Scene::new(|_| ());
    let mut look = scene.look();
    let all: [(u32, &[SystemFlag]); 8] =
        [(1, &[]), (2, SEEN), (3, &[]), (6, &[]), (7, &[]), (8, &[]), (9, SEEN), (12, &[])];
    let mut seen = listing(Coverage::Everything, all);
    look.compare(Some(&mut seen));
    assert_eq!((look.standing(), look.open()), (uids([1, 3, 6, 7, 8]), uids([2, 4, 5, 9])));
    assert_eq!((look.files(), told(&seen)), ("f9 f2 f4 f5".into(), uids([2, 9, 12])));
    // What is read again later is listed again, on both sides.
    let mut view = RemoteView::default();
    view.mailboxes.insert(scene.name.clone(), seen);
    let traits = Traits { digests: [Digest([3; 32])].into(), ..Traits::default() };
    look.side.kin(&traits, &mut view, &mut |_, _| ()).unwrap();
    assert_eq!((look.open(), told(&view.mailboxes[&scene.name])), (uids([2, 3, 4, 5, 9]), uids([2, 3, 9, 12])));
    look.side.read_all(&scene.name, &mut view).unwrap();
    assert_eq!((look.open(), look.standing().len()), (uids([1, 2, 3, 4, 5, 6, 7, 8, 9]), 0));
    assert_eq!(told(&view.mailboxes[&scene.name]), uids([1, 2, 3, 6, 7, 8, 9, 12]));
}

#[test]
fn all_of_a_mailbox_is_read_that_the_server_has_not_as_it_was() {
    let scene = Scene::new(|_| ());
    for seen in [Some(RemoteMailbox::Unknown), None] {
        let mut look = scene.look();
        assert_eq!(look.standing().len(), 8);
        look.compare(seen.clone().as_mut());
        assert_eq!((look.standing().len(), look.open().len()), (0, 9));
        assert_eq!(look.files(), "f9 f1 f2 f3 f4 f5 f6 f7 f8");
    }
    let others: [fn(&mut RemoteCheckpoint); 2] =
        [|now| now.uid_validity = UidValidity(2), |now| now.object_id = Some("other".into())];
    for other in others {
        let mut look = scene.look();
        let mut now = look.side.base[&scene.name].remote.clone().unwrap();
        other(&mut now);
        let mut seen = listing(Coverage::Everything, [(1, &[]), (2, &[])]);
        look.side.compare(&scene.name, Some(&mut seen), Some(&now)).unwrap();
        assert_eq!((look.standing().len(), look.open().len(), told(&seen)), (0, 9, uids([1, 2])));
    }
}

#[test]
fn what_is_like_something_else_is_read_again() {
    let scene = Scene::new(|_| ());
    let mut look = scene.look();
    let digests = [Digest([3; 32]), Digest([9; 32])].into();
    let traits = Traits { digests, dates: [(UnixSeconds(0), 105), (UnixSeconds(1), 106)].into() };
    let (mut view, mut back) = (RemoteView::default(), Vec::new());
    let relatives = look.side.kin(&traits, &mut view, &mut |name, link| back.push((name.clone(), link.uid))).unwrap();
    assert!(relatives.is_empty(), "they are no others' links");
    assert_eq!(back, [(scene.name.clone(), uid(3)), (scene.name.clone(), uid(5))]);
    assert_eq!((look.standing(), look.open()), (uids([1, 2, 4, 6, 7, 8]), uids([3, 5, 9])));
    // Where none were read, they are given.
    look.side.base = scene.state.base(&|_| true).unwrap();
    let relatives = look.side.kin(&traits, &mut view, &mut |_, _| panic!("nothing was left out")).unwrap();
    assert_eq!(relatives[&scene.name].keys().copied().collect::<UidSet>(), uids([3, 5, 9]));
}

#[test]
fn links_that_are_missing_in_the_state_are_damage() {
    let scene = Scene::new(|_| ());
    let mut look = scene.look();
    look.side.base.get_mut(&scene.name).unwrap().standing.insert(uid(20), &Flags::none());
    let error = look.side.read_all(&scene.name, &mut RemoteView::default()).unwrap_err();
    assert_eq!(error.kind(), crate::error::Kind::Damaged);
}
