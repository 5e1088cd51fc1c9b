//! What becomes of files that share a unique part.

use std::path::PathBuf;

use super::super::deliver::tests::files;
use super::super::scan::Scan;
use super::super::store::tests::{folder, mailbox, tree};
use super::super::{Layout, Store};
use super::*;

/// A mailbox with these files, each with a text.
fn scene(files: &[(&str, &str)]) -> (tempfile::TempDir, Store, PathBuf) {
    let (temp, store) = tree(Layout::Nested);
    store.create_mailbox(&mailbox("box")).unwrap();
    let path = temp.path().join("Mail/box");
    files.iter().for_each(|(name, text)| std::fs::write(path.join(name), text).unwrap());
    (temp, store, path)
}

fn listing(store: &Store) -> Listing {
    let Scan::Listed(listing) = store.scan(&mailbox("box"), None).unwrap() else { panic!("there is no checkpoint") };
    listing
}

fn digest(store: &Store, listing: &Listing, id: &str) -> Digest {
    let file = &listing.files[&FileId::new(id)];
    store.examine(&mailbox("box"), file).unwrap().unwrap().contents.whole.digest
}

/// Each listed file with its flags.
fn listed(listing: &Listing) -> Vec<String> {
    listing.files.iter().map(|(id, file)| format!("{id} {}", file.flags)).collect()
}

#[test]
fn files_alike_become_one_with_the_flags_of_all_but_a_mark_that_one_has_not() {
    let all = [
        ("cur/a:2,S", "one"),
        ("cur/a:2,RT", "one"),
        ("new/a", "one"),
        // The name of what is left is there already.
        ("cur/b:2,", "two"),
        ("cur/b:2,FS", "two"),
        ("cur/b:2,S", "two"),
        ("cur/c:2,ST", "three"),
        ("cur/c:2,T", "three"),
        ("cur/d:2,S", "four"),
    ];
    let (_temp, store, path) = scene(&all);
    let none = BTreeMap::new();
    let mut as_one = listing(&store);
    assert!(as_one.has_namesakes());
    assert_eq!(store.list_namesakes_as_one(&mailbox("box"), &mut as_one, &none).unwrap(), 3);
    assert_eq!(files(&path).len(), all.len(), "only listed as one");
    assert_eq!(store.settle_namesakes(&mailbox("box"), &listing(&store), &none).unwrap(), 3);
    assert_eq!(files(&path), ["cur/a:2,RS", "cur/b:2,FS", "cur/c:2,ST", "cur/d:2,S"]);
    assert_eq!(listed(&listing(&store)), listed(&as_one));
    assert!(!listing(&store).has_namesakes());
}

#[test]
fn another_message_gets_a_name_of_its_own_whichever_goes_by_the_unique_part() {
    let (_temp, store, path) = scene(&[("cur/a:2,FS", "known"), ("cur/a:2,S", "other"), ("new/a", "known")]);
    let before = listing(&store);
    for known in ["a", "a:2,S"] {
        let linked = BTreeMap::from([(FileId::new("a"), digest(&store, &before, known))]);
        let mut as_one = before.clone();
        let merged = store.list_namesakes_as_one(&mailbox("box"), &mut as_one, &linked).unwrap();
        // Where the other one has the id, only a change of names helps.
        assert_eq!((merged, as_one.files.len()), if known == "a" { (1, 2) } else { (0, 3) });
    }
    let linked = BTreeMap::from([(FileId::new("a"), digest(&store, &before, "a:2,S"))]);
    assert_eq!(store.settle_namesakes(&mailbox("box"), &before, &linked).unwrap(), 0);
    assert_eq!(std::fs::read(path.join("cur/a:2,S")).unwrap(), b"other", "the known one goes by the unique part");
    let names = files(&path);
    assert_eq!(names.iter().filter(|name| name.contains(".parted")).count(), 2, "{names:?}");
    assert_eq!(listing(&store).files.len(), 3);
    assert!(!listing(&store).has_namesakes());
}

#[test]
fn what_both_sides_know_as_two_messages_stays_two() {
    let (_temp, store, path) = scene(&[("cur/a:2,FS", "same"), ("cur/a:2,S", "same")]);
    let before = listing(&store);
    let both = ["a", "a:2,S"].map(|id| (FileId::new(id), digest(&store, &before, id)));
    assert_eq!(store.settle_namesakes(&mailbox("box"), &before, &BTreeMap::from(both)).unwrap(), 0);
    assert_eq!(files(&path).len(), 2);
    assert!(!listing(&store).has_namesakes());
}

#[test]
fn what_cannot_be_read_or_is_gone_meanwhile_leaves_all_as_it_is() {
    let (_temp, store, path) = scene(&[("cur/a:2,FS", "same"), ("cur/a:2,S", "same")]);
    let before = listing(&store);
    std::fs::remove_file(path.join("cur/a:2,S")).unwrap();
    assert_eq!(store.settle_namesakes(&mailbox("box"), &before, &BTreeMap::new()).unwrap(), 0);
    assert_eq!(files(&path), ["cur/a:2,FS"]);
    std::os::unix::fs::symlink("/nowhere", path.join("cur/a:2,S")).unwrap();
    assert_eq!(store.settle_namesakes(&mailbox("box"), &before, &BTreeMap::new()).unwrap(), 0);
    assert_eq!(files(&path).len(), 2);
}

#[test]
fn keywords_get_the_letters_of_this_mailbox_and_no_other() {
    let (_temp, folder, path) = folder();
    std::fs::write(path.join("dovecot-keywords"), "0 Private\n").unwrap();
    ["cur/x:2,Sac", "cur/y:2,a"].iter().for_each(|name| std::fs::write(path.join(name), "x").unwrap());
    let work = BTreeSet::from([crate::mail::Keyword::new("Work").unwrap()]);
    let set = folder.set_keywords(&[(FileId::new("x"), work), (FileId::new("y"), BTreeSet::new())]);
    assert_eq!(set.into_iter().map(|flags| flags.unwrap().to_string()).collect::<Vec<_>>(), ["\\Seen Work", ""]);
    assert_eq!(files(&path), ["cur/x:2,Sb", "cur/y:2,"]);
}
