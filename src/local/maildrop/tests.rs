//! Markers beside each other, and files that were moved, deleted or never recorded.

use super::super::Layout;
use super::super::deliver::Delivery;
use super::super::store::tests::{mailbox, options, tree};
use super::*;
use crate::mail::{FileOrigin, Flags, MaildropOrigin, Serial, UidlHash, UnixSeconds};

const ID: AccountId = AccountId(0x0a1b_2c3d);
const LOGIN: &str = "me@pop.example.org";

fn open(root: &std::path::Path, expected: Expected) -> Result<Opened> {
    Store::open_for_maildrop(&options(root, Layout::Nested), LOGIN, expected)
}

fn deliver(folder: &Folder, serial: u64, bytes: &[u8]) -> FileId {
    let mut incoming = folder.incoming().unwrap();
    incoming.write(bytes).unwrap();
    let origin =
        FileOrigin::Maildrop(MaildropOrigin { account: ID, uidl: Some(UidlHash(serial)), serial: Serial(serial) });
    let received = incoming.finish().unwrap();
    let delivery = Delivery { received, origin, flags: Flags::none(), internal_date: UnixSeconds(1_700_000_000) };
    folder.deliver(vec![delivery]).remove(0).unwrap().file
}

#[test]
fn a_tree_is_known_by_the_accounts_own_marker() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("Mail");
    let opened = open(&root, Expected::First).unwrap();
    assert_eq!(opened.marker, Marker::Absent);
    assert_eq!(opened.store.maildrop_generation(ID).unwrap(), None);
    opened.store.mark_maildrop(ID, LOGIN, Generation(3)).unwrap();
    assert_eq!(opened.store.maildrop_generation(ID).unwrap(), Some(Generation(3)));

    // A marker that another run is just writing is none yet.
    std::fs::write(root.join(".mailtide-1700000000.P1Q0R5.mailtide-tmp"), "Mailti").unwrap();
    assert_eq!(open(&root, Expected::First).unwrap().marker, Marker::Present(ID));

    // Two accounts beside each other, and beside the tree's owner.
    opened.store.mark_maildrop(AccountId(7), "you@pop.example.org", Generation(0)).unwrap();
    opened.store.write_marker(AccountId(9)).unwrap();
    assert_eq!(open(&root, Expected::First).unwrap().marker, Marker::Present(ID));
    open(&root, Expected::Known(ID)).unwrap();
    let error = open(&root, Expected::Known(AccountId(8))).unwrap_err();
    assert!(error.what().contains("no `.mailtide-00000008` file"), "{error}");
    assert!(opened.store.mailboxes().unwrap().is_empty());

    // Gone, or inside another account's.
    let error = open(&dir.path().join("none"), Expected::Known(ID)).unwrap_err();
    assert_eq!((error.kind(), error.what()), (Kind::LocalTree, "The Maildir tree is missing; nothing was changed"));
    assert!(open(&root.join("sub"), Expected::First).unwrap_err().what().contains("inside another"));
    let nothing = options(&dir.path().join("none"), Layout::Nested);
    assert!(Store::look_for_maildrop(&nothing, LOGIN, Expected::First).unwrap().is_none());
    assert!(!nothing.root.exists());
}

#[test]
fn a_damaged_marker_is_an_error() {
    let (temp, store) = tree(Layout::Nested);
    std::fs::write(temp.path().join("Mail").join(name_of(ID)), "Mailtide maildrop, version 2\naccount = 0a1b2c3d\n")
        .unwrap();
    assert!(store.maildrop_generation(ID).unwrap_err().what().contains("newer version"));
    assert!(open(&temp.path().join("Mail"), Expected::First).is_err());
}

#[test]
fn a_moved_file_is_not_gone() {
    let (temp, store) = tree(Layout::Nested);
    let root = temp.path().join("Mail");
    for name in ["in", "other"] {
        store.create_mailbox(&mailbox(name)).unwrap();
    }
    let folder = store.folder(&mailbox("in")).unwrap();
    let files: Vec<FileId> = (1..=5).map(|n| deliver(&folder, n, format!("body {n}\r\n").as_bytes())).collect();
    let recovered = || {
        let Scan::Listed(listing) = store.scan(&mailbox("in"), None).unwrap() else {
            panic!("unchanged since nothing")
        };
        store.recover(&mailbox("in"), &listing.files).unwrap()
    };
    let digests = recovered();
    let all: BTreeMap<FileId, Digest> = digests.iter().map(|(id, r)| (id.clone(), r.content.digest)).collect();
    assert_eq!((all.len(), digests.values().all(|r| r.header.is_none())), (5, true));
    assert!(store.gone_from_tree(&all).unwrap().is_empty());

    let path = |n: usize| root.join("in/new").join(files[n].as_os_str());
    std::fs::rename(path(0), root.join("other/cur").join(format!("{}:2,S", files[0]))).unwrap();
    std::fs::rename(path(1), root.join("other/cur/1.new.name:2,S")).unwrap();
    std::fs::remove_file(path(2)).unwrap();
    // As long, and another message.
    std::fs::remove_file(path(3)).unwrap();
    std::fs::write(root.join("other/new/1.as.long"), "body 9\n").unwrap();
    assert_eq!(store.gone_from_tree(&all).unwrap(), BTreeSet::from([files[2].clone(), files[3].clone()]));
    assert_eq!(recovered().into_keys().collect::<Vec<_>>(), files[4..]);

    std::fs::remove_dir(root.join("other/new")).unwrap_err();
    std::fs::remove_file(root.join("other/new/1.as.long")).unwrap();
    std::fs::remove_dir(root.join("other/new")).unwrap();
    assert!(store.gone_from_tree(&all).is_err(), "a mailbox that cannot be read says nothing");
}
