//! Flags and removal while other programs rename.

use std::path::Path;

use super::super::deliver::tests::{files, flags};
use super::super::store::tests::folder;
use super::*;

fn put(path: &Path, name: &str) {
    std::fs::write(path.join(name), "x\n").unwrap();
}

fn change(id: &str, add: &[&str], remove: &[&str]) -> (FileId, FlagChange) {
    (FileId::new(id), FlagChange { add: flags(add), remove: flags(remove) })
}

#[test]
fn flags_are_set_one_by_one_and_what_is_unknown_stays() {
    let (_temp, folder, path) = folder();
    std::fs::write(path.join("dovecot-keywords"), "0 Work\n").unwrap();
    ["new/a", "cur/b:2,SZaz", "cur/c:2,S", "new/d"].iter().for_each(|f| put(&path, f));
    let results = folder.set_flags(&[
        change("a", &["\\Seen"], &[]),
        change("b", &["\\Answered", "New"], &["\\Seen", "work"]),
        change("c", &[], &["\\Seen"]),
        change("d", &[], &["\\Flagged"]),
        change("missing", &["\\Seen"], &[]),
    ]);
    assert_eq!(files(&path), ["cur/a:2,S", "cur/b:2,RZbz", "cur/c:2,", "new/d"]);
    assert!(results[4].as_ref().unwrap_err().to_string().contains("The file is gone"));
    let after: Vec<_> = results.into_iter().filter_map(Result::ok).map(|f| f.to_string()).collect();
    assert_eq!(after, ["\\Seen", "\\Answered New", "", ""]);
    assert_eq!(std::fs::read(path.join("dovecot-keywords")).unwrap(), b"0 Work\n1 New\n");
}

#[test]
fn a_file_that_another_program_renamed_is_found_again() {
    let (_temp, folder, path) = folder();
    ["new/a", "cur/b:2,", "cur/c:2,"].iter().for_each(|f| put(&path, f));
    folder.set_flags(&[change("c", &["\\Flagged"], &[])]).remove(0).unwrap();
    std::fs::rename(path.join("new/a"), path.join("cur/a:2,RS")).unwrap();
    std::fs::rename(path.join("cur/b:2,"), path.join("cur/b:2,F")).unwrap();
    put(&path, "new/late");
    let results = folder.set_flags(&[change("a", &["\\Flagged"], &[]), change("late", &["\\Seen"], &[])]);
    assert_eq!(
        results.into_iter().map(|r| r.unwrap().to_string()).collect::<Vec<_>>(),
        ["\\Flagged \\Answered \\Seen", "\\Seen"]
    );
    assert_eq!(folder.open_message(&FileId::new("b")).unwrap().flags(), &flags(&["\\Flagged"]));
    std::fs::rename(path.join("cur/b:2,F"), path.join("cur/b:2,FS")).unwrap();
    assert!(folder.remove(&[FileId::new("b"), FileId::new("gone")]).into_iter().all(|r| r.is_ok()));
    assert_eq!(files(&path), ["cur/a:2,FRS", "cur/c:2,F", "cur/late:2,S"]);
}

#[test]
fn a_rename_never_takes_anothers_place() {
    let (_temp, folder, path) = folder();
    ["cur/x:2,S", "cur/x:2,FS"].iter().for_each(|f| put(&path, f));
    let results = folder.set_flags(&[change("x:2,S", &["\\Flagged"], &[]), change("x", &["\\Answered"], &[])]);
    assert!(results[0].is_err() && results[1].is_ok());
    assert_eq!(files(&path), ["cur/x:2,FRS", "cur/x:2,S"]);
    folder.remove(&[FileId::new("x")]).remove(0).unwrap();
    assert_eq!(files(&path), ["cur/x:2,S"], "the namesake stays");
}

#[test]
fn a_missing_tmp_is_made_and_a_missing_cur_is_an_error() {
    use super::super::store::tests::{mailbox, tree};
    let (temp, store) = tree(super::super::Layout::Nested);
    store.create_mailbox(&mailbox("A")).unwrap();
    let path = temp.path().join("Mail/A");
    std::fs::remove_dir(path.join("tmp")).unwrap();
    store.folder(&mailbox("A")).unwrap();
    assert!(path.join("tmp").is_dir());
    std::fs::remove_dir(path.join("cur")).unwrap();
    assert!(store.folder(&mailbox("A")).is_err() && store.scan(&mailbox("A"), None).is_err());
}
