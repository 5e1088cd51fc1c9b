//! What a listing says of files, and what becomes of those that move before they are examined.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use super::super::dir::{self, Dir};
use super::super::settle::tests::Tree;
use super::*;

/// A scan at a time when nothing is racy.
fn calm(tree: &Tree) -> Listing {
    tree.boxes.roll(dir::now() + 3_000_000_000).unwrap().listing()
}

#[test]
fn lists_messages_and_nothing_else() {
    let tree = Tree::new();
    ["new/a", "cur/b:2,FSa", "cur/.hidden", "cur/c", "tmp/d", "e"].iter().for_each(|n| tree.put(n));
    std::fs::create_dir(tree.path("cur/sub")).unwrap();
    std::fs::write(tree.path("dovecot-keywords"), "0 Work\n").unwrap();
    std::fs::write(tree.path("cur").join(OsStr::from_bytes(b"\xff\xfe:2,S")), "x").unwrap();
    let listing = calm(&tree);
    assert_eq!(listing.files.len(), 4);
    assert_eq!(listing.files[&FileId::new("b")].flags.to_string(), "\\Flagged \\Seen Work");
    assert!(listing.files[&FileId::new("a")].flags.is_empty());
    let id = FileId::new(OsStr::from_bytes(b"\xff\xfe"));
    let examined = tree.boxes.examine(&listing.files[&id], 0).unwrap().unwrap();
    assert_eq!(examined.contents.whole.wire_size, 1);
    assert_eq!(listing.keywords.free, 25);
}

#[test]
fn a_file_renamed_after_the_scan_is_found_and_one_gone_is_no_error() {
    let tree = Tree::new();
    ["new/a", "cur/b:2,", "cur/b:2,S"].iter().for_each(|n| tree.put(n));
    let listing = calm(&tree);
    std::fs::rename(tree.path("new/a"), tree.path("cur/a:2,S")).unwrap();
    std::fs::remove_file(tree.path("cur/b:2,S")).unwrap();
    let other = &listing.files[&FileId::new("b:2,S")];
    assert_eq!(tree.boxes.examine(other, dir::now()).unwrap(), None, "not to be mistaken for its namesake");
    let file = &listing.files[&FileId::new("a")];
    assert!(tree.boxes.examine(file, dir::now()).unwrap().is_some());
    std::fs::remove_file(tree.path("cur/a:2,S")).unwrap();
    assert_eq!(tree.boxes.examine(file, dir::now()).unwrap(), None);
}

#[test]
fn what_is_no_plain_file_is_listed_and_not_read() {
    let tree = Tree::new();
    tree.put("secret");
    std::os::unix::fs::symlink("../secret", tree.path("cur/link:2,")).unwrap();
    rustix::fs::mkfifoat(rustix::fs::CWD, tree.path("cur/pipe:2,"), rustix::fs::Mode::RWXU).unwrap();
    let listing = calm(&tree);
    for id in ["link", "pipe"] {
        assert!(tree.boxes.examine(&listing.files[&FileId::new(id)], 0).is_err(), "{id}");
    }
}

#[test]
fn an_unreadable_file_is_an_error_not_absence() {
    use std::os::unix::fs::PermissionsExt;
    if rustix::process::geteuid().is_root() {
        return;
    }
    let tree = Tree::new();
    tree.put("cur/a:2,");
    std::fs::set_permissions(tree.path("cur/a:2,"), PermissionsExt::from_mode(0o000)).unwrap();
    let listing = calm(&tree);
    assert!(tree.boxes.examine(&listing.files[&FileId::new("a")], 0).is_err());
    std::fs::set_permissions(tree.path("cur"), PermissionsExt::from_mode(0o000)).unwrap();
    let denied = Boxes::open(Dir::open_root(&tree.path("")).unwrap()).unwrap_err();
    assert!(denied.to_string().contains("Permission denied"), "{denied}");
    std::fs::set_permissions(tree.path("cur"), PermissionsExt::from_mode(0o700)).unwrap();
}
